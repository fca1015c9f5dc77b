// Where an agent keeps what it has: one folder, readable by its user only.
//
// Thread rule: plain value.
// Invariants:
//   1. identity.json, enrolment.json, store.key and api.token are secrets of mode 0600 (keys/secret_file.h).
//   2. run.json exists only while a daemon runs, or after one that was killed; it is a hint, never proof.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/random_source.h"
#include "base/result.h"

namespace fieldpost::agent {

struct DataDirectory {
  std::filesystem::path path;

  std::filesystem::path identity() const { return path / "identity.json"; }
  /// The keys of an enrolment under way: with them, and the same code, it can be repeated.
  std::filesystem::path enrolment() const { return path / "enrolment.json"; }
  std::filesystem::path store_key() const { return path / "store.key"; }
  std::filesystem::path store() const { return path / "store"; }
  std::filesystem::path token() const { return path / "api.token"; }
  std::filesystem::path run() const { return path / "run.json"; }
  /// Counts the starts, beside the store: see start_mark.h.
  std::filesystem::path start_mark() const { return path / "start.json"; }
  /// The hub's clock as last heard: see hub_time.h.
  std::filesystem::path hub_time() const { return path / "hub-time.json"; }
  std::filesystem::path places() const { return path / "places"; }
};

/// FIELDPOST_AGENT_DATA is CLI11's matter; this is what stands when nothing is said.
std::filesystem::path default_data_path();

/// The installation's token, made on first use. Errors: `io`, `unauthorised`.
Result<std::string> api_token(const DataDirectory& data, const RandomSource& random);

/// Where a running daemon answers.
struct RunningDaemon {
  std::uint16_t port = 0;
  std::int64_t pid = 0;
};
Status write_run_file(const DataDirectory& data, const RunningDaemon& daemon);
/// Nothing when there is no file or it cannot be read.
std::optional<RunningDaemon> read_run_file(const DataDirectory& data);
void remove_run_file(const DataDirectory& data);

}  // namespace fieldpost::agent

// Everything a tablet's agent is made of, wired on one page; no thread and no socket yet.
//
// Thread rule: the store's thread (a command's only thread, or the daemon's store thread).
// Invariants:
//   1. Nothing is global: the daemon and the command line differ only in the hooks they set.
#pragma once

#include <memory>

#include "agent/api/routes.h"
#include "agent/io/sync_driver.h"
#include "agent/store/alarms.h"
#include "agent/store/making_room.h"
#include "agent/store/open_store.h"
#include "agent/store/start_mark.h"

namespace fieldpost::agent {

inline constexpr const char* kAppVersion = "0.1.0";

struct AppOptions {
  DataDirectory data;
  int offset_minutes = 420;
  int keep_days = kKeepDays;  ///< of what the hub and all its backups have
};

class App {
 public:
  /// Errors: `not_found` before enrolment; `locked` while another process has the store.
  static Result<std::unique_ptr<App>> open(const AppOptions& options);

  /// Set by the daemon while it runs.
  struct Hooks {
    std::function<Progress()> progress;
    std::function<std::optional<sync::HubAnchor>()> anchor;
    std::function<void()> recorded;
    std::function<void()> dial_now;
  };
  Hooks hooks;

  const Identity& identity() const { return identity_; }
  const sync::AgentIdentity& sync_identity() const { return sync_identity_; }
  SyncTarget sync_target() const;
  /// For the driver: the clocks, and what is known of the hub's.
  SyncDriver::Clocks clocks();
  storage::AgentStore& store() { return *open_.store; }
  storage::LmdbKv& kv() { return *open_.kv; }
  const RandomSource& random() const { return random_; }
  const DataDirectory& data() const { return options_.data; }
  /// What this start noticed of the store: put back, copied, or nothing.
  const StartFound& start_found() const { return start_; }
  sync::TimeReading read_clock() const;
  /// When in sync: removes what need no longer be kept. Answers how many own changes went. Errors: the store's.
  Result<std::uint64_t> make_room();
  /// What the hub is told of this tablet.
  sync::DeviceFacts facts();
  /// Sets aside what reading found damaged; answers what to say of it. To be called after each request.
  std::vector<std::string> tend();
  const net::Router& router();

 private:
  App() = default;
  Result<nlohmann::json> status();
  Result<nlohmann::json> verify();
  Result<nlohmann::json> damaged();
  Result<nlohmann::json> import_places(const std::string& name, const std::string& csv);

  AppOptions options_;
  RandomSource random_;
  std::uint64_t boot_ = 0;
  Identity identity_;
  sync::AgentIdentity sync_identity_;
  OpenStore open_;
  StartFound start_;
  MakingRoom room_{kKeepDays};
  std::optional<sync::HubAnchor> hub_time_;  ///< as last heard, by this process or an earlier one
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<net::Router> router_;
};

/// The forms in the program, and the places imported into the data folder.
Result<std::shared_ptr<const schema::Registry>> load_registry(const DataDirectory& data);

}  // namespace fieldpost::agent

// Making a backup, and what is known of those that are there.
//
// Thread rule: one thread; the stores may be written beside.
// Invariants:
//   1. Each store is read in one view: one commit, whatever is committed meanwhile.
//   2. A backup that fails leaves no manifest; what it wrote is used by the next one.
//   3. Old backups are removed only after a newer one is committed and verified.
#pragma once

#include <functional>

#include "hub/backup/repository.h"
#include "hub/store/layout.h"

namespace fieldpost::hub::backup {

/// A store to be read.
struct Source {
  std::string name;
  const storage::Kv* kv = nullptr;
  /// Asked before the view is taken: room for what is written while it lasts. May be empty.
  std::function<Status()> make_room;
};

/// The hub that is backed up.
struct Origin {
  fs::path directory;  ///< hub.json and keys/ are read from it
  HubId hub;
  std::string hub_name;
  Epoch epoch;
  crypto::SymmetricKey store_key;
  std::vector<Source> sources;
};

struct Order {
  bool full = false;  ///< reads every chunk that is there again, writes damaged ones anew
  unsigned keep = 28;
  Instant time = {};
  std::function<bool()> stopped = {};  ///< asked often; true ends it. May be empty
};

struct Made {
  std::uint64_t number = 0;
  Instant time;
  std::uint64_t entries = 0;
  std::uint64_t plain_bytes = 0;
  std::uint64_t chunks = 0;
  std::uint64_t chunks_written = 0;
  std::uint64_t bytes_written = 0;     ///< of files
  std::vector<std::uint64_t> removed;  ///< older backups
  std::vector<std::string>
      damaged;  ///< values that the stores themselves hold damaged, the first few
  std::vector<std::string>
      repaired;  ///< files of the repository that were damaged and are written anew
  std::vector<std::string> lost;  ///< and those that no store can give back: backups that miss them
};

/// The caller holds the lock. Errors: `closed` when stopped; those of the stores and the repository.
Result<Made> make_backup(Repository& repository, const Origin& origin, const Order& order);

/// A backup in the repository.
struct Listed {
  std::uint64_t number = 0;
  std::optional<Manifest> manifest;  ///< absent when it cannot be read
  std::uint64_t file_bytes = 0;      ///< of its chunks, those shared with others too
  std::string fault;                 ///< why it cannot be restored; empty when it can
  bool restorable() const { return fault.empty(); }
};
/// Ascending. Looks at every manifest and at the size of every chunk, not into chunks.
Result<std::vector<Listed>> list_backups(Repository& repository);

/// For each store: how far the oldest restorable backup reaches. Nothing when there is none.
std::optional<std::map<std::string, storage::ActorHeads>> watermark(
    const std::vector<Listed>& backups);

}  // namespace fieldpost::hub::backup

// Reading a backup: whether it would restore, and restoring it.
//
// Thread rule: one thread.
// Invariants:
//   1. What is read is checked as it comes: each file opens under its name, keys ascend, each value decodes under
//      the store's own key. Nothing is taken on trust from an earlier check.
//   2. A restored hub has its folder's name only when it is whole; before that there is no hub.json in it.
//   3. What the ledger beside the backups says was erased since is erased again before the folder has its name.
//   4. A restored store says that it is one: a fresh epoch, no mark of a clean stop, from when the backup is.
#pragma once

#include <map>

#include "hub/backup/repository.h"
#include "storage/value_codec.h"

namespace fieldpost::hub::backup {

struct Checked {
  std::uint64_t chunks = 0;
  std::uint64_t entries = 0;
  std::vector<std::string> faults;  ///< why it would not restore whole: files and places
  std::vector<std::string>
      damaged;  ///< values that decode nowhere: the hub's own damage, copied as it was
};

/// Told now and then: bytes of stored entries done so far.
using Progress = std::function<void(std::uint64_t bytes)>;

/// Checks backups; a chunk that many of them share is read once.
class Verifier {
 public:
  Verifier(Repository& repository, Progress progress)
      : repository_(repository), progress_(std::move(progress)) {}
  Checked check(const Manifest& manifest);

 private:
  struct Summary {
    Bytes first, last;  ///< keys
    std::uint64_t entries = 0;
    std::string fault;
    std::vector<std::string> damaged;
  };
  const Summary& summary(const ChunkId& id, storage::TableId table, storage::ValueCodec& codec);

  Repository& repository_;
  Progress progress_;
  std::uint64_t bytes_ = 0;
  std::map<std::pair<storage::TableId, ChunkId>, Summary> seen_;
};

struct Restored {
  std::uint64_t number = 0;
  Instant time;
  std::string hub_name;
  std::uint64_t entries = 0;
  std::vector<std::string> damaged;  ///< values that decode nowhere; they are there as they were
  std::uint64_t erased_again = 0;    ///< records that the ledger says were erased since
  std::uint64_t holds_again = 0;     ///< legal holds put or lifted since
  std::vector<std::string> ledger_faults;  ///< of the ledger: what was erased since may be back
};

/// Makes `directory` a hub again as it was. Errors: `already_exists`; `corrupt`, `not_found` naming the file of the
/// repository; `unsupported` for a backup of another store format; `io`, `store_full`.
Result<Restored> restore(Repository& repository, const Manifest& manifest,
                         const fs::path& directory, const RandomSource& random,
                         const Progress& progress);

}  // namespace fieldpost::hub::backup

// The ledger beside the backups: which records were erased and which are on legal hold. It outlives every backup,
// and is taken in again by a store that is older than it.
//
// Thread rule: one thread; who appends holds the repository's lock.
// Invariants:
//   1. Files are numbered 1, 2, 3 …, never changed and never removed. Each is sealed under its number and names the
//      hash of the one before, so that a file that is missing, changed or from elsewhere is found.
//   2. A store's entries count as carried only when their file has its name on the disk and was read back.
//   3. Taking entries in twice, or in another order, changes nothing.
//   4. What could not be read when a store took the others in is taken in once it can be: put back from a copy, say.
//
//   ledger/17    one file: what came since the one before, by store
#pragma once

#include <map>

#include "hub/backup/repository.h"

namespace fieldpost::hub::backup {

struct LedgerPage {
  Instant time;
  Hash previous;  ///< of the bytes of the file before; zeros in the first
  std::map<std::string, std::vector<Bytes>> entries;  ///< by store (storage/hub_ledger.h)
};

/// A file of the ledger as it lies there.
struct LedgerFile {
  storage::LedgerPlace place;
  std::optional<LedgerPage> page;  ///< absent when it cannot be read
  std::string fault;
};

/// All that are there, ascending, those that are missing between them too. Errors: `io`.
Result<std::vector<LedgerFile>> read_ledger_files(Repository& repository);
/// What is wrong with the ledger, in sentences.
std::vector<std::string> ledger_faults(const std::vector<LedgerFile>& files);

/// A store whose entries are carried.
struct LedgerStore {
  std::string name;
  storage::HubReader* reader = nullptr;
  /// Runs its argument where the store may be written.
  std::function<void(const std::function<void(storage::HubStore&)>&)> write;
  /// Told of records that were erased by what was taken in. May be empty.
  std::function<void(const std::vector<storage::ErasedRecord>&)> erased;
};

struct Carried {
  std::uint64_t written = 0;  ///< entries
  storage::LedgerTaken taken;
  std::vector<std::string> faults;
};
/// Takes in what the stores do not have, then (`append`) appends what the ledger does not have. A ledger that is not
/// the one a store knew (a new folder, or one whose end was lost) gets the store's whole list.
Result<Carried> carry_ledger(Repository& repository, const std::vector<LedgerStore>& stores,
                             Instant now, bool append);

}  // namespace fieldpost::hub::backup

// The key-value engine on disk: a thin owner around one LMDB environment.
//
// Thread rule: as Kv. `housekeeping`, `stats` and `copy_to` from any thread.
// Invariants:
//   1. One process per environment, by a lock file of our own; never WRITEMAP, NOSYNC, DUPSORT or fork.
//   2. An update costs one durable commit: LMDB's fdatasync of the pages, then a synced meta page.
//   3. After a commit or sync that failed for another reason than room, every update is refused with
//      `store_failed` until the store is closed and opened again.
//   4. The map grows between transactions by doubling. Normal updates never grow it past
//      map_bytes_max − reserve_bytes; freeing ones may, so that a full store can be emptied.
//   5. No view of stored bytes outlives its transaction, and no transaction outlives its call.
//   6. What losing power while it was made left of a store is put aside, and the store is made anew.
//   7. An older store is migrated only after a whole copy of it is on the disk beside it, and in one
//      transaction: whatever is cut off leaves the old store or the new one. The copy stays.
//
// A disk that others filled: blocks behind the end of the file are taken ahead (fallocate), as many as the
// reserve, so that freeing updates find room where statvfs sees none.
// A full store: LMDB copies pages even to erase, so with a full map nothing can be erased. The reserve
// is therefore kept outside the map that normal updates see, instead of being counted.
// An update that alone needs more than a quarter of the map may meet `store_full` while the map could
// still grow; the map has then been doubled and the update may be tried again. The defaults make room
// for 64 MiB.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "storage/kv.h"
#include "storage/lmdb/store_lock.h"

struct MDB_env;
struct MDB_txn;

namespace fieldpost::storage {

class Txn;

/// What makes a store of format `from` one of the next. Tables that are new are there already, empty.
struct FormatStep {
  std::uint32_t from = 0;
  std::function<Status(KvWrite&)> body;  ///< empty: the new tables are all; may run more than once
};

struct LmdbOptions {
  std::filesystem::path directory;   ///< mode 0700, files 0600
  std::vector<std::string> tables;   ///< by TableId; a name once used stays
  std::string format_name;           ///< "fieldpost-agent", "fieldpost-hub-…"
  std::uint32_t format_version = 1;  ///< newer stores are refused
  /// Ascending, without gaps, up to format_version; a store older than the first is refused.
  std::vector<FormatStep> steps;
  bool create = false;  ///< make what is not there
  std::uint64_t map_bytes_initial = std::uint64_t{256}
                                    << 20;  ///< address space, not memory or disk
  std::uint64_t map_bytes_max = std::uint64_t{64} << 30;
  std::uint64_t reserve_bytes = std::uint64_t{4} << 20;        ///< only freeing updates may use it
  std::uint64_t disk_reserve_bytes = std::uint64_t{16} << 20;  ///< free on the volume, likewise
  unsigned readers_max = 126;  ///< views at one time; LMDB's default
};

class LmdbKv final : public Kv {
 public:
  using Options = LmdbOptions;

  /// Errors: `not_found`, `locked` (by which process), `corrupt` (truncated, damaged), `unsupported`
  /// (not a store, another program's store, a newer or older version), `invalid_argument`, `io`; each
  /// with the path and what to do.
  static Result<std::unique_ptr<LmdbKv>> open(const Options& options);
  ~LmdbKv() override;

  Status view(const ViewBody& body) const override;
  Result<KvStats> stats() const override;

  /// Makes the map larger by so much, before a view that will last: the map cannot move while a view is open, so
  /// updates would wait for its end once the map is full. Address space only.
  Status make_room_beside_view(std::uint64_t bytes);

  /// To be called each minute: frees the reader slots of threads or processes that died.
  Status housekeeping();
  /// A compacted copy in `directory`, which is made and must not exist; beside updates. Durable when it
  /// returns. Errors: `already_exists`, `store_full`, `io`.
  Status copy_to(const std::filesystem::path& directory) const;

  /// What opening did to an older store, in a sentence; empty when nothing.
  const std::string& migrated() const { return migrated_; }

  const std::filesystem::path& directory() const { return options_.directory; }

 private:
  struct CloseEnv {
    void operator()(MDB_env* env) const;
  };

  LmdbKv(Options options, StoreLock lock);
  Status open_environment(std::uint64_t used_bytes);
  Status open_tables();
  Status check_format(MDB_txn* txn, bool& fresh, std::uint32_t& version);
  /// A store of format `from` becomes one of today's, after a copy.
  Status migrate(std::uint32_t from);
  Status copy_before(std::uint32_t from, std::filesystem::path& copy) const;
  Status run_steps(std::uint32_t from, bool& full);
  Status write_format(MDB_txn* txn);
  Status commit_update(const UpdateBody& body, UpdateKind kind) override;
  Status commit(Txn& txn);
  Status make_room(UpdateKind kind);
  Status check_disk() const;
  void keep_blocks(std::uint64_t used_bytes);
  Status grow_after_full_map();
  Status resize(std::uint64_t bytes, bool must);
  std::uint64_t normal_limit() const;
  bool disk_has_less_than(std::uint64_t bytes) const;
  Error error(int rc, const char* doing) const;

  Options options_;
  std::string store_;  ///< the directory, for sentences
  std::string migrated_;
  StoreLock lock_;
  std::unique_ptr<MDB_env, CloseEnv> env_;
  std::vector<unsigned> dbis_;           ///< MDB_dbi by TableId
  mutable std::shared_mutex map_mutex_;  ///< shared by views, exclusive while the map is moved
  std::mutex update_mutex_;
  std::uint64_t kept_bytes_ = 0;  ///< the file has blocks on the disk up to here
  std::atomic<bool> failed_{false};
};

}  // namespace fieldpost::storage

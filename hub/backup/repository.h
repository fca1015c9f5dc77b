// The folder in which backups lie: sealed chunks, and sealed lists of which chunks make a backup.
//
// Thread rule: one thread. Who writes holds the lock: one process and one backup at a time.
// Invariants:
//   1. A file has its name only when its content is on the disk, and was read back and found to be what was
//      written. A name that exists is never half.
//   2. A backup exists when its manifest has its name; that comes last, after the names of all its chunks are on
//      the disk. Whatever a crash leaves besides is used by the next backup or removed by `sweep`.
//   3. Nothing is removed that a manifest names; nothing at all while a manifest cannot be read.
//   4. A folder that is not a repository of this hub is left alone.
//
//   repository.json       what this is, whose, and the data key boxed to the recovery key
//   README.txt            for whoever finds the folder
//   lock                  held while somebody writes or verifies
//   chunks/ab/abcdef…     a chunk by its name
//   backups/17            a manifest by its number
#pragma once

#include <functional>
#include <map>
#include <unordered_map>

#include "hub/backup/manifest.h"
#include "keys/secret_file.h"
#include "storage/lmdb/store_lock.h"

namespace fieldpost::hub::backup {

namespace fs = std::filesystem;

/// The chunks that are there, with their sizes.
using Inventory = std::unordered_map<ChunkId, std::uint32_t, ByteIdHash>;

struct RepositoryHead {
  HubId hub;
  std::string hub_name;
  crypto::PublicKey recovery;
  Bytes data_key_box;
};

/// Whether backups of the hub in `hub_directory` may lie in `folder`, which need not be there yet. Writes nothing.
/// Errors, in sentences that say what to do: `invalid_argument` (one lies inside the other, or a file is there),
/// `unauthorised` (others may write there), `io` (this program may not, or it cannot be made).
Status check_place(const fs::path& hub_directory, const fs::path& folder);

class Repository {
 public:
  /// Makes one in a new or an empty folder. One of the same hub and recovery key that is there already is fine.
  /// Errors: `invalid_argument` for a folder that holds something else; `io`.
  static Status make(const fs::path& folder, const HubId& hub, const std::string& hub_name,
                     const HubBackupKeys& keys, const RandomSource& random);
  /// With the hub's own keys. Errors: `not_found` (no folder, or an empty one: is the disk mounted?),
  /// `invalid_argument` (not a repository), `conflict` (another hub's, or of another recovery key).
  static Result<Repository> open(const fs::path& folder, const HubId& hub,
                                 const HubBackupKeys& keys, RandomSource random);
  /// With the recovery key. Errors: those above; `unauthorised` for another recovery key.
  static Result<Repository> recover(const fs::path& folder, const RecoveryKey& key,
                                    RandomSource random);

  const fs::path& folder() const { return folder_; }
  const RepositoryHead& head() const { return head_; }
  Vault& vault() { return *vault_; }

  /// Errors: `locked`, by which process.
  Result<storage::StoreLock> lock() const;
  /// The same, or nothing where the folder cannot be written (a disk put in read-only).
  Result<std::optional<storage::StoreLock>> lock_if_writable() const;

  // ---- backups ----
  /// Ascending. Errors: `io`.
  Result<std::vector<std::uint64_t>> numbers() const;
  /// Errors: `not_found`, `corrupt`, naming the file.
  Result<Manifest> manifest(std::uint64_t number);
  /// Names of all chunk folders to the disk, then the manifest, then reads it back.
  Status commit(const Manifest& manifest);
  Status remove(std::uint64_t number);

  // ---- chunks ----
  Result<Inventory> inventory() const;
  /// Errors: `not_found`, `corrupt`, naming the file.
  Result<Bytes> chunk(const ChunkId& id);
  /// Takes a damaged file's name away from it, so that nothing rests on it any more; it stays in damaged/.
  Status set_aside(const ChunkId& id);
  /// Removes chunks that are not `wanted` and what crashes left. Answers how many.
  Result<std::size_t> sweep(const Inventory& there,
                            const std::function<bool(const ChunkId&)>& wanted);

  fs::path chunk_file(const ChunkId& id) const;
  fs::path manifest_file(std::uint64_t number) const;

 private:
  Repository(fs::path folder, RepositoryHead head)
      : folder_(std::move(folder)), head_(std::move(head)) {}
  static Result<RepositoryHead> read_head(const fs::path& folder);

  fs::path folder_;
  RepositoryHead head_;
  std::unique_ptr<Vault> vault_;
};

/// Writes chunks, many to a sync.
class ChunkWriter {
 public:
  /// So many files at a time share the disk's work.
  static constexpr std::size_t kFilesOfBatch = 256;

  /// `examine` is shown the content of each chunk as it was read back from the disk.
  ChunkWriter(Repository& repository,
              std::function<Status(std::size_t tag, BytesView plain)> examine)
      : repository_(repository), examine_(std::move(examine)) {}
  /// Writes it in place of whatever has that name. Answers the size of its file.
  /// Errors: `store_full`, `io`, `corrupt` (what came back from the disk is not what was written).
  Result<std::uint32_t> add(const ChunkId& id, BytesView plain, std::size_t tag);
  /// After it all that was added has its name.
  Status flush();

 private:
  struct Written {
    ChunkId id;
    std::size_t tag;
    keys::AtomicFile file;
  };
  Repository& repository_;
  std::function<Status(std::size_t, BytesView)> examine_;
  std::vector<Written> batch_;
};

}  // namespace fieldpost::hub::backup

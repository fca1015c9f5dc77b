// An ordered key-value engine: the ground both stores stand on. Internal to the storage folder.
//
// Thread rule: `update` from one thread at a time; `view` from any thread, also beside an update.
// Invariants:
//   1. update(body): all of body's writes become durable and visible together, or none does. It
//      returns only after the data is on stable storage. Body runs once.
//   2. When `update` fails with `store_failed` the fate of the commit is unknown: the engine refuses
//      further updates until reopened. `store_full` and errors returned by body leave nothing behind.
//   3. view(body) sees one commit, whatever is committed beside it. Views given out by `get` and
//      `scan` live until body returns; inside an update only until body's next write.
//   4. Keys are 1–511 bytes, ordered as unsigned bytes, shorter first.
//   5. No update is called inside a view or inside another update (an engine may have to wait for its
//      views to end); a visitor does not write: collect first, write after the scan.
//   6. When the store is full an update of kind `freeing` still finds a reserve.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/bytes.h"

namespace fieldpost::storage {

/// Small dense numbers; each store names its own (see agent_tables.h, hub_tables.h).
using TableId = std::uint8_t;
inline constexpr TableId kTablesMax = 32;
/// LMDB's own limit as Debian builds it (MDB_MAXKEYSIZE).
inline constexpr std::size_t kKeyBytesMax = 511;

class KvRead {
 public:
  virtual ~KvRead() = default;
  /// Errors of all verbs: `invalid_argument` for a table the store does not have or a key that is
  /// empty or too long; `corrupt` and `io` from the engine.
  virtual Result<std::optional<BytesView>> get(TableId table, BytesView key) const = 0;

  enum class Step : bool { stop = false, more = true };
  using Visitor = std::function<Result<Step>(BytesView key, BytesView value)>;
  /// Visits keys ≥ `from` that begin with `prefix`, ascending, until the visitor stops. Both may be
  /// empty. An error of the visitor ends the scan and is returned.
  virtual Status scan(TableId table, BytesView prefix, BytesView from,
                      const Visitor& visit) const = 0;
  /// The last (greatest) key that begins with `prefix`.
  virtual Result<std::optional<Bytes>> last_key(TableId table, BytesView prefix) const = 0;
  virtual Result<std::uint64_t> count(TableId table) const = 0;
};

class KvWrite : public KvRead {
 public:
  virtual Status put(TableId table, BytesView key, BytesView value) = 0;
  /// `key` is greater than every key of the table: faster where it is so. Errors: `conflict` if not
  /// (the update may go on).
  virtual Status append(TableId table, BytesView key, BytesView value) = 0;
  virtual Status erase(TableId table, BytesView key) = 0;  ///< absent is fine
};

struct KvStats {
  std::uint64_t used_bytes = 0;  ///< of the file, pages in use
  std::uint64_t map_bytes = 0;   ///< size up to which it may grow now
  std::uint64_t file_bytes = 0;
  /// What normal updates may still add, of the largest map and of the disk. Pages freed inside the file
  /// come on top.
  std::uint64_t room_bytes = ~std::uint64_t{0};
};

/// What an update is for, so that a full store can still be emptied and acknowledge.
enum class UpdateKind : std::uint8_t {
  normal,   ///< refused with `store_full` once only the reserve is left
  freeing,  ///< erases more than it writes, or writes a few bytes (an ack): may use the reserve
};

class Kv {
 public:
  using ViewBody = std::function<Status(const KvRead&)>;
  using UpdateBody = std::function<Status(KvWrite&)>;

  virtual ~Kv() = default;
  virtual Status view(const ViewBody& body) const = 0;
  /// Errors: those of body, `store_full`, `store_failed`.
  Status update(const UpdateBody& body, UpdateKind kind = UpdateKind::normal) {
    return commit_update(body, kind);
  }
  virtual Result<KvStats> stats() const = 0;

 private:
  virtual Status commit_update(const UpdateBody& body, UpdateKind kind) = 0;
};

}  // namespace fieldpost::storage

// An ordered key-value engine: the ground both stores stand on. Internal to the storage folder.
//
// Thread rule: `update` from one thread at a time; `view` from any thread, also beside an update.
// Invariants:
//   1. update(body): all of body's writes become durable and visible together, or none does. It
//      returns only after the data is on stable storage.
//   2. When `update` fails with `store_failed` the fate of the commit is unknown: the engine refuses
//      further updates until reopened. `store_full` and errors returned by body leave nothing behind.
//   3. view(body) sees one commit; views given out by `get` and `scan` live until body returns.
//   4. Keys are 1–511 bytes, ordered as unsigned bytes, shorter first.
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

class KvRead {
 public:
  virtual ~KvRead() = default;
  virtual Result<std::optional<BytesView>> get(TableId table, BytesView key) const = 0;

  enum class Step : bool { stop = false, more = true };
  using Visitor = std::function<Result<Step>(BytesView key, BytesView value)>;
  /// Visits keys ≥ `from` that begin with `prefix`, ascending, until the visitor stops.
  virtual Status scan(TableId table, BytesView prefix, BytesView from, const Visitor& visit) const = 0;
  /// The last (greatest) key that begins with `prefix`.
  virtual Result<std::optional<Bytes>> last_key(TableId table, BytesView prefix) const = 0;
  virtual Result<std::uint64_t> count(TableId table) const = 0;
};

class KvWrite : public KvRead {
 public:
  virtual Status put(TableId table, BytesView key, BytesView value) = 0;
  /// `key` is greater than every key of the table: faster where it is so. Errors: `conflict` if not.
  virtual Status append(TableId table, BytesView key, BytesView value) = 0;
  virtual Status erase(TableId table, BytesView key) = 0;  ///< absent is fine
};

struct KvStats {
  std::uint64_t used_bytes = 0;      ///< of the file, pages in use
  std::uint64_t map_bytes = 0;       ///< size up to which it may grow now
  std::uint64_t file_bytes = 0;
};

class Kv {
 public:
  virtual ~Kv() = default;
  virtual Status view(const std::function<Status(const KvRead&)>& body) const = 0;
  virtual Status update(const std::function<Status(KvWrite&)>& body) = 0;
  virtual Result<KvStats> stats() const = 0;
};

}  // namespace fieldpost::storage

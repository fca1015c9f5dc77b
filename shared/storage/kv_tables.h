// All of a store's tables as one ordered stream, and a store made again from such a stream: what backups rest on.
//
// Thread rule: as Kv; a TableLoader belongs to one thread.
// Invariants:
//   1. A walk sees one commit, tables ascending, keys ascending within each, every entry once.
//   2. A loader takes the same order and nothing else: an entry that does not follow is refused.
#pragma once

#include <functional>
#include <vector>

#include "storage/kv.h"

namespace fieldpost::storage {

using EntryVisitor = std::function<Status(TableId table, BytesView key, BytesView value)>;

/// Tables 0 to `tables` − 1, in one view. An error of the visitor ends the walk and is returned.
Status walk_tables(const Kv& kv, TableId tables, const EntryVisitor& visit);

/// Fills the tables of an empty store.
class TableLoader {
 public:
  /// A commit as large as this many bytes of entries: enough that its sync does not count.
  static constexpr std::size_t kCommitBytes = std::size_t{32} << 20;

  explicit TableLoader(Kv& kv) : kv_(kv) {}
  /// Errors: `conflict` for a key that does not follow the one before; those of the engine.
  Status add(TableId table, BytesView key, BytesView value);
  /// Commits what is left.
  Status finish();

 private:
  struct Entry {
    TableId table;
    Bytes key;
    Bytes value;
  };
  Kv& kv_;
  std::vector<Entry> waiting_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace fieldpost::storage

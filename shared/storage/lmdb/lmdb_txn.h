// Reading and writing inside one LMDB transaction. Internal to this folder.
//
// Thread rule: one thread at a time. Invariants: a Txn that is not committed is aborted.
#pragma once

#include <lmdb.h>
#include <string>
#include <vector>

#include "storage/kv.h"

namespace fieldpost::storage {

/// An engine's return code as an error, naming the store. 0 and MDB_NOTFOUND are not errors and do not
/// come here.
Error lmdb_error(int rc, const std::string& store, const char* doing);

/// An MDB_txn that aborts unless it was committed.
class Txn {
 public:
  Txn() = default;
  ~Txn() {
    if (txn_) ::mdb_txn_abort(txn_);
  }
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  int begin(MDB_env* env, unsigned flags) { return ::mdb_txn_begin(env, nullptr, flags, &txn_); }
  MDB_txn* get() const { return txn_; }
  /// Frees the transaction, whatever it returns.
  int commit() { return ::mdb_txn_commit(std::exchange(txn_, nullptr)); }
  void abort() { ::mdb_txn_abort(std::exchange(txn_, nullptr)); }

 private:
  MDB_txn* txn_ = nullptr;
};

/// KvWrite, and so KvRead, over a transaction; with a read-only one only as KvRead.
class LmdbTxnKv final : public KvWrite {
 public:
  LmdbTxnKv(MDB_txn* txn, const std::vector<unsigned>& dbis, const std::string& store)
      : txn_(txn), dbis_(dbis), store_(store) {}

  Result<std::optional<BytesView>> get(TableId table, BytesView key) const override;
  Status scan(TableId table, BytesView prefix, BytesView from, const Visitor& visit) const override;
  Result<std::optional<Bytes>> last_key(TableId table, BytesView prefix) const override;
  Result<std::uint64_t> count(TableId table) const override;
  Status put(TableId table, BytesView key, BytesView value) override;
  Status append(TableId table, BytesView key, BytesView value) override;
  Status erase(TableId table, BytesView key) override;

  /// The first engine failure of a write; what failed halfway must not be committed.
  const std::optional<Error>& failure() const { return failure_; }
  bool met_full_map() const { return met_full_map_; }

 private:
  Status note(int rc, const char* doing);

  MDB_txn* txn_;
  const std::vector<unsigned>& dbis_;
  const std::string& store_;
  std::optional<Error> failure_;
  bool met_full_map_ = false;
};

}  // namespace fieldpost::storage

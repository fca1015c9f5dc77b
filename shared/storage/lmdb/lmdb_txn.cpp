#include "storage/lmdb/lmdb_txn.h"

#include <cerrno>
#include <memory>

#include "storage/kv_keys.h"

namespace fieldpost::storage {
namespace {

MDB_val to_val(BytesView bytes) { return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())}; }

BytesView to_view(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { ::mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CloseCursor>;

int open_cursor(MDB_txn* txn, MDB_dbi dbi, Cursor& cursor) {
  MDB_cursor* raw = nullptr;
  const int rc = ::mdb_cursor_open(txn, dbi, &raw);
  if (rc == 0) cursor.reset(raw);
  return rc;
}

}  // namespace

Error lmdb_error(int rc, const std::string& store, const char* doing) {
  const std::string what = store + ", " + doing + ": " + ::mdb_strerror(rc) + ". ";
  switch (rc) {
    case MDB_MAP_FULL:
      return fail(Errc::store_full,
                  store + " is full, " + doing +
                      ": sync and free records, or raise the store's largest size");
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return fail(Errc::store_full, what + "Free space on its disk; nothing was changed");
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
      return fail(Errc::corrupt,
                  what +
                      "The file is damaged: keep it aside, and restore the store from "
                      "a backup or start a new one");
    case MDB_VERSION_MISMATCH:
      return fail(Errc::unsupported, what + "It was written by another version of LMDB");
    case MDB_PANIC:
      return fail(Errc::store_failed, what + "Stop, check the disk, and open the store again");
    case MDB_TXN_FULL:
      return fail(Errc::too_large, what + "One update is too large: make it smaller");
    case MDB_READERS_FULL:
      return fail(Errc::io, what + "Too many views at one time");
    case EACCES:
    case EPERM:
    case EROFS:
      return fail(Errc::io,
                  what + "Run as the user who owns the store, on a disk that can be written");
    case ENOMEM:
      return fail(Errc::io, what + "The system refused memory or address space");
    default:
      return fail(Errc::io, what + "Check the disk");
  }
}

Result<std::optional<BytesView>> LmdbTxnKv::get(TableId table, BytesView key) const {
  FP_CHECK_OK(check_key(table, dbis_.size(), key));
  MDB_val name = to_val(key);
  MDB_val value{};
  const int rc = ::mdb_get(txn_, dbis_[table], &name, &value);
  if (rc == MDB_NOTFOUND) return std::optional<BytesView>{};
  if (rc != 0) return lmdb_error(rc, store_, "reading");
  return std::optional<BytesView>{to_view(value)};
}

Status LmdbTxnKv::scan(TableId table, BytesView prefix, BytesView from,
                       const Visitor& visit) const {
  FP_CHECK_OK(check_table(table, dbis_.size()));
  Cursor cursor;
  if (const int rc = open_cursor(txn_, dbis_[table], cursor); rc != 0) {
    return lmdb_error(rc, store_, "scanning");
  }
  const BytesView start = scan_start(prefix, from);
  MDB_val key = to_val(start);
  MDB_val value{};
  int rc = ::mdb_cursor_get(cursor.get(), &key, &value, start.empty() ? MDB_FIRST : MDB_SET_RANGE);
  for (; rc == 0; rc = ::mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) {
    if (!starts_with(to_view(key), prefix)) return {};
    FP_TRY(const Step step, visit(to_view(key), to_view(value)));
    if (step == Step::stop) return {};
  }
  if (rc != MDB_NOTFOUND) return lmdb_error(rc, store_, "scanning");
  return {};
}

Result<std::optional<Bytes>> LmdbTxnKv::last_key(TableId table, BytesView prefix) const {
  FP_CHECK_OK(check_table(table, dbis_.size()));
  Cursor cursor;
  if (const int rc = open_cursor(txn_, dbis_[table], cursor); rc != 0) {
    return lmdb_error(rc, store_, "looking for the last key");
  }
  MDB_val key{};
  MDB_val value{};
  int rc = MDB_NOTFOUND;
  if (const std::optional<Bytes> end = prefix_end(prefix)) {
    key = to_val(*end);
    rc = ::mdb_cursor_get(cursor.get(), &key, &value, MDB_SET_RANGE);
    if (rc == 0)
      rc = ::mdb_cursor_get(cursor.get(), &key, &value, MDB_PREV);
    else if (rc == MDB_NOTFOUND)
      rc = ::mdb_cursor_get(cursor.get(), &key, &value, MDB_LAST);
  } else {
    rc = ::mdb_cursor_get(cursor.get(), &key, &value, MDB_LAST);
  }
  if (rc != 0 && rc != MDB_NOTFOUND) return lmdb_error(rc, store_, "looking for the last key");
  if (rc == MDB_NOTFOUND || !starts_with(to_view(key), prefix)) return std::optional<Bytes>{};
  return std::optional<Bytes>{to_bytes(to_view(key))};
}

Result<std::uint64_t> LmdbTxnKv::count(TableId table) const {
  FP_CHECK_OK(check_table(table, dbis_.size()));
  MDB_stat stat{};
  if (const int rc = ::mdb_stat(txn_, dbis_[table], &stat); rc != 0) {
    return lmdb_error(rc, store_, "counting");
  }
  return std::uint64_t{stat.ms_entries};
}

Status LmdbTxnKv::put(TableId table, BytesView key, BytesView value) {
  FP_CHECK_OK(check_key(table, dbis_.size(), key));
  MDB_val name = to_val(key);
  MDB_val data = to_val(value);
  return note(::mdb_put(txn_, dbis_[table], &name, &data, 0), "writing");
}

Status LmdbTxnKv::append(TableId table, BytesView key, BytesView value) {
  FP_CHECK_OK(check_key(table, dbis_.size(), key));
  MDB_val name = to_val(key);
  MDB_val data = to_val(value);
  const int rc = ::mdb_put(txn_, dbis_[table], &name, &data, MDB_APPEND);
  if (rc == MDB_KEYEXIST) {
    return fail(Errc::conflict, "append to table " + std::to_string(table) + " of key " +
                                    to_hex(key) + ", which is not above the last");
  }
  return note(rc, "appending");
}

Status LmdbTxnKv::erase(TableId table, BytesView key) {
  FP_CHECK_OK(check_key(table, dbis_.size(), key));
  MDB_val name = to_val(key);
  const int rc = ::mdb_del(txn_, dbis_[table], &name, nullptr);
  return rc == MDB_NOTFOUND ? Status{} : note(rc, "erasing");
}

Status LmdbTxnKv::note(int rc, const char* doing) {
  if (rc == 0) return {};
  met_full_map_ = met_full_map_ || rc == MDB_MAP_FULL;
  if (!failure_) failure_ = lmdb_error(rc, store_, doing);
  return *failure_;
}

}  // namespace fieldpost::storage

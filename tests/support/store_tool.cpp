// What a disk may do to a store, done on purpose: flips a bit of a value; and, to make a store of an older
// format, sets a value or drops a table. Straight through LMDB, past every check; nothing may have it open.
//
//   store_tool STORE list TABLE              keys in hex, one a line
//   store_tool STORE flip TABLE KEY-IN-HEX   one bit in the middle of the value
//   store_tool STORE set TABLE KEY VALUE     both as text
//   store_tool STORE drop TABLE
#include <cstdio>
#include <lmdb.h>
#include <string>

#include "base/bytes.h"

namespace {

using namespace fieldpost;

void must(int rc, const char* doing) {
  if (rc == 0) return;
  std::fprintf(stderr, "store_tool: %s: %s\n", doing, ::mdb_strerror(rc));
  std::exit(1);
}

MDB_val val(const Bytes& bytes) { return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())}; }

void list(MDB_txn* txn, MDB_dbi dbi) {
  MDB_cursor* cursor = nullptr;
  must(::mdb_cursor_open(txn, dbi, &cursor), "listing");
  MDB_val key{};
  MDB_val value{};
  while (::mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
    std::printf("%s\n",
                to_hex(BytesView(static_cast<std::uint8_t*>(key.mv_data), key.mv_size)).c_str());
  ::mdb_cursor_close(cursor);
}

void flip(MDB_txn* txn, MDB_dbi dbi, const Bytes& name) {
  MDB_val key = val(name);
  MDB_val value{};
  must(::mdb_get(txn, dbi, &key, &value), "finding the value");
  const auto* data = static_cast<std::uint8_t*>(value.mv_data);
  Bytes bytes(data, data + value.mv_size);
  bytes[bytes.size() / 2] ^= 0x04;
  value = val(bytes);
  must(::mdb_put(txn, dbi, &key, &value, 0), "writing");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: store_tool STORE list|flip|set|drop TABLE [KEY [VALUE]]\n");
    return 2;
  }
  const std::string act = argv[2];
  MDB_env* env = nullptr;
  must(::mdb_env_create(&env), "starting");
  must(::mdb_env_set_maxdbs(env, 64), "starting");
  must(::mdb_env_set_mapsize(env, std::size_t{1} << 30), "starting");
  must(::mdb_env_open(env, argv[1], 0, 0600), "opening");
  MDB_txn* txn = nullptr;
  must(::mdb_txn_begin(env, nullptr, act == "list" ? MDB_RDONLY : 0, &txn), "opening");
  MDB_dbi dbi = 0;
  must(::mdb_dbi_open(txn, argv[3], 0, &dbi), "opening the table");
  if (act == "list") list(txn, dbi);
  if (act == "drop") must(::mdb_drop(txn, dbi, 1), "dropping");
  if (act == "flip" && argc > 4) {
    const auto key = from_hex(argv[4]);
    if (!key) return 2;
    flip(txn, dbi, *key);
  }
  if (act == "set" && argc > 5) {
    const Bytes key = to_bytes(as_bytes(argv[4]));
    const Bytes text = to_bytes(as_bytes(argv[5]));
    MDB_val name = val(key);
    MDB_val value = val(text);
    must(::mdb_put(txn, dbi, &name, &value, 0), "writing");
  }
  must(::mdb_txn_commit(txn), "committing");
  ::mdb_env_close(env);
  return 0;
}

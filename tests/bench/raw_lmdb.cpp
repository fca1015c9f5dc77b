#include "tests/bench/raw_lmdb.h"

#include <lmdb.h>
#include <stdexcept>

namespace fieldpost::bench {

namespace {

void check(int code) {
  if (code != MDB_SUCCESS)
    throw std::runtime_error(std::string("raw LMDB: ") + ::mdb_strerror(code));
}

}  // namespace

RawLmdb::RawLmdb(const std::filesystem::path& directory, std::size_t tables) {
  std::filesystem::create_directories(directory);
  check(::mdb_env_create(&env_));
  check(::mdb_env_set_mapsize(env_, std::size_t{4} << 30));
  check(::mdb_env_set_maxdbs(env_, static_cast<MDB_dbi>(tables)));
  check(::mdb_env_open(env_, directory.c_str(), MDB_NOTLS, 0600));
  MDB_txn* txn = nullptr;
  check(::mdb_txn_begin(env_, nullptr, 0, &txn));
  for (std::size_t i = 0; i < tables; ++i) {
    MDB_dbi table = 0;
    check(::mdb_dbi_open(txn, std::to_string(i).c_str(), MDB_CREATE, &table));
    tables_.push_back(table);
  }
  check(::mdb_txn_commit(txn));
}

RawLmdb::~RawLmdb() { ::mdb_env_close(env_); }

void RawLmdb::commit(const std::vector<RawWrite>& writes) {
  MDB_txn* txn = nullptr;
  check(::mdb_txn_begin(env_, nullptr, 0, &txn));
  for (const RawWrite& write : writes) {
    MDB_val key{write.key.size(), const_cast<std::uint8_t*>(write.key.data())};
    if (write.erase) {
      const int code = ::mdb_del(txn, tables_.at(write.table), &key, nullptr);
      if (code != MDB_NOTFOUND) check(code);
      continue;
    }
    MDB_val value{write.value.size(), const_cast<std::uint8_t*>(write.value.data())};
    check(::mdb_put(txn, tables_.at(write.table), &key, &value, write.append ? MDB_APPEND : 0));
  }
  check(::mdb_txn_commit(txn));
}

}  // namespace fieldpost::bench

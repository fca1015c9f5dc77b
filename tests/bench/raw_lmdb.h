// LMDB without anything around it: the limit of the machine that figures are compared with.
//
// Thread rule: one thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "storage/kv.h"

struct MDB_env;

namespace fieldpost::bench {

/// One write, as it reached the engine.
struct RawWrite {
  storage::TableId table = 0;
  bool erase = false;
  bool append = false;
  Bytes key;
  Bytes value;
};

class RawLmdb {
 public:
  RawLmdb(const std::filesystem::path& directory, std::size_t tables);
  ~RawLmdb();
  RawLmdb(const RawLmdb&) = delete;
  RawLmdb& operator=(const RawLmdb&) = delete;
  /// One durable transaction.
  void commit(const std::vector<RawWrite>& writes);

 private:
  MDB_env* env_ = nullptr;
  std::vector<unsigned> tables_;
};

}  // namespace fieldpost::bench

// One process per store: a lock file of our own, with the holder's process id in it.
//
// LMDB alone would let several processes in, and opening one environment twice in a process breaks
// its locks (lmdb.h, "Caveats"). flock(2) belongs to the open file, so a second open in the same
// process is refused too, and the kernel lets go when the process dies, however it dies.
//
// Thread rule: a StoreLock belongs to one thread at a time.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace fieldpost::storage {

class StoreLock {
 public:
  /// Errors: `locked` naming the process that holds it; `io`.
  static Result<StoreLock> take(const std::filesystem::path& file);
  ~StoreLock();
  StoreLock(StoreLock&& other) noexcept;
  StoreLock& operator=(StoreLock&& other) noexcept;

 private:
  explicit StoreLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace fieldpost::storage

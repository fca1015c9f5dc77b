#include "storage/lmdb/store_lock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

namespace fieldpost::storage {
namespace {

/// What the holder wrote: a decimal number and a newline. Empty when it has not got that far.
std::string holder(int fd) {
  char text[24] = {};
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) pid += text[i];
  return pid;
}

}  // namespace

Result<StoreLock> StoreLock::take(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return fail(Errc::io, file.string() + " cannot be opened (" + std::strerror(errno) +
                              "): run as the user who owns the store");
  }
  StoreLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (reason != EWOULDBLOCK) {
      return fail(Errc::io, file.string() + " cannot be locked (" + std::strerror(reason) +
                                "): a store must lie on a local file system");
    }
    const std::string pid = holder(fd);
    const std::string who = pid.empty()                         ? "another process"
                            : pid == std::to_string(::getpid()) ? "this very process (" + pid + ")"
                                                                : "process " + pid;
    return fail(Errc::locked, file.parent_path().string() + " is in use by " + who +
                                  ": stop it first, or work through it");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // If this fails (a full disk), only the sentence for a refused second process suffers.
  const bool written = ::ftruncate(fd, 0) == 0 &&
                       ::pwrite(fd, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  static_cast<void>(written);
  return lock;
}

StoreLock::StoreLock(StoreLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StoreLock& StoreLock::operator=(StoreLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

StoreLock::~StoreLock() {
  // The file stays: removing it would let two processes lock two files of one name.
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fieldpost::storage

#include "keys/secret_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace fieldpost::keys {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

Error system_error(const std::filesystem::path& path, const char* what) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT;
  return fail(code == ENOENT ? Errc::not_found
              : full         ? Errc::store_full
                             : Errc::io,
              "cannot " + std::string(what) + " " + path.string() + ": " + std::strerror(code));
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

Result<Bytes> read_all(const File& file, std::size_t bytes_max, const std::filesystem::path& path) {
  Bytes content;
  for (;;) {
    const std::size_t old_size = content.size();
    const std::size_t step = std::min<std::size_t>(64 * 1024, bytes_max + 1 - old_size);
    content.resize(old_size + step);
    const ssize_t got = ::read(file.get(), content.data() + old_size, step);
    content.resize(old_size + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "read");
    if (got == 0) return content;
    if (content.size() > bytes_max) {
      return fail(Errc::too_large,
                  path.string() + " is above " + std::to_string(bytes_max) + " bytes");
    }
  }
}

Status check_private(const struct stat& found, const std::filesystem::path& path,
                     const char* repair) {
  if (found.st_uid != ::geteuid() && found.st_uid != 0) {
    return fail(Errc::unauthorised,
                path.string() + " belongs to another user: run as its owner, or `chown` it");
  }
  if ((found.st_mode & 077) != 0) {
    return fail(Errc::unauthorised, path.string() + " can be read by others and may have been: `" +
                                        repair + " " + path.string() +
                                        "`, and consider what it protects as known");
  }
  return {};
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, mode_t mode) {
  std::string name = (folder_of(path) / ("." + path.filename().string() + ".XXXXXX")).string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);  // mode 0600
  if (descriptor < 0) return system_error(path, "create");
  AtomicFile file(path, name, descriptor);
  if (::fchmod(descriptor, mode) != 0) return system_error(path, "protect");
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      working_(std::exchange(other.working_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!working_.empty()) ::unlink(working_.c_str());
}

Status AtomicFile::write(BytesView content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor_, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path_, "write");
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

void AtomicFile::begin_sync() const { ::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE); }

void AtomicFile::wait_content() const {
  ::sync_file_range(
      descriptor_, 0, 0,
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

Status AtomicFile::sync() const {
  if (::fsync(descriptor_) != 0) return system_error(path_, "write to the disk");
  return {};
}

Result<Bytes> AtomicFile::read_back() const {
  struct stat found {};
  if (::fstat(descriptor_, &found) != 0) return system_error(path_, "read");
  ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
  Bytes content(static_cast<std::size_t>(found.st_size));
  std::size_t at = 0;
  while (at < content.size()) {
    const ssize_t got =
        ::pread(descriptor_, content.data() + at, content.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return system_error(path_, "read back");
    at += static_cast<std::size_t>(got);
  }
  return content;
}

Status AtomicFile::name() {
  if (::rename(working_.c_str(), path_.c_str()) != 0) return system_error(path_, "replace");
  working_.clear();
  return {};
}

Status AtomicFile::commit() {
  FP_CHECK_OK(sync());
  FP_CHECK_OK(name());
  return sync_folder(folder_of(path_));
}

Status AtomicFile::commit_new() {
  FP_CHECK_OK(sync());
  if (::renameat2(AT_FDCWD, working_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST)
      return fail(
          Errc::already_exists,
          "'" + path_.string() + "' is there already and is left as it is; name a new file");
    // Some file systems of memory sticks do not know the flag; there a look before has to do.
    if (errno != EINVAL && errno != ENOSYS) return system_error(path_, "name");
    if (::access(path_.c_str(), F_OK) == 0)
      return fail(
          Errc::already_exists,
          "'" + path_.string() + "' is there already and is left as it is; name a new file");
    if (::rename(working_.c_str(), path_.c_str()) != 0) return system_error(path_, "name");
  }
  working_.clear();
  return sync_folder(folder_of(path_));
}

Status sync_folder(const std::filesystem::path& folder) {
  const File handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open() || ::fsync(handle.get()) != 0)
    return system_error(folder, "write to the disk the folder");
  return {};
}

Status write_file_atomically(const std::filesystem::path& path, BytesView content, mode_t mode) {
  FP_TRY(AtomicFile file, AtomicFile::create(path, mode));
  FP_CHECK_OK(file.write(content));
  return file.commit();
}

Status write_secret_file(const std::filesystem::path& path, BytesView content) {
  return write_file_atomically(path, content, 0600);
}

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return system_error(path, "read");
  struct stat found {};
  if (::fstat(file.get(), &found) == 0 && S_ISDIR(found.st_mode)) {
    return fail(Errc::invalid_argument, path.string() + " is a folder, not a file");
  }
  return read_all(file, bytes_max, path);
}

Result<Bytes> read_secret_file(const std::filesystem::path& path, std::size_t bytes_max) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.is_open()) return system_error(path, "read");
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return system_error(path, "read");
  if (!S_ISREG(found.st_mode))
    return fail(Errc::unauthorised, path.string() + " is not an ordinary file");
  FP_CHECK_OK(check_private(found, path, "chmod 600"));
  return read_all(file, bytes_max, path);
}

Status make_private_directory(const std::filesystem::path& path) {
  std::error_code ec;
  if (!path.parent_path().empty()) std::filesystem::create_directories(path.parent_path(), ec);
  if (::mkdir(path.c_str(), 0700) == 0) return sync_folder(folder_of(path));
  if (errno != EEXIST) return system_error(path, "create the folder");
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return system_error(path, "read the folder");
  if (!S_ISDIR(found.st_mode))
    return fail(Errc::invalid_argument, path.string() + " is there and is not a folder");
  return check_private(found, path, "chmod 700");
}

}  // namespace fieldpost::keys

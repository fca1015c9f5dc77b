// Small files that must never be half written, and secrets that nobody else may read.
//
// Thread rule: free functions over the file system; two writers of one file race for the last rename.
// Invariants:
//   1. After a successful write the file and its name are on disk; after a failed one the old file is whole.
//   2. A secret is created with mode 0600 and refused when group or others may read or write it, when it is not a regular
//      file, or when another user owns it.
//   3. No file is read beyond its limit.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <sys/types.h>

#include "base/bytes.h"

namespace fieldpost::keys {

inline constexpr std::size_t kSecretFileBytesMax = 64 * 1024;

/// A file that grows piece by piece under another name and gets its own only when it is whole.
/// Thrown away when it is destroyed before `commit`.
class AtomicFile {
 public:
  /// Errors: `io`, `not_found` (no such folder), naming the path and the cause.
  static Result<AtomicFile> create(const std::filesystem::path& path, mode_t mode = 0644);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Status write(BytesView content);
  /// fsync, rename, fsync of the folder; replaces what stood there.
  Status commit();
  /// The same, but never over what stands there meanwhile. Errors: also `already_exists`.
  Status commit_new();

  // The steps of `commit` one by one, for many files at a time: all written and begun, all waited for, all synced,
  // all named; then `sync_folder`, once for the lot. A file system with a journal then writes it once, too.

  /// Lets the disk begin; promises nothing.
  void begin_sync() const;
  /// Until the disk has taken the content; promises nothing.
  void wait_content() const;
  Status sync() const;
  /// What stands in it, read from the disk as far as the system lets us; after `sync`.
  Result<Bytes> read_back() const;
  /// The rename alone.
  Status name();

 private:
  AtomicFile(std::filesystem::path path, std::string working, int descriptor)
      : path_(std::move(path)), working_(std::move(working)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  std::string working_;  ///< the name until then; empty afterwards
  int descriptor_ = -1;
};

/// Makes the names in a folder survive a power cut.
Status sync_folder(const std::filesystem::path& folder);

/// Temporary file beside it, fsync, rename, fsync of the folder. Errors: `io`, naming the path and the cause.
Status write_file_atomically(const std::filesystem::path& path, BytesView content,
                             mode_t mode = 0644);
/// The same with mode 0600.
Status write_secret_file(const std::filesystem::path& path, BytesView content);

/// Errors: `not_found`; `too_large` above `bytes_max`; `io`.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t bytes_max);
/// Errors: also `unauthorised` by invariant 2, with the chmod that repairs it. The caller wipes the bytes.
Result<Bytes> read_secret_file(const std::filesystem::path& path,
                               std::size_t bytes_max = kSecretFileBytesMax);

/// Creates the folder (and its parents) with mode 0700; an existing one must not be open to others.
Status make_private_directory(const std::filesystem::path& path);

}  // namespace fieldpost::keys

#include "storage/lmdb/store_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/bytes.h"

namespace fieldpost::storage {
namespace {

static_assert(sizeof(std::size_t) == 8 && std::endian::native == std::endian::little,
              "page numbers are 8 bytes, and nodes begin with the low half, in what follows");

// MDB_page: number 8, pad 2, flags 2, then lower 2 and upper 2 (or the 4-byte count of overflow pages).
constexpr std::size_t kPageFlagsAt = 10;
constexpr std::size_t kPageLowerAt = 12;
constexpr std::size_t kPageHeaderBytes = 16;
constexpr std::uint16_t kPageBranch = 0x01;
constexpr std::uint16_t kPageLeaf = 0x02;
constexpr std::uint16_t kPageMeta = 0x08;
// MDB_meta, after the page header: magic 4, version 4, address 8, map size 8, two MDB_db, last page 8,
// transaction 8. The page size stands in the first MDB_db's pad field.
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kVersionAt = 20;
constexpr std::size_t kFreeDbAt = 40;
constexpr std::size_t kMainDbAt = 88;
constexpr std::size_t kLastPageAt = 136;
constexpr std::size_t kTransactionAt = 144;
constexpr std::size_t kMetaBytes = 152;
constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kDataVersion = 1;
// MDB_db: pad 4, flags 2, depth 2, three page counts, entries, root page.
constexpr std::size_t kDbBytes = 48;
constexpr std::size_t kDbRootAt = 40;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
// MDB_node: data size low 2, high 2 (in a branch: the page number, with flags as its top), flags 2,
// key size 2, key, data.
constexpr std::size_t kNodeHeaderBytes = 8;
constexpr std::uint16_t kNodeBigData = 0x01;
constexpr std::uint16_t kNodeSubDb = 0x02;

template <class T>
T read_at(const Bytes& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// False when the file ends before `bytes` is full.
  bool read(std::uint64_t offset, Bytes& bytes) const {
    std::size_t have = 0;
    while (have < bytes.size()) {
      const ssize_t got =
          ::pread(fd_, bytes.data() + have, bytes.size() - have, static_cast<off_t>(offset + have));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  int fd_;
};

/// Visits every page the newest commit can reach, and says whether all are there. Needed because a
/// file may honestly end before its last page: pages that a commit both took and freed are counted
/// but never written. Only done for a file that looks short.
class Walk {
 public:
  Walk(const File& file, const StoreFile& facts) : file_(file), facts_(facts) {}

  bool tree(std::uint64_t root, int depth = 0) {
    if (root == kNoPage) return true;
    if (depth > 64 || ++visited_ > facts_.last_page + 1 || !present(root, 1)) return false;
    Bytes page(facts_.page_bytes);
    if (!file_.read(root * facts_.page_bytes, page)) return false;
    const auto flags = read_at<std::uint16_t>(page, kPageFlagsAt);
    const auto lower = read_at<std::uint16_t>(page, kPageLowerAt);
    if (lower < kPageHeaderBytes || lower > page.size()) return false;
    for (std::size_t at = kPageHeaderBytes; at + 2 <= lower; at += 2) {
      if (!node(page, read_at<std::uint16_t>(page, at), flags, depth)) return false;
    }
    return (flags & (kPageBranch | kPageLeaf)) != 0;
  }

 private:
  bool present(std::uint64_t page, std::uint64_t count) const {
    return page <= facts_.last_page && count <= facts_.last_page + 1 - page &&
           (page + count) * facts_.page_bytes <= facts_.file_bytes;
  }

  bool node(const Bytes& page, std::size_t at, std::uint16_t page_flags, int depth) {
    if (at < kPageHeaderBytes || at + kNodeHeaderBytes > page.size()) return false;
    const std::uint64_t low = read_at<std::uint16_t>(page, at);
    const std::uint64_t high = read_at<std::uint16_t>(page, at + 2);
    const auto flags = read_at<std::uint16_t>(page, at + 4);
    const std::size_t data = at + kNodeHeaderBytes + read_at<std::uint16_t>(page, at + 6);
    if (page_flags & kPageBranch) {
      return tree(low | high << 16 | std::uint64_t{flags} << 32, depth + 1);
    }
    if (flags & kNodeBigData) {
      if (data + 8 > page.size()) return false;
      const std::uint64_t bytes = (low | high << 16) + kPageHeaderBytes;
      return present(read_at<std::uint64_t>(page, data),
                     (bytes + facts_.page_bytes - 1) / facts_.page_bytes);
    }
    if (flags & kNodeSubDb) {
      if (data + kDbBytes > page.size()) return false;
      return tree(read_at<std::uint64_t>(page, data + kDbRootAt), depth + 1);
    }
    return true;
  }

  const File& file_;
  const StoreFile& facts_;
  std::uint64_t visited_ = 0;
};

/// More than the commit that makes the tables ever writes.
constexpr std::uint64_t kUnfinishedPagesMax = 16;
/// LMDB's own bound (MAX_PAGESIZE); it takes the system's page size up to that.
constexpr std::uint64_t kPageBytesMax = 32 * 1024;

std::uint64_t system_page_bytes() {
  return std::min(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)), kPageBytesMax);
}

bool is_meta(const Bytes& page) {
  return read_at<std::uint32_t>(page, kMagicAt) == kMagic &&
         (read_at<std::uint16_t>(page, kPageFlagsAt) & kPageMeta) != 0;
}

/// Whether no commit was ever durable in this file: both metas are as LMDB lays them out before the first one, or
/// never reached the disk. The first commit syncs them before it writes its own.
bool never_committed(const File& file, std::uint64_t file_bytes) {
  const std::uint64_t page_bytes = system_page_bytes();
  if (file_bytes > kUnfinishedPagesMax * page_bytes) return false;
  for (std::uint64_t copy = 0; copy < 2; ++copy) {
    const std::uint64_t at = copy * page_bytes;
    if (at >= file_bytes) continue;
    Bytes meta(std::min<std::uint64_t>(kMetaBytes, file_bytes - at));
    if (!file.read(at, meta)) return false;
    if (std::all_of(meta.begin(), meta.end(), [](std::uint8_t byte) { return byte == 0; }))
      continue;
    meta.resize(kMetaBytes, 0xFF);
    if (!is_meta(meta) || read_at<std::uint64_t>(meta, kTransactionAt) != 0) return false;
  }
  return true;
}

/// What is said of a file whose first or second page is no meta page.
Error no_meta(const File& file, const std::string& name, std::uint64_t copy) {
  Bytes other(kMetaBytes);
  if (copy == 1 || (file.read(system_page_bytes(), other) && is_meta(other))) {
    return fail(
        Errc::corrupt,
        name + " is damaged: the " + (copy == 0 ? "first" : "second") +
            " of the two pages that say which commit is the newest is not what was "
            "written. Keep it aside, and restore the store from a backup or start a new one");
  }
  return fail(Errc::unsupported,
              name +
                  " is not a store of this program (it does not begin as LMDB files do): name "
                  "another directory, or move that file away");
}

Error truncated(const std::string& name, std::uint64_t have, std::uint64_t need) {
  return fail(
      Errc::corrupt,
      name + " is cut short: " + std::to_string(have) + " bytes are there, " +
          std::to_string(need) +
          " are needed. Keep it aside, and restore the store from a backup or start a new one");
}

}  // namespace

Result<StoreFile> examine_store_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  StoreFile facts;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return facts;
  if (fd < 0) return fail(Errc::io, name + " cannot be read: " + std::strerror(errno));
  const File file(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail(Errc::io, name + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return fail(Errc::unsupported, name + " is not a regular file");
  facts.file_bytes = static_cast<std::uint64_t>(status.st_size);
  if (facts.file_bytes == 0) return facts;
  facts.unfinished = never_committed(file, facts.file_bytes);
  if (facts.unfinished) return facts;

  Bytes newest;
  for (std::uint64_t copy = 0; copy < 2; ++copy) {
    Bytes meta(kMetaBytes);
    if (!file.read(copy * facts.page_bytes, meta)) {
      return truncated(name, facts.file_bytes, copy * facts.page_bytes + kMetaBytes);
    }
    if (!is_meta(meta)) return no_meta(file, name, copy);
    if (const auto version = read_at<std::uint32_t>(meta, kVersionAt); version != kDataVersion) {
      return fail(Errc::unsupported, name +
                                         " was written by another version of LMDB (data version " +
                                         std::to_string(version) + "; this program reads 1)");
    }
    const std::uint64_t page_bytes = read_at<std::uint32_t>(meta, kFreeDbAt);
    if (copy == 0) facts.page_bytes = page_bytes;
    if (page_bytes != facts.page_bytes || page_bytes < 512 || page_bytes > 65536 ||
        (page_bytes & (page_bytes - 1)) != 0) {
      return fail(Errc::corrupt, name +
                                     " is damaged: its pages have an impossible size. Restore the "
                                     "store from a backup or start a new one");
    }
    if (newest.empty() || read_at<std::uint64_t>(meta, kTransactionAt) >
                              read_at<std::uint64_t>(newest, kTransactionAt)) {
      newest = std::move(meta);
    }
  }
  facts.exists = true;
  facts.last_page = read_at<std::uint64_t>(newest, kLastPageAt);
  if (facts.last_page < 1 || facts.last_page > (std::uint64_t{1} << 47) / facts.page_bytes) {
    return fail(Errc::corrupt, name +
                                   " is damaged: an impossible last page. Restore the store from a "
                                   "backup or start a new one");
  }
  if (facts.file_bytes < facts.used_bytes()) {
    Walk walk(file, facts);
    if (!walk.tree(read_at<std::uint64_t>(newest, kFreeDbAt + kDbRootAt)) ||
        !walk.tree(read_at<std::uint64_t>(newest, kMainDbAt + kDbRootAt))) {
      return truncated(name, facts.file_bytes, facts.used_bytes());
    }
  }
  return facts;
}

}  // namespace fieldpost::storage

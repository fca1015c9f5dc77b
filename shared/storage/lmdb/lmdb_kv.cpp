#include "storage/lmdb/lmdb_kv.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include "base/text.h"
#include "storage/kv_keys.h"
#include "storage/lmdb/lmdb_txn.h"
#include "storage/lmdb/store_file.h"

namespace fieldpost::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDataFile = "data.mdb";  // LMDB's own name for it
constexpr const char* kUnfinishedFile = "data.mdb.unfinished";
constexpr const char* kLockFile = "fieldpost.lock";
constexpr const char* kFormatTable = "format";
constexpr std::string_view kFormatName = "name";
constexpr std::string_view kFormatVersion = "version";
/// Small enough for any use, large enough for LMDB's first pages.
constexpr std::uint64_t kMapBytesMin = 64 * 1024;
/// A whole number of pages, whatever their size (LMDB allows 512 bytes to 64 KiB).
constexpr std::uint64_t kMapGrainBytes = 64 * 1024;
/// After a failed write: with less than this left, the disk was full.
constexpr std::uint64_t kDiskFullBytes = 1024 * 1024;

std::string reason(int error_number) { return std::strerror(error_number); }

/// Makes the entries of a directory (a new file in it) survive a power cut.
Status sync_directory(const fs::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = fd >= 0 && ::fsync(fd) == 0;
  const int error_number = errno;
  if (fd >= 0) ::close(fd);
  if (done) return {};
  return fail(Errc::io, directory.string() + " cannot be synced to disk: " + reason(error_number));
}

/// A data file in which nothing was ever committed makes way for a new one; it is kept, in case it was more.
Status put_aside(const fs::path& directory) {
  const fs::path file = directory / kDataFile;
  if (::rename(file.c_str(), (directory / kUnfinishedFile).c_str()) == 0)
    return sync_directory(directory);
  return fail(Errc::io, file.string() +
                            " is a store whose creation did not finish, and cannot be " +
                            "put aside (" + reason(errno) + "): move it away");
}

fs::path parent_of(const fs::path& directory) {
  const fs::path parent = fs::absolute(directory).lexically_normal();
  return parent.has_filename() ? parent.parent_path() : parent.parent_path().parent_path();
}

Status make_directory(const fs::path& directory) {
  std::error_code ec;
  fs::create_directories(parent_of(directory), ec);
  if (ec || ::mkdir(directory.c_str(), 0700) != 0) {
    return fail(Errc::io, directory.string() + " cannot be made (" +
                              (ec ? ec.message() : reason(errno)) + "): make it, or name another");
  }
  return sync_directory(parent_of(directory));
}

Status prepare_directory(const LmdbOptions& options) {
  struct stat status {};
  if (::stat(options.directory.c_str(), &status) != 0) {
    if (errno != ENOENT) {
      return fail(Errc::io, options.directory.string() + " cannot be looked at: " + reason(errno));
    }
    if (!options.create) {
      return fail(Errc::not_found,
                  options.directory.string() + " does not exist: there is no store there");
    }
    return make_directory(options.directory);
  }
  if (!S_ISDIR(status.st_mode)) {
    return fail(Errc::invalid_argument,
                options.directory.string() + " is a file: name a directory");
  }
  // Ours alone: a store left readable by others (an unpacked backup) is closed to them again.
  const bool ours = ::access((options.directory / kDataFile).c_str(), F_OK) == 0;
  if (ours && (status.st_mode & 077) != 0 && ::chmod(options.directory.c_str(), 0700) != 0) {
    return fail(Errc::io, options.directory.string() +
                              " is open to other users and cannot be closed (" + reason(errno) +
                              "): run chmod 700 on it as its owner");
  }
  return {};
}

Status check_options(const LmdbOptions& options) {
  const char* wrong = nullptr;
  if (options.tables.empty() || options.tables.size() > kTablesMax) wrong = "1 to 32 tables";
  if (options.format_name.empty()) wrong = "a format name";
  if (options.map_bytes_initial < kMapBytesMin) wrong = "a map of at least 64 KiB";
  if (options.map_bytes_max < options.map_bytes_initial)
    wrong = "a largest map not below the first";
  if (options.reserve_bytes > options.map_bytes_max / 2)
    wrong = "a reserve of at most half the map";
  for (const std::string& name : options.tables) {
    if (name.empty() || name == kFormatTable)
      wrong = "table names that are not empty or \"format\"";
  }
  if (!wrong) return {};
  return fail(Errc::invalid_argument, options.directory.string() + ": a store needs " + wrong);
}

}  // namespace

void LmdbKv::CloseEnv::operator()(MDB_env* env) const { ::mdb_env_close(env); }

LmdbKv::LmdbKv(Options options, StoreLock lock)
    : options_(std::move(options)), store_(options_.directory.string()), lock_(std::move(lock)) {
  options_.map_bytes_max -= options_.map_bytes_max % kMapGrainBytes;
  options_.reserve_bytes += kMapGrainBytes - 1;
  options_.reserve_bytes -= options_.reserve_bytes % kMapGrainBytes;
}

// The environment closes before the lock is let go: members die in reverse order.
LmdbKv::~LmdbKv() = default;

Error LmdbKv::error(int rc, const char* doing) const { return lmdb_error(rc, store_, doing); }

// ---- opening ----

Result<std::unique_ptr<LmdbKv>> LmdbKv::open(const Options& options) {
  FP_CHECK_OK(check_options(options));
  FP_CHECK_OK(prepare_directory(options));
  FP_TRY(StoreLock lock, StoreLock::take(options.directory / kLockFile));
  FP_TRY(const StoreFile file, examine_store_file(options.directory / kDataFile));
  if (!file.exists && !options.create) {
    return fail(Errc::not_found,
                options.directory.string() +
                    (file.unfinished ? " holds no store yet: its creation did not finish"
                                     : " holds no store"));
  }
  if (file.unfinished) FP_CHECK_OK(put_aside(options.directory));
  std::unique_ptr<LmdbKv> kv(new LmdbKv(options, std::move(lock)));
  FP_CHECK_OK(kv->open_environment(file.used_bytes()));
  FP_CHECK_OK(kv->open_tables());
  if (!file.exists) FP_CHECK_OK(sync_directory(options.directory));
  return kv;
}

Status LmdbKv::open_environment(std::uint64_t used_bytes) {
  MDB_env* raw = nullptr;
  if (const int rc = ::mdb_env_create(&raw); rc != 0) return error(rc, "starting LMDB");
  env_.reset(raw);
  std::uint64_t map_bytes = options_.map_bytes_initial;
  while (map_bytes - map_bytes / 4 < used_bytes && map_bytes < normal_limit()) map_bytes *= 2;
  map_bytes = std::max(std::min(map_bytes, normal_limit()), used_bytes);
  map_bytes -= map_bytes % kMapGrainBytes;
  int rc = ::mdb_env_set_mapsize(raw, std::max(map_bytes, used_bytes));
  if (rc == 0) rc = ::mdb_env_set_maxdbs(raw, static_cast<MDB_dbi>(options_.tables.size() + 1));
  if (rc == 0) rc = ::mdb_env_set_maxreaders(raw, options_.readers_max);
  if (rc == 0) rc = ::mdb_env_open(raw, options_.directory.c_str(), MDB_NOTLS, 0600);
  if (rc != 0) return error(rc, "opening");
  if (::mdb_env_get_maxkeysize(raw) < static_cast<int>(kKeyBytesMax)) {
    return fail(Errc::unsupported, "this LMDB library was built for keys shorter than 511 bytes");
  }
  return housekeeping();
}

Status LmdbKv::open_tables() {
  Txn txn;
  if (const int rc = txn.begin(env_.get(), 0); rc != 0) return error(rc, "opening");
  bool fresh = false;
  std::uint32_t version = options_.format_version;
  FP_CHECK_OK(check_format(txn.get(), fresh, version));
  if (version < options_.format_version) {
    txn.abort();
    FP_CHECK_OK(migrate(version));
    return open_tables();
  }
  if (fresh) FP_CHECK_OK(write_format(txn.get()));
  for (const std::string& name : options_.tables) {
    MDB_dbi dbi = 0;
    const int rc = ::mdb_dbi_open(txn.get(), name.c_str(), MDB_CREATE, &dbi);
    if (rc != 0) return error(rc, "opening a table");
    dbis_.push_back(dbi);
  }
  // Costs no sync when nothing was made.
  if (const int rc = txn.commit(); rc != 0) return error(rc, "making the tables");
  return {};
}

Status LmdbKv::check_format(MDB_txn* txn, bool& fresh, std::uint32_t& found) {
  MDB_dbi format = 0;
  int rc = ::mdb_dbi_open(txn, kFormatTable, 0, &format);
  // INCOMPATIBLE: the name is a plain key of some other program's main table.
  if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE) {
    MDB_dbi main = 0;
    MDB_stat stat{};
    rc = ::mdb_dbi_open(txn, nullptr, 0, &main);
    if (rc == 0) rc = ::mdb_stat(txn, main, &stat);
    if (rc != 0) return error(rc, "opening");
    // Without any table it is what a crash during creation leaves.
    fresh = stat.ms_entries == 0;
    if (fresh && options_.create) return {};
    if (fresh)
      return fail(Errc::not_found, store_ + " holds no store yet: its creation did not finish");
    return fail(Errc::unsupported,
                store_ + " holds another program's LMDB file: name another directory");
  }
  if (rc != 0) return error(rc, "opening");
  const std::vector<unsigned> dbis{format};
  const LmdbTxnKv table(txn, dbis, store_);
  FP_TRY(const auto name, table.get(0, as_bytes(kFormatName)));
  FP_TRY(const auto version_text, table.get(0, as_bytes(kFormatVersion)));
  if (!name || !version_text) {
    return fail(Errc::unsupported, store_ + " does not say what it holds: name another directory");
  }
  if (as_text(*name) != options_.format_name) {
    return fail(Errc::unsupported, store_ + " is a store of kind \"" + std::string(as_text(*name)) +
                                       "\", not \"" + options_.format_name +
                                       "\": name the right directory");
  }
  FP_TRY(const std::int64_t version, integer_from_text(as_text(*version_text)));
  const std::int64_t known = options_.format_version;
  if (version > known) {
    return fail(Errc::unsupported, store_ +
                                       " was written by a newer version of this program (format " +
                                       std::to_string(version) + "; this one knows " +
                                       std::to_string(known) + "): install the newer program");
  }
  found = static_cast<std::uint32_t>(version);
  const bool known_step = !options_.steps.empty() && version >= options_.steps.front().from;
  if (version < known && !known_step) {
    return fail(Errc::unsupported, store_ +
                                       " was written by an older version of this program (format " +
                                       std::to_string(version) + "; this one writes " +
                                       std::to_string(known) + ") and must be migrated first");
  }
  return {};
}

Status LmdbKv::copy_before(std::uint32_t from, fs::path& copy) const {
  const std::string base = parent_of(options_.directory) / options_.directory.filename();
  const std::string stem = base + ".before-format-" + std::to_string(from);
  copy = stem;
  std::error_code ec;
  // An earlier copy is not written over: an older program may have gone on since it was made.
  for (int n = 2; fs::exists(fs::symlink_status(copy, ec)); ++n)
    copy = stem + "-" + std::to_string(n);
  FP_TRY(const StoreFile file, examine_store_file(options_.directory / kDataFile));
  const std::uint64_t need = file.used_bytes() + options_.disk_reserve_bytes;
  const std::string sentence =
      store_ + " was written by an older version of this program (format " + std::to_string(from) +
      ") and is copied before it is changed to format " + std::to_string(options_.format_version);
  if (disk_has_less_than(need)) {
    return fail(Errc::store_full, sentence + ", for which its disk needs " +
                                      std::to_string((need >> 20) + 1) +
                                      " MiB free: make room and start again. Nothing was changed");
  }
  const fs::path part = base + ".copying";
  fs::remove_all(part, ec);  // of an attempt that was cut off
  if (auto copied = copy_to(part); !copied)
    return fail(
        copied.error().is(Errc::store_full) ? Errc::store_full : Errc::io,
        sentence + "; the copy failed (" + copied.error().detail + "). Nothing was changed");
  fs::rename(part, copy, ec);
  if (ec) return fail(Errc::io, sentence + "; the copy failed (" + ec.message() + ")");
  return sync_directory(parent_of(options_.directory));
}

Status LmdbKv::run_steps(std::uint32_t from, bool& full) {
  Txn txn;
  if (const int rc = txn.begin(env_.get(), 0); rc != 0) return error(rc, "migrating");
  std::vector<unsigned> dbis;
  for (const std::string& name : options_.tables) {
    MDB_dbi dbi = 0;
    const int rc = ::mdb_dbi_open(txn.get(), name.c_str(), MDB_CREATE, &dbi);
    full = rc == MDB_MAP_FULL;
    if (rc != 0) return error(rc, "migrating");
    dbis.push_back(dbi);
  }
  LmdbTxnKv writer(txn.get(), dbis, store_);
  Status status;
  for (const FormatStep& step : options_.steps) {
    if (status && step.from >= from && step.body) status = step.body(writer);
  }
  if (status && writer.failure()) status = *writer.failure();
  full = writer.met_full_map();
  if (!status) return status;
  FP_CHECK_OK(write_format(txn.get()));
  const int rc = txn.commit();
  full = rc == MDB_MAP_FULL;
  return rc == 0 ? Status{} : error(rc, "migrating");
}

Status LmdbKv::migrate(std::uint32_t from) {
  fs::path copy;
  FP_CHECK_OK(copy_before(from, copy));
  bool full = false;
  Status done = run_steps(from, full);
  for (; !done && full; done = run_steps(from, full)) {
    MDB_envinfo info{};
    ::mdb_env_info(env_.get(), &info);
    if (info.me_mapsize >= options_.map_bytes_max) break;
    FP_CHECK_OK(resize(std::min(std::uint64_t{info.me_mapsize} * 2, options_.map_bytes_max), true));
  }
  if (!done) {
    return Error(done.error().code, store_ + " could not be migrated from format " +
                                        std::to_string(from) +
                                        " and stays as it was: " + done.error().detail);
  }
  migrated_ = store_ + " was migrated from format " + std::to_string(from) + " to " +
              std::to_string(options_.format_version) + "; as it was before it stands in " +
              copy.string() + ", to be removed once this version has proved itself";
  return {};
}

Status LmdbKv::write_format(MDB_txn* txn) {
  MDB_dbi format = 0;
  const int rc = ::mdb_dbi_open(txn, kFormatTable, MDB_CREATE, &format);
  if (rc != 0) return error(rc, "making the tables");
  const std::vector<unsigned> dbis{format};
  LmdbTxnKv table(txn, dbis, store_);
  FP_CHECK_OK(table.put(0, as_bytes(kFormatName), as_bytes(options_.format_name)));
  return table.put(0, as_bytes(kFormatVersion), as_bytes(std::to_string(options_.format_version)));
}

// ---- reading and writing ----

Status LmdbKv::view(const ViewBody& body) const {
  const std::shared_lock lock(map_mutex_);
  Txn txn;
  if (const int rc = txn.begin(env_.get(), MDB_RDONLY); rc != 0) return error(rc, "reading");
  return body(LmdbTxnKv(txn.get(), dbis_, store_));
}

Status LmdbKv::commit_update(const UpdateBody& body, UpdateKind kind) {
  const std::lock_guard updating(update_mutex_);
  if (failed_) {
    return fail(Errc::store_failed, store_ +
                                        ": an earlier commit failed; nothing more is written until "
                                        "the store is closed and opened again. Check the disk");
  }
  if (kind == UpdateKind::normal) FP_CHECK_OK(check_disk());
  FP_CHECK_OK(make_room(kind));
  Txn txn;
  if (const int rc = txn.begin(env_.get(), 0); rc != 0) {
    failed_ = rc == MDB_PANIC;
    return error(rc, "beginning an update");
  }
  LmdbTxnKv writer(txn.get(), dbis_, store_);
  Status status = body(writer);
  // A write that failed halfway is never committed, even if body looked away.
  if (status && writer.failure()) status = *writer.failure();
  if (status) return commit(txn);
  txn.abort();
  if (writer.met_full_map()) (void)grow_after_full_map();
  return status;
}

Status LmdbKv::commit(Txn& txn) {
  const int rc = txn.commit();
  if (rc == 0) return {};
  if (rc == MDB_MAP_FULL) {
    (void)grow_after_full_map();
    return error(rc, "committing");
  }
  // LMDB writes the new pages first and the meta page last. Until the meta page, nothing is changed; if
  // that one fails, LMDB itself refuses the next transaction (MDB_PANIC).
  Txn probe;
  const bool meta_failed = probe.begin(env_.get(), 0) != 0;
  // A disk that fills up in the middle of a write makes LMDB say EIO.
  const bool room = rc == ENOSPC || rc == EDQUOT || rc == EFBIG ||
                    (rc == EIO && disk_has_less_than(kDiskFullBytes));
  if (room && !meta_failed) return error(ENOSPC, "committing");
  failed_ = true;
  return fail(Errc::store_failed,
              store_ + ": the commit failed (" + ::mdb_strerror(rc) +
                  "), whether it took place is unknown. Check the disk, then close "
                  "and open the store again");
}

// ---- room ----

std::uint64_t LmdbKv::normal_limit() const {
  return options_.map_bytes_max - options_.reserve_bytes;
}

Status LmdbKv::make_room(UpdateKind kind) {
  MDB_envinfo info{};
  MDB_stat stat{};
  ::mdb_env_info(env_.get(), &info);
  ::mdb_env_stat(env_.get(), &stat);
  const std::uint64_t map = info.me_mapsize;
  const std::uint64_t used = (std::uint64_t{info.me_last_pgno} + 1) * stat.ms_psize;
  const std::uint64_t left = map > used ? map - used : 0;
  keep_blocks(used);
  if (kind == UpdateKind::freeing && left < options_.reserve_bytes &&
      map < options_.map_bytes_max) {
    return resize(
        std::min(std::max(map * 2, used + options_.reserve_bytes), options_.map_bytes_max), true);
  }
  if (kind == UpdateKind::freeing) return {};
  const std::uint64_t limit = std::max(normal_limit(), used);
  if (map > limit) return resize(limit, true);  // takes the reserve back after a freeing update
  // With views open the growth can wait for the next update, as long as something is left.
  if (left < map / 4 && map < limit) return resize(std::min(map * 2, limit), left < map / 16);
  return {};
}

void LmdbKv::keep_blocks(std::uint64_t used_bytes) {
  if (used_bytes + options_.reserve_bytes <= kept_bytes_) return;
  int fd = -1;
  if (::mdb_env_get_fd(env_.get(), &fd) != 0) return;
  const std::uint64_t wanted = used_bytes + 2 * options_.reserve_bytes;
  // Where the file system cannot, or has no room any more, the store is as safe as it was without.
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(wanted)) == 0)
    kept_bytes_ = wanted;
}

Status LmdbKv::grow_after_full_map() {
  MDB_envinfo info{};
  ::mdb_env_info(env_.get(), &info);
  if (info.me_mapsize >= normal_limit()) return {};
  return resize(std::min(std::uint64_t{info.me_mapsize} * 2, normal_limit()), true);
}

Status LmdbKv::resize(std::uint64_t bytes, bool must) {
  std::unique_lock lock(map_mutex_, std::defer_lock);
  if (must) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return {};
  }
  const int rc = ::mdb_env_set_mapsize(env_.get(), bytes - bytes % kMapGrainBytes);
  if (rc == 0) return {};
  failed_ = true;  // the old map is gone
  return fail(Errc::store_failed, store_ + ": the map of " + std::to_string(bytes) +
                                      " bytes was refused (" + ::mdb_strerror(rc) +
                                      "): free address space or memory, and open the store again");
}

Status LmdbKv::make_room_beside_view(std::uint64_t bytes) {
  const std::lock_guard updating(update_mutex_);
  MDB_envinfo info{};
  MDB_stat stat{};
  ::mdb_env_info(env_.get(), &info);
  ::mdb_env_stat(env_.get(), &stat);
  const std::uint64_t used = (std::uint64_t{info.me_last_pgno} + 1) * stat.ms_psize;
  const std::uint64_t wanted = std::min(used + bytes, normal_limit());
  return info.me_mapsize < wanted ? resize(wanted, true) : Status{};
}

bool LmdbKv::disk_has_less_than(std::uint64_t bytes) const {
  struct statvfs volume {};
  if (::statvfs(options_.directory.c_str(), &volume) != 0) return false;
  return std::uint64_t{volume.f_bavail} * volume.f_frsize < bytes;
}

Status LmdbKv::check_disk() const {
  if (options_.disk_reserve_bytes == 0 || !disk_has_less_than(options_.disk_reserve_bytes))
    return {};
  return fail(Errc::store_full, "the disk of " + store_ + " has less than " +
                                    std::to_string(options_.disk_reserve_bytes >> 20) +
                                    " MiB left: free some; nothing was changed");
}

// ---- housekeeping ----

Status LmdbKv::housekeeping() {
  int dead = 0;
  const int rc = ::mdb_reader_check(env_.get(), &dead);
  return rc == 0 ? Status{} : error(rc, "checking for dead readers");
}

Result<KvStats> LmdbKv::stats() const {
  const std::shared_lock lock(map_mutex_);
  Txn txn;
  if (const int rc = txn.begin(env_.get(), MDB_RDONLY); rc != 0) return error(rc, "reading");
  MDB_envinfo info{};
  ::mdb_env_info(env_.get(), &info);
  KvStats stats;
  stats.map_bytes = info.me_mapsize;
  std::uint64_t pages = 2;  // the meta pages
  MDB_stat stat{};
  const auto add = [&](MDB_dbi dbi) {
    if (::mdb_stat(txn.get(), dbi, &stat) != 0) return;
    pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  };
  add(0);  // LMDB's list of free pages
  add(1);  // its table of tables
  for (const unsigned dbi : dbis_) add(dbi);
  stats.used_bytes = pages * stat.ms_psize;
  int fd = -1;
  struct stat file {};
  if (::mdb_env_get_fd(env_.get(), &fd) == 0 && ::fstat(fd, &file) == 0) {
    stats.file_bytes = static_cast<std::uint64_t>(file.st_size);
  }
  const std::uint64_t limit = normal_limit();
  stats.room_bytes = limit > stats.used_bytes ? limit - stats.used_bytes : 0;
  struct statvfs volume {};
  if (::statvfs(options_.directory.c_str(), &volume) == 0) {
    const std::uint64_t free = std::uint64_t{volume.f_bavail} * volume.f_frsize;
    const std::uint64_t reserve = options_.disk_reserve_bytes;
    // Pages of the file that are free now are taken before it grows.
    const std::uint64_t inside =
        stats.file_bytes > stats.used_bytes ? stats.file_bytes - stats.used_bytes : 0;
    stats.room_bytes = std::min(stats.room_bytes, free > reserve ? free - reserve + inside : 0);
  }
  return stats;
}

Status LmdbKv::copy_to(const fs::path& directory) const {
  std::error_code ec;
  if (fs::exists(fs::symlink_status(directory, ec))) {
    return fail(Errc::already_exists, directory.string() + " exists already: name a new directory");
  }
  FP_CHECK_OK(make_directory(directory));
  const fs::path file = directory / kDataFile;
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int rc = fd < 0 ? errno : 0;
  if (rc == 0) {
    const std::shared_lock lock(map_mutex_);
    rc = ::mdb_env_copyfd2(env_.get(), fd, MDB_CP_COMPACT);
  }
  if (rc == 0 && ::fsync(fd) != 0) rc = errno;
  if (fd >= 0 && ::close(fd) != 0 && rc == 0) rc = errno;
  if (rc == 0) return sync_directory(directory);
  fs::remove_all(directory, ec);  // made by this very call
  return lmdb_error(rc, directory.string(), "copying the store");
}

}  // namespace fieldpost::storage

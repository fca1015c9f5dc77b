// What the LMDB engine owes beyond the contract: durability, refusals, growth, the reserve.
#include "storage/lmdb/lmdb_kv.h"

#include <csignal>
#include <fstream>
#include <lmdb.h>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/lmdb/store_file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::storage;
namespace fs = std::filesystem;

namespace {

constexpr TableId kStops = 0;

LmdbOptions options_for(const test::TempDir& dir) {
  LmdbOptions options;
  options.directory = dir / "store";
  options.tables = {"stops", "log"};
  options.format_name = "fieldpost-test";
  options.create = true;
  return options;
}

std::unique_ptr<LmdbKv> open_store(const LmdbOptions& options) {
  auto opened = LmdbKv::open(options);
  INFO((opened ? std::string() : opened.error().message()));
  REQUIRE(opened.has_value());
  return *std::move(opened);
}

Error refusal(const LmdbOptions& options) {
  const auto opened = LmdbKv::open(options);
  REQUIRE(!opened.has_value());
  return opened.error();
}

Status put(Kv& kv, std::string_view key, std::string_view value,
           UpdateKind kind = UpdateKind::normal) {
  return kv.update(
      [&](KvWrite& write) { return write.put(kStops, as_bytes(key), as_bytes(value)); }, kind);
}

std::string value_of(const Kv& kv, std::string_view key) {
  std::string value = "<none>";
  const Status status = kv.view([&](const KvRead& read) -> Status {
    FP_TRY(const auto found, read.get(kStops, as_bytes(key)));
    if (found) value = as_text(*found);
    return {};
  });
  return status ? value : "<" + status.error().message() + ">";
}

std::string numbered(int n) {
  const std::string digits = std::to_string(n);
  return std::string(6 - digits.size(), '0') + digits;
}

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

void fill(LmdbKv& kv, int rows, std::size_t value_bytes) {
  for (int i = 0; i < rows; ++i) REQUIRE(put(kv, numbered(i), std::string(value_bytes, 'v')));
}

}  // namespace

TEST_CASE("What was committed is there after closing and opening") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  REQUIRE(put(*open_store(options), "a", "1"));
  {
    auto kv = open_store(options);
    CHECK(value_of(*kv, "a") == "1");
    REQUIRE(put(*kv, "b", "2"));
    REQUIRE(kv->housekeeping());
  }
  LmdbOptions again = options;
  again.create = false;
  auto kv = open_store(again);
  CHECK(value_of(*kv, "a") == "1");
  CHECK(value_of(*kv, "b") == "2");
}

TEST_CASE("The store is closed to other users") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  { auto kv = open_store(options); }
  CHECK(mode_of(options.directory) == 0700);
  for (const auto& entry : fs::directory_iterator(options.directory)) {
    INFO(entry.path().string());
    CHECK(mode_of(entry.path()) == 0600);
  }
  fs::permissions(options.directory, fs::perms(0755));
  { auto kv = open_store(options); }
  CHECK(mode_of(options.directory) == 0700);
}

TEST_CASE("A store that is not there is not made unasked") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.create = false;
  CHECK(refusal(options).is(Errc::not_found));
  CHECK(!fs::exists(options.directory));
  fs::create_directory(options.directory);
  CHECK(refusal(options).is(Errc::not_found));
  CHECK(!fs::exists(options.directory / "data.mdb"));
}

TEST_CASE("A second open is refused, in this process and in another, and names the holder") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  auto kv = open_store(options);
  const Error here = refusal(options);
  CHECK(here.is(Errc::locked));
  CHECK_THAT(here.detail, Catch::Contains(std::to_string(::getpid())));

  const pid_t child = ::fork();
  if (child == 0) {
    const auto opened = LmdbKv::open(options);
    const std::string holder = "process " + std::to_string(::getppid());
    const bool as_told = !opened && opened.error().is(Errc::locked) &&
                         opened.error().detail.find(holder) != std::string::npos;
    ::_exit(as_told ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);

  REQUIRE(put(*kv, "still", "mine"));
  kv.reset();
  CHECK(value_of(*open_store(options), "still") == "mine");
}

TEST_CASE("A store whose process was killed opens again") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto opened = LmdbKv::open(options);
    const char done = opened && put(**opened, "acked", "yes") ? 'y' : 'n';
    (void)!::write(ready[1], &done, 1);
    for (;;) ::pause();
  }
  char done = 0;
  REQUIRE(::read(ready[0], &done, 1) == 1);
  CHECK(done == 'y');
  CHECK(refusal(options).is(Errc::locked));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  CHECK(value_of(*open_store(options), "acked") == "yes");
}

TEST_CASE("A truncated file is refused before LMDB maps it, wherever it was cut") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  {
    auto kv = open_store(options);
    fill(*kv, 100, 3000);
    REQUIRE(put(*kv, "large", std::string(100 * 1024, 'x')));
  }
  const fs::path file = options.directory / "data.mdb";
  const auto whole = fs::file_size(file);
  fs::copy_file(file, dir / "whole");
  for (const std::uintmax_t cut :
       {whole - 1, whole - 4096, whole / 2, std::uintmax_t{8192}, std::uintmax_t{8191},
        std::uintmax_t{4096}, std::uintmax_t{100}}) {
    INFO(cut << " of " << whole);
    fs::resize_file(file, cut);
    const Error error = refusal(options);
    CHECK(error.is(Errc::corrupt));
    CHECK_THAT(error.detail, Catch::Contains(file.string()) && Catch::Contains("cut short"));
    fs::copy_file(dir / "whole", file, fs::copy_options::overwrite_existing);
  }
  CHECK(value_of(*open_store(options), "000099") == std::string(3000, 'v'));
}

TEST_CASE("A file that ends in pages taken and freed by one commit is honest, and opens") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  {
    auto kv = open_store(options);
    fill(*kv, 20, 3000);
    // Takes many pages at the end of the file and gives the last ones up again unwritten.
    REQUIRE(kv->update([](KvWrite& write) -> Status {
      for (int i = 100; i < 200; ++i) {
        FP_CHECK_OK(write.put(kStops, as_bytes(numbered(i)), as_bytes(std::string(3000, 'w'))));
      }
      FP_CHECK_OK(write.put(kStops, as_bytes("large"), as_bytes(std::string(64 * 1024, 'x'))));
      FP_CHECK_OK(write.erase(kStops, as_bytes("large")));
      for (int i = 100; i < 200; ++i) FP_CHECK_OK(write.erase(kStops, as_bytes(numbered(i))));
      return {};
    }));
  }
  const auto facts = examine_store_file(options.directory / "data.mdb");
  REQUIRE(facts.has_value());
  CHECK(facts->file_bytes < facts->used_bytes());  // else this test tests nothing
  auto kv = open_store(options);
  CHECK(value_of(*kv, "000019") == std::string(3000, 'v'));
  CHECK(value_of(*kv, "large") == "<none>");
  REQUIRE(put(*kv, "more", "yes"));
}

// LMDB makes its first meta pages durable only with the first commit, and refuses what is left of them before.
TEST_CASE("A store whose creation lost its power is made anew, and only by who may make one") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  { auto kv = open_store(options); }
  const fs::path file = options.directory / "data.mdb";
  std::fstream bytes(file, std::ios::binary | std::ios::in | std::ios::out);
  SECTION("the second meta page never reached the disk") {
    bytes.seekp(4096);
    bytes.write(std::string(512, '\0').data(), 512);
  }
  SECTION("neither did") {
    for (const int at : {0, 4096}) {
      bytes.seekp(at);
      bytes.write(std::string(512, '\0').data(), 512);
    }
  }
  SECTION("nor anything behind the first sector") { fs::resize_file(file, 512); }
  bytes.close();
  options.create = false;
  const Error error = refusal(options);
  CHECK(error.is(Errc::not_found));
  CHECK_THAT(error.detail, Catch::Contains("did not finish"));
  options.create = true;
  auto kv = open_store(options);
  CHECK(fs::exists(options.directory / "data.mdb.unfinished"));
  REQUIRE(put(*kv, "a", "1"));
  CHECK(value_of(*kv, "a") == "1");
}

TEST_CASE("A store that lost one of its meta pages is called damaged, and left alone") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  { fill(*open_store(options), 3, 100); }
  const int at = GENERATE(0, 4096);
  {
    std::fstream bytes(options.directory / "data.mdb",
                       std::ios::binary | std::ios::in | std::ios::out);
    bytes.seekp(at);
    bytes.write(std::string(512, '\0').data(), 512);
  }
  const auto whole = fs::file_size(options.directory / "data.mdb");
  const Error error = refusal(options);
  CHECK(error.is(Errc::corrupt));
  CHECK_THAT(error.detail, Catch::Contains("damaged"));
  CHECK(fs::file_size(options.directory / "data.mdb") == whole);
}

TEST_CASE("A foreign file is refused and left alone") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  fs::create_directory(options.directory);
  const std::string text(10000, '#');
  std::ofstream(options.directory / "data.mdb") << text;
  const Error error = refusal(options);
  CHECK(error.is(Errc::unsupported));
  CHECK_THAT(error.detail, Catch::Contains("not a store of this program"));
  CHECK(fs::file_size(options.directory / "data.mdb") == text.size());
}

TEST_CASE("Another program's LMDB file is refused") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  fs::create_directory(options.directory);
  const std::string name = GENERATE("something", "format");
  {
    MDB_env* env = nullptr;
    REQUIRE(::mdb_env_create(&env) == 0);
    REQUIRE(::mdb_env_open(env, options.directory.c_str(), 0, 0600) == 0);
    MDB_txn* txn = nullptr;
    MDB_dbi dbi = 0;
    REQUIRE(::mdb_txn_begin(env, nullptr, 0, &txn) == 0);
    REQUIRE(::mdb_dbi_open(txn, nullptr, 0, &dbi) == 0);
    std::string text = name;
    MDB_val value{text.size(), text.data()};
    REQUIRE(::mdb_put(txn, dbi, &value, &value, 0) == 0);
    REQUIRE(::mdb_txn_commit(txn) == 0);
    ::mdb_env_close(env);
  }
  const Error error = refusal(options);
  CHECK(error.is(Errc::unsupported));
  CHECK_THAT(error.detail, Catch::Contains("another program's"));
}

TEST_CASE("A store of another kind or version is refused with a sentence") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.format_version = 2;
  { auto kv = open_store(options); }
  LmdbOptions other = options;

  other.format_version = 1;
  CHECK(refusal(other).is(Errc::unsupported));
  CHECK_THAT(refusal(other).detail,
             Catch::Contains("newer version") && Catch::Contains("format 2"));
  other.format_version = 3;
  CHECK(refusal(other).is(Errc::unsupported));
  CHECK_THAT(refusal(other).detail,
             Catch::Contains("older version") && Catch::Contains("migrated"));
  other = options;
  other.format_name = "fieldpost-other";
  CHECK(refusal(other).is(Errc::unsupported));
  CHECK_THAT(refusal(other).detail,
             Catch::Contains("\"fieldpost-test\"") && Catch::Contains("\"fieldpost-other\""));
  auto kv = open_store(options);
}

TEST_CASE("A store with one table more opens, and keeps what it has") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  REQUIRE(put(*open_store(options), "a", "1"));
  options.tables.emplace_back("added");
  auto kv = open_store(options);
  CHECK(value_of(*kv, "a") == "1");
  REQUIRE(kv->update([](KvWrite& write) { return write.put(2, as_bytes("k"), as_bytes("v")); }));
}

TEST_CASE("The map grows as the store fills") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.map_bytes_initial = 256 * 1024;
  options.map_bytes_max = 64 << 20;
  options.reserve_bytes = 256 * 1024;
  auto kv = open_store(options);
  const auto before = kv->stats()->map_bytes;
  CHECK(before <= 256 * 1024);
  fill(*kv, 100, 32000);
  CHECK(kv->stats()->map_bytes >= 3200 * 1000);
  CHECK(value_of(*kv, "000000") == std::string(32000, 'v'));
  CHECK(value_of(*kv, "000099") == std::string(32000, 'v'));
  kv.reset();
  kv = open_store(options);
  CHECK(value_of(*kv, "000099") == std::string(32000, 'v'));
  REQUIRE(put(*kv, "more", "yes"));
}

TEST_CASE("An update larger than what is left grows the map for its second attempt") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.map_bytes_initial = 256 * 1024;
  options.map_bytes_max = 64 << 20;
  options.reserve_bytes = 256 * 1024;
  auto kv = open_store(options);
  const std::string value(300 * 1024, 'x');
  const Status first = put(*kv, "large", value);
  REQUIRE(!first);
  CHECK(first.error().is(Errc::store_full));
  CHECK(value_of(*kv, "large") == "<none>");
  REQUIRE(put(*kv, "large", value));
  CHECK(value_of(*kv, "large") == value);
}

TEST_CASE("A full store still erases and acknowledges, and takes new records afterwards") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.map_bytes_initial = 1 << 20;
  options.map_bytes_max = 2 << 20;
  options.reserve_bytes = 512 * 1024;
  auto kv = open_store(options);
  int rows = 0;
  Status status;
  while ((status = put(*kv, numbered(rows), std::string(4000, 'v')))) {
    REQUIRE(++rows < 10000);
  }
  CHECK(status.error().is(Errc::store_full));
  CHECK_THAT(status.error().detail, Catch::Contains(options.directory.string()));
  CHECK(rows > 200);
  CHECK(value_of(*kv, numbered(rows)) == "<none>");
  CHECK(value_of(*kv, numbered(rows - 1)) == std::string(4000, 'v'));
  CHECK(!put(*kv, "another", std::string(4000, 'v')));

  // Small acknowledgements and single erasures, each in its own commit.
  for (int i = 0; i < 100; ++i) {
    INFO(i);
    REQUIRE(put(*kv, "ack", std::to_string(i), UpdateKind::freeing));
  }
  CHECK(!put(*kv, "another", std::string(4000, 'v')));
  for (int i = 0; i < rows / 2; ++i) {
    INFO(i);
    REQUIRE(kv->update([&](KvWrite& write) { return write.erase(kStops, as_bytes(numbered(i))); },
                       UpdateKind::freeing));
  }
  CHECK(value_of(*kv, "ack") == "99");
  REQUIRE(put(*kv, "another", std::string(4000, 'v')));
  CHECK(kv->stats()->file_bytes <= options.map_bytes_max);

  kv.reset();
  kv = open_store(options);
  CHECK(value_of(*kv, "another") == std::string(4000, 'v'));
}

TEST_CASE("A full store can be emptied in one update") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.map_bytes_initial = 1 << 20;
  options.map_bytes_max = 2 << 20;
  options.reserve_bytes = 512 * 1024;
  auto kv = open_store(options);
  int rows = 0;
  while (put(*kv, numbered(rows), std::string(4000, 'v'))) REQUIRE(++rows < 10000);
  REQUIRE(kv->update(
      [&](KvWrite& write) -> Status {
        for (int i = 0; i < rows; ++i) FP_CHECK_OK(write.erase(kStops, as_bytes(numbered(i))));
        return {};
      },
      UpdateKind::freeing));
  REQUIRE(put(*kv, "a", "1"));
  fill(*kv, rows / 2, 4000);
}

TEST_CASE("A disk below its reserve takes freeing updates only") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.disk_reserve_bytes = std::uint64_t{1} << 60;
  auto kv = open_store(options);
  const Status status = put(*kv, "a", "1");
  REQUIRE(!status);
  CHECK(status.error().is(Errc::store_full));
  CHECK_THAT(status.error().detail, Catch::Contains("disk"));
  REQUIRE(put(*kv, "ack", "1", UpdateKind::freeing));
}

// A limit on file sizes stands in for a disk that is full or fails: at the end of a page LMDB's write
// is refused (EFBIG), in the middle of one it comes out short, which LMDB reports as EIO.
TEST_CASE(
    "A refused write leaves nothing behind; one that broke off stops the store until reopened") {
  test::TempDir dir;
  const LmdbOptions options = options_for(dir);
  { fill(*open_store(options), 20, 3000); }
  const auto size = fs::file_size(options.directory / "data.mdb");
  const bool short_write = GENERATE(false, true);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    auto opened = LmdbKv::open(options);
    if (!opened) ::_exit(1);
    LmdbKv& kv = **opened;
    const rlimit tight{size + (short_write ? 5000 : 0), RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &tight) != 0) ::_exit(2);
    const Status failed = put(kv, "large", std::string(64 * 1024, 'x'));
    if (failed || !failed.error().is(short_write ? Errc::store_failed : Errc::store_full))
      ::_exit(3);
    if (value_of(kv, "000019") != std::string(3000, 'v') || value_of(kv, "large") != "<none>")
      ::_exit(4);
    const rlimit loose{RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &loose) != 0) ::_exit(5);
    const Status next = put(kv, "next", "1");
    if (short_write && (next || !next.error().is(Errc::store_failed))) ::_exit(6);
    if (!short_write && !next) ::_exit(7);
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  INFO("step " << WEXITSTATUS(status));
  CHECK(status == 0);
  auto kv = open_store(options);
  CHECK(value_of(*kv, "large") == "<none>");
  CHECK(value_of(*kv, "000019") == std::string(3000, 'v'));
  CHECK(value_of(*kv, "next") == (short_write ? "<none>" : "1"));
  REQUIRE(put(*kv, "large", std::string(64 * 1024, 'x')));
}

TEST_CASE("A write that failed is not committed, even if the body looks away") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.map_bytes_initial = 256 * 1024;
  options.map_bytes_max = 512 * 1024;
  options.reserve_bytes = 128 * 1024;
  auto kv = open_store(options);
  const Status status = kv->update([](KvWrite& write) -> Status {
    FP_CHECK_OK(write.put(kStops, as_bytes("small"), as_bytes("1")));
    (void)write.put(kStops, as_bytes("large"), as_bytes(std::string(1 << 20, 'x')));
    return {};
  });
  REQUIRE(!status);
  CHECK(status.error().is(Errc::store_full));
  CHECK(value_of(*kv, "small") == "<none>");
}

TEST_CASE("A copy opens as the store it was taken from") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  auto kv = open_store(options);
  fill(*kv, 50, 1000);
  const fs::path copy = dir / "copy";
  REQUIRE(kv->copy_to(copy));
  const Status again = kv->copy_to(copy);
  REQUIRE(!again);
  CHECK(again.error().is(Errc::already_exists));
  REQUIRE(put(*kv, "later", "x"));
  CHECK(mode_of(copy) == 0700);
  CHECK(mode_of(copy / "data.mdb") == 0600);
  LmdbOptions of_copy = options;
  of_copy.directory = copy;
  of_copy.create = false;
  auto copied = open_store(of_copy);
  CHECK(value_of(*copied, "000049") == std::string(1000, 'v'));
  CHECK(value_of(*copied, "later") == "<none>");
}

TEST_CASE("Impossible options are refused with a reason") {
  test::TempDir dir;
  LmdbOptions options = options_for(dir);
  options.tables.clear();
  CHECK(refusal(options).is(Errc::invalid_argument));
  options = options_for(dir);
  options.map_bytes_max = 1;
  CHECK(refusal(options).is(Errc::invalid_argument));
  options = options_for(dir);
  std::ofstream(dir / "file") << "x";
  options.directory = dir / "file";
  CHECK(refusal(options).is(Errc::invalid_argument));
}

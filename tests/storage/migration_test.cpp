// Older stores: copied, then migrated in one transaction; cut off anywhere, the old one or the new one is there.
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/lmdb/lmdb_kv.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::storage;

namespace {

namespace fs = std::filesystem;

LmdbOptions format(const test::TempDir& dir, std::uint32_t version) {
  LmdbOptions options;
  options.directory = dir / "store";
  options.tables = {"records"};
  options.format_name = "fieldpost-test";
  options.format_version = version;
  options.create = true;
  return options;
}

Status put(Kv& kv, std::string_view key, std::string_view value) {
  return kv.update([&](KvWrite& write) { return write.put(0, as_bytes(key), as_bytes(value)); });
}

std::string value_of(const Kv& kv, TableId table, std::string_view key) {
  std::string value = "<none>";
  const Status status = kv.view([&](const KvRead& read) -> Status {
    FP_TRY(const auto found, read.get(table, as_bytes(key)));
    if (found) value = as_text(*found);
    return {};
  });
  return status ? value : "<" + status.error().message() + ">";
}

/// A store of format 1, and how a program of format 3 opens it: a table more, a value moved there.
LmdbOptions old_store(const test::TempDir& dir, std::function<Status(KvWrite&)> second = {}) {
  {
    auto kv = LmdbKv::open(format(dir, 1));
    REQUIRE(kv.has_value());
    REQUIRE(put(**kv, "a", "1"));
  }
  LmdbOptions options = format(dir, 3);
  options.tables.emplace_back("added");
  options.steps = {{1,
                    [](KvWrite& write) -> Status {
                      FP_TRY(const auto value, write.get(0, as_bytes("a")));
                      const Bytes old = to_bytes(*value);
                      return write.put(1, as_bytes("a"), old);
                    }},
                   {2, std::move(second)}};
  return options;
}

fs::path copy_of(const test::TempDir& dir) { return dir / "store.before-format-1"; }

void check_old(const test::TempDir& dir) {
  auto kv = LmdbKv::open(format(dir, 1));
  INFO((kv ? std::string() : kv.error().message()));
  REQUIRE(kv.has_value());
  CHECK(value_of(**kv, 0, "a") == "1");
}

}  // namespace

TEST_CASE("An older store is copied, migrated step by step, and says so once") {
  test::TempDir dir;
  const LmdbOptions options =
      old_store(dir, [](KvWrite& write) { return write.erase(0, as_bytes("a")); });
  {
    auto kv = LmdbKv::open(options);
    INFO((kv ? std::string() : kv.error().message()));
    REQUIRE(kv.has_value());
    CHECK(value_of(**kv, 1, "a") == "1");
    CHECK(value_of(**kv, 0, "a") == "<none>");
    CHECK_THAT((*kv)->migrated(),
               Catch::Contains("from format 1 to 3") && Catch::Contains(copy_of(dir).string()));
  }
  CHECK((*LmdbKv::open(options))->migrated().empty());
  CHECK(LmdbKv::open(format(dir, 1)).error().is(Errc::unsupported));
  LmdbOptions copy = format(dir, 1);
  copy.directory = copy_of(dir);
  CHECK(value_of(**LmdbKv::open(copy), 0, "a") == "1");
  CHECK_FALSE(fs::exists(dir / "store.copying"));
}

TEST_CASE("A step that fails leaves the old store, and the next attempt makes a copy of its own") {
  test::TempDir dir;
  bool fails = true;
  const LmdbOptions options = old_store(dir, [&](KvWrite&) -> Status {
    if (fails) return fail(Errc::corrupt, "a value is not what was written");
    return {};
  });
  const auto refused = LmdbKv::open(options);
  REQUIRE_FALSE(refused.has_value());
  CHECK_THAT(refused.error().detail,
             Catch::Contains("stays as it was") && Catch::Contains("a value is not"));
  check_old(dir);
  fails = false;
  CHECK(value_of(**LmdbKv::open(options), 1, "a") == "1");
  CHECK(fs::exists(copy_of(dir)));
  CHECK(fs::exists(copy_of(dir).string() + "-2"));
}

TEST_CASE("A migration that is killed leaves the old store") {
  test::TempDir dir;
  const LmdbOptions options = old_store(dir, [](KvWrite&) -> Status {
    ::raise(SIGKILL);
    return {};
  });
  const pid_t child = ::fork();
  if (child == 0) {
    (void)LmdbKv::open(options);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  check_old(dir);
  // And one that was killed while it copied.
  fs::create_directory(dir / "store.copying");
  LmdbOptions whole = options;
  whole.steps[1].body = {};
  CHECK(value_of(**LmdbKv::open(whole), 1, "a") == "1");
}

TEST_CASE("A store older than the first step is refused, and so is one without room for its copy") {
  test::TempDir dir;
  LmdbOptions options = old_store(dir);
  SECTION("no step begins there") {
    options.steps.erase(options.steps.begin());
    CHECK_THAT(LmdbKv::open(options).error().detail, Catch::Contains("must be migrated first"));
  }
  SECTION("no room") {
    options.disk_reserve_bytes = std::uint64_t{1} << 60;
    const auto refused = LmdbKv::open(options);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().is(Errc::store_full));
    CHECK_THAT(refused.error().detail,
               Catch::Contains("MiB free") && Catch::Contains("Nothing was changed"));
  }
  check_old(dir);
  CHECK_FALSE(fs::exists(copy_of(dir)));
}

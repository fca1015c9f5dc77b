// What every key-value engine must do, run over each. What only one of them does: lmdb_kv_test.cpp.
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/kv_tables.h"
#include "storage/lmdb/lmdb_kv.h"
#include "storage/memory_kv.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::storage;

namespace {

constexpr TableId kStops = 0;
constexpr TableId kLog = 1;
constexpr std::size_t kTables = 2;

enum class Engine { memory, lmdb };

struct Fixture {
  test::TempDir dir;
  std::unique_ptr<Kv> kv;
};

Fixture make(Engine engine) {
  Fixture fixture;
  if (engine == Engine::memory) {
    fixture.kv = std::make_unique<MemoryKv>(kTables);
    return fixture;
  }
  LmdbOptions options;
  options.directory = fixture.dir / "store";
  options.tables = {"stops", "log"};
  options.format_name = "fieldpost-test";
  options.create = true;
  auto opened = LmdbKv::open(options);
  INFO((opened ? std::string() : opened.error().message()));
  REQUIRE(opened.has_value());
  fixture.kv = *std::move(opened);
  return fixture;
}

Engine any_engine() { return GENERATE(Engine::memory, Engine::lmdb); }

Status put_all(Kv& kv, TableId table,
               const std::vector<std::pair<std::string, std::string>>& rows) {
  return kv.update([&](KvWrite& write) -> Status {
    for (const auto& [key, value] : rows) {
      FP_CHECK_OK(write.put(table, as_bytes(key), as_bytes(value)));
    }
    return {};
  });
}

std::string value_of(const KvRead& read, TableId table, std::string_view key) {
  const auto found = read.get(table, as_bytes(key));
  if (!found) return "<" + found.error().message() + ">";
  return *found ? std::string(as_text(**found)) : "<none>";
}

std::string value_of(const Kv& kv, TableId table, std::string_view key) {
  std::string value;
  const Status status = kv.view([&](const KvRead& read) -> Status {
    value = value_of(read, table, key);
    return {};
  });
  return status ? value : "<" + status.error().message() + ">";
}

std::vector<std::string> keys_of(const KvRead& read, TableId table, std::string_view prefix = "",
                                 std::string_view from = "") {
  std::vector<std::string> keys;
  const Status status = read.scan(table, as_bytes(prefix), as_bytes(from),
                                  [&](BytesView key, BytesView) -> Result<KvRead::Step> {
                                    keys.emplace_back(as_text(key));
                                    return KvRead::Step::more;
                                  });
  if (!status) keys.push_back("<" + status.error().message() + ">");
  return keys;
}

std::vector<std::string> keys_of(const Kv& kv, TableId table, std::string_view prefix = "",
                                 std::string_view from = "") {
  std::vector<std::string> keys;
  const Status status = kv.view([&](const KvRead& read) -> Status {
    keys = keys_of(read, table, prefix, from);
    return {};
  });
  if (!status) keys.push_back("<" + status.error().message() + ">");
  return keys;
}

std::string last_of(const KvRead& read, TableId table, std::string_view prefix) {
  const auto last = read.last_key(table, as_bytes(prefix));
  if (!last) return "<" + last.error().message() + ">";
  return *last ? std::string(as_text(**last)) : "<none>";
}

using Keys = std::vector<std::string>;

}  // namespace

TEST_CASE("An update is visible as a whole, in every table") {
  Fixture f = make(any_engine());
  REQUIRE(f.kv->update([](KvWrite& write) -> Status {
    FP_CHECK_OK(write.put(kStops, as_bytes("plate"), as_bytes("2A-1234")));
    FP_CHECK_OK(write.put(kLog, as_bytes("1"), as_bytes("stopped")));
    return {};
  }));
  CHECK(value_of(*f.kv, kStops, "plate") == "2A-1234");
  CHECK(value_of(*f.kv, kLog, "1") == "stopped");
  CHECK(value_of(*f.kv, kStops, "1") == "<none>");
}

TEST_CASE("An error from the body leaves nothing behind") {
  Fixture f = make(any_engine());
  REQUIRE(put_all(*f.kv, kStops, {{"a", "old"}, {"b", "old"}}));
  const Status status = f.kv->update([](KvWrite& write) -> Status {
    FP_CHECK_OK(write.put(kStops, as_bytes("a"), as_bytes("new")));
    FP_CHECK_OK(write.erase(kStops, as_bytes("b")));
    FP_CHECK_OK(write.append(kLog, as_bytes("1"), as_bytes("x")));
    return fail(Errc::conflict, "the form was stale");
  });
  REQUIRE(!status);
  CHECK(status.error().is(Errc::conflict));
  CHECK(status.error().detail == "the form was stale");
  CHECK(value_of(*f.kv, kStops, "a") == "old");
  CHECK(value_of(*f.kv, kStops, "b") == "old");
  CHECK(value_of(*f.kv, kLog, "1") == "<none>");
  // and the engine goes on
  REQUIRE(put_all(*f.kv, kStops, {{"a", "newer"}}));
  CHECK(value_of(*f.kv, kStops, "a") == "newer");
}

TEST_CASE("An update reads its own writes") {
  Fixture f = make(any_engine());
  REQUIRE(put_all(*f.kv, kStops, {{"a", "1"}, {"c", "3"}, {"e", "5"}}));
  REQUIRE(f.kv->update([](KvWrite& write) -> Status {
    FP_CHECK_OK(write.put(kStops, as_bytes("b"), as_bytes("2")));
    FP_CHECK_OK(write.put(kStops, as_bytes("c"), as_bytes("33")));
    FP_CHECK_OK(write.erase(kStops, as_bytes("e")));
    FP_CHECK_OK(write.erase(kStops, as_bytes("absent")));
    CHECK(value_of(write, kStops, "c") == "33");
    CHECK(value_of(write, kStops, "e") == "<none>");
    CHECK(keys_of(write, kStops) == Keys{"a", "b", "c"});
    CHECK(last_of(write, kStops, "") == "c");
    CHECK(*write.count(kStops) == 3);
    FP_CHECK_OK(write.put(kStops, as_bytes("e"), as_bytes("again")));
    CHECK(last_of(write, kStops, "") == "e");
    CHECK(*write.count(kStops) == 4);
    return {};
  }));
  CHECK(keys_of(*f.kv, kStops) == Keys{"a", "b", "c", "e"});
}

TEST_CASE("A view sees one commit, whatever is committed beside it") {
  Fixture f = make(any_engine());
  REQUIRE(put_all(*f.kv, kStops, {{"a", "before"}, {"b", "before"}}));
  REQUIRE(f.kv->view([&](const KvRead& read) -> Status {
    CHECK(value_of(read, kStops, "a") == "before");
    const auto held = read.get(kStops, as_bytes("b"));
    REQUIRE(held.has_value());
    Status beside;
    std::thread writer([&] {
      for (int round = 0; round < 5; ++round) {
        beside = f.kv->update([](KvWrite& write) -> Status {
          FP_CHECK_OK(write.put(kStops, as_bytes("a"), as_bytes("after")));
          FP_CHECK_OK(write.put(kStops, as_bytes("c"), as_bytes("after")));
          return write.erase(kStops, as_bytes("b"));
        });
      }
    });
    writer.join();
    REQUIRE(beside.has_value());
    CHECK(value_of(read, kStops, "a") == "before");
    CHECK(keys_of(read, kStops) == Keys{"a", "b"});
    CHECK(as_text(**held) == "before");
    return {};
  }));
  CHECK(keys_of(*f.kv, kStops) == Keys{"a", "c"});
  CHECK(value_of(*f.kv, kStops, "a") == "after");
}

TEST_CASE("Views in several threads beside a busy writer never see half an update") {
  Fixture f = make(any_engine());
  REQUIRE(put_all(*f.kv, kStops, {{"left", "0"}, {"right", "0"}}));
  std::atomic<bool> stop{false};
  constexpr int kReaders = 3;
  std::vector<std::future<int>> readers;
  readers.reserve(kReaders);
  for (int i = 0; i < kReaders; ++i) {
    readers.push_back(std::async(std::launch::async, [&] {
      int torn = 0;
      while (!stop) {
        const Status status = f.kv->view([&](const KvRead& read) -> Status {
          const std::string left = value_of(read, kStops, "left");
          std::this_thread::yield();
          if (value_of(read, kStops, "right") != left) ++torn;
          return {};
        });
        if (!status) ++torn;
      }
      return torn;
    }));
  }
  for (int i = 1; i <= 100; ++i) {
    const std::string n = std::to_string(i);
    REQUIRE(put_all(*f.kv, kStops, {{"left", n}, {"right", n}}));
  }
  stop = true;
  for (auto& reader : readers) CHECK(reader.get() == 0);
  CHECK(value_of(*f.kv, kStops, "right") == "100");
}

TEST_CASE("Keys are ordered as unsigned bytes, shorter first") {
  Fixture f = make(any_engine());
  const std::string high("\xff", 1);
  const std::string high_zero("\xff\x00", 2);
  const std::string zero("\x00", 1);
  REQUIRE(put_all(*f.kv, kStops,
                  {{"b", ""},
                   {high_zero, ""},
                   {"ab", ""},
                   {high, ""},
                   {"a", ""},
                   {zero, ""},
                   {"\x7f", ""},
                   {"\x80", ""}}));
  CHECK(keys_of(*f.kv, kStops) == Keys{zero, "a", "ab", "b", "\x7f", "\x80", high, high_zero});
}

TEST_CASE("A scan keeps to its prefix, its start and the visitor's word") {
  Fixture f = make(any_engine());
  REQUIRE(put_all(*f.kv, kStops,
                  {{"a", "1"},
                   {"aa", "2"},
                   {"ab", "3"},
                   {"abc", "4"},
                   {"b", "5"},
                   {"\xff\xff", "6"},
                   {"\xff\xff\x01", "7"}}));
  CHECK(keys_of(*f.kv, kStops, "a") == Keys{"a", "aa", "ab", "abc"});
  CHECK(keys_of(*f.kv, kStops, "ab") == Keys{"ab", "abc"});
  CHECK(keys_of(*f.kv, kStops, "a", "aaa") == Keys{"ab", "abc"});
  CHECK(keys_of(*f.kv, kStops, "b", "a") == Keys{"b"});
  CHECK(keys_of(*f.kv, kStops, "a", "b").empty());
  CHECK(keys_of(*f.kv, kStops, "", "abc") == Keys{"abc", "b", "\xff\xff", "\xff\xff\x01"});
  CHECK(keys_of(*f.kv, kStops, "\xff\xff") == Keys{"\xff\xff", "\xff\xff\x01"});
  CHECK(keys_of(*f.kv, kStops, "nothing").empty());
  CHECK(keys_of(*f.kv, kLog).empty());

  int seen = 0;
  REQUIRE(f.kv->view([&](const KvRead& read) -> Status {
    return read.scan(kStops, {}, {}, [&](BytesView, BytesView value) -> Result<KvRead::Step> {
      ++seen;
      return as_text(value) == "3" ? KvRead::Step::stop : KvRead::Step::more;
    });
  }));
  CHECK(seen == 3);

  const Status refused = f.kv->view([&](const KvRead& read) -> Status {
    return read.scan(kStops, {}, {}, [&](BytesView, BytesView) -> Result<KvRead::Step> {
      return fail(Errc::corrupt, "does not decode");
    });
  });
  REQUIRE(!refused);
  CHECK(refused.error().is(Errc::corrupt));
}

TEST_CASE("The last key of a prefix is found") {
  Fixture f = make(any_engine());
  REQUIRE(f.kv->view([](const KvRead& read) -> Status {
    CHECK(last_of(read, kStops, "") == "<none>");
    return {};
  }));
  REQUIRE(put_all(*f.kv, kStops,
                  {{"a", ""}, {"ab", ""}, {"abz", ""}, {"c", ""}, {"\xff", ""}, {"\xff\xff", ""}}));
  REQUIRE(f.kv->view([](const KvRead& read) -> Status {
    CHECK(last_of(read, kStops, "a") == "abz");
    CHECK(last_of(read, kStops, "ab") == "abz");
    CHECK(last_of(read, kStops, "abz") == "abz");
    CHECK(last_of(read, kStops, "b") == "<none>");
    CHECK(last_of(read, kStops, "0") == "<none>");
    CHECK(last_of(read, kStops, "c") == "c");
    CHECK(last_of(read, kStops, "") == "\xff\xff");
    CHECK(last_of(read, kStops, "\xff") == "\xff\xff");
    CHECK(last_of(read, kStops, "\xff\xff\xff") == "<none>");
    CHECK(last_of(read, kLog, "") == "<none>");
    return {};
  }));
}

TEST_CASE("Append takes keys in order only, and a misuse does not spoil the update") {
  Fixture f = make(any_engine());
  REQUIRE(f.kv->update([](KvWrite& write) -> Status {
    for (int i = 100; i < 500; ++i) {
      FP_CHECK_OK(write.append(kLog, as_bytes(std::to_string(i)), as_bytes("entry")));
    }
    const Status same = write.append(kLog, as_bytes("499"), as_bytes("again"));
    REQUIRE(!same);
    CHECK(same.error().is(Errc::conflict));
    const Status lower = write.append(kLog, as_bytes("2"), as_bytes("x"));
    CHECK(!lower);
    CHECK(lower.error().is(Errc::conflict));
    return write.append(kLog, as_bytes("500"), as_bytes("last"));
  }));
  CHECK(value_of(*f.kv, kLog, "499") == "entry");
  CHECK(value_of(*f.kv, kLog, "2") == "<none>");
  CHECK(value_of(*f.kv, kLog, "500") == "last");
  REQUIRE(f.kv->view([](const KvRead& read) -> Status {
    CHECK(*read.count(kLog) == 401);
    CHECK(*read.count(kStops) == 0);
    return {};
  }));
}

TEST_CASE("Values may be empty and may be large") {
  Fixture f = make(any_engine());
  std::string large(100 * 1024, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31);
  REQUIRE(put_all(*f.kv, kStops, {{"empty", ""}, {"large", large}, {"small", "s"}}));
  CHECK(value_of(*f.kv, kStops, "empty").empty());
  CHECK(value_of(*f.kv, kStops, "large") == large);
  REQUIRE(put_all(*f.kv, kStops, {{"large", "small now"}}));
  CHECK(value_of(*f.kv, kStops, "large") == "small now");
}

TEST_CASE("Keys of 1 to 511 bytes are possible, others are refused with a reason") {
  Fixture f = make(any_engine());
  const std::string longest(511, 'k');
  const std::string longer(512, 'k');
  REQUIRE(put_all(*f.kv, kStops, {{longest, "fits"}, {"k", "short"}}));
  CHECK(value_of(*f.kv, kStops, longest) == "fits");
  const std::vector<std::string> bad_keys{"", longer};
  for (const std::string& key : bad_keys) {
    const Status put = put_all(*f.kv, kStops, {{"other", "x"}, {key, "x"}});
    REQUIRE(!put);
    CHECK(put.error().is(Errc::invalid_argument));
    CHECK_THAT(put.error().detail, Catch::Contains("511"));
    CHECK(value_of(*f.kv, kStops, "other") == "<none>");
    REQUIRE(f.kv->view([&](const KvRead& read) -> Status {
      CHECK(!read.get(kStops, as_bytes(key)));
      return {};
    }));
  }
  CHECK(keys_of(*f.kv, kStops, "", longer).empty());
  CHECK(keys_of(*f.kv, kStops, longest) == Keys{longest});
}

TEST_CASE("A table the store does not have is refused by every verb") {
  Fixture f = make(any_engine());
  const TableId none = kTables;
  REQUIRE(f.kv->update([&](KvWrite& write) -> Status {
    CHECK(write.put(none, as_bytes("k"), {}).error().is(Errc::invalid_argument));
    CHECK(write.append(none, as_bytes("k"), {}).error().is(Errc::invalid_argument));
    CHECK(write.erase(none, as_bytes("k")).error().is(Errc::invalid_argument));
    CHECK(write.get(none, as_bytes("k")).error().is(Errc::invalid_argument));
    CHECK(write.last_key(none, {}).error().is(Errc::invalid_argument));
    CHECK(write.count(none).error().is(Errc::invalid_argument));
    return {};
  }));
}

TEST_CASE("Errors and values of a view's body come through") {
  Fixture f = make(any_engine());
  const Status status =
      f.kv->view([](const KvRead&) -> Status { return fail(Errc::not_found, "no such record"); });
  REQUIRE(!status);
  CHECK(status.error().is(Errc::not_found));
}

TEST_CASE("Statistics count what is in use") {
  Fixture f = make(any_engine());
  const auto before = f.kv->stats();
  REQUIRE(before.has_value());
  REQUIRE(put_all(*f.kv, kStops, {{"large", std::string(64 * 1024, 'x')}}));
  const auto after = f.kv->stats();
  REQUIRE(after.has_value());
  CHECK(after->used_bytes >= before->used_bytes + 64 * 1024);
  CHECK(after->used_bytes <= after->file_bytes);
  CHECK(after->map_bytes >= after->file_bytes);
  REQUIRE(f.kv->update([](KvWrite& write) { return write.erase(kStops, as_bytes("large")); }));
  CHECK(f.kv->stats()->used_bytes < after->used_bytes);
}

// ---- the memory engine's own ----

TEST_CASE("An injected failure leaves the fate open, and the engine refuses until reopened") {
  const bool applied = GENERATE(false, true);
  MemoryKv kv(kTables,
              MemoryFaults::at(2, applied ? CommitFate::fail_after : CommitFate::fail_before));
  REQUIRE(put_all(kv, kStops, {{"a", "1"}}));
  const Status failed = put_all(kv, kStops, {{"b", "2"}});
  REQUIRE(!failed);
  CHECK(failed.error().is(Errc::store_failed));
  const Status refused = put_all(kv, kStops, {{"c", "3"}});
  REQUIRE(!refused);
  CHECK(refused.error().is(Errc::store_failed));
  CHECK(value_of(kv, kStops, "a") == "1");

  MemoryKv reopened(kTables, kv.snapshot());
  CHECK(keys_of(reopened, kStops) == (applied ? Keys{"a", "b"} : Keys{"a"}));
  REQUIRE(put_all(reopened, kStops, {{"c", "3"}}));
  CHECK(value_of(reopened, kStops, "c") == "3");
  CHECK(value_of(kv, kStops, "c") == "<none>");
}

TEST_CASE("An injected full store leaves nothing behind and goes on") {
  MemoryFaults faults;
  faults.on_commit = [](std::uint64_t, UpdateKind kind) {
    return kind == UpdateKind::normal ? CommitFate::full : CommitFate::succeed;
  };
  MemoryKv kv(kTables);
  REQUIRE(put_all(kv, kStops, {{"a", "1"}, {"b", "2"}}));
  kv.set_faults(faults);
  const Status full = put_all(kv, kStops, {{"c", "3"}});
  REQUIRE(!full);
  CHECK(full.error().is(Errc::store_full));
  CHECK(keys_of(kv, kStops) == Keys{"a", "b"});
  REQUIRE(kv.update([](KvWrite& write) { return write.erase(kStops, as_bytes("a")); },
                    UpdateKind::freeing));
  CHECK(keys_of(kv, kStops) == Keys{"b"});
}

TEST_CASE("A snapshot keeps its commit, and its clones part ways") {
  MemoryKv kv(kTables);
  REQUIRE(put_all(kv, kStops, {{"a", "1"}}));
  const MemoryKv::Snapshot snapshot = kv.snapshot();
  REQUIRE(put_all(kv, kStops, {{"a", "2"}, {"b", "2"}}));
  MemoryKv clone(kTables, snapshot);
  REQUIRE(put_all(clone, kStops, {{"c", "3"}}));
  CHECK(keys_of(kv, kStops) == Keys{"a", "b"});
  CHECK(keys_of(clone, kStops) == Keys{"a", "c"});
  CHECK(value_of(clone, kStops, "a") == "1");
  CHECK(keys_of(MemoryKv(kTables, snapshot), kStops) == Keys{"a"});
}

TEST_CASE("kv: a loader fills tables in order, and refuses what does not follow") {
  const Fixture fixture = make(any_engine());
  TableLoader loader(*fixture.kv);
  REQUIRE(loader.add(kStops, as_bytes("a"), as_bytes("1")));
  REQUIRE(loader.add(kStops, as_bytes("b"), as_bytes("2")));
  REQUIRE(loader.add(kLog, as_bytes("a"), as_bytes("3")));
  REQUIRE(loader.finish());
  std::string seen;
  REQUIRE(walk_tables(*fixture.kv, kTables, [&](TableId table, BytesView key, BytesView value) {
    seen.append(std::to_string(table)).append(as_text(key)).append(as_text(value));
    return Status{};
  }));
  CHECK(seen == "0a10b21a3");
  REQUIRE(loader.add(kStops, as_bytes("ab"), as_bytes("4")));
  const auto done = loader.finish();
  REQUIRE_FALSE(done);
  CHECK(done.error().is(Errc::conflict));
}

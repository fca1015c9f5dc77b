// Backups: what is written, what is not, what is found, and what comes back.
#include "hub/backup/backup.h"

#include <csignal>
#include <set>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/backup/chunk.h"
#include "storage/hub_backup.h"
#include "storage/hub_tables.h"
#include "tests/hub/backup_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

using Rows = std::vector<std::pair<Bytes, Bytes>>;

std::set<Bytes> chunks_of(const Rows& rows, std::uint64_t seed = 7) {
  std::set<Bytes> chunks;
  backup::Chunker chunker(seed, [&](BytesView chunk) {
    chunks.insert(to_bytes(chunk));
    return Status{};
  });
  for (const auto& [key, value] : rows) REQUIRE(chunker.add(key, value));
  REQUIRE(chunker.finish());
  return chunks;
}

/// `count` rows whose values have about `value_bytes`.
Rows rows(std::size_t count, std::size_t value_bytes) {
  Rows all;
  all.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Bytes key;
    for (int shift = 24; shift >= 0; shift -= 8)
      key.push_back(static_cast<std::uint8_t>(i >> shift));
    Bytes value(value_bytes / 2 + crypto::hash("size", {key}).bytes[0] % value_bytes);
    std::fill(value.begin(), value.end(), key.back());
    all.emplace_back(std::move(key), std::move(value));
  }
  return all;
}

std::size_t lacking(const std::set<Bytes>& all, const std::set<Bytes>& of) {
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const Bytes& one) { return !of.contains(one); }));
}

fs::path first_chunk(const fs::path& repository) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(repository / "chunks"))
    if (entry.is_regular_file()) files.push_back(entry.path());
  REQUIRE_FALSE(files.empty());
  return *std::min_element(files.begin(), files.end());
}

}  // namespace

TEST_CASE("chunks: what comes, goes or grows in the middle moves only the boundaries about it") {
  const std::size_t value_bytes = GENERATE(20, 500, 5'000);
  const Rows before = rows(8'000'000 / (value_bytes + 50), value_bytes);
  const auto chunks = chunks_of(before);
  std::size_t total = 0;
  for (const Bytes& chunk : chunks) {
    CHECK(chunk.size() <= backup::kChunkBytesMax);
    total += chunk.size();
  }
  const std::size_t mean = total / chunks.size();
  CHECK(mean > backup::kChunkBytesMin);
  CHECK(mean < 2 * (backup::kChunkBytesMin + backup::kChunkBytesSpread));
  const std::size_t middle = before.size() / 2;
  Rows after = before;
  SECTION("a row is inserted") {
    Bytes key = before[middle].first;
    key.push_back(1);
    after.insert(after.begin() + static_cast<std::ptrdiff_t>(middle) + 1, {key, Bytes(300)});
  }
  SECTION("a row is erased") { after.erase(after.begin() + static_cast<std::ptrdiff_t>(middle)); }
  SECTION("a value grows") { after[middle].second.resize(after[middle].second.size() + 777); }
  SECTION("rows are added at the end") {
    after.emplace_back(Bytes{0xff, 0xff, 0xff, 0xff}, Bytes(100));
  }
  const auto changed = chunks_of(after);
  CHECK(lacking(changed, chunks) >= 1);
  CHECK(lacking(changed, chunks) <= 6);
  CHECK(lacking(chunks, changed) <= 6);
}

TEST_CASE("chunks: read back they are the rows, and anything else is refused") {
  const Rows all = rows(2'000, 400);
  Rows back;
  backup::Chunker chunker(1, [&](BytesView chunk) {
    return backup::for_each_entry(chunk, [&](BytesView key, BytesView value) {
      back.emplace_back(to_bytes(key), to_bytes(value));
      return Status{};
    });
  });
  for (const auto& [key, value] : all) REQUIRE(chunker.add(key, value));
  REQUIRE(chunker.finish());
  CHECK(back == all);
  const auto read = [](Bytes chunk) {
    return backup::for_each_entry(chunk, [](BytesView, BytesView) { return Status{}; });
  };
  CHECK(read({0, 1, 0, 0, 0, 1, 'k', 'v'}));
  for (const Bytes& bad :
       {Bytes{0}, Bytes{0, 0, 0, 0, 0, 0}, Bytes{0, 2, 0, 0, 0, 0, 'k'},
        Bytes{0, 1, 0, 0, 0, 2, 'k', 'v'}, Bytes{0, 1, 0xff, 0xff, 0xff, 0xff, 'k'},
        Bytes{0, 1, 0, 0, 0, 0, 'k', 0}}) {
    const auto refused = read(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(Errc::corrupt));
  }
}

TEST_CASE("recovery key: it survives paper, and a mistyped character is told") {
  REQUIRE(crypto::init());
  backup::RecoveryKey key;
  for (std::size_t i = 0; i < 32; ++i) key.seed.bytes[i] = static_cast<std::uint8_t>(37 * i + 3);
  const std::string text = backup::recovery_text(key);
  CHECK(text.size() == 56 + 13);
  const auto seed = [](const std::string& typed) {
    const auto read = backup::recovery_from_text(typed);
    REQUIRE(read);
    return read->seed.bytes;
  };
  CHECK(seed(text) == key.seed.bytes);
  CHECK(seed("# a word before\n" + text + "\n\n") == key.seed.bytes);
  std::string upper = text;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(seed(upper) == key.seed.bytes);
  for (const std::size_t at : {0U, 20U, 68U}) {
    std::string wrong = text;
    wrong[at] = wrong[at] == 'a' ? 'b' : 'a';
    const auto read = backup::recovery_from_text(wrong);
    REQUIRE_FALSE(read);
    CHECK(read.error().detail.find("character") != std::string::npos);
  }
  CHECK_FALSE(backup::recovery_from_text(text.substr(0, 60)));
  CHECK_FALSE(backup::recovery_from_text(""));
}

TEST_CASE("backup: the second one of an unchanged hub writes nothing but its manifest") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  for (int i = 0; i < 4; ++i) writing.add(500);
  const auto first = hub.make();
  INFO((first ? std::string() : first.error().message()));
  REQUIRE(first);
  CHECK(first->number == 1);
  // What both stores have alike is kept once: where they come from, and their starts.
  CHECK(first->chunks_written + 2 == first->chunks);
  CHECK(first->damaged.empty());
  const auto before = tree(hub.folder);
  const auto second = hub.make();
  REQUIRE(second);
  CHECK(second->number == 2);
  CHECK(second->chunks_written == 0);
  auto after = tree(hub.folder);
  CHECK(after.erase("backups/2") == 1);
  CHECK(after == before);

  writing.add(1);
  const auto third = hub.make();
  REQUIRE(third);
  CHECK(third->chunks_written > 0);
  CHECK(third->chunks_written < third->chunks);
  CHECK(hub.check().faults.empty());
  CHECK(hub.check().entries == third->entries);
}

TEST_CASE(
    "backup: nothing in the repository can be read without a key, and every name is sealed in") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  writing.add(50);
  REQUIRE(hub.make());
  const std::string token = hub.keys.admin_token;
  for (const auto& [name, text] : tree(hub.folder)) {
    INFO(name);
    CHECK(text.find("01-PPT") == std::string::npos);
    CHECK(text.find(token) == std::string::npos);
    CHECK(text.find(as_text(hub.backup_keys.data.view())) == std::string::npos);
  }
  for (const auto& entry : fs::recursive_directory_iterator(hub.folder)) {
    const auto mode = entry.status().permissions();
    CHECK((mode & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
  }
  // A file under another's name does not open.
  auto repository = hub.repository();
  fs::copy_file(hub.folder / "backups/1", hub.folder / "backups/2");
  const auto moved = repository.manifest(2);
  REQUIRE_FALSE(moved);
  CHECK(moved.error().detail.find("backups/2") != std::string::npos);
}

TEST_CASE(
    "verify: a flipped byte in any file, a short file and a missing one are found and named") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  writing.add(300);
  REQUIRE(hub.make());
  REQUIRE(hub.check().faults.empty());
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(hub.folder / "chunks"))
    if (entry.is_regular_file()) files.push_back(entry.path());
  REQUIRE(files.size() > 5);
  for (const fs::path& file : files) {
    const std::size_t size = fs::file_size(file);
    for (const std::size_t at : {std::size_t{0}, std::size_t{5}, size / 2, size - 1}) {
      flip_byte(file, at);
      const auto checked = hub.check();
      REQUIRE(checked.faults.size() == 1);
      CHECK(checked.faults[0].find(file.filename().string()) != std::string::npos);
      flip_byte(file, at);
    }
  }
  CHECK(hub.check().faults.empty());
  flip_byte(hub.folder / "backups/1", 100);
  auto repository = hub.repository();
  CHECK(repository.manifest(1).error().detail.find("backups/1") != std::string::npos);
  flip_byte(hub.folder / "backups/1", 100);

  const fs::path chunk = first_chunk(hub.folder);
  const auto fault = [&] {
    auto repo = hub.repository();
    return backup::list_backups(repo)->front().fault;
  };
  CHECK(fault().empty());
  fs::resize_file(chunk, fs::file_size(chunk) - 1);
  CHECK(fault().find(chunk.filename().string()) != std::string::npos);
  CHECK(hub.check().faults.size() == 1);
  fs::remove(chunk);
  CHECK(fault().find("is missing") != std::string::npos);
  CHECK(hub.check().faults.size() == 1);
  // The next backup mends what the stores still have.
  const auto next = hub.make();
  REQUIRE(next);
  CHECK(next->chunks_written == 1);
  CHECK(fault().empty());
  CHECK(hub.check().faults.empty());
}

TEST_CASE(
    "backup --full: finds damage that sizes do not show, writes it anew, and counts no backup that "
    "lost a part") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  writing.add(300);
  REQUIRE(hub.make());
  const auto old = tree(hub.folder / "chunks");
  writing.add(300);
  REQUIRE(hub.make());
  auto fresh = tree(hub.folder / "chunks");
  for (const auto& [name, text] : old) fresh.erase(name);
  REQUIRE_FALSE(fresh.empty());
  std::string only_old;  // of the first backup alone
  {
    auto repository = hub.repository();
    std::set<std::string> now;
    const auto manifest = repository.manifest(2);
    REQUIRE(manifest);
    for (const auto& store : manifest->stores)
      for (const auto& table : store.tables)
        for (const auto& chunk : table.chunks) now.insert(chunk.id.hex());
    for (const auto& [name, text] : old)
      if (!now.contains(fs::path(name).filename().string())) only_old = name;
  }
  REQUIRE_FALSE(only_old.empty());
  flip_byte(hub.folder / "chunks" / only_old, 50);
  flip_byte(hub.folder / "chunks" / fresh.begin()->first, 50);
  const auto plain = hub.make();
  REQUIRE(plain);
  CHECK(plain->chunks_written == 0);  // it does not look into what has its size
  const auto full = hub.make({.full = true});
  REQUIRE(full);
  REQUIRE(full->repaired.size() == 1);
  CHECK(full->repaired[0].find(fresh.begin()->first) != std::string::npos);
  REQUIRE(full->lost.size() == 1);
  CHECK(full->lost[0].find(only_old) != std::string::npos);
  auto repository = hub.repository();
  const auto listed = backup::list_backups(repository);
  REQUIRE(listed);
  CHECK_FALSE((*listed)[0].restorable());
  CHECK((*listed)[1].restorable());
  CHECK(backup::watermark(*listed)->at("enforcement").front().second == Sequence{600});
  CHECK(hub.check().faults.empty());
}

TEST_CASE(
    "backup: keeps so many, removes older ones with what only they need, and any of them alone is "
    "whole") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  for (int i = 0; i < 5; ++i) {
    writing.add(200);
    const auto made = hub.make({.keep = 3});
    REQUIRE(made);
    CHECK(made->removed == (i < 3 ? std::vector<std::uint64_t>{}
                                  : std::vector<std::uint64_t>{static_cast<std::uint64_t>(i - 2)}));
  }
  auto repository = hub.repository();
  CHECK(repository.numbers().value() == std::vector<std::uint64_t>{3, 4, 5});
  CHECK(backup::watermark(backup::list_backups(repository).value())
            ->at("enforcement")
            .front()
            .second == Sequence{600});
  // Nothing is left that no backup names.
  std::set<std::string> named;
  backup::Verifier verifier(repository, {});
  for (const std::uint64_t number : {3, 4, 5}) {
    const auto manifest = repository.manifest(number);
    REQUIRE(manifest);
    CHECK(verifier.check(*manifest).faults.empty());
    for (const auto& store : manifest->stores)
      for (const auto& table : store.tables)
        for (const auto& chunk : table.chunks) named.insert(chunk.id.hex());
  }
  CHECK(repository.inventory()->size() == named.size());
  // One that vanished counts no more.
  fs::remove(hub.folder / "backups/3");
  CHECK(backup::watermark(backup::list_backups(repository).value())
            ->at("enforcement")
            .front()
            .second == Sequence{800});
  fs::remove(hub.folder / "backups/4");
  fs::remove(hub.folder / "backups/5");
  CHECK_FALSE(backup::watermark(backup::list_backups(repository).value()));
}

TEST_CASE("backup: while a manifest cannot be read, no chunk is removed") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  writing.add(200);
  REQUIRE(hub.make());
  flip_byte(hub.folder / "backups/1", 100);
  const auto before = tree(hub.folder / "chunks");
  writing.add(200);
  REQUIRE(hub.make({.keep = 1}));
  const auto after = tree(hub.folder / "chunks");
  for (const auto& [name, text] : before) CHECK(after.contains(name));
  auto repository = hub.repository();
  CHECK(backup::list_backups(repository)->size() == 2);
}

TEST_CASE("repository: what it refuses, each in a sentence that says what to do") {
  BackedHub hub;
  const auto refused = [&](const fs::path& folder) {
    const auto opened = backup::Repository::open(folder, hub.hub(), hub.backup_keys, hub.random);
    REQUIRE_FALSE(opened);
    return opened.error();
  };
  SECTION("no folder, or an empty mount point: it does not begin a new one there") {
    CHECK(refused(hub.dir / "nowhere").is(Errc::not_found));
    fs::create_directory(hub.dir / "empty");
    CHECK(refused(hub.dir / "empty").detail.find("mounted") != std::string::npos);
    CHECK(fs::is_empty(hub.dir / "empty"));
  }
  SECTION("a folder of something else is left alone") {
    fs::create_directory(hub.dir / "photos");
    std::ofstream(hub.dir / "photos/beach.jpg") << "sand";
    CHECK(refused(hub.dir / "photos").is(Errc::invalid_argument));
    const auto made = backup::Repository::make(hub.dir / "photos", hub.hub(), "hub.example",
                                               hub.backup_keys, hub.random);
    REQUIRE_FALSE(made);
    CHECK(made.error().detail.find("other files") != std::string::npos);
    CHECK(tree(hub.dir / "photos").size() == 1);
  }
  SECTION("another hub's") {
    HubId other;
    other.bytes.fill(9);
    const auto opened = backup::Repository::open(hub.folder, other, hub.backup_keys, hub.random);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().is(Errc::conflict));
    CHECK(opened.error().detail.find("another hub") != std::string::npos);
  }
  SECTION("another recovery key's") {
    backup::HubBackupKeys other = hub.backup_keys;
    other.recovery.bytes.fill(9);
    const auto opened = backup::Repository::open(hub.folder, hub.hub(), other, hub.random);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().detail.find("recovery key") != std::string::npos);
  }
  SECTION("a damaged head") {
    std::ofstream(hub.folder / "repository.json")
        << "{\"what\": \"fieldpost-backup\", \"version\": 1}";
    CHECK(refused(hub.folder).is(Errc::corrupt));
    std::ofstream(hub.folder / "repository.json") << "nonsense";
    CHECK(refused(hub.folder).is(Errc::invalid_argument));
  }
  SECTION("two at one time") {
    const auto repository = hub.repository();
    const auto held = repository.lock();
    REQUIRE(held);
    const auto second = hub.repository().lock();
    REQUIRE_FALSE(second);
    CHECK(second.error().is(Errc::locked));
  }
  SECTION("a recovery key of another repository") {
    backup::RecoveryKey wrong;
    wrong.seed.bytes.fill(1);
    const auto opened = backup::Repository::recover(hub.folder, wrong, hub.random);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().is(Errc::unauthorised));
    CHECK(opened.error().detail.find(backup::recovery_name(hub.backup_keys.recovery)) !=
          std::string::npos);
  }
  SECTION("a second recovery key for one hub") {
    const auto again = backup::make_backup_keys(hub.path, hub.dir / "second.txt", "x", hub.random);
    REQUIRE_FALSE(again);
    CHECK(again.error().is(Errc::already_exists));
    CHECK_FALSE(fs::exists(hub.dir / "second.txt"));
  }
}

TEST_CASE(
    "backup: one that is stopped or meets a full disk leaves nothing half, and the next one goes "
    "on from it") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  for (int i = 0; i < 4; ++i) writing.add(1000);
  SECTION("stopped") {
    int asked = 0;
    const auto stopped = hub.make({.stopped = [&] { return ++asked > 6; }});
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().is(Errc::closed));
  }
  SECTION("no room") {
    // A limit of the process stands for the disk's end: the file that crosses it is cut short.
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit tight{20'000, 20'000};
      if (::setrlimit(RLIMIT_FSIZE, &tight) != 0) ::_exit(2);
      const auto made = hub.make();
      ::_exit(made ? 3 : made.error().detail.find("cannot write") != std::string::npos ? 0 : 4);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(fs::is_empty(hub.folder / "backups"));
  for (const auto& [name, text] : tree(hub.folder / "chunks"))
    CHECK(fs::path(name).filename().string().size() == 64);
  const auto made = hub.make();
  REQUIRE(made);
  CHECK(made->number == 1);
  CHECK(hub.check().faults.empty());
}

TEST_CASE("restore: the folder is the hub as it was, under a new epoch each time") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  writing.add(500);
  Writing second(hub.store(), 2);
  second.add(20);
  REQUIRE(hub.store().put_backed_up({{writing.actor(), Sequence{7}}},
                                    storage::HubStore::BackedUp::raise));
  const auto made = hub.make();
  REQUIRE(made);
  const Hash digest = hub.store().reader()->digest("01-PPT").value();
  const Epoch epoch = hub.store().identity().epoch;
  writing.add(3);  // lost with the disk

  auto repository = backup::Repository::recover(hub.folder, hub.recovery_key(), hub.random).value();
  const auto manifest = repository.manifest(1);
  REQUIRE(manifest);
  std::uint64_t last = 0;
  const auto restore = [&](const char* name) {
    return backup::restore(repository, *manifest, hub.dir / name, hub.random,
                           [&](std::uint64_t bytes) {
                             CHECK(bytes >= last);
                             last = bytes;
                           });
  };
  std::set<std::string> epochs = {epoch.hex()};
  for (const char* name : {"restored", "restored again"}) {
    last = 0;
    const auto done = restore(name);
    INFO((done ? std::string() : done.error().message()));
    REQUIRE(done);
    CHECK(last == manifest->plain_bytes());
    CHECK(done->damaged.empty());
    CHECK(done->entries == made->entries);
    const fs::path path = hub.dir / name;
    for (const char* file : {"hub.json", "keys/hub.seed", "keys/ca.key", "keys/admin.token",
                             "keys/backup.key", "keys/recovery.pub", "keys/server.pem"})
      CHECK(content(path / file) == content(hub.path / file));
    const auto keys = load_keys(path);
    REQUIRE(keys);
    const auto stores = open_stores(path, *keys, hub.random);
    REQUIRE(stores);
    CHECK((*stores)[0].store->identity().epoch == (*stores)[1].store->identity().epoch);
    epochs.insert((*stores)[0].store->identity().epoch.hex());
    for (const OpenStore& store : *stores) {
      CHECK(storage::restored_at(*store.kv).value() == made->time);
      const auto report = store.store->reader()->verify([](std::uint64_t) {});
      INFO((report ? std::string() : report.error().message()));
      CHECK(report);
    }
    const auto reader = (*stores)[0].store->reader();
    CHECK(reader->digest("01-PPT").value() == digest);
    CHECK(reader->actor(writing.actor()).value()->head == Sequence{500});
    CHECK(reader->backed_up(writing.actor())->value == 7);
    CHECK(reader->counts()->records == 520);
    // It goes on with the same repository: the keys for it came along.
    CHECK(backup::Repository::open(hub.folder, hub.hub(), backup::load_backup_keys(path).value(),
                                   hub.random));
  }
  CHECK(epochs.size() == 3);

  const auto again = restore("restored");
  REQUIRE_FALSE(again);
  CHECK(again.error().is(Errc::already_exists));
}

TEST_CASE(
    "restore: damage in the repository is named and leaves no folder; the hub's own damage comes "
    "along and is told") {
  BackedHub hub;
  Writing writing(hub.store(), 1);
  writing.add(300);
  SECTION("a chunk is damaged") {
    REQUIRE(hub.make());
    flip_byte(first_chunk(hub.folder), 60);
    auto repository = hub.repository();
    const auto done = backup::restore(repository, repository.manifest(1).value(),
                                      hub.dir / "restored", hub.random, {});
    REQUIRE_FALSE(done);
    CHECK(done.error().detail.find(first_chunk(hub.folder).filename().string()) !=
          std::string::npos);
    for (const auto& entry : fs::directory_iterator(hub.dir.path()))
      CHECK(entry.path().filename().string().find("restor") == std::string::npos);
  }
  SECTION("a value of the store is damaged") {
    using namespace storage;
    Bytes key;
    Bytes value;
    REQUIRE(hub.open[0].kv->view([&](const KvRead& read) {
      return read.scan(hub_tables::kRecords, {}, {}, [&](BytesView k, BytesView v) {
        key = to_bytes(k);
        value = to_bytes(v);
        return Result<KvRead::Step>(KvRead::Step::stop);
      });
    }));
    value[value.size() / 2] ^= 1;
    REQUIRE(hub.open[0].kv->update(
        [&](KvWrite& write) { return write.put(hub_tables::kRecords, key, value); }));
    const auto made = hub.make();
    REQUIRE(made);
    REQUIRE(made->damaged.size() == 1);
    CHECK(made->damaged[0].find(to_hex(key)) != std::string::npos);
    const auto checked = hub.check();
    CHECK(checked.faults.empty());
    CHECK(checked.damaged.size() == 1);
    auto repository = hub.repository();
    const auto done = backup::restore(repository, repository.manifest(1).value(),
                                      hub.dir / "restored", hub.random, {});
    REQUIRE(done);
    CHECK(done->damaged.size() == 1);
  }
}

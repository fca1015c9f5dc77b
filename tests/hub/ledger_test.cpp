// The ledger beside the backups: what it carries from store to store, and what becomes of it on a bad disk.
#include "hub/backup/ledger.h"

#include "storage/hub_erase.h"
#include "storage/hub_holds.h"
#include "storage/hub_ledger.h"
#include "storage/hub_tables.h"
#include "storage/kv_hub_store.h"
#include "storage/memory_kv.h"
#include "tests/hub/backup_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

constexpr Instant kErasedAt{9'000};
constexpr std::size_t kRecords = 4;

/// A store in memory with a device's four records: two of them are alike to the byte, as a hub and its backup are.
struct Copy {
  storage::MemoryKv kv{storage::hub_tables::kTableCount};
  std::unique_ptr<storage::HubStore> store;
  std::unique_ptr<storage::HubReader> reader;
  std::unique_ptr<Writing> writing;
  bool closed = false;  ///< its writer takes nothing any more, as in a hub that ends

  explicit Copy(const HubId& hub) {
    const auto codec = [] {
      return std::make_unique<storage::ChecksumCodec>(crypto::SymmetricKey{},
                                                      wire::Dictionary::v1());
    };
    store = storage::open_hub_store(kv, codec, {hub, Epoch{}, StartId{}}).value();
    REQUIRE(store->put_unit({"01-PPT", "01-PPT", "enforcement"}));
    writing = std::make_unique<Writing>(*store, 1);
    writing->add(kRecords);
    reader = store->reader();
  }
  RecordId record(std::size_t n) const { return reader->ids_after({}, kRecords)->at(n); }
  bool holds(const RecordId& id) const { return reader->record(id)->has_value(); }
  std::size_t waiting() const { return reader->ledger()->waiting.size(); }
  std::uint64_t read() const { return reader->ledger()->read.number; }

  void erase(const RecordId& id) {
    storage::ErasureOrder order;
    order.records = {id};
    order.rules = {{"stop", {Instant{2'000}, "stop: 5 years"}}};
    order.references = [](const model::Record&) { return std::vector<RecordId>{}; };
    order.at = kErasedAt;
    order.author = "retention";
    REQUIRE(store->erase(order)->erased.size() == 1);
  }
  storage::HoldId hold(const RecordId& id, std::uint8_t name = 1) {
    storage::LegalHold hold;
    hold.id.bytes.fill(name);
    hold.record = id;
    hold.at = kErasedAt;
    hold.author = "prosecutor-3";
    hold.reason = "case 71";
    REQUIRE(store->add_hold(hold));
    return hold.id;
  }
  void lift(const storage::HoldId& id) {
    REQUIRE(store->lift_hold(id, {Instant{9'500}, "judge-1", "acquitted"}));
  }
  /// What of it the ledger is about: the list, the holds, and which records are there.
  std::string told() const {
    std::string text;
    for (const Bytes& entry : *reader->whole_ledger()) {
      // The place in the feed is each store's own.
      if (entry.front() == static_cast<std::uint8_t>(storage::LedgerKind::erased)) {
        auto erased = *storage::unpack_erased(BytesView(entry).subspan(1));
        erased.position = 0;
        text += "erased " + to_hex(storage::pack_erased(erased)) + "\n";
      } else {
        text += "hold " + to_hex(entry) + "\n";
      }
    }
    for (const RecordId& id : *reader->ids_after({}, 100)) text += "there " + to_text(id) + "\n";
    return text;
  }
};

struct Place : BackedHub {
  fs::path folder_of_ledger = folder / "ledger";

  Result<backup::Carried> carry(Copy& copy, bool append = true) {
    auto repo = repository();
    const backup::LedgerStore store{"enforcement",
                                    copy.reader.get(),
                                    [&copy](const std::function<void(storage::HubStore&)>& body) {
                                      if (!copy.closed) body(*copy.store);
                                    },
                                    {}};
    return backup::carry_ledger(repo, {store}, Instant{++clock}, append);
  }
  fs::path file(std::uint64_t number) const { return folder_of_ledger / std::to_string(number); }
  std::vector<backup::LedgerFile> files() {
    auto repo = repository();
    return backup::read_ledger_files(repo).value();
  }
  std::vector<std::string> faults() { return backup::ledger_faults(files()); }
  void write(std::uint64_t number, BytesView content) const {
    std::ofstream out(file(number), std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()),
              static_cast<std::streamsize>(content.size()));
  }
};

/// Three files: a record erased; another on hold; a third erased and the hold lifted.
struct Three : Place {
  Copy known{BackedHub::hub()};
  RecordId first = known.record(0);
  RecordId held = known.record(1);
  RecordId second = known.record(2);

  Three() {
    known.erase(first);
    REQUIRE(carry(known)->written == 1);
    const auto hold = known.hold(held);
    REQUIRE(carry(known)->written == 1);
    known.lift(hold);
    known.erase(second);
    REQUIRE(carry(known)->written == 2);
    REQUIRE(faults().empty());
    REQUIRE(known.waiting() == 0);
  }
};

bool mentions(const std::vector<std::string>& faults, const std::string& words) {
  return std::any_of(faults.begin(), faults.end(), [&](const std::string& fault) {
    return fault.find(words) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("ledger: nothing was erased: no folder, no file, no fault") {
  Place place;
  Copy copy(place.hub());
  CHECK(place.files().empty());
  CHECK(place.faults().empty());
  const auto carried = place.carry(copy);
  REQUIRE(carried.has_value());
  CHECK(carried->written == 0);
  CHECK(carried->faults.empty());
  CHECK_FALSE(fs::exists(place.folder_of_ledger));
  fs::create_directory(place.folder_of_ledger);  // an empty one is the same
  CHECK(place.faults().empty());
  CHECK(place.carry(copy)->written == 0);
  CHECK(place.files().empty());
}

TEST_CASE("ledger: a store that is older takes in all of it, once") {
  Three place;
  Copy older(place.hub());
  const auto taken = place.carry(older, false);
  REQUIRE(taken.has_value());
  CHECK(taken->faults.empty());
  CHECK(taken->taken.erased == 2);
  CHECK(taken->taken.holds == 2);  // put, and lifted
  CHECK(taken->taken.records.empty());
  CHECK(older.told() == place.known.told());
  CHECK_FALSE(older.holds(place.first));
  CHECK_FALSE(older.holds(place.second));
  CHECK(older.holds(place.held));
  CHECK(older.read() == 3);
  CHECK(older.waiting() == 0);
  const auto again = place.carry(older);
  REQUIRE(again.has_value());
  CHECK(again->taken.erased + again->taken.holds == 0);
  CHECK(again->written == 0);
  CHECK(place.files().size() == 3);
  // And goes on behind it.
  older.erase(place.held);
  CHECK(place.carry(older)->written == 1);
  CHECK(place.carry(place.known)->taken.erased == 1);
  CHECK(place.known.told() == older.told());
  CHECK(place.faults().empty());
}

TEST_CASE("ledger: the order of the files changes nothing, nor that one comes twice") {
  Three place;
  const auto files = place.files();
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    for (const bool twice : {false, true}) {
      INFO(order[0] << order[1] << order[2] << (twice ? " twice" : ""));
      Copy other(place.hub());
      for (int round = 0; round < (twice ? 2 : 1); ++round) {
        for (const std::size_t at : order) {
          REQUIRE(
              other.store->take_ledger(files[at].place, files[at].page->entries.at("enforcement")));
        }
      }
      CHECK(other.told() == place.known.told());
      CHECK(other.waiting() == 0);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE(
    "ledger: two entries for one record: what either covers is covered, and the list says so") {
  Three place;
  Copy other(place.hub());
  // Another life of the hub knew a change more of the first record when it erased it.
  auto known = **place.known.reader->erased(place.first);
  const ActorId stranger{0xEE};
  known.known.add({stranger, Sequence{7}});
  const Bytes entry =
      storage::pack_ledger_entry(storage::LedgerKind::erased, storage::pack_erased(known));
  const bool stranger_first = GENERATE(false, true);
  const storage::LedgerPlace somewhere{1, place.files()[0].place.hash};
  if (stranger_first) {
    REQUIRE(other.store->take_ledger(somewhere, {entry})->erased == 1);
    CHECK(place.carry(other, false)->taken.erased == 1);  // of the second record alone
  } else {
    CHECK(place.carry(other, false)->taken.erased == 2);
    CHECK(other.store->take_ledger(somewhere, {entry})->erased == 1);
  }
  const auto erased = **other.reader->erased(place.first);
  CHECK(erased.known.covers(known.known));
  CHECK(erased.at == kErasedAt);
  CHECK(other.reader->counts()->erased == 2);
  CHECK_FALSE(other.holds(place.first));
}

TEST_CASE("ledger: of a damaged file every byte is missed, and the others are taken in") {
  Three place;
  const std::string whole = content(place.file(2));
  const auto says = [&](const std::string& what) {
    const auto faults = place.faults();
    INFO(what);
    REQUIRE(faults.size() == 2);
    CHECK(mentions(faults, place.file(2).string() + ": "));
    // The next one names the hash of what stood there.
    CHECK(mentions(faults, place.file(3).string() + " does not follow the file before it"));
  };
  for (std::size_t at = 0; at < whole.size(); ++at) {
    flip_byte(place.file(2), at);
    says("byte " + std::to_string(at));
    flip_byte(place.file(2), at);
  }
  REQUIRE(place.faults().empty());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    place.write(2, as_bytes(whole).first(size));
    says("cut to " + std::to_string(size));
  }
  place.write(2, as_bytes(whole + "x"));
  says("one byte more");
  Copy older(place.hub());
  const auto taken = place.carry(older, false);
  REQUIRE(taken.has_value());
  CHECK(taken->faults.size() == 2);
  CHECK(taken->taken.erased == 2);
  CHECK_FALSE(older.holds(place.first));
  CHECK_FALSE(older.holds(place.second));
  CHECK(older.told() ==
        place.known.told());  // the third file has the hold, put and lifted, as a whole
}

TEST_CASE(
    "ledger: the end that is cut short, empty or gone is written anew by the store that knows it") {
  Three place;
  const std::string whole = content(place.file(3));
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, whole.size() / 2}) {
    place.write(3, as_bytes(whole).first(size));
    const auto faults = place.faults();
    REQUIRE(faults.size() == 1);
    CHECK(mentions(faults, "is cut short") == (size < 40));
  }
  fs::remove(place.file(3));
  CHECK(place.faults().empty());  // by the files alone nobody can know it
  const auto looked = place.carry(place.known, false);
  REQUIRE(looked->faults.size() == 1);
  CHECK(mentions(looked->faults, "its end is missing"));
  Copy older(place.hub());
  CHECK(place.carry(older, false)->taken.erased == 1);
  CHECK(older.holds(place.second));
  const auto anew = place.carry(place.known);
  REQUIRE(anew.has_value());
  CHECK(anew->written == 3);  // two records, one hold: its whole list
  CHECK(place.faults().empty());
  CHECK(place.carry(older)->taken.erased == 1);
  CHECK(older.told() == place.known.told());
  // All files gone, as in a new folder: the same.
  fs::remove_all(place.folder_of_ledger);
  CHECK(place.carry(place.known)->written == 3);
  Copy third(place.hub());
  place.carry(third, false).value();
  CHECK(third.told() == place.known.told());
}

TEST_CASE(
    "ledger: a file that is missing between others is named, and taken in when it is put back") {
  Three place;
  const std::uint64_t number = GENERATE(1, 2);
  const std::string whole = content(place.file(number));
  SECTION("missing") { fs::remove(place.file(number)); }
  SECTION("damaged") { flip_byte(place.file(number), whole.size() / 2); }
  CHECK(mentions(place.faults(), place.file(number).string()));
  Copy older(place.hub());
  const auto taken = place.carry(older, false);
  REQUIRE(taken.has_value());
  CHECK(older.holds(place.first) == (number == 1));
  CHECK_FALSE(older.holds(place.second));
  // The hub runs on that, erases more, and then the file comes back from a copy.
  older.erase(place.held);
  REQUIRE(place.carry(older)->written == 1);
  CHECK(older.waiting() == 0);
  place.write(number, as_bytes(whole));
  const auto back = place.carry(older);
  REQUIRE(back.has_value());
  CHECK(back->taken.erased == (number == 1 ? 1U : 0U));
  CHECK_FALSE(older.holds(place.first));
  CHECK(older.waiting() == 0);
  CHECK(place.carry(older)->taken.erased == 0);
}

TEST_CASE("ledger: a file opens under its own number, key and kind only") {
  Three place;
  auto repo = place.repository();
  const auto entry_of_nobody = [&](const Bytes& sealed, const std::string& words) {
    place.write(4, sealed);
    const auto faults = place.faults();
    REQUIRE(faults.size() == 1);
    CHECK(mentions(faults, place.file(4).string() + ": " + words));
    CHECK(place.carry(place.known)->taken.erased == 0);
  };
  const Bytes plain = to_bytes(as_bytes("anything"));
  SECTION("another number") {
    entry_of_nobody(to_bytes(as_bytes(content(place.file(3)))), "is not what was written");
  }
  SECTION("another hub's key") {
    crypto::SymmetricKey other;
    other.bytes.fill(9);
    backup::Vault vault(other, place.random);
    entry_of_nobody(vault.seal_ledger(4, plain), "is not what was written");
  }
  SECTION("a backup's list") {
    entry_of_nobody(repo.vault().seal_manifest(4, plain), "is no file of a Fieldpost backup");
  }
  SECTION("sealed well, and no page") {
    entry_of_nobody(repo.vault().seal_ledger(4, storage::Packer().u8(1).raw(plain).take()), "");
  }
  SECTION("sealed well, and cut in its entries") {
    const Bytes page =
        storage::Packer().u8(1).i64(5).id(Hash{}).u64(1).text("enforcement").u64(UINT64_MAX).take();
    entry_of_nobody(repo.vault().seal_ledger(4, page), "");
  }
  SECTION("of a newer version") {
    entry_of_nobody(repo.vault().seal_ledger(4, storage::Packer().u8(2).raw(plain).take()),
                    "was written by a newer version");
  }
  SECTION("a folder in its place") {
    fs::create_directory(place.file(4));
    const auto faults = place.faults();
    REQUIRE(faults.size() == 1);
    CHECK(mentions(faults, place.file(4).string()));
  }
}

TEST_CASE("ledger: what else lies in its folder is none of it") {
  Three place;
  for (const char* name :
       {"0", "01", "4x", "x4", "-4", "+4", "4.tmp", ".4", "99999999999999999999"})
    std::ofstream(place.folder_of_ledger / name) << "not a page";
  CHECK(place.faults().empty());
  CHECK(place.files().size() == 3);
  place.known.erase(place.held);
  CHECK(place.carry(place.known)->written == 1);
  CHECK(fs::exists(place.file(4)));
}

TEST_CASE(
    "ledger: a crash before or after the file has its name loses nothing and doubles nothing") {
  Three place;
  place.known.erase(place.held);
  SECTION("before: a file that has no name yet") {
    std::ofstream(place.folder_of_ledger / ".4.X7sQ1b") << content(place.file(1)).substr(0, 20);
    CHECK(place.faults().empty());
    CHECK(place.carry(place.known)->written == 1);
    CHECK(place.known.read() == 4);
  }
  SECTION("after: the store was not told any more") {
    place.known.closed = true;
    const auto cut = place.carry(place.known);
    REQUIRE_FALSE(cut.has_value());
    CHECK(cut.error().is(Errc::closed));
    REQUIRE(fs::exists(place.file(4)));
    place.known.closed = false;
    CHECK(place.known.waiting() == 1);  // as far as the store knows
    const auto next = place.carry(place.known);
    REQUIRE(next.has_value());
    CHECK(next->taken.erased == 0);  // its own word: nothing new
    CHECK(next->written == 1);       // once more, to be sure
    CHECK(place.known.read() == 5);
  }
  CHECK(place.known.waiting() == 0);
  CHECK(place.faults().empty());
  const auto after = place.carry(place.known);
  CHECK(after->written == 0);
  Copy older(place.hub());
  CHECK(place.carry(older, false)->taken.erased == 3);
  CHECK(older.told() == place.known.told());
}

TEST_CASE("ledger: what cannot be written waits, and is written when it can") {
  Place place;
  Copy hub(place.hub());
  hub.erase(hub.record(0));
  std::ofstream(place.folder_of_ledger) << "a file where the folder should be";
  const auto refused = place.carry(hub);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().detail.find(place.folder_of_ledger.string()) != std::string::npos);
  CHECK(hub.waiting() == 1);
  fs::remove(place.folder_of_ledger);
  CHECK(place.carry(hub)->written == 1);
  CHECK(hub.waiting() == 0);
}

TEST_CASE("ledger: each store takes its own entries, and two write one file") {
  Place place;
  Copy police(place.hub());
  Copy visits(place.hub());
  const RecordId one = police.record(0);
  const RecordId other = visits.record(1);
  police.erase(one);
  visits.erase(other);
  const auto store = [](const char* name, Copy& copy) {
    return backup::LedgerStore{
        name,
        copy.reader.get(),
        [&copy](const std::function<void(storage::HubStore&)>& body) { body(*copy.store); },
        {}};
  };
  auto repo = place.repository();
  const auto carried = backup::carry_ledger(
      repo, {store("enforcement", police), store("health", visits)}, Instant{1}, true);
  REQUIRE(carried.has_value());
  CHECK(carried->written == 2);
  CHECK(place.files().size() == 1);
  Copy older_police(place.hub());
  Copy older_visits(place.hub());
  std::vector<storage::ErasedRecord> heard;
  auto told = store("health", older_visits);
  told.erased = [&](const std::vector<storage::ErasedRecord>& records) { heard = records; };
  const auto taken =
      backup::carry_ledger(repo, {store("enforcement", older_police), told}, Instant{2}, false);
  REQUIRE(taken.has_value());
  CHECK(taken->taken.erased == 2);
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].id == other);
  CHECK(heard[0].position > 0);
  CHECK_FALSE(older_police.holds(one));
  CHECK(older_police.holds(other));
  CHECK_FALSE(older_visits.holds(other));
  CHECK(older_visits.holds(one));
}

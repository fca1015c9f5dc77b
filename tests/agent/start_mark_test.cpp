// A store put back or copied is noticed at start, wherever the process died before.
#include "agent/store/start_mark.h"

#include <fstream>

#include "keys/random.h"
#include "storage/kv_agent_store.h"
#include "storage/memory_kv.h"
#include "sync/recorder.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::agent;

namespace {

struct Place {
  test::TempDir folder;
  DataDirectory data{folder.path()};
  std::unique_ptr<storage::MemoryKv> kv =
      std::make_unique<storage::MemoryKv>(storage::kAgentTables);
  storage::PlainCodec codec;
  std::unique_ptr<storage::AgentStore> store;
  Hash machine = crypto::hash("machine", {as_bytes("here")});

  Place() {
    REQUIRE(crypto::init());
    open();
    REQUIRE(sync::ensure_actor(*store, HubId{}, DeviceId{}, keys::system_random()));
  }
  void open() { store = *storage::open_agent_store(*kv, codec); }
  void put_back(const storage::MemoryKv::Snapshot& snapshot) {
    store.reset();
    kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables, snapshot);
    open();
  }
  StartFound start() {
    auto found = mark_start(data, *store, HubId{}, DeviceId{}, machine, keys::system_random());
    REQUIRE(found);
    return *found;
  }
  std::size_t chains() const { return store->state().actors.size(); }
};

}  // namespace

TEST_CASE("an ordinary start notices nothing, however often") {
  Place place;
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(place.start().put_back);
    place.put_back(place.kv->snapshot());
  }
  CHECK(place.chains() == 1);
}

TEST_CASE("a store put back is noticed, gets one fresh chain, and is not noticed again") {
  Place place;
  place.start();
  const auto old = place.kv->snapshot();
  place.start();
  place.start();
  place.put_back(old);
  const StartFound found = place.start();
  CHECK(found.put_back);
  CHECK(found.words.find("older than start.json") != std::string::npos);
  CHECK(place.chains() == 2);
  CHECK_FALSE(place.start().put_back);
  CHECK(place.chains() == 2);
}

TEST_CASE("a file put back, lost or damaged beside a newer store is noticed, too") {
  Place place;
  place.start();
  std::filesystem::copy_file(place.data.start_mark(), place.folder / "old");
  place.start();
  place.start();
  SECTION("older") {
    std::filesystem::copy_file(place.folder / "old", place.data.start_mark(),
                               std::filesystem::copy_options::overwrite_existing);
  }
  SECTION("lost") { std::filesystem::remove(place.data.start_mark()); }
  SECTION("damaged") { std::ofstream(place.data.start_mark()) << "{\"starts\": -"; }
  CHECK(place.start().put_back);
  CHECK_FALSE(place.start().put_back);
}

TEST_CASE("data on another machine is noticed; a machine without a name proves nothing") {
  Place place;
  place.start();
  place.machine = Hash{};
  CHECK_FALSE(place.start().put_back);
  place.machine = crypto::hash("machine", {as_bytes("there")});
  CHECK_FALSE(place.start().put_back);  // the last start did not know where it was
  place.machine = crypto::hash("machine", {as_bytes("elsewhere")});
  CHECK(place.start().put_back);
}

TEST_CASE("a crash between the file and the store hides nothing and invents nothing") {
  const auto fate = GENERATE(storage::CommitFate::fail_before, storage::CommitFate::fail_after);
  Place place;
  place.start();
  const auto old = place.kv->snapshot();
  place.start();
  place.start();
  const bool restored = GENERATE(false, true);
  CAPTURE(static_cast<int>(fate), restored);
  if (restored) place.put_back(old);
  for (int crash = 0; crash < 3; ++crash) {
    place.kv->set_faults(storage::MemoryFaults::at(place.kv->commits() + 1, fate));
    CHECK_FALSE(mark_start(place.data, *place.store, HubId{}, DeviceId{}, place.machine,
                           keys::system_random()));
    place.put_back(place.kv->snapshot());
  }
  const bool noticed_in_a_crashed_start = place.chains() == 2;
  CHECK(place.start().put_back == (restored && !noticed_in_a_crashed_start));
  CHECK(place.chains() == (restored ? 2 : 1));
}

TEST_CASE("a disk without room stops no start") {
  Place place;
  place.start();
  place.kv->set_faults(
      {[](std::uint64_t, storage::UpdateKind) { return storage::CommitFate::full; }});
  CHECK_FALSE(place.start().put_back);
  place.kv->set_faults({});
  CHECK_FALSE(place.start().put_back);
  CHECK(place.chains() == 1);
}

TEST_CASE("a count that no tablet reaches does not wrap round and end the watch") {
  Place place;
  place.start();
  std::ofstream(place.data.start_mark()) << "{\"starts\": 18446744073709551615}";
  CHECK(place.start().put_back);
  CHECK(place.store->state().generation == 2);
  const auto old = place.kv->snapshot();
  CHECK_FALSE(place.start().put_back);
  place.start();
  place.put_back(old);
  CHECK(place.start().put_back);
}

// The tablet's store as the program opens it, with the tables that it names.
#include "agent/store/open_store.h"

#include "keys/random.h"
#include "sync/recorder.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;

namespace {

sync::EditRequest note_for(const std::string& unit, std::uint8_t name) {
  sync::EditRequest request;
  request.record.bytes.fill(name);
  request.type = "stop";
  request.unit = unit;
  request.edits = {{"witness", std::string("Chan Dara")}};
  request.author = "NP-2231";
  return request;
}

}  // namespace

// The name of the newest table was missing: such a tablet could neither record nor finish a sync.
TEST_CASE("a tablet whose unit was taken away keeps on the disk what is to be forgotten later") {
  REQUIRE(crypto::init());
  test::TempDir dir;
  const RandomSource random = keys::system_random();
  auto open = agent::open_store({dir.path()}, random, true);
  REQUIRE(open);
  storage::AgentStore& store = *open->store;
  HubId hub;
  hub.bytes.fill(7);
  REQUIRE(sync::ensure_actor(store, hub, DeviceId{}, random));
  storage::AgentStore::WelcomeFacts welcome;
  welcome.epoch.bytes.fill(1);
  welcome.welcome_id = 1;
  welcome.grants = {{"20-BVT"}};
  welcome.compartment = "enforcement";
  REQUIRE(store.welcome(welcome));
  for (std::uint8_t name = 1; name <= 2; ++name) {
    sync::ChangeBatch batch(store, {}, random);
    REQUIRE(batch.add(note_for("01-PPT", name)));
    const Status stored = batch.commit();
    INFO((stored ? std::string() : stored.error().message()));
    REQUIRE(stored);
  }
  const Status swept = store.forget_ungranted();
  INFO((swept ? std::string() : swept.error().message()));
  REQUIRE(swept);
  CHECK(store.state().ungranted == 2);
  REQUIRE(store.acknowledge(store.state().current()->actor, Sequence{2}, {}));
}

// One tablet and a hub: what was recorded offline arrives, once, and comes back to nobody who has it.
#include "base/limits.h"
#include "tests/support/catch.h"
#include "tests/support/sync_world.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

void check_equal(SyncWorld& world, Tablet& tablet) {
  CHECK(tablet.digest() == world.hub_digest(tablet.unit));
  const Status verified = world.verify_hub();
  INFO((verified ? std::string() : verified.error().message()));
  CHECK(verified.has_value());
}

std::uint64_t records_at_hub(SyncWorld& world, const std::string& unit) {
  return world.reader(unit).counts()->records;
}

}  // namespace

TEST_CASE("one record made offline reaches the hub") {
  SyncWorld world(1);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("direction", std::string("in"))});
  CHECK_FALSE(tablet.view(id).at_hub);
  CHECK(tablet.waiting() == 1);

  world.connect(tablet);
  CHECK_FALSE(tablet.in_sync());
  world.settle();

  CHECK(tablet.in_sync());
  CHECK(tablet.waiting() == 0);
  CHECK(tablet.view(id).at_hub);
  CHECK(records_at_hub(world, "PPT") == 1);
  CHECK(tablet.link->sent_down.states == 0);
  check_equal(world, tablet);
}

TEST_CASE("ten thousand records go up in few pushes, within the window, and do not come back") {
  SyncWorld world(2);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 10'000);
  world.connect(tablet);
  world.settle();
  CHECK(tablet.in_sync());
  CHECK(records_at_hub(world, "PPT") == 10'000);
  CHECK(tablet.link->sent_up.messages["push"] <= 12);
  CHECK(tablet.link->most_pushes_in_flight <= limits::kWindowPushes);
  CHECK(tablet.link->sent_down.states == 0);
  CHECK(tablet.link->sent_down.bytes < 4'000);
  check_equal(world, tablet);
}

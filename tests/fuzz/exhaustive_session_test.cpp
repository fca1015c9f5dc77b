// Every single flipped bit of the messages that carry a signature, fed to the session that waits for them: nothing
// of them is believed, and nothing is stored.
#include "tests/fuzz/counted_memory.h"
#include "tests/support/catch.h"
#include "tests/support/sync_world.h"

using namespace fieldpost;
using test::Connection;
using test::CountedMemory;
using test::field;
using test::frame_of;
using test::SyncWorld;
using test::Tablet;

namespace {

constexpr std::size_t kLargestAllocation = 256 * 1024;
constexpr std::size_t kAllAllocations = 1024 * 1024;

/// The message in a frame with bit number `bit` flipped, in a frame again.
Bytes flipped(BytesView frame, std::size_t bit) {
  Bytes message = *test::compressor().decode_frame(frame);
  message.at(bit / 8) ^= static_cast<std::uint8_t>(1U << bit % 8);
  return test::compressor().encode_frame(message);
}

std::size_t bits_of(BytesView frame) { return 8 * test::compressor().decode_frame(frame)->size(); }

template <class M>
bool is(BytesView frame) {
  return std::holds_alternative<M>(test::open_frame(frame).message);
}

struct World : SyncWorld {
  World() : SyncWorld(11) {
    count_traffic = false;
    tablet = &add_tablet("T07", "01-PPT");
    records.push_back(record(*tablet, {field("direction", std::string("entry"))}));
    sync(*tablet);
    cut(*tablet);
    REQUIRE(edit(*tablet, records[0], {field("direction", std::string("exit"))}));
    settle();
  }
  /// What of the hub is durable, or is to be.
  bool hub_untouched(std::uint64_t commits) {
    return hub_kv(0).commits() == commits && !writer_has_work();
  }
  Tablet* tablet = nullptr;
  std::vector<RecordId> records;
};

/// Feeds one frame within the bounds of memory.
template <class Feed>
void within_bounds(const Feed& feed) {
  test::Memory memory;
  {
    const CountedMemory counted;
    feed();
    memory = counted.so_far();
  }
  if (memory.largest > kLargestAllocation || memory.total > kAllAllocations)
    FAIL_CHECK("allocated " << memory.total << " bytes, " << memory.largest << " at once");
}

}  // namespace

TEST_CASE("a hello with any bit flipped greets nobody and leaves the hub as it was") {
  World world;
  Tablet& tablet = *world.tablet;
  std::size_t bits = 1;
  for (std::size_t bit = 0; bit < bits; ++bit) {
    world.connect(tablet);
    REQUIRE(world.move_down(tablet));  // the challenge, answered with hello
    const auto link = tablet.link;
    REQUIRE(is<wire::Hello>(link->up.front()));
    bits = bits_of(link->up.front());
    link->up.front() = flipped(link->up.front(), bit);
    const auto commits = world.hub_kv(0).commits();
    within_bounds([&] { world.move_up(link); });
    INFO("bit " << bit);
    if (link->hub->greeted() || !link->hub_closed || !world.hub_untouched(commits))
      FAIL_CHECK("the hub took something of it");
    world.cut(tablet);
    world.forget(link);
  }
  CHECK(bits > 1'000);
  world.sync(tablet);
  CHECK(tablet.in_sync());
}

TEST_CASE("a welcome with any bit flipped ends the connection and leaves the tablet as it was") {
  World world;
  Tablet& tablet = *world.tablet;
  std::size_t bits = 1;
  for (std::size_t bit = 0; bit < bits; ++bit) {
    world.connect(tablet);
    const auto link = tablet.link;
    REQUIRE(world.move_down(tablet));
    REQUIRE(world.move_up(link));
    REQUIRE(is<wire::Welcome>(link->down.front()));
    bits = bits_of(link->down.front());
    link->down.front() = flipped(link->down.front(), bit);
    const auto commits = tablet.kv->commits();
    within_bounds([&] { world.move_down(tablet); });
    INFO("bit " << bit);
    if (tablet.link || !tablet.closed || tablet.kv->commits() != commits)
      FAIL_CHECK("the tablet took something of it");
    world.cut(tablet);
    world.write(true);
    world.forget(link);
  }
  CHECK(bits > 1'000);
  world.sync(tablet);
  CHECK(tablet.in_sync());
}

TEST_CASE("a push with any bit flipped brings nothing to the writer") {
  World world;
  Tablet& tablet = *world.tablet;
  std::size_t bits = 1;
  for (std::size_t bit = 0; bit < bits; ++bit) {
    world.connect(tablet);
    const auto link = tablet.link;
    REQUIRE(world.move_down(tablet));
    REQUIRE(world.move_up(link));
    world.write(true);  // that the tablet was heard of
    REQUIRE(is<wire::Push>(link->up.front()));
    bits = bits_of(link->up.front());
    link->up.front() = flipped(link->up.front(), bit);
    const auto commits = world.hub_kv(0).commits();
    within_bounds([&] { world.move_up(link); });
    INFO("bit " << bit);
    if (world.batches_waiting() > 0 || !world.hub_untouched(commits))
      FAIL_CHECK("the hub took something of it");
    world.cut(tablet);
    world.forget(link);
  }
  CHECK(bits > 1'000);
  CHECK(tablet.waiting() == 1);
  world.sync(tablet);
  CHECK(tablet.in_sync());
}

TEST_CASE("a gap with any bit flipped moves no chain") {
  World world;
  Tablet& tablet = *world.tablet;
  const auto own = *tablet.store->state().current();
  wire::Gap gap{own.actor, own.acked.next(), own.head, Hash{}, {}};
  gap.hash.bytes.fill(0x66);
  wire::sign_gap(tablet.identity.key, tablet.identity.device, gap);
  const Bytes good = frame_of(gap);
  const auto greet = [&] {
    world.connect(tablet);
    const auto link = tablet.link;
    REQUIRE(world.move_down(tablet));
    REQUIRE(world.move_up(link));
    world.write(true);
    link->up.clear();
    REQUIRE(link->hub->greeted());
    return link;
  };
  const std::size_t bits = bits_of(good);
  for (std::size_t bit = 0; bit < bits; ++bit) {
    const auto link = greet();
    link->up.push_back(flipped(good, bit));
    const auto commits = world.hub_kv(0).commits();
    within_bounds([&] { world.move_up(link); });
    INFO("bit " << bit);
    if (world.batches_waiting() > 0 || !world.hub_untouched(commits))
      FAIL_CHECK("the hub took something of it");
    world.cut(tablet);
    world.forget(link);
  }
  CHECK(bits > 500);
  const auto link = greet();
  link->up.push_back(good);
  world.move_up(link);
  CHECK(world.batches_waiting() == 1);  // as it was signed, it does move the chain
}

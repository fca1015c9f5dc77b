// What a hub does for questions about a chain's hashes: no more than a search needs, whatever is asked.
#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr std::size_t kChanges = 250;

/// A greeted session of a tablet whose chain the hub has, of one push: hashes stand at its end only.
struct Asking {
  SyncWorld world;
  Tablet& tablet;
  ActorId actor;

  Asking(std::uint64_t seed, std::size_t steps)
      : world(seed), tablet(world.add_tablet("T01", "PPT")) {
    world.set_hash_steps(steps);
    tablet.estimate.push_bytes = limits::kPushTargetBytes;
    world.record_many(tablet, kChanges);
    world.sync(tablet);
    actor = tablet.store->state().current()->actor;
    REQUIRE(changes_at_hub(world, "PPT") == kChanges);
    std::size_t ends = 0;
    for (std::size_t n = 1; n <= kChanges; ++n)
      ends += world.reader("PPT").hash_at(actor, Sequence{n})->has_value() ? 1 : 0;
    REQUIRE(ends == 1);
    world.cut(tablet);
    greet(world, tablet);
    tablet.link->up.clear();
    tablet.link->down.clear();
  }
  /// The hub's answer to a question for every change.
  wire::Message ask(std::vector<Sequence> counters) {
    tablet.link->up.push_back(frame_of(wire::HashQuery{actor, std::move(counters)}));
    world.move_up(tablet);
    REQUIRE_FALSE(tablet.link->down.empty());
    wire::Message answer = open_frame(tablet.link->down.back()).message;
    tablet.link->down.clear();
    return answer;
  }
  static std::vector<Sequence> all() {
    std::vector<Sequence> counters;
    for (std::size_t n = 1; n <= kChanges; ++n) counters.push_back(Sequence{n});
    return counters;
  }
};

}  // namespace

TEST_CASE("a question for every change of one push is answered in one walk along it") {
  Asking asking(710, 2 * kChanges);
  const auto answer = asking.ask(Asking::all());
  REQUIRE(std::holds_alternative<wire::HashReply>(answer));
  const auto& hashes = std::get<wire::HashReply>(answer).hashes;
  REQUIRE(hashes.size() == kChanges);
  for (const wire::ActorHead& one : hashes)
    CHECK(one.hash == **asking.tablet.store->chain_hash(asking.actor, one.head));
}

TEST_CASE("questions that cost more than a search needs end the session, with busy") {
  Asking asking(711, 4 * kChanges);
  std::size_t answered = 0;
  for (; answered < 64; ++answered) {
    const auto answer = asking.ask({Sequence{kChanges - 1}});
    if (std::holds_alternative<wire::HashReply>(answer)) continue;
    REQUIRE(std::holds_alternative<wire::ErrorMessage>(answer));
    CHECK(std::get<wire::ErrorMessage>(answer).code == wire::ErrorCode::busy);
    break;
  }
  CHECK(answered > 0);
  CHECK(answered <= 5);
  CHECK(asking.tablet.link->hub_closed);
  // The next connection is served as ever.
  asking.world.cut(asking.tablet);
  heal_and_check(asking.world);
}

TEST_CASE("a search over a real fork stays within the bound") {
  SyncWorld world(712);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.set_hash_steps(2 * 2'000);
  world.record_many(tablet, 1'000);
  world.sync(tablet);
  world.cut(tablet);
  const auto before = tablet.kv->snapshot();
  world.record_many(tablet, 1'000);
  world.sync(tablet);
  world.cut(tablet);
  put_back(world, tablet, before);
  world.record_many(tablet, 3);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 2'003);
}

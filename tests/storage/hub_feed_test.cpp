// Marks of a unit's feed: which past of a store a place is of.
#include "storage/hub_feed.h"

#include "tests/storage/hub_store_fixture.h"

using namespace fieldpost;
using namespace fieldpost::test::hub_fixture;

namespace {

FeedEnd end_of(const Hub& hub) { return *hub.store->reader()->marked_feed_end("PPT"); }

FeedPast past_of(const Hub& hub, const FeedEnd& end) {
  return *hub.store->reader()->feed_past(hub.store->identity().start, "PPT", end);
}

/// One commit of one new record with this note.
FeedEnd write_one(Hub& hub, std::uint8_t name, const std::string& note) {
  IncomingBatch batch = hub.begin();
  hub.add(batch, Hub::record(name), {}, {}, note);
  const auto done = hub.store->apply({hub.finish(std::move(batch))});
  REQUIRE(done.has_value());
  return end_of(hub);
}

/// Takes the store back to what it was, and what the fixture knows of its chain.
class Rollback {
 public:
  explicit Rollback(Hub& hub)
      : hub_(hub), disk_(hub.memory().snapshot()), chain_(hub.chain), head_(hub.head) {}
  void back() const {
    hub_.store.reset();
    hub_.kv = std::make_unique<MemoryKv>(hub_tables::kTableCount, disk_);
    hub_.chain = chain_;
    hub_.head = head_;
    hub_.open();
  }

 private:
  Hub& hub_;
  MemoryKv::Snapshot disk_;
  Hash chain_;
  Sequence head_;
};

}  // namespace

TEST_CASE("hub store: each commit leaves its end of the feed marked, over starts and engines") {
  Hub hub(any_engine());
  CHECK(end_of(hub).position == 0);
  CHECK(past_of(hub, {}) == FeedPast::ours);
  const FeedEnd one = write_one(hub, 1, "one");
  const FeedEnd two = write_one(hub, 2, "two");
  CHECK(one.position == 1);
  CHECK(two.position == 2);
  CHECK(one.mark != two.mark);
  const StartId first = hub.store->identity().start;
  hub.reopen();
  CHECK(end_of(hub).mark == two.mark);
  for (const FeedEnd& end : {one, two}) {
    CHECK(past_of(hub, end) == FeedPast::ours);
    CHECK(*hub.store->reader()->feed_past(first, "PPT", end) == FeedPast::ours);
    CHECK(past_of(hub, {end.position, end.mark + 1}) == FeedPast::another);
  }
  CHECK(past_of(hub, {3, two.mark}) == FeedPast::another);
  StartId unknown;
  unknown.bytes.fill(0xEE);
  CHECK(*hub.store->reader()->feed_past(unknown, "PPT", one) == FeedPast::another);
  CHECK(*hub.store->reader()->feed_past(first, "BTB", one) == FeedPast::another);
}

TEST_CASE("hub store: two pasts that fill one place with different things have different marks") {
  Hub hub(Engine::memory);
  write_one(hub, 1, "before");
  const Rollback rollback(hub);
  const std::uint8_t salt = hub.salt;
  const FeedEnd one = write_one(hub, 2, "one");
  const FeedEnd later = write_one(hub, 3, "later");
  SECTION("another record") {
    rollback.back();
    const FeedEnd two = write_one(hub, 4, "one");
    CHECK(two.position == one.position);
    CHECK(past_of(hub, one) == FeedPast::another);
    write_one(hub, 3, "later");
    CHECK(past_of(hub, later) == FeedPast::another);
  }
  SECTION("the same record, saying something else") {
    rollback.back();
    hub.salt = salt;
    write_one(hub, 2, "two");
    CHECK(past_of(hub, one) == FeedPast::another);
  }
  SECTION("the very same") {
    rollback.back();
    hub.salt = salt;
    CHECK(write_one(hub, 2, "one").mark == one.mark);
    CHECK(past_of(hub, one) == FeedPast::ours);
    CHECK(past_of(hub, later) == FeedPast::another);  // not yet
  }
  SECTION("a tablet's copy that is kept for an operator") {
    rollback.back();
    model::Record lost = model::empty_record(Hub::record(9), "stop", "PPT");
    lost.vv = vector_of(ActorId{0xB7}, 3);
    REQUIRE(hub.store->stage({{hub.device, Instant{1}, lost}}));
    CHECK(end_of(hub).position == one.position);
    CHECK(past_of(hub, one) == FeedPast::another);
    const FeedEnd staged = end_of(hub);
    rollback.back();
    lost.vv = vector_of(ActorId{0xB7}, 4);
    REQUIRE(hub.store->stage({{hub.device, Instant{1}, lost}}));
    CHECK(past_of(hub, staged) == FeedPast::another);
  }
  CHECK(past_of(hub, {1, 0}) == FeedPast::another);
  hub.verify();
}

TEST_CASE("hub store: marks far behind the end are forgotten, which is no proof of a lost past") {
  Hub hub(any_engine());
  const FeedEnd old = write_one(hub, 1, "old");
  const auto move_to = [&](std::uint64_t position) {
    REQUIRE(hub.kv->update([&](KvWrite& write) -> Status {
      FP_TRY(const FeedEnd end, read_feed_end(write, "PPT"));
      return move_feed_end(write, "PPT", end, position, as_bytes("many"));
    }));
  };
  move_to(old.position + kPlacesMarked);
  CHECK(past_of(hub, old) == FeedPast::ours);
  const FeedEnd recent = end_of(hub);
  move_to(old.position + kPlacesMarked + 1);
  CHECK(past_of(hub, old) == FeedPast::forgotten);
  CHECK(past_of(hub, recent) == FeedPast::ours);
  CHECK(past_of(hub, {recent.position - 1, 7}) == FeedPast::another);
  std::uint64_t kept = 0;
  REQUIRE(hub.kv->view([&](const KvRead& read) -> Status {
    FP_TRY(kept, read.count(hub_tables::kFeedEnds));
    return {};
  }));
  CHECK(kept == 3);  // the end, and the marks of the last two commits
}

TEST_CASE("hub store: an end that a program without marks left gets one when the store opens") {
  Hub hub(any_engine());
  const FeedEnd before = write_one(hub, 1, "one");
  REQUIRE(hub.kv->update([&](KvWrite& write) -> Status {
    FP_CHECK_OK(write.erase(hub_tables::kFeedEnds, hub_tables::feed_key("PPT", before.position)));
    for (const char* unit : {"BTB", "PPT", "PPT-2"})
      FP_CHECK_OK(
          write.put(hub_tables::kFeedEnds, as_bytes(unit), Packer().u64(before.position).bytes()));
    return {};
  }));
  hub.reopen();
  const FeedEnd now = end_of(hub);
  CHECK(now.position == before.position);
  CHECK(now.mark != 0);
  CHECK(past_of(hub, now) == FeedPast::ours);
  for (const char* unit : {"BTB", "PPT-2"}) {
    const FeedEnd other = *hub.store->reader()->marked_feed_end(unit);
    CHECK(other.position == before.position);
    CHECK(other.mark != now.mark);
  }
  hub.reopen();
  CHECK(end_of(hub).mark == now.mark);
  CHECK(past_of(hub, now) == FeedPast::ours);
}

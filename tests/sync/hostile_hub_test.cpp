// What a tablet withstands from a hub that lies, is broken, or went back in time: it ends the session with
// a sentence, and what it holds is as it was.
#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// All of a tablet that a hub's word could spoil.
struct Kept {
  Hash digest;
  std::uint64_t waiting = 0;
  std::uint64_t welcome = 0;
  std::uint64_t records = 0;
  std::vector<wire::UnitCursor> cursors;
  std::vector<wire::ChangeException> exceptions;
  Sequence acked;
  friend bool operator==(const Kept&, const Kept&) = default;

  static Kept of(const Tablet& tablet) {
    const storage::AgentState& state = tablet.store->state();
    return {tablet.digest(),       state.waiting,
            state.welcome_id,      tablet.store->counts()->records,
            state.cursors,         *tablet.store->exceptions(),
            state.current()->acked};
  }
};

/// The hub says this, and nothing else, to a connected tablet.
void say(SyncWorld& world, Tablet& tablet, const wire::Message& message) {
  REQUIRE(tablet.link);
  tablet.link->down.clear();
  tablet.link->down.push_back(frame_of(message));
  world.move_down(tablet);
}

/// A tablet in sync with two records and one that waits, and another tablet's work to lie about.
struct Lied {
  SyncWorld world;
  Tablet& tablet;
  RecordId known;
  RecordId waiting;
  ActorId actor;
  Kept before;

  explicit Lied(std::uint64_t seed) : world(seed), tablet(world.add_tablet("T01", "PPT")) {
    known = world.record_many(tablet, 2).front();
    world.sync(tablet);
    REQUIRE(tablet.in_sync());
    waiting = world.record(tablet, {field("note", std::string("not at the hub"))});
    actor = tablet.store->state().current()->actor;
    before = Kept::of(tablet);
    REQUIRE(before.waiting == 1);
  }

  void say(const wire::Message& message) { test_say(message); }
  void check_refused(Errc code) {
    REQUIRE(tablet.closed);
    INFO(tablet.closed->message());
    CHECK(tablet.closed->is(code));
    CHECK_FALSE(tablet.closed->detail.empty());
    CHECK_FALSE(tablet.link);
    CHECK(Kept::of(tablet) == before);
    heal_and_check(world);  // an honest hub is met as if nothing had been
  }
  wire::ChangeException exception(ActorId of, Sequence counter, const RecordId& record) const {
    return {of, counter, record, wire::ExceptionKind::unauthorised, "not_granted", "", "no"};
  }
  /// A record as another writer of this unit might have made it.
  model::Record foreign_record(std::uint8_t name) const {
    model::Change change;
    change.record.bytes.fill(name);
    change.dot = {ActorId{0xB0B}, {1}};
    change.type = "stop";
    change.unit = "PPT";
    change.edits = {field("note", std::string("of another"))};
    change.author = "bob";
    model::Record record = model::empty_record(change.record, "stop", "PPT");
    REQUIRE(model::apply(record, change) == model::Applied::applied);
    return record;
  }
  void deliver(std::vector<Bytes> states) {
    test_say(wire::Deliver{"PPT", Bytes{1, 2, 3}, std::move(states), true});
  }

 private:
  void test_say(const wire::Message& message) { ::say(world, tablet, message); }
};

Bytes bytes_of(const model::Record& record) { return *wire::encode_record(record); }

wire::StateChunk chunk_of(const model::Record& record, std::size_t from, std::size_t to) {
  const Bytes state = bytes_of(record);
  wire::StateChunk chunk;
  chunk.unit = "PPT";
  chunk.record = record.id;
  chunk.digest = wire::state_digest(state);
  chunk.total_bytes = state.size();
  chunk.offset = from;
  chunk.bytes = to_bytes(BytesView(state).subspan(from, std::min(to, state.size()) - from));
  return chunk;
}

/// The hub's honest welcome to a tablet that connects, to be changed and signed again with the hub's key.
struct Greeting {
  wire::Challenge challenge;
  wire::Hello hello;
  wire::Welcome welcome;

  Greeting(SyncWorld& world, Tablet& tablet) {
    world.connect(tablet);
    challenge = std::get<wire::Challenge>(open_frame(tablet.link->down.front()).message);
    world.move_down(tablet);
    hello = std::get<wire::Hello>(open_frame(tablet.link->up.front()).message);
    move_up_through(world, tablet, "hello");
    welcome = std::get<wire::Welcome>(open_frame(tablet.link->down.front()).message);
  }
  void give(SyncWorld& world, Tablet& tablet) const {
    tablet.link->down.clear();
    tablet.link->down.push_back(compressor().encode_frame(
        wire::encode_welcome(welcome, challenge, hello, tablet.link->binding, world.hub_key())));
    world.move_down(tablet);
  }
};

}  // namespace

TEST_CASE("a verdict on a change that was never sent, or on another's, is not believed") {
  Lied lied(60);
  wire::Ack ack{lied.actor, lied.before.acked, {}};
  SECTION("on a chain that is not this tablet's") {
    ack.exceptions = {lied.exception(ActorId{0xB0B}, {1}, lied.known)};
    lied.say(ack);
    lied.check_refused(Errc::chain_broken);
  }
  SECTION("an acknowledgement of a chain that is not this tablet's") {
    lied.say(wire::Ack{ActorId{0xB0B}, {1}, {}});
    lied.check_refused(Errc::chain_broken);
  }
  SECTION("on a change beyond the acknowledged head") {
    ack.exceptions = {lied.exception(lied.actor, ack.head.next(), lied.waiting)};
    lied.say(ack);
    lied.check_refused(Errc::chain_broken);
  }
  SECTION("on a change that will be made tomorrow") {
    ack.exceptions = {lied.exception(lied.actor, {4711}, lied.waiting)};
    lied.say(ack);
    lied.check_refused(Errc::chain_broken);
  }
  SECTION("under the name of another record") {
    ack.exceptions = {lied.exception(lied.actor, {1}, lied.waiting)};
    lied.say(ack);
    lied.check_refused(Errc::malformed);
  }
  SECTION("one good verdict beside a bad one is not stored either") {
    ack.exceptions = {lied.exception(lied.actor, {1}, lied.known),
                      lied.exception(lied.actor, {4711}, lied.known)};
    lied.say(ack);
    lied.check_refused(Errc::chain_broken);
  }
}

TEST_CASE("the same acknowledgement twice, and an old one late, change nothing") {
  Lied lied(61);
  lied.world.settle();
  REQUIRE(lied.tablet.in_sync());
  const Kept before = Kept::of(lied.tablet);
  for (std::uint64_t head : {3, 3, 1, 0, 3}) {
    lied.say(wire::Ack{lied.actor, {head}, {}});
    REQUIRE(lied.tablet.link);
    CHECK(Kept::of(lied.tablet) == before);
    CHECK(lied.tablet.in_sync());
  }
  heal_and_check(lied.world);
}

TEST_CASE("a welcome answers for every chain once, in order, and for no other") {
  Lied lied(62);
  Greeting greeting(lied.world, lied.tablet);
  auto& verdicts = greeting.welcome.verdicts;
  REQUIRE(verdicts.size() == 1);
  Errc expected = Errc::malformed;
  SECTION("no verdict") { verdicts.clear(); }
  SECTION("the same verdict twice") { verdicts.push_back(verdicts.front()); }
  SECTION("a verdict on another chain") { verdicts.front().actor = ActorId{0xB0B}; }
  SECTION("a verdict on another chain beside it") {
    verdicts.push_back(verdicts.front());
    verdicts.back().actor = ActorId{0xB0B};
  }
  SECTION("less than was acknowledged: the hub was put back to an older copy") {
    verdicts.front().head = Sequence{1};
    verdicts.front().hash = **lied.tablet.store->chain_hash(lied.actor, Sequence{1});
    expected = Errc::chain_broken;
  }
  SECTION("nothing of what was acknowledged") {
    verdicts.front() = {lied.actor, wire::VerdictKind::unknown, {}, {}, {}};
    expected = Errc::chain_broken;
  }
  SECTION("an exception for a change that was never sent") {
    greeting.welcome.exceptions = {lied.exception(lied.actor, {4711}, lied.known)};
    expected = Errc::chain_broken;
  }
  SECTION("an exception on a chain that is not this tablet's") {
    greeting.welcome.exceptions = {lied.exception(ActorId{0xB0B}, {1}, lied.known)};
    expected = Errc::chain_broken;
  }
  greeting.give(lied.world, lied.tablet);
  lied.check_refused(expected);
}

TEST_CASE(
    "a verdict that knows another or a longer history is gone apart from, and nothing is lost") {
  Lied lied(63);
  Greeting greeting(lied.world, lied.tablet);
  wire::Verdict& verdict = greeting.welcome.verdicts.front();
  enum class Says { other_hash, longer, foreign };
  const auto says = GENERATE(Says::other_hash, Says::longer, Says::foreign);
  enum class Then { wrong_chain, wrong_counter, nothing_known };
  const auto then = GENERATE(Then::wrong_chain, Then::wrong_counter, Then::nothing_known);
  CAPTURE(static_cast<int>(says), static_cast<int>(then));
  if (says == Says::other_hash) verdict.hash.bytes[0] ^= 1;
  if (says == Says::longer) verdict.head = Sequence{99};
  if (says == Says::foreign) verdict.kind = wire::VerdictKind::foreign;
  // What it says of such a history is not this tablet's to keep.
  greeting.welcome.exceptions = {lied.exception(lied.actor, {1}, lied.known),
                                 lied.exception(lied.actor, {98}, lied.known)};
  greeting.give(lied.world, lied.tablet);
  if (says == Says::foreign) {
    // Nothing to ask: what was acknowledged stays, the rest is written anew.
    CHECK(lied.tablet.store->state().find(lied.actor)->closed);
    CHECK(lied.tablet.waiting() == 1);
  } else {
    // It asks where the histories part, and takes nothing in until it knows.
    REQUIRE(lied.tablet.link);
    CHECK(Kept::of(lied.tablet).digest == lied.before.digest);
    CHECK_FALSE(lied.tablet.in_sync());
    const auto question = open_frame(lied.tablet.link->up.back());
    REQUIRE(std::holds_alternative<wire::HashQuery>(question.message));
    if (then == Then::wrong_chain) lied.say(wire::HashReply{ActorId{0xB0B}, {}});
    if (then == Then::wrong_counter)
      lied.say(wire::HashReply{lied.actor, {{lied.actor, {4711}, Hash{}}}});
    if (then == Then::nothing_known) lied.say(wire::HashReply{lied.actor, {}});
    REQUIRE(lied.tablet.closed);
    if (then == Then::nothing_known) {
      // Nothing is common: everything is written anew.
      CHECK(lied.tablet.store->state().find(lied.actor)->head == Sequence{});
      CHECK(lied.tablet.waiting() == 3);
    } else {
      CHECK(lied.tablet.closed->is(Errc::malformed));
      CHECK(lied.tablet.store->state().current()->actor == lied.actor);
    }
  }
  REQUIRE(lied.tablet.closed);
  CHECK_FALSE(lied.tablet.closed_for_good);
  CHECK(lied.tablet.store->exceptions()->empty());
  CHECK(lied.tablet.store->counts()->records == 3);
  CHECK(lied.tablet.store->verify([](std::uint64_t) {}));
  heal_and_check(lied.world);
  CHECK(lied.tablet.view(lied.waiting).at_hub);
}

TEST_CASE("a window that no tablet could fill is not filled") {
  SyncWorld world(64);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 1);
  world.sync(tablet);
  tablet.estimate.push_bytes = sync::LinkEstimate::kPushBytesMin;
  world.cut(tablet);
  world.record_many(tablet, 2'000);
  Greeting greeting(world, tablet);
  greeting.welcome.window_pushes = 0xFFFFFFFF;
  greeting.welcome.window_bytes = 0xFFFFFFFF;
  greeting.give(world, tablet);
  REQUIRE(tablet.link);
  CHECK(tablet.link->agent->pushes_in_flight() == limits::kWindowPushes);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 2'001);
}

TEST_CASE("a cursor that goes backwards costs a repetition, nothing else") {
  SyncWorld world(65);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  world.record_many(other, 3);
  world.sync(other);
  world.sync(tablet);
  const Bytes early = tablet.store->state().cursors.front().cursor;
  world.record_many(other, 3);
  world.settle();
  REQUIRE(tablet.in_sync());
  const Hash digest = tablet.digest();
  const std::uint64_t records = tablet.store->counts()->records;
  SECTION("to an earlier one") { say(world, tablet, wire::Deliver{"PPT", early, {}, true}); }
  SECTION("to one that nobody gave out") {
    say(world, tablet, wire::Deliver{"PPT", Bytes(limits::kCursorBytesMax, 7), {}, true});
  }
  REQUIRE(tablet.link);
  CHECK(tablet.digest() == digest);
  world.cut(tablet);
  world.sync(tablet);
  CHECK(tablet.in_sync());
  CHECK(tablet.last_link->sent_down.states >= 3);
  CHECK(tablet.digest() == digest);
  CHECK(tablet.store->counts()->records == records);
  heal_and_check(world);
}

TEST_CASE("delivered states that are not whole, canonical and of this unit are not taken in") {
  Lied lied(66);
  const Bytes good = bytes_of(lied.foreign_record(0x51));
  Bytes bad = good;
  Errc expected = Errc::malformed;
  SECTION("cut short") { bad.resize(bad.size() - 1); }
  SECTION("with something behind it") { bad.push_back(0xC0); }
  SECTION("empty") { bad.clear(); }
  SECTION("garbage") { bad.assign(good.size(), 0xC1); }
  SECTION("of another unit") {
    model::Record record = lied.foreign_record(0x52);
    record.unit = "BTB";
    bad = bytes_of(record);
  }
  SECTION("of a record that the tablet has under another type") {
    model::Record record = model::empty_record(lied.known, "seizure", "PPT");
    record.vv.add({ActorId{0xB0B}, {1}});
    bad = bytes_of(record);
    expected = Errc::conflict;
    // An own record is in the base only once somebody else has touched it.
    Tablet& other = lied.world.add_tablet("T02", "PPT");
    lied.world.sync(other);
    CHECK(lied.world.edit(other, lied.known, {field("plate", std::string("2A-1"))}));
    lied.world.settle();
    lied.waiting = lied.world.record(lied.tablet, {field("note", std::string("waits, too"))});
    lied.before = Kept::of(lied.tablet);
  }
  SECTION("with own changes that this tablet never made") {
    model::Record record = lied.foreign_record(0x52);
    record.vv.add({lied.actor, {4711}});
    bad = bytes_of(record);
    expected = Errc::closed;  // the next verdict says what became of its chain
  }
  SECTION("with own changes that were not acknowledged yet") {
    model::Record record = lied.foreign_record(0x52);
    record.vv.add({lied.actor, lied.before.acked.next()});
    bad = bytes_of(record);
    expected = Errc::closed;
  }
  // The good one beside it must not go in alone: the cursor would pass over the other.
  lied.deliver({good, bad});
  lied.check_refused(expected);
}

TEST_CASE("a record of the other compartment is refused, one of a type yet unknown is kept") {
  Lied lied(67);
  lied.tablet.identity.foreign_types = {"visit"};
  model::Record record = lied.foreign_record(0x51);
  SECTION("a visit at a checkpoint") {
    record.type = "visit";
    lied.deliver({bytes_of(record)});
    lied.check_refused(Errc::unauthorised);
  }
  SECTION("a visit in chunks") {
    record.type = "visit";
    lied.say(chunk_of(record, 0, 1 << 20));
    lied.deliver({});
    lied.check_refused(Errc::unauthorised);
  }
  SECTION("what a newer form made") {
    record.type = "patrol";
    lied.deliver({bytes_of(record)});
    REQUIRE(lied.tablet.link);
    CHECK(lied.tablet.view(record.id).record == record);
  }
}

TEST_CASE("chunks that do not give the state they announce are not taken in") {
  Lied lied(68);
  const model::Record record = lied.foreign_record(0x51);
  const std::size_t size = bytes_of(record).size();
  const std::size_t half = size / 2;
  wire::StateChunk first = chunk_of(record, 0, half);
  wire::StateChunk second = chunk_of(record, half, size);
  bool at_once = true;  ///< refused before the deliver that ends the record
  SECTION("the second before the first") { std::swap(first, second); }
  SECTION("a hole between them") { second.offset += 1; }
  SECTION("an overlap") { second.offset -= 1; }
  SECTION("another total") { second.total_bytes += 1; }
  SECTION("another digest") { second.digest.bytes[0] ^= 1; }
  SECTION("more than was announced") { second.bytes.push_back(0); }
  SECTION("a total above what a record may have") {
    first.total_bytes = second.total_bytes = limits::kRecordBytesMax + 1;
  }
  SECTION("a byte changed in the first") {
    first.bytes[half / 2] ^= 1;
    at_once = false;
  }
  SECTION("a byte changed in the second") {
    second.bytes.back() ^= 1;
    at_once = false;
  }
  SECTION("under the id of another record") {
    first.record.bytes[0] ^= 1;
    second.record.bytes[0] ^= 1;
    at_once = false;
  }
  SECTION("never finished") {
    second = first;
    second.offset = first.bytes.size();
    second.bytes.clear();
    at_once = false;
  }
  if (at_once) {
    lied.say(first);
    if (lied.tablet.link) lied.say(second);
  } else {
    lied.say(first);
    if (!second.bytes.empty()) lied.say(second);
    lied.deliver({});
  }
  lied.check_refused(Errc::malformed);
}

TEST_CASE("every byte of a chunked state counts") {
  const model::Record record = Lied(69).foreign_record(0x51);
  const std::size_t size = bytes_of(record).size();
  for (std::size_t at = 0; at < size; ++at) {
    Lied lied(69);
    wire::StateChunk chunk = chunk_of(record, 0, size);
    chunk.bytes[at] ^= static_cast<std::uint8_t>(1 + lied.world.dice().below(255));
    lied.say(chunk);
    lied.deliver({});
    REQUIRE(lied.tablet.closed);
    CHECK(lied.tablet.closed->is(Errc::malformed));
    CHECK(Kept::of(lied.tablet) == lied.before);
  }
}

TEST_CASE("chunks of more records than a hub may begin at once are refused, not gathered") {
  Lied lied(70);
  std::size_t begun = 0;
  while (lied.tablet.link && begun < 100) {
    const model::Record record = lied.foreign_record(static_cast<std::uint8_t>(++begun));
    lied.say(chunk_of(record, 0, 10));
  }
  CHECK(begun == 17);
  lied.check_refused(Errc::malformed);
}

TEST_CASE("a rewind below what was acknowledged, or onto another history, is refused") {
  Lied lied(71);
  const auto hash = [&](std::uint64_t n) {
    return **lied.tablet.store->chain_hash(lied.actor, Sequence{n});
  };
  SECTION("below") { lied.say(wire::Rewind{lied.actor, {1}, hash(1)}); }
  SECTION("to nothing") { lied.say(wire::Rewind{lied.actor, {0}, {}}); }
  // A copy of this tablet may be alive: the next welcome's verdict says what to do.
  Errc expected = Errc::chain_broken;
  SECTION("beyond the tablet's head") {
    expected = Errc::closed;
    lied.say(wire::Rewind{lied.actor, {4711}, hash(1)});
  }
  SECTION("another history") {
    expected = Errc::closed;
    lied.say(wire::Rewind{lied.actor, {2}, hash(1)});
  }
  SECTION("another chain") { lied.say(wire::Rewind{ActorId{0xB0B}, {2}, hash(2)}); }
  lied.check_refused(expected);
}

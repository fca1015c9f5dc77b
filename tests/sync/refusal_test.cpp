// Whom neither side believes: wrong keys, replayed or broken messages, strangers, copies of a tablet.
// Every refusal ends the connection with a sentence, and nothing was taken in.
#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// The hub's last word, as the tablet would read it.
std::optional<wire::ErrorMessage> last_error(const Connection& c) {
  if (c.down.empty()) return std::nullopt;
  const wire::Decoded decoded = open_frame(c.down.back());
  const auto* error = std::get_if<wire::ErrorMessage>(&decoded.message);
  return error != nullptr ? std::optional<wire::ErrorMessage>(*error) : std::nullopt;
}

void check_refused(const Connection& c, wire::ErrorCode code) {
  CHECK(c.hub_closed);
  const auto error = last_error(c);
  REQUIRE(error);
  CHECK(error->code == code);
  CHECK_FALSE(error->text.empty());
}

void move_all_up(SyncWorld& world, Tablet& tablet) {
  while (world.move_up(tablet)) {
  }
}

wire::Push push_of(const Tablet& tablet, Sequence first, std::size_t count) {
  const storage::OwnActor own = *tablet.store->state().current();
  const auto page = *tablet.store->chain_page(own.actor, first, 1 << 20, count);
  wire::Push push{own.actor, first, {}, page.back().hash, {}};
  for (const auto& entry : page) push.changes.push_back(entry.frame);
  push.signature = wire::sign_head(tablet.identity.key, tablet.identity.device, own.actor,
                                   page.back().counter, push.head);
  return push;
}

void send_up(SyncWorld& world, Tablet& tablet, const wire::Message& message) {
  tablet.link->up.push_back(frame_of(message));
  move_all_up(world, tablet);
}

}  // namespace

TEST_CASE("an unknown and a revoked device are refused, also in the middle") {
  SyncWorld world(40);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("x"))});
  SECTION("unknown") {
    crypto::Seed seed;
    seed.bytes.fill(9);
    tablet.identity.key = crypto::signing_key(seed);
    tablet.identity.device = *DeviceId::from(tablet.identity.key.public_key.view());
    greet(world, tablet);
    check_refused(*tablet.link, wire::ErrorCode::unknown_device);
  }
  SECTION("revoked before") {
    auto device = **world.reader("PPT").device(tablet.identity.device);
    device.standing = storage::DeviceStanding::revoked;
    CHECK(world.store("PPT").put_device(device));
    greet(world, tablet);
    check_refused(*tablet.link, wire::ErrorCode::unknown_device);
  }
  SECTION("revoked while connected; the session's contact does not undo it") {
    greet(world, tablet);
    auto device = **world.reader("PPT").device(tablet.identity.device);
    device.standing = storage::DeviceStanding::revoked;
    CHECK(world.store("PPT").put_device(device));
    move_all_up(world, tablet);
    world.write(true);
    hear_all(world);
    check_refused(*tablet.link, wire::ErrorCode::revoked);
    CHECK((*world.reader("PPT").device(tablet.identity.device))->standing ==
          storage::DeviceStanding::revoked);
  }
  CHECK(changes_at_hub(world, "PPT") == 0);
  world.settle();
  CHECK_FALSE(tablet.in_sync());
  CHECK(tablet.waiting() == 1);
  REQUIRE(tablet.closed);
  CHECK(tablet.closed->is(Errc::unauthorised));
  CHECK(tablet.closed_for_good);
}

TEST_CASE("what only a person can change ends for good; what passes by itself does not") {
  struct Row {
    wire::ErrorCode code;
    bool for_good;
  };
  for (const Row row : {Row{wire::ErrorCode::malformed, false},
                        {wire::ErrorCode::too_large, false},
                        {wire::ErrorCode::unsupported_version, true},
                        {wire::ErrorCode::unknown_device, true},
                        {wire::ErrorCode::bad_signature, true},
                        {wire::ErrorCode::revoked, true},
                        {wire::ErrorCode::chain_broken, false},
                        {wire::ErrorCode::not_granted, true},
                        {wire::ErrorCode::out_of_order, false},
                        {wire::ErrorCode::busy, false},
                        {wire::ErrorCode::internal, false},
                        {wire::ErrorCode::shutting_down, false},
                        {wire::ErrorCode::clock, false}}) {
    SyncWorld world(46);
    Tablet& tablet = world.add_tablet("T01", "PPT");
    world.connect(tablet);
    tablet.link->down = {frame_of(wire::ErrorMessage{row.code, "why and what to do", 700})};
    world.move_down(tablet);
    INFO("code " << static_cast<int>(row.code));
    REQUIRE(tablet.closed);
    CHECK(tablet.closed->detail == "the hub says: why and what to do");
    CHECK(tablet.closed_for_good == row.for_good);
    CHECK(tablet.retry_after_ms == (row.for_good ? 0 : 700));
  }
}

TEST_CASE("a busy hub says how long to wait, and such a connection counts as no progress") {
  SyncWorld world(47);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("x"))});
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");  // live, and nothing came of it yet
  const auto link = tablet.link;
  world.take(link, link->hub->stop_with(wire::ErrorCode::busy, "the hub is busy"));
  while (world.move_down(tablet)) {
  }
  REQUIRE(tablet.closed);
  CHECK_FALSE(tablet.closed_for_good);
  CHECK(tablet.retry_after_ms == limits::kBusyRetryMs);
  CHECK_FALSE(tablet.progressed);

  world.connect(tablet);
  world.settle();
  CHECK(tablet.in_sync());
  CHECK(tablet.progressed);
}

TEST_CASE("an acknowledgement and a stored state are progress, also before everything is in sync") {
  SyncWorld world(48);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  world.record_many(one, 3);
  greet(world, one);
  move_up_through(world, one, "push");
  world.write(true);
  hear_all(world);
  move_down_through(world, one, "welcome");
  CHECK_FALSE(one.progressed);
  move_down_through(world, one, "ack");
  CHECK(one.progressed);
  world.settle();
  world.record(two, {field("note", std::string("x"))});
  greet(world, two);
  move_down_through(world, two, "deliver");
  CHECK(two.waiting() == 1);
  CHECK_FALSE(two.in_sync());
  CHECK(two.progressed);
}

TEST_CASE("a hub that the tablet was not enrolled with hears nothing") {
  SyncWorld world(41);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("x"))});
  tablet.identity.hub.bytes[0] ^= 1;
  world.connect(tablet);
  world.settle();
  REQUIRE(tablet.closed);
  CHECK(tablet.closed->is(Errc::unauthorised));
  CHECK(tablet.closed_for_good);
  CHECK(tablet.last_link->sent_up.frames == 0);
}

TEST_CASE("a hello is good for one connection only") {
  SyncWorld world(42);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.connect(tablet);
  move_down_through(world, tablet, "challenge");
  const Bytes hello = tablet.link->up.front();
  world.connect(tablet);
  tablet.link->up = {hello};
  move_all_up(world, tablet);
  check_refused(*tablet.link, wire::ErrorCode::bad_signature);
  SECTION("nor over another channel") {
    world.connect(tablet);
    tablet.link->agent = std::make_unique<sync::AgentSession>(tablet.identity, *tablet.store,
                                                              compressor(), wire::ChannelBinding{},
                                                              world.random(), tablet.estimate);
    move_down_through(world, tablet, "challenge");
    move_all_up(world, tablet);
    check_refused(*tablet.link, wire::ErrorCode::bad_signature);
  }
}

TEST_CASE("a welcome that the hub did not sign for this hello is not believed") {
  SyncWorld world(43);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("x"))});
  greet(world, tablet);
  const Bytes welcome = tablet.link->down.front();
  SECTION("of another connection") {
    greet(world, tablet);
    tablet.link->down.front() = welcome;
  }
  SECTION("with another window") {
    auto decoded = open_frame(welcome);
    std::get<wire::Welcome>(decoded.message).window_pushes += 1;
    tablet.link->down.front() = frame_of(decoded.message);
  }
  world.move_down(tablet);
  REQUIRE(tablet.closed);
  CHECK(tablet.closed->is(Errc::bad_signature));
  CHECK(tablet.closed_for_good);
  CHECK(tablet.store->state().welcome_id == 0);
}

TEST_CASE("pushes that are not what they say") {
  SyncWorld world(44);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  world.record_many(tablet, 10);
  world.record_many(other, 1);
  greet(world, tablet);
  tablet.link->up.clear();
  wire::Push push = push_of(tablet, Sequence{1}, 5);
  SECTION("signed by another device") {
    push.signature = wire::sign_head(other.identity.key, tablet.identity.device, push.actor,
                                     Sequence{5}, push.head);
    send_up(world, tablet, push);
    check_refused(*tablet.link, wire::ErrorCode::bad_signature);
  }
  SECTION("a change altered on the way") {
    push.changes[2].back() ^= 1;
    send_up(world, tablet, push);
    check_refused(*tablet.link, wire::ErrorCode::chain_broken);
  }
  SECTION("two changes exchanged") {
    std::swap(push.changes[1], push.changes[2]);
    send_up(world, tablet, push);
    CHECK(tablet.link->hub_closed);
  }
  SECTION("for a chain of another device") {
    wire::Push foreign = push_of(other, Sequence{1}, 1);
    send_up(world, tablet, foreign);
    check_refused(*tablet.link, wire::ErrorCode::not_granted);
  }
  SECTION("more than twice the window") {
    for (std::uint64_t i = 1; i <= 10 && !tablet.link->hub_closed; ++i) {
      send_up(world, tablet, push_of(tablet, Sequence{i}, 1));
    }
    CHECK_FALSE(tablet.link->hub_closed);
    world.record_many(tablet, 40);
    tablet.link->up.clear();
    for (std::uint64_t i = 11; i <= 2 * limits::kWindowPushes + 1; ++i) {
      CHECK_FALSE(tablet.link->hub_closed);
      send_up(world, tablet, push_of(tablet, Sequence{i}, 1));
    }
    check_refused(*tablet.link, wire::ErrorCode::busy);
    CHECK(world.batches_waiting() == 2 * limits::kWindowPushes);
  }
  SECTION("out of order: the hub says where it stands, and the order is found again") {
    send_up(world, tablet, push_of(tablet, Sequence{6}, 5));
    CHECK_FALSE(tablet.link->hub_closed);
    const auto decoded = open_frame(tablet.link->down.back());
    REQUIRE(std::holds_alternative<wire::Rewind>(decoded.message));
    CHECK(std::get<wire::Rewind>(decoded.message).head == Sequence{0});
    world.settle();
    CHECK(tablet.in_sync());
    CHECK(changes_at_hub(world, "PPT") == 10);
  }
  world.cut(tablet);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") >= 11);
}

TEST_CASE("a tablet cannot put a record of the other compartment into its store") {
  SyncWorld world(47);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  world.record(tablet, {field("note", std::string("a stop"))});
  model::Change visit = world.draft_change(tablet, make_record_id(Instant{1'000}, {}),
                                           {field("note", std::string("in clear"))});
  visit.type = "visit";
  const auto frame = wire::encode_change(visit);
  REQUIRE(frame.has_value());
  world.append_raw(tablet, visit, *frame);
  world.sync(tablet);
  world.sync(other);
  CHECK(tablet.in_sync());
  CHECK(other.in_sync());
  CHECK_FALSE((*world.reader("PPT").record(visit.record)).has_value());
  const auto exceptions =
      world.reader("PPT").exceptions(visit.dot.actor, visit.dot.counter, visit.dot.counter);
  REQUIRE(exceptions->size() == 1);
  CHECK(exceptions->front().kind == wire::ExceptionKind::unauthorised);
  CHECK(exceptions->front().rule == "compartment");
}

TEST_CASE("an acknowledgement of what was never sent is not believed") {
  SyncWorld world(47);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.sync(tablet);
  // The hub speaks between the commit here and the push.
  tablet.link->down.push_back(
      frame_of(wire::Ack{tablet.store->state().current()->actor, Sequence{2}, {}}));
  world.record_many(tablet, 1);
  world.move_down(tablet);
  REQUIRE(tablet.closed);
  CHECK(tablet.closed->is(Errc::chain_broken));
  CHECK(tablet.waiting() == 1);
  heal_and_check(world);
}

TEST_CASE("broken frames end the session with a sentence, on either side") {
  const std::uint64_t seed = GENERATE(range(std::uint64_t{0}, std::uint64_t{60}));
  SyncWorld world(4'800 + seed);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 20);
  if (seed % 2 == 0) {
    world.sync(tablet);
    world.record_many(tablet, 3);
  } else {
    world.connect(tablet);
    for (std::uint64_t n = seed % 5; n > 0; --n) world.move_down(tablet), world.move_up(tablet);
  }
  REQUIRE(tablet.link);
  auto& queue = seed % 4 < 2 ? tablet.link->up : tablet.link->down;
  if (queue.empty()) queue.push_back(frame_of(wire::Bye{"x"}));
  Bytes& frame = queue.front();
  switch (seed % 6) {
    case 0:
      frame.clear();
      break;
    case 1:
      frame.resize(frame.size() / 2);
      break;
    case 2:
      frame = Bytes(limits::kFrameBytesMax + 1, 0);
      break;
    case 3:
      frame[0] = 7;
      break;
    default: {
      Bytes raw = *compressor().decode_frame(frame);
      raw[world.dice().below(raw.size())] ^= static_cast<std::uint8_t>(1 + world.dice().below(255));
      frame = Bytes{0};
      frame.insert(frame.end(), raw.begin(), raw.end());
    }
  }
  const auto link = tablet.link;
  world.settle();
  // A changed byte may hit what is free to differ (a text); else one side must have said no.
  if (seed % 6 < 4) CHECK((link->hub_close.has_value() || tablet.closed.has_value()));
  if (link->hub_close) CHECK_FALSE(link->hub_close->detail.empty());
  if (tablet.closed) CHECK_FALSE(tablet.closed->message().empty());
  CHECK(world.verify_hub().has_value());
  heal_and_check(world);
}

TEST_CASE("messages out of turn end the session") {
  SyncWorld world(49);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 1);
  SECTION("a push before the hello") {
    world.connect(tablet);
    send_up(world, tablet, push_of(tablet, Sequence{1}, 1));
    check_refused(*tablet.link, wire::ErrorCode::out_of_order);
  }
  SECTION("an answer to a delivery that was not sent") {
    world.sync(tablet);
    send_up(world, tablet, wire::Got{"PPT", Bytes{1, 2, 3}});
    check_refused(*tablet.link, wire::ErrorCode::out_of_order);
  }
  SECTION("a hub's message to the hub") {
    world.sync(tablet);
    send_up(world, tablet, wire::Rewind{tablet.store->state().current()->actor, Sequence{1}, {}});
    check_refused(*tablet.link, wire::ErrorCode::out_of_order);
  }
  SECTION("a delivery before the welcome") {
    world.connect(tablet);
    move_down_through(world, tablet, "challenge");
    tablet.link->down.push_back(frame_of(wire::Deliver{"PPT", Bytes{1}, {}, true}));
    world.move_down(tablet);
    REQUIRE(tablet.closed);
    CHECK(tablet.closed->is(Errc::malformed));
    CHECK(tablet.store->state().cursors.empty());
  }
  SECTION("a delivery of a unit that was not granted") {
    world.sync(tablet);
    tablet.link->down.push_back(frame_of(wire::Deliver{"BTB", Bytes{1}, {}, true}));
    world.move_down(tablet);
    REQUIRE(tablet.closed);
    CHECK(tablet.closed->is(Errc::unauthorised));
  }
  heal_and_check(world);
}

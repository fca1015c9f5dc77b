// One bad record never blocks the others; whatever the operator decides, everybody converges.
#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;
using Ruling = storage::HubStore::Ruling;

namespace {

std::optional<wire::ChangeException> no_bad_notes(const model::Change& change) {
  for (const model::FieldValue& edit : change.edits) {
    const auto* text = std::get_if<std::string>(&edit.value);
    if (text != nullptr && *text == "bad") {
      return wire::ChangeException{change.dot.actor,
                                   change.dot.counter,
                                   change.record,
                                   wire::ExceptionKind::quarantined,
                                   "enum",
                                   edit.path,
                                   "not a known value"};
    }
  }
  return std::nullopt;
}

std::vector<storage::QuarantineEntry> quarantine(SyncWorld& world) {
  return *world.reader("PPT").quarantine(100);
}

void rule_first(SyncWorld& world, Ruling ruling) {
  const auto entries = quarantine(world);
  REQUIRE_FALSE(entries.empty());
  const auto& e = entries.front().exception;
  const Status done = world.rule("PPT", e.actor, e.counter, ruling);
  INFO((done ? std::string() : done.error().message()));
  CHECK(done.has_value());
}

}  // namespace

TEST_CASE("one bad record among a thousand good ones") {
  SyncWorld world(30);
  world.check = no_bad_notes;
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  world.record_many(tablet, 500);
  const RecordId bad = world.record(tablet, {field("note", std::string("bad"))});
  CHECK(world.edit(tablet, bad, {field("plate", std::string("2A-1"))}));
  world.record_many(tablet, 499);
  world.sync(tablet);
  world.sync(other);

  CHECK(world.reader("PPT").counts()->records == 999);
  REQUIRE(quarantine(world).size() == 1);
  CHECK(quarantine(world)[0].exception.detail == "not a known value");
  REQUIRE(world.reader("PPT").held(10)->size() == 1);
  CHECK(tablet.in_sync());  // the bytes are safe at the hub
  const auto view = tablet.view(bad);
  CHECK_FALSE(view.at_hub);
  REQUIRE(view.own.size() == 2);
  CHECK(view.own[0].exception->kind == wire::ExceptionKind::quarantined);
  CHECK(view.own[1].exception->kind == wire::ExceptionKind::held);
  CHECK_FALSE(view.own[1].exception->detail.empty());
  CHECK(tablet.store->counts()->exceptions == 2);

  const Ruling ruling = GENERATE(Ruling::retry, Ruling::accept, Ruling::reject);
  const bool online = GENERATE(true, false);
  if (!online) world.cut(tablet);
  if (ruling == Ruling::retry) {
    rule_first(world, ruling);  // the check still says no
    CHECK(quarantine(world).size() == 1);
    world.check = {};
  }
  rule_first(world, ruling);
  heal_and_check(world);
  CHECK(quarantine(world).empty());
  CHECK(world.reader("PPT").held(10)->empty());
  CHECK(tablet.store->counts()->exceptions == 0);
  CHECK(tablet.view(bad).at_hub);
  const auto settled = other.view(bad);
  const model::Value* state = model::shown(settled.record, "state");
  CHECK((state != nullptr) == (ruling == Ruling::reject));
  if (state != nullptr) CHECK(*state == model::Value(std::string("void")));
  CHECK(*model::shown(settled.record, "plate") == model::Value(std::string("2A-1")));
}

TEST_CASE("rejecting an edit restores every earlier sibling") {
  SyncWorld world(31);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  Tablet& three = world.add_tablet("T03", "PPT");
  const RecordId id = world.record(one, {field("note", std::string("first"))});
  heal_and_check(world);
  for (Tablet* tablet : {&one, &two, &three}) world.cut(*tablet);
  for (Tablet* tablet : {&one, &two, &three})
    CHECK(world.edit(*tablet, id, {field("note", "by " + tablet->name)}));
  heal_and_check(world);
  CHECK(model::siblings(one.view(id).record, "note").size() == 3);
  world.check = no_bad_notes;
  CHECK(world.edit(two, id,
                   {field("note", std::string("bad")), field("plate", std::string("2A-1"))}));
  world.settle();
  REQUIRE(quarantine(world).size() == 1);
  CHECK(world.edit(one, id, {field("note", std::string("meanwhile"))}));
  world.settle();
  rule_first(world, Ruling::reject);
  heal_and_check(world);
  std::set<std::string> notes;
  const auto settled = two.view(id);
  for (const auto& sibling : model::siblings(settled.record, "note")) {
    notes.insert(std::get<std::string>(*sibling.value));
  }
  CHECK(notes.count("bad") == 0);
  CHECK(notes.count("meanwhile") == 1);
  CHECK(std::holds_alternative<model::Null>(*model::shown(settled.record, "plate")));
}

TEST_CASE("exceptions are repeated until they are confirmed") {
  SyncWorld world(32);
  world.check = no_bad_notes;
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("bad"))});
  greet(world, tablet);
  move_up_through(world, tablet, "push");
  world.write(true);
  world.cut(tablet);  // the ack with the exception is lost
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");
  CHECK(tablet.store->exceptions()->size() == 1);
  world.cut(tablet);  // the confirmation is lost
  const auto actors = std::vector<ActorId>{tablet.store->state().current()->actor};
  CHECK(world.reader("PPT").unconfirmed(actors, 10)->size() == 1);
  world.sync(tablet);
  CHECK(world.reader("PPT").unconfirmed(actors, 10)->empty());
  CHECK(tablet.store->exceptions()->size() == 1);
  // A new reason must be heard, too.
  world.check = [](const model::Change& c) {
    auto e = no_bad_notes(c);
    if (e) e->detail = "still not a known value";
    return e;
  };
  rule_first(world, Ruling::retry);
  CHECK(world.reader("PPT").unconfirmed(actors, 10)->size() == 1);
  world.sync(tablet);
  CHECK(tablet.store->exceptions()->front().detail == "still not a known value");
}

TEST_CASE("a body that cannot be decoded keeps its place") {
  SyncWorld world(33);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  model::Change change =
      world.draft_change(tablet, make_record_id(Instant{5}, {}), {field("note", std::string("x"))});
  Bytes frame = *wire::encode_change(change);
  for (std::size_t i = frame.size() - 20; i < frame.size(); ++i)
    frame[i] = 0xc1;  // never valid msgpack
  REQUIRE(wire::decode_change_frame(frame).has_value());
  REQUIRE_FALSE(wire::decode_change(change.dot.actor, frame).has_value());
  // The tablet's store never takes such a change, so a hostile agent speaks here.
  world.record(tablet, {field("note", std::string("first"))});
  world.sync(tablet);
  const storage::OwnActor own = *tablet.store->state().current();
  change.dot.counter = own.head.next();
  frame = *wire::encode_change(change);
  for (std::size_t i = frame.size() - 20; i < frame.size(); ++i) frame[i] = 0xc1;
  const Hash head = wire::chain_next(own.hash, frame);
  wire::Push push{own.actor,
                  own.head.next(),
                  {frame},
                  head,
                  wire::sign_head(tablet.identity.key, tablet.identity.device, own.actor,
                                  own.head.next(), head)};
  tablet.link->up.push_back(frame_of(push));
  while (world.move_up(tablet)) {
  }
  world.write(true);
  hear_all(world);
  REQUIRE(quarantine(world).size() == 1);
  CHECK(quarantine(world)[0].exception.rule == "undecodable");
  CHECK(world.verify_hub().has_value());
  // One that rests on it waits.
  model::Change after = change;
  after.dot.counter = own.head.next().next();
  after.prev = own.head.next();
  after.context.add({own.actor, after.prev});
  const Bytes next = *wire::encode_change(after);
  const Hash next_head = wire::chain_next(head, next);
  tablet.link->up.push_back(
      frame_of(wire::Push{own.actor,
                          after.dot.counter,
                          {next},
                          next_head,
                          wire::sign_head(tablet.identity.key, tablet.identity.device, own.actor,
                                          after.dot.counter, next_head)}));
  while (world.move_up(tablet)) {
  }
  world.write(true);
  REQUIRE(world.reader("PPT").held(10)->size() == 1);
  for (const Ruling ruling : {Ruling::retry, Ruling::accept})
    CHECK_FALSE(world.rule("PPT", own.actor, own.head.next(), ruling).has_value());
  // Rejected it is refused for good, and so is what was held only for it: its tablet writes that anew without it.
  REQUIRE(world.rule("PPT", own.actor, own.head.next(), Ruling::reject));
  CHECK(world.reader("PPT").held(10)->empty());
  const auto judged =
      *world.reader("PPT").exceptions(own.actor, own.head.next(), after.dot.counter);
  REQUIRE(judged.size() == 2);
  CHECK(judged[0].kind == wire::ExceptionKind::unauthorised);
  CHECK(judged[0].rule == "undecodable");
  CHECK(judged[1].kind == wire::ExceptionKind::unauthorised);
  CHECK(judged[1].rule == wire::kPredecessorRefused);
  CHECK(world.reader("PPT").log(own.actor, own.head.next())->has_value());
  CHECK(world.verify_hub().has_value());
}

TEST_CASE("an unauthorised change is never applied, not even out of quarantine") {
  SyncWorld world(34);
  world.add_tablet("B01", "BTB");
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const bool also_bad = GENERATE(false, true);
  world.check = no_bad_notes;
  tablet.unit = "BTB";
  const RecordId id = world.record(tablet, {field("note", std::string(also_bad ? "bad" : "good"))});
  tablet.unit = "PPT";
  world.sync(tablet);
  CHECK_FALSE(world.reader("BTB").record(id)->has_value());
  REQUIRE(quarantine(world).size() == 1);
  const auto e = quarantine(world)[0].exception;
  CHECK(e.kind == wire::ExceptionKind::unauthorised);
  CHECK_FALSE(world.rule("PPT", e.actor, e.counter, Ruling::accept).has_value());
  CHECK_FALSE(world.reader("BTB").record(id)->has_value());
  CHECK_FALSE(tablet.view(id).at_hub);
  heal_and_check(world);
}

TEST_CASE("a refused change is set aside: later edits of its record leave it out and arrive") {
  SyncWorld world(35);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  world.sync(tablet);
  world.cut(tablet);
  tablet.unit = "BTB";  // a change that lies about the record's unit
  CHECK(world.edit(tablet, id, {field("note", std::string("refused"))}));
  tablet.unit = "PPT";
  CHECK(world.edit(tablet, id,
                   {field("plate", std::string("2A-1"))}));  // made before the refusal is known
  world.sync(tablet);
  CHECK(tablet.in_sync());
  CHECK(tablet.store->counts()->exceptions >= 1);
  heal_and_check(world);
  CHECK(world.edit(tablet, id, {field("note", std::string("again"))}));
  heal_and_check(world);
  const auto at_hub = world.reader("PPT").record(id)->value();
  CHECK(*model::shown(at_hub, "note") == model::Value(std::string("again")));
  CHECK(world.reader("PPT").held(10)->empty());
}

TEST_CASE(
    "an edit after a refused change on the same record is written anew without it, and arrives") {
  SyncWorld world(39);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  world.sync(tablet);
  world.sync(other);
  world.cut(tablet);
  tablet.unit = "BTB";  // a change that lies about the record's unit
  REQUIRE(world.edit(tablet, id, {field("note", std::string("refused"))}));
  tablet.unit = "PPT";
  const model::Dot refused{tablet.store->state().current()->actor,
                           tablet.store->state().current()->head};
  // Each by somebody who saw what stood on the screen before, the refused words too.
  for (const char* plate : {"2A-1", "2A-2"}) {
    auto seen = tablet.view(id).record.vv;
    seen.add({refused.actor, tablet.store->state().current()->head});
    REQUIRE(world.edit(tablet, id, {field("plate", std::string(plate))}, seen));
  }
  const bool hub_killed = GENERATE(false, true);
  const bool acks_lost = GENERATE(false, true);
  CAPTURE(hub_killed, acks_lost);
  if (hub_killed) world.restart_hub();  // what is unacknowledged goes onto a fresh chain
  if (acks_lost) {
    greet(world, tablet);
    move_down_through(world, tablet, "welcome");
    while (world.move_up(tablet)) {
    }
    world.write(true);
    world.restart_tablet(tablet);
  }
  world.sync(tablet);
  world.settle();
  heal_and_check(world);
  const auto at_hub = world.reader("PPT").record(id)->value();
  CHECK(*model::shown(at_hub, "note") == model::Value(std::string("first")));
  CHECK(*model::shown(at_hub, "plate") == model::Value(std::string("2A-2")));
  CHECK(model::siblings(at_hub, "plate").size() == 1);
  CHECK(world.reader("PPT").held(10)->empty());
  CHECK(world.reader("PPT").conflicts(RecordId{}, 10)->empty());
  CHECK(*model::shown(other.view(id).record, "plate") == model::Value(std::string("2A-2")));
  // The refused one alone stays among the tablet's problems, whatever the record gains.
  for (int round = 0; round < 2; ++round) {
    const auto exceptions = *tablet.store->exceptions();
    REQUIRE(exceptions.size() == 1);
    CHECK(exceptions[0].kind == wire::ExceptionKind::unauthorised);
    if (!hub_killed) CHECK(exceptions[0].counter == refused.counter);
    CHECK_FALSE(tablet.view(id).at_hub);
    REQUIRE(world.edit(other, id, {field("note", std::string("by the other"))}));
    heal_and_check(world);
  }
}

TEST_CASE("a later change that had seen a refused one takes the hub's vector over it") {
  SyncWorld world(42);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  world.sync(tablet);
  tablet.unit = "BTB";
  REQUIRE(world.edit(tablet, id, {field("note", std::string("refused"))}));
  tablet.unit = "PPT";
  world.settle();
  REQUIRE(tablet.store->exceptions()->size() == 1);
  world.cut(tablet);
  // As a form that was opened before the refusal was known, on another chain than the refused change's.
  auto seen = tablet.view(id).record.vv;
  seen.add({tablet.store->state().current()->actor, tablet.store->state().current()->head});
  const ActorId fresh = random_actor(world.random());
  REQUIRE(tablet.store->add_actor(
      fresh, wire::chain_start(world.hub_id(), tablet.identity.device, fresh)));
  REQUIRE(world.edit(tablet, id, {field("plate", std::string("2A-3"))}, seen));
  heal_and_check(world);
  CHECK(world.reader("PPT").held(10)->empty());
  const auto at_hub = world.reader("PPT").record(id)->value();
  CHECK(*model::shown(at_hub, "plate") == model::Value(std::string("2A-3")));
  CHECK(*model::shown(at_hub, "note") == model::Value(std::string("first")));
  CHECK(at_hub.vv.covers(seen));
}

TEST_CASE("what one tablet may not do decides nothing for another in the same commit") {
  SyncWorld world(36);
  Tablet& liar = world.add_tablet("T01", "PPT");
  Tablet& honest = world.add_tablet("T02", "PPT");
  world.add_tablet("B01", "BTB");
  const RecordId id = world.record(honest, {field("note", std::string("honest"))});
  liar.unit = "BTB";
  CHECK(world.edit(liar, id, {field("note", std::string("squatter"))}));
  liar.unit = "PPT";
  greet(world, liar);
  move_up_through(world, liar, "push");
  greet(world, honest);
  move_up_through(world, honest, "push");
  CHECK(world.batches_waiting() == 2);
  world.settle();
  CHECK(world.reader("PPT").record(id)->has_value());
  CHECK(honest.view(id).at_hub);
}

TEST_CASE("thousands of exceptions with long reasons reach the tablet") {
  SyncWorld world(37);
  const RandomSource random = world.random();
  world.check = [&](const model::Change& c) {
    Bytes noise(250);
    random(noise);
    return wire::ChangeException{
        c.dot.actor, c.dot.counter, c.record,     wire::ExceptionKind::quarantined,
        "enum",      "note",        to_hex(noise)};
  };
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 2'500);
  const bool lose_acks = GENERATE(false, true);
  if (lose_acks) {
    greet(world, tablet);
    while (world.move_up(tablet)) {
    }
    world.write(true);
    world.cut(tablet);
  }
  for (int i = 0; i < 8; ++i) world.sync(tablet);
  CHECK(tablet.in_sync());
  CHECK(tablet.store->exceptions()->size() == 2'500);
}

TEST_CASE("a ruling that merges nothing reaches a tablet that is connected at once") {
  SyncWorld world(38);
  world.check = no_bad_notes;
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("bad"))});
  CHECK(world.edit(tablet, id, {field("note", std::string("bad"))}));
  world.sync(tablet);
  world.sync(other);
  REQUIRE(quarantine(world).size() == 2);
  const auto first = quarantine(world)[0].exception;
  const auto second = quarantine(world)[1].exception;
  const auto actors = std::vector<ActorId>{first.actor};
  const auto welcome = tablet.store->state().welcome_id;
  const auto delivers = tablet.link->sent_down.messages["deliver"];
  const auto told = tablet.link->sent_down.messages["ack"];

  SECTION("a retry that says another reason") {
    world.check = [](const model::Change& c) {
      auto e = no_bad_notes(c);
      if (e) e->detail = "still not a known value";
      return e;
    };
    CHECK(world.rule("PPT", first.actor, first.counter, Ruling::retry));
    world.settle();
    CHECK(tablet.view(id).own[0].exception->detail == "still not a known value");
    CHECK(tablet.view(id).own[1].exception->detail == second.detail);
  }
  SECTION("an accepted change that has to wait for one that is not settled yet") {
    CHECK(world.rule("PPT", second.actor, second.counter, Ruling::accept));
    world.settle();
    CHECK(tablet.view(id).own[1].exception->kind == wire::ExceptionKind::held);
    CHECK(tablet.view(id).own[0].exception->kind == wire::ExceptionKind::quarantined);
  }
  CHECK(tablet.store->state().welcome_id == welcome);  // over the connection that was there
  CHECK(tablet.link->sent_down.messages["ack"] == told + 1);
  CHECK(tablet.link->sent_down.messages["deliver"] == delivers);
  CHECK(other.link->sent_down.messages["ack"] == 0);  // nobody else's business
  CHECK(tablet.in_sync());
  CHECK(
      world.reader("PPT").unconfirmed(actors, 10)->empty());  // the tablet confirmed what it heard

  // What had to wait is merged with the other: a delivery says that, and no exception stays behind it.
  CHECK(world.rule("PPT", first.actor, first.counter, Ruling::accept));
  if (!quarantine(world).empty()) rule_first(world, Ruling::accept);
  world.settle();
  CHECK(tablet.store->counts()->exceptions == 0);
  CHECK(tablet.view(id).at_hub);
  heal_and_check(world);
}

TEST_CASE("a held change that another tablet's commit refuses is told to its tablet at once") {
  SyncWorld world(39);
  Tablet& early = world.add_tablet("T01", "PPT");
  Tablet& late = world.add_tablet("T02", "PPT");
  late.type = "case";
  const RecordId id = world.record(late, {field("note", std::string("a case"))});
  const model::Dot creation{late.store->state().current()->actor, Sequence{1}};
  model::Change change = world.draft_change(early, id, {field("note", std::string("says stop"))});
  change.context.add(creation);  // it has seen what the hub has not
  world.append_raw(early, change, *wire::encode_change(change));
  world.sync(early);
  REQUIRE(world.reader("PPT").held(10)->size() == 1);
  REQUIRE(early.store->exceptions()->front().kind == wire::ExceptionKind::held);

  world.sync(late);
  REQUIRE(early.store->exceptions()->size() == 1);
  CHECK(early.store->exceptions()->front().kind == wire::ExceptionKind::unauthorised);
  CHECK(early.link->agent->phase() == sync::AgentSession::Phase::live);
}

TEST_CASE(
    "an outcome is told only of what was acknowledged on the connection, and as it stands then") {
  SyncWorld world(49);
  world.check = no_bad_notes;
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("bad"))});
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");
  move_up_through(world, tablet, "push");
  world.write(true);  // durable, but the session has not heard of it
  const auto e = quarantine(world)[0].exception;
  const model::Dot dot{e.actor, e.counter};
  CHECK(tablet.link->hub->on_outcomes({dot}).frames.empty());
  hear_all(world);
  CHECK(tablet.link->hub->on_outcomes({dot}).frames.size() == 1);
  CHECK(tablet.link->hub->on_outcomes({{ActorId{77}, Sequence{1}}}).frames.empty());
  CHECK(world.rule("PPT", e.actor, e.counter, Ruling::accept));
  CHECK(tablet.link->hub->on_outcomes({dot}).frames.empty());  // merged: no exception any more
  world.settle();
  CHECK(tablet.view(id).at_hub);
  heal_and_check(world);
}

// Against recovery and what follows it: tablets that lie about what they hold, devices moved before a hub that was
// put back has heard them out, and changes that wait for two things at once.
#include "storage/hub_tables.h"
#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

using Recovery = storage::HubStore::Recovery;

void everybody_syncs(SyncWorld& world) {
  for (int round = 0; round < 4; ++round) {
    for (Tablet& tablet : world.tablets()) {
      if (!tablet.link) world.connect(tablet);
    }
    world.settle();
  }
}

void destroy(SyncWorld& world, Tablet& tablet) {
  world.cut(tablet);
  tablet.gone = true;
}

void move(SyncWorld& world, Tablet& tablet, const std::string& unit) {
  world.pass(1'000);
  REQUIRE(world.store("PPT").move_device(tablet.identity.device, unit, world.now().wall));
}

std::string shown_text(const model::Record& record, const std::string& path) {
  const model::Value* value = model::shown(record, path);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? "" : *text;
}

/// A device that speaks as it likes: enrolled, with its key, over the real session of the hub.
class Liar {
 public:
  Liar(SyncWorld& world, Tablet& tablet) : world_(world), tablet_(tablet) {
    world_.connect(tablet_);
    const auto challenge =
        std::get<wire::Challenge>(open_frame(tablet_.link->down.front()).message);
    tablet_.link->down.clear();
    wire::Hello hello;
    hello.device = tablet_.identity.device;
    hello.agent_nonce = random_id<Nonce>(world_.random());
    hello.welcome_id = ~std::uint64_t{0};  // of a future that no hub has had
    hello.status.wall = world_.now().wall;
    push(compressor().encode_frame(
        wire::encode_hello(hello, challenge, tablet_.link->binding, tablet_.identity.key)));
  }
  void say(const wire::Message& message) { push(frame_of(message)); }
  bool ended() const { return tablet_.link->hub_closed; }
  /// The hub commits and answers.
  void hub_works() {
    world_.write(true);
    hear_all(world_);
  }
  /// Offers to have `state`, and sends it when asked.
  void offer(const model::Record& state, std::uint64_t digest = 1) {
    say(wire::Recovered{state.unit, {{state.id, state.vv, digest}}, {}, true});
    say(wire::Recovered{state.unit, {}, {*wire::encode_record(state)}, true});
    hub_works();
  }

 private:
  void push(Bytes frame) {
    tablet_.link->up.push_back(std::move(frame));
    while (world_.move_up(tablet_)) {
    }
  }
  SyncWorld& world_;
  Tablet& tablet_;
};

model::Record made_up(SyncWorld& world, const std::string& unit, const std::string& text) {
  std::array<std::uint8_t, 10> entropy{};
  world.random()(entropy);
  world.pass(1);
  model::Record state =
      model::empty_record(make_record_id(world.now().wall, entropy), "stop", unit);
  const ActorId actor = random_actor(world.random());
  state.vv.add({actor, Sequence{1}});
  model::DotGroup group;
  group.dot = {actor, Sequence{1}};
  group.meta.author = "nobody";
  group.meta.schema_version = 1;
  group.fields = {field("note", text)};
  state.groups.push_back(std::move(group));
  return state;
}

}  // namespace

TEST_CASE(
    "a tablet moved before a hub that was put back has asked it: the only copy is not dropped") {
  SyncWorld world(500);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  world.add_tablet("B01", "BTB");
  world.record_many(author, 1);
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  const RecordId id = world.record(author, {field("note", std::string("only the witness has it"))});
  everybody_syncs(world);
  REQUIRE(witness.view(id).at_hub);
  destroy(world, author);
  world.put_back_hub(backup);
  move(world, witness, "BTB");
  everybody_syncs(world);
  CHECK(witness.in_sync());
  const bool kept_here = witness.store->load(id)->has_value();
  const bool staged = !world.reader("PPT").staged(10)->empty();
  const bool at_hub = world.reader("PPT").record(id)->has_value();
  CHECK((kept_here || staged || at_hub));
}

TEST_CASE(
    "a hub put back to before a device was moved: what it acknowledged in the new unit comes "
    "back") {
  SyncWorld world(501);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& mate = world.add_tablet("B01", "BTB");
  world.record_many(tablet, 1);
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  move(world, tablet, "BTB");
  world.cut(tablet);
  world.sync(tablet);
  tablet.unit = "BTB";
  const RecordId id = world.record(tablet, {field("note", std::string("acknowledged"))});
  everybody_syncs(world);
  REQUIRE(tablet.view(id).at_hub);
  world.put_back_hub(backup);
  // The operator sees that the move is gone and makes it again, before or after the tablet came.
  const bool before = GENERATE(true, false);
  CAPTURE(before);
  if (before) move(world, tablet, "BTB");
  everybody_syncs(world);
  if (!before) {
    move(world, tablet, "BTB");
    for (Tablet& one : world.tablets()) world.cut(one);
    everybody_syncs(world);
  }
  const bool merged = world.reader("BTB").record(id)->has_value();
  const Status joined = merged ? Status{} : world.recover("BTB", id);
  INFO((joined ? std::string() : joined.error().message()));
  CHECK((merged || joined));
  CHECK(world.reader("BTB").record(id)->has_value());
  CHECK(mate.store->load(id)->has_value());
}

TEST_CASE("a liar sends the same record many times in one answer: one state a question is kept") {
  SyncWorld world(502);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Liar liar(world, tablet);
  const model::Record state = made_up(world, "PPT", "0");
  liar.say(wire::Recovered{"PPT", {{state.id, state.vv, 1}}, {}, true});
  for (int i = 0; i < 200 && !liar.ended(); ++i) {
    model::Record other = state;
    other.groups[0].fields = {field("note", std::to_string(i))};
    liar.say(wire::Recovered{"PPT", {}, {*wire::encode_record(other)}, false});
  }
  liar.hub_works();
  CHECK(world.reader("PPT").staged(1'000)->size() <= 1);
  CHECK(liar.ended());
}

TEST_CASE("summaries that name one record again and again end the session") {
  SyncWorld world(503);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Liar liar(world, tablet);
  const model::Record state = made_up(world, "PPT", "0");
  for (int i = 0; i < 10 && !liar.ended(); ++i)
    liar.say(wire::Recovered{"PPT", {{state.id, state.vv, 1}}, {}, false});
  CHECK(liar.ended());
}

TEST_CASE("a joined copy whose vector is too high does not swallow its author's later changes") {
  SyncWorld world(504);
  Tablet& honest = world.add_tablet("T01", "PPT");
  Tablet& bad = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(honest, {field("note", std::string("first"))});
  world.sync(honest);
  model::Record copy = **world.reader("PPT").record(id);
  const ActorId theirs = copy.vv.entries().front().actor;
  copy.vv.add({theirs, Sequence{1'000}});
  copy.groups[0].meta.author = "somebody";
  const ActorId other = random_actor(world.random());
  copy.vv.add({other, Sequence{1}});
  model::DotGroup more = copy.groups[0];
  more.dot = {other, Sequence{1}};
  more.fields = {field("plate", std::string("2A-1"))};
  copy.groups.push_back(more);
  std::sort(copy.groups.begin(), copy.groups.end(),
            [](const auto& a, const auto& b) { return a.dot < b.dot; });
  Liar liar(world, bad);
  liar.offer(copy);
  REQUIRE(world.reader("PPT").staged(10)->size() == 1);
  world.cut(bad);
  if (!world.recover("PPT", id)) return;  // refused: as good
  REQUIRE(world.edit(honest, id, {field("remark", std::string("must not vanish"))}));
  everybody_syncs(world);
  const model::Record at_hub = **world.reader("PPT").record(id);
  const bool shown = shown_text(at_hub, "remark") == "must not vanish";
  const bool set_aside =
      !world.reader("PPT").quarantine(10)->empty() || !world.reader("PPT").held(10)->empty();
  CAPTURE(shown, set_aside);
  CHECK((shown || set_aside));
}

TEST_CASE(
    "a joined copy that claims changes the hub has not made does not make the hub's edits vanish") {
  SyncWorld world(505);
  Tablet& honest = world.add_tablet("T01", "PPT");
  Tablet& bad = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(honest, {field("note", std::string("first"))});
  world.sync(honest);
  REQUIRE(world.resolve("PPT", id, {field("note", std::string("by the hub"))}));
  model::Record copy = **world.reader("PPT").record(id);
  const ActorId hub = copy.groups[0].dot.actor;
  copy.vv.add({hub, Sequence{1'000}});
  Liar liar(world, bad);
  liar.offer(copy);
  REQUIRE(world.reader("PPT").staged(10)->size() == 1);
  if (!world.recover("PPT", id)) return;  // refused: as good
  const Status edited = world.resolve("PPT", id, {field("note", std::string("settled"))});
  if (edited) CHECK(shown_text(**world.reader("PPT").record(id), "note") == "settled");
}

TEST_CASE("a change held for a lost one passes over a refused one when the lost one has come") {
  SyncWorld world(506);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  REQUIRE(world.edit(other, id, {field("remark", std::string("lost for a while"))}));
  everybody_syncs(world);
  world.cut(other);
  // Refused; then, on another chain, by somebody who saw both.
  tablet.unit = "BTB";
  REQUIRE(world.edit(tablet, id, {field("note", std::string("refused"))}));
  tablet.unit = "PPT";
  world.settle();
  REQUIRE(tablet.store->exceptions()->size() == 1);
  auto seen = tablet.view(id).record.vv;
  seen.add({tablet.store->state().current()->actor, tablet.store->state().current()->head});
  world.cut(tablet);
  world.put_back_hub(backup);
  world.connect(tablet);
  world.settle();
  world.cut(tablet);
  world.connect(tablet);
  REQUIRE(world.edit(tablet, id, {field("plate", std::string("2A-3"))}, seen));
  world.settle();
  REQUIRE(world.reader("PPT").held(10)->size() == 1);
  everybody_syncs(world);
  CHECK(other.in_sync());
  CHECK(world.reader("PPT").held(10)->empty());
  CHECK(shown_text(**world.reader("PPT").record(id), "plate") == "2A-3");
}

TEST_CASE("one damaged record does not keep a tablet from a lost past from everything else") {
  SyncWorld world(507);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  world.record_many(tablet, 1);
  everybody_syncs(world);
  world.put_back_hub(backup);
  REQUIRE(world.hub_kv(0).update([&](storage::KvWrite& write) -> Status {
    FP_CHECK_OK(write.put(storage::hub_tables::kRecords, id.view(), Bytes{1, 2, 3}));
    std::vector<Bytes> keys;
    FP_CHECK_OK(write.scan(storage::hub_tables::kLog, {}, {},
                           [&](BytesView key, BytesView) -> Result<storage::KvRead::Step> {
                             keys.push_back(to_bytes(key));
                             return storage::KvRead::Step::more;
                           }));
    for (const Bytes& key : keys)
      FP_CHECK_OK(write.put(storage::hub_tables::kLog, key, Bytes{1, 2, 3}));
    return {};
  }));
  const RecordId later = world.record(other, {field("note", std::string("later"))});
  everybody_syncs(world);
  INFO((tablet.closed ? tablet.closed->message() : std::string()));
  CHECK(tablet.store->load(later)->has_value());
}

TEST_CASE(
    "a change that was given up comes after all: it is set aside, not passed over in silence") {
  SyncWorld world(508);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(author, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  REQUIRE(world.edit(author, id, {field("plate", std::string("2A-1"))}));
  everybody_syncs(world);
  world.cut(author);
  REQUIRE(world.edit(witness, id, {field("note", std::string("rests on it"))}));
  world.put_back_hub(backup);
  author.gone = true;
  everybody_syncs(world);
  REQUIRE(world.recover("PPT", id, Recovery::refuse));
  REQUIRE(world.recover("PPT", id, Recovery::release));
  author.gone = false;
  everybody_syncs(world);
  const bool shown = shown_text(**world.reader("PPT").record(id), "plate") == "2A-1";
  const auto aside = *world.reader("PPT").quarantine(10);
  REQUIRE((shown || aside.size() == 1));
  CHECK(world.verify_hub());
  if (shown) return;
  // No ruling but a word on what it says makes it go away.
  const auto& e = aside.front().exception;
  CHECK_FALSE(world.rule("PPT", e.actor, e.counter, storage::HubStore::Ruling::retry));
  CHECK(world.reader("PPT").quarantine(10)->size() == 1);
  REQUIRE(world.rule("PPT", e.actor, e.counter, storage::HubStore::Ruling::accept));
  heal_and_check(world);
  CHECK(shown_text(**world.reader("PPT").record(id), "plate") == "2A-1");
}

TEST_CASE("a withdrawn unit is asked for and never delivered, whoever writes in it meanwhile") {
  SyncWorld world(509);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  Tablet& mate = world.add_tablet("B01", "BTB");
  world.record_many(author, 1);
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  world.record_many(author, 3);
  everybody_syncs(world);
  destroy(world, author);
  world.put_back_hub(backup);
  Tablet& stayed = world.add_tablet("T03", "PPT");
  move(world, witness, "BTB");
  const auto theirs = world.record_many(mate, 2);
  world.sync(mate);
  for (std::size_t cut_after = 0; cut_after < 10; ++cut_after) {
    world.connect(witness);
    std::size_t moved = 0;
    for (bool more = true; more && moved < cut_after;) {
      if (moved == 3) {
        const RecordId unseen = world.record(stayed, {field("note", std::string("not for it"))});
        world.sync(stayed);
        CHECK_FALSE(witness.store->load(unseen)->has_value());
      }
      more = world.move_down(witness) || world.move_up(witness) || world.write(true);
      hear_all(world);
      moved += more ? 1 : 0;
    }
    world.cut(witness);
  }
  everybody_syncs(world);
  CHECK(witness.in_sync());
  CHECK(world.reader("PPT").staged(10)->size() == 3);
  CHECK(witness.store->counts()->records == 2);
  for (const RecordId& id : theirs) CHECK(witness.store->load(id)->has_value());
}

TEST_CASE("a joined copy whose vector is too high does not keep its author from syncing") {
  SyncWorld world(510);
  Tablet& honest = world.add_tablet("T01", "PPT");
  Tablet& bad = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(honest, {field("note", std::string("first"))});
  world.sync(honest);
  model::Record copy = **world.reader("PPT").record(id);
  copy.vv.add({copy.vv.entries().front().actor, Sequence{1'000}});
  Liar liar(world, bad);
  liar.offer(copy);
  world.cut(bad);
  if (!world.recover("PPT", id)) return;  // refused: as good
  everybody_syncs(world);
  INFO((honest.closed ? honest.closed->message() : std::string()));
  CHECK(honest.in_sync());
}

TEST_CASE("a moved device does not write to its old unit for ever by beginning new chains") {
  SyncWorld world(511);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.add_tablet("B01", "BTB");
  world.sync(tablet);
  world.cut(tablet);
  move(world, tablet, "BTB");
  const auto old_welcome = tablet.store->state().welcome_id;
  world.sync(tablet);  // it knows by now
  for (int i = 0; i < 3; ++i) {
    world.cut(tablet);
    const ActorId fresh = random_actor(world.random());
    REQUIRE(tablet.store->add_actor(
        fresh, wire::chain_start(world.hub_id(), tablet.identity.device, fresh)));
    std::array<std::uint8_t, 10> entropy{};
    world.random()(entropy);
    world.pass(86'400'000);
    tablet.unit = "PPT";
    model::Change change = world.draft_change(tablet, make_record_id(world.now().wall, entropy),
                                              {field("note", std::string("back"))});
    change.welcome = old_welcome;
    world.append_raw(tablet, change, *wire::encode_change(change));
    world.sync(tablet);
    world.settle();
    CHECK_FALSE(world.reader("PPT").record(change.record)->has_value());
  }
}

// A device that is enrolled, has its key, and speaks as it likes.
//
// It may write what its unit may write: its records are marked, and may be nowhere else. Everything else that it
// tries must come to nothing.
#include "tests/sim/sim.h"

namespace fieldpost::sim {

void Simulation::hostile_session(Device& device) {
  Dice& own = dice(Fault::hostile_device);
  Tablet& tablet = *device.tablet;
  world_.connect(tablet);
  const auto link = tablet.link;
  if (link->down.empty()) return;
  const auto challenge = std::get<wire::Challenge>(test::open_frame(link->down.front()).message);
  const auto say = [&](const wire::Message& message) {
    link->up.push_back(test::frame_of(message));
  };
  const auto hear = [&] {
    while (world_.move_up(link)) {
    }
  };
  const Device& victim = any_device(own);
  const ActorId theirs = victim.tablet->store->state().current()->actor;
  const ActorId mine = random_actor(world_.random());
  Hash hash = wire::chain_start(world_.hub_id(), tablet.identity.device, mine);

  wire::Hello hello;
  hello.device = tablet.identity.device;
  hello.agent_nonce = random_id<Nonce>(world_.random());
  hello.welcome_id = own.one_in(2) ? own.next() : 0;
  hello.actors = {{theirs, Sequence{1 + own.below(100)}, random_id<Hash>(world_.random())},
                  {mine, {}, hash}};
  hello.status.wall = world_.now().wall;
  link->up.push_back(test::compressor().encode_frame(
      wire::encode_hello(hello, challenge, link->binding, tablet.identity.key)));
  hear();

  const auto target = [&]() -> std::optional<model::Record> {
    // Somebody else's record: hostile devices guess ids as well as anybody.
    const auto ids =
        world_.reader(victim.tablet->unit)
            .ids_after(make_record_id(
                           Instant{now().ms - static_cast<std::int64_t>(own.below(2 * kDay))}, {}),
                       1);
    if (!ids || ids->empty()) return std::nullopt;
    const auto record = world_.reader(victim.tablet->unit).record(ids->front());
    return record ? *record : std::nullopt;
  };
  const auto change_of = [&](const RecordId& id, const std::string& type, const std::string& unit,
                             Sequence counter) {
    model::Change change;
    change.record = id;
    change.dot = {mine, counter};
    change.type = type;
    change.unit = unit;
    change.edits = {test::field("note", std::string("evil"))};
    change.author = "officer-X100";
    change.times.wall = world_.now().wall;
    change.schema_version = 1;
    change.salt = random_id<Salt>(world_.random());
    return change;
  };
  Sequence counter;
  const auto push = [&](const model::Change& change, bool sound) {
    const auto frame = wire::encode_change(change);
    if (!frame) return;
    wire::Push message;
    message.actor = mine;
    message.first = counter.next();
    message.changes = {*frame};
    message.head = wire::chain_next(hash, *frame);
    message.signature = wire::sign_head(tablet.identity.key, tablet.identity.device, mine,
                                        counter.next(), message.head);
    if (!sound) message.signature.bytes[own.below(64)] ^= 1;
    say(message);
    if (!sound) return;
    hash = message.head;
    counter = counter.next();
  };

  for (std::size_t n = 1 + own.below(4); n > 0 && !link->hub_closed; --n) {
    count("hostile_acts");
    fired(Fault::hostile_device);
    switch (own.below(9)) {
      case 0:  // another unit's record, under that unit's name
        if (const auto record = target(); record && record->unit != tablet.unit) {
          model::Change change = change_of(record->id, record->type, record->unit, counter.next());
          change.context = record->vv;
          push(change, true);
        }
        break;
      case 1:  // the same under its own unit's name
        if (const auto record = target(); record && record->unit != tablet.unit) {
          model::Change change = change_of(record->id, record->type, tablet.unit, counter.next());
          change.context = record->vv;
          push(change, true);
        }
        break;
      case 2:  // a visit
        push(change_of(new_record_id(), "visit", tablet.unit, counter.next()), true);
        break;
      case 3:  // a record of its own that claims to know what nobody has made
      {
        model::Change change = change_of(new_record_id(), "stop", tablet.unit, counter.next());
        change.context.add({theirs, Sequence{1'000'000}});
        push(change, true);
        break;
      }
      case 4:  // a signature that is none
        push(change_of(new_record_id(), "stop", tablet.unit, counter.next()), false);
        break;
      case 5:  // a push on another's chain
      {
        wire::Push message;
        message.actor = theirs;
        message.first = Sequence{1 + own.below(50)};
        const auto frame =
            wire::encode_change(change_of(new_record_id(), "stop", tablet.unit, message.first));
        if (!frame) break;
        message.changes = {*frame};
        message.head = random_id<Hash>(world_.random());
        message.signature = wire::sign_head(tablet.identity.key, tablet.identity.device, theirs,
                                            message.first, message.head);
        say(message);
        break;
      }
      case 6:  // what others sent, again
        if (!captured_.empty()) link->up.push_back(captured_[own.below(captured_.size())]);
        break;
      case 7:  // answers and confirmations that are not its own
        say(wire::Got{victim.tablet->unit, Bytes(48, static_cast<std::uint8_t>(own.next()))});
        say(wire::Confirm{
            {{theirs, Sequence{1 + own.below(50)}, wire::ExceptionKind::quarantined}}});
        break;
      default: {
        Bytes noise(1 + own.below(400));
        for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(own.next());
        link->up.push_back(std::move(noise));
      }
    }
    hear();
  }
  for (const Bytes& frame : link->down) {
    const wire::Decoded decoded = test::open_frame(frame);
    const auto* deliver = std::get_if<wire::Deliver>(&decoded.message);
    if (deliver != nullptr && deliver->unit != device_units_[tablet.identity.device])
      violated("a device that lied is sent records of " + deliver->unit);
  }
  world_.cut(tablet);
  happened("hostile session");
}

}  // namespace fieldpost::sim

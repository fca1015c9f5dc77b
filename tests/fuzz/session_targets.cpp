// The machines of a connection, fed with whatever a broken or hostile other side might send: a hub and its tablets
// over stores in memory (tests/support/sync_world.h), every frame moved, lost, repeated, changed or made up as the
// input says. Signed messages are signed anew after a change: the other side may hold a device's key, or the hub's.
#include <map>

#include "storage/hub_tables.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/small_world.h"
#include "wire/pack.h"

namespace fieldpost::fuzz {
namespace {

using test::Connection;
using test::field;
using test::Tablet;

enum class Hostile : std::uint8_t {
  nobody,  ///< frames are lost, repeated and late; nothing is changed: then all must converge
  tablet,  ///< what goes up is changed
  hub,     ///< what goes down is changed
};

/// What went over one connection and is needed to sign for it.
struct Seen {
  wire::Challenge challenge;
  wire::Hello hello;
  std::size_t delivers = 0;  ///< left the hub
  std::size_t gots = 0;      ///< left the tablet, or were made up
};

class Game {
 public:
  Game() {
    disks_ = small_.world.hub_disks();
    for (const Tablet& tablet : world().tablets()) tablets_.push_back(tablet.kv->snapshot());
    start_ = world().now();
    world().tap = [this](Connection& connection, bool up, BytesView frame) {
      note(connection, up, frame);
    };
  }

  void play(Hostile hostile, Input& in) {
    set_up();
    hostile_ = hostile;
    for (int steps = 0; steps < 120 && !in.empty(); ++steps) step(in);
    for (Tablet& tablet : world().tablets()) world().cut(tablet);
    judge();
    if (hostile == Hostile::nobody) converge();
  }

 private:
  test::SyncWorld& world() { return small_.world; }

  /// Everything as it was before the first input.
  void set_up() {
    world().dice() = test::Dice(5);
    world().set_clocks(start_.wall, start_.monotonic_ms);
    world().roll_back_hub(disks_);
    std::size_t i = 0;
    for (Tablet& tablet : world().tablets()) {
      tablet.store.reset();
      tablet.kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables, tablets_[i++]);
      tablet.store = *storage::open_agent_store(*tablet.kv, *tablet.codec);
      tablet.estimate = {};
      tablet.anchor.reset();
      tablet.closed.reset();
    }
    seen_.clear();
    history_.clear();
    crashes_ = world().hub_crashes();
  }

  void step(Input& in) {
    Tablet& tablet = world().tablets()[in.below(3)];
    switch (in.below(16)) {
      case 0:
        return world().connect(tablet);
      case 1:
        return world().cut(tablet);
      case 2:
        return edit(tablet, in);
      case 3:
      case 4:
        return move(tablet, true);
      case 5:
      case 6:
        return move(tablet, false);
      case 7:
        world().write(in.below(2) == 0);
        return;
      case 8:
        if (tablet.link) world().hear_writer(*tablet.link);
        return;
      case 9:
        return world().settle(in.below(2) == 0);
      case 10:
        return pass(tablet, in);
      case 11:
        return lose_or_repeat(tablet, in);
      default:
        return tamper(tablet, in);
    }
  }

  void edit(Tablet& tablet, Input& in) {
    const RecordId& id = small_.records[in.below(small_.records.size())];
    const char* const kPaths[] = {"witness", "notes", "bad", "state"};
    (void)world().edit(tablet, id, {field(kPaths[in.below(4)], std::int64_t{in.byte()})});
  }

  void pass(Tablet& tablet, Input& in) {
    static constexpr std::uint64_t kTimes[] = {1, 1'000, 60'000, 3'600'000, 86'400'000};
    world().pass(kTimes[in.below(5)]);
    if (tablet.link) world().take(tablet, tablet.link->agent->on_tick(world().now(tablet), {}));
  }

  // ---- moving frames, and what must hold when one was taken ----

  void move(Tablet& tablet, bool up) {
    if (!tablet.link) return;
    const auto link = tablet.link;
    if (up) {
      if (link->up.empty()) return;
      // What was made up or repeated left no tablet.
      if (hostile_ == Hostile::tablet && is<wire::Got>(link->up.front())) ++seen_[link.get()].gots;
      const bool closed = link->hub_closed;
      const bool greeted = link->hub->greeted();
      const std::size_t batches = world().batches_waiting();
      const std::size_t down = link->down.size();
      world().move_up(link);
      if (closed) require(link->down.size() == down, "after the end nothing is answered");
      if (!greeted && !link->hub->greeted())
        require(world().batches_waiting() == batches, "nothing is written for somebody unknown");
      return;
    }
    const auto commits = tablet.kv->commits();
    const bool connected = tablet.link != nullptr;
    world().move_down(tablet);
    if (connected && !tablet.link && tablet.closed &&
        (tablet.closed->is(Errc::malformed) || tablet.closed->is(Errc::too_large) ||
         tablet.closed->is(Errc::bad_signature)))
      require(tablet.kv->commits() == commits, "a message that is refused changes nothing");
  }

  void lose_or_repeat(Tablet& tablet, Input& in) {
    if (!tablet.link) return;
    auto& queue = in.below(2) == 0 ? tablet.link->up : tablet.link->down;
    if (queue.empty()) return;
    // Within a connection frames come in order and whole; a lost one is the end of it.
    if (in.below(2) == 0 || hostile_ == Hostile::nobody) return world().cut(tablet);
    queue.push_front(Bytes(queue.front()));
  }

  // ---- changing what is on its way ----

  void tamper(Tablet& tablet, Input& in) {
    if (hostile_ == Hostile::nobody || !tablet.link) return move(tablet, in.below(2) == 0);
    const bool up = hostile_ == Hostile::tablet;
    const auto link = tablet.link;
    auto& queue = up ? link->up : link->down;
    switch (in.below(5)) {
      case 0:  // bytes of the frame itself
        if (queue.empty()) return;
        queue.front() = damaged(queue.front(), in);
        break;
      case 1:  // bytes of the message
        if (queue.empty()) return;
        if (const auto message = test::compressor().decode_frame(queue.front()))
          queue.front() = signed_anew(tablet, damaged(*message, in));
        break;
      case 2:  // what it says
        if (queue.empty()) return;
        bend(tablet, queue.front(), in);
        break;
      case 3:  // something that was said before, here or elsewhere
        if (history_.empty()) return;
        queue.push_front(history_[in.below(history_.size())]);
        break;
      default:  // something new
        queue.push_front(signed_anew(tablet, made_up(in)));
        break;
    }
    move(tablet, up);
  }

  static Bytes damaged(BytesView bytes, Input& in) {
    Bytes out = to_bytes(bytes);
    for (std::size_t left = 1 + in.below(3); left > 0 && !out.empty(); --left) {
      const std::size_t at = in.number(2) % out.size();
      const auto where = out.begin() + static_cast<std::ptrdiff_t>(at);
      switch (in.below(4)) {
        case 0:
          *where = in.byte();
          break;
        case 1:
          out.resize(at);
          break;
        case 2:
          out.erase(where);
          break;
        default:
          out.insert(where, in.byte());
          break;
      }
    }
    return out;
  }

  /// A message of any kind with a body out of the input.
  static Bytes made_up(Input& in) {
    wire::Writer out;
    out.array(2);
    out.unsigned_integer(1 + in.below(25));
    Bytes bytes = std::move(out).take();
    const BytesView body = in.take(in.below(64));
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
  }

  /// The frame of a message, with true signatures where they are in the message.
  Bytes signed_anew(const Tablet& tablet, BytesView bytes) {
    auto decoded = wire::decode_message(bytes);
    if (!decoded) return test::compressor().encode_frame(bytes);
    return signed_frame(tablet, decoded->message);
  }

  Bytes signed_frame(const Tablet& tablet, wire::Message message) {
    const Seen& seen = seen_[tablet.link.get()];
    const auto& binding = tablet.link->binding;
    if (auto* hello = std::get_if<wire::Hello>(&message)) {
      return test::compressor().encode_frame(
          wire::encode_hello(*hello, seen.challenge, binding, tablet.identity.key));
    }
    if (auto* welcome = std::get_if<wire::Welcome>(&message)) {
      return test::compressor().encode_frame(
          wire::encode_welcome(*welcome, seen.challenge, seen.hello, binding, world().hub_key()));
    }
    if (auto* push = std::get_if<wire::Push>(&message)) sign(tablet, *push);
    if (auto* gap = std::get_if<wire::Gap>(&message))
      wire::sign_gap(tablet.identity.key, tablet.identity.device, *gap);
    return test::frame_of(message);
  }

  void sign(const Tablet& tablet, wire::Push& push) {
    const auto own = tablet.store->chain_hash(push.actor, {push.first.value - 1});
    push.head = own && *own
                    ? **own
                    : wire::chain_start(world().hub_id(), tablet.identity.device, push.actor);
    for (const Bytes& change : push.changes) push.head = wire::chain_next(push.head, change);
    push.signature = wire::sign_head(tablet.identity.key, tablet.identity.device, push.actor,
                                     {push.first.value + push.changes.size() - 1}, push.head);
  }

  std::uint64_t bent_number(std::uint64_t number, Input& in) {
    static constexpr std::uint64_t kOthers[] = {0, 1, 2, 100, UINT64_MAX, UINT64_MAX - 1};
    const std::size_t how = in.below(8);
    return how < 6 ? kOthers[how] : how == 6 ? number + 1 : number - 1;
  }

  ActorId bent_actor(Input& in) {
    const Tablet& other = world().tablets()[in.below(3)];
    return in.below(4) == 0 ? ActorId{0x77} : other.store->state().actors.front().actor;
  }

  std::string bent_unit(Input& in) {
    static const char* const kUnits[] = {"01-PPT", "01-RH1", "09-CYM", "x"};
    return kUnits[in.below(4)];
  }

  void bend_change(Bytes& frame, Input& in) {
    auto change = wire::decode_change(ActorId{1}, frame);
    if (!change) return;
    switch (in.below(7)) {
      case 0:
        change->prev = {bent_number(change->prev.value, in)};
        break;
      case 1:
        change->unit = bent_unit(in);
        break;
      case 2:
        change->record = small_.records[in.below(small_.records.size())];
        break;
      case 3:
        change->context.add({bent_actor(in), {1 + in.below(9)}});
        break;
      case 4:
        change->edits = {field("bad", std::int64_t{in.byte()})};
        break;
      case 5:
        change->welcome = bent_number(change->welcome, in);
        break;
      default:
        change->type = in.below(2) == 0 ? "visit" : "unheard-of";
        break;
    }
    if (auto again = wire::encode_change(*change)) frame = *std::move(again);
  }

  void bend_state(Bytes& state, Input& in) {
    auto record = wire::decode_record(state);
    if (!record) return;
    const std::size_t how = in.below(5);
    if (how == 0) record->vv.add({bent_actor(in), {1 + in.below(9)}});
    if (how == 1) record->unit = bent_unit(in);
    if (how == 2) record->type = "visit";
    if (how == 3) record->id = small_.records[in.below(small_.records.size())];
    if (how == 4 && !record->groups.empty())
      record->groups.erase(record->groups.begin() +
                           static_cast<std::ptrdiff_t>(in.below(record->groups.size())));
    if (auto again = wire::encode_record(*record)) state = *std::move(again);
  }

  /// Changes what a message says where that tells most, and signs it.
  void bend(const Tablet& tablet, Bytes& frame, Input& in) {
    const auto bytes = test::compressor().decode_frame(frame);
    if (!bytes) return;
    auto decoded = wire::decode_message(*bytes);
    if (!decoded) return;
    wire::Message& message = decoded->message;
    if (auto* push = std::get_if<wire::Push>(&message)) {
      bend_change(push->changes[in.below(push->changes.size())], in);
      if (in.below(4) == 0) push->actor = bent_actor(in);
    } else if (auto* hello = std::get_if<wire::Hello>(&message)) {
      if (in.below(2) == 0 && !hello->actors.empty()) {
        auto& head = hello->actors[in.below(hello->actors.size())];
        head.head = {bent_number(head.head.value, in)};
      } else {
        for (auto& cursor : hello->cursors) {
          if (!cursor.cursor.empty()) cursor.cursor[in.below(cursor.cursor.size())] ^= in.byte();
        }
      }
      if (in.below(3) == 0) hello->welcome_id = bent_number(hello->welcome_id, in);
    } else if (auto* deliver = std::get_if<wire::Deliver>(&message)) {
      if (!deliver->states.empty())
        bend_state(deliver->states[in.below(deliver->states.size())], in);
      if (in.below(4) == 0) deliver->unit = bent_unit(in);
      if (in.below(4) == 0) deliver->caught_up = !deliver->caught_up;
    } else if (auto* welcome = std::get_if<wire::Welcome>(&message)) {
      for (auto& verdict : welcome->verdicts) {
        if (in.below(2) == 0) verdict.head = {bent_number(verdict.head.value, in)};
        if (in.below(3) == 0) verdict.kind = static_cast<wire::VerdictKind>(in.below(4));
        if (in.below(3) == 0) verdict.backed_up = {bent_number(verdict.backed_up.value, in)};
      }
      if (in.below(4) == 0) welcome->grants = {{bent_unit(in)}};
      if (in.below(4) == 0) welcome->window_pushes = in.byte();
    } else if (auto* ack = std::get_if<wire::Ack>(&message)) {
      ack->head = {bent_number(ack->head.value, in)};
      if (in.below(2) == 0) ack->actor = bent_actor(in);
    } else if (auto* rewind = std::get_if<wire::Rewind>(&message)) {
      rewind->head = {bent_number(rewind->head.value, in)};
    } else if (auto* got = std::get_if<wire::Got>(&message)) {
      if (!got->cursor.empty()) got->cursor[in.below(got->cursor.size())] ^= in.byte();
    } else if (auto* challenge = std::get_if<wire::Challenge>(&message)) {
      challenge->epoch.bytes[in.below(16)] ^= in.byte();
    } else if (auto* recovered = std::get_if<wire::Recovered>(&message)) {
      for (Bytes& state : recovered->states) bend_state(state, in);
    }
    frame = signed_frame(tablet, std::move(message));
  }

  // ---- what must hold ----

  template <class M>
  static bool is(BytesView frame) {
    const auto bytes = test::compressor().decode_frame(frame);
    if (!bytes) return false;
    const auto decoded = wire::decode_message(*bytes);
    return decoded && std::holds_alternative<M>(decoded->message);
  }

  /// Every frame as a production session made it.
  void note(Connection& connection, bool up, BytesView frame) {
    require(frame.size() <= limits::kFrameBytesMax, "no frame is above its limit");
    if (history_.size() < 64) history_.push_back(to_bytes(frame));
    Seen& seen = seen_[&connection];
    const auto decoded = test::open_frame(frame);
    if (const auto* challenge = std::get_if<wire::Challenge>(&decoded.message))
      seen = {*challenge, {}, 0, 0};  // the first word of a connection
    if (const auto* hello = std::get_if<wire::Hello>(&decoded.message)) seen.hello = *hello;
    if (std::holds_alternative<wire::Got>(decoded.message)) ++seen.gots;
    if (up) return;
    if (const auto* ack = std::get_if<wire::Ack>(&decoded.message)) {
      const std::string unit = connection.hub->compartment() == 0 ? "01-PPT" : "01-RH1";
      const auto durable = world().reader(unit).actor(ack->actor);
      require(durable && *durable && (*durable)->head >= ack->head,
              "acknowledged is only what is committed");
    }
    if (std::holds_alternative<wire::Deliver>(decoded.message)) {
      ++seen.delivers;
      require(seen.delivers <= limits::kDeliverWindow + seen.gots,
              "no more delivers than the window are unanswered");
    }
  }

  void judge() {
    const Status proved = world().verify_hub();
    if (!proved) std::fprintf(stderr, "%s\n", proved.error().message().c_str());
    require(proved.has_value(), "the hub proves what it holds, whoever spoke to it");
    require(world().hub_crashes() == crashes_, "no batch of a session fails the writer");
    for (const Tablet& tablet : world().tablets()) {
      const Status sound = tablet.store->verify([](std::uint64_t) {});
      if (!sound)
        std::fprintf(stderr, "%s: %s\n", tablet.name.c_str(), sound.error().message().c_str());
      require(sound.has_value(), "a tablet's store is sound, whoever spoke to it");
      for (const auto& own : tablet.store->state().actors)
        require(own.acked <= own.head && own.backed_up <= own.head && own.purged_to <= own.head,
                "a chain ends at its head");
    }
  }

  void everybody_connects() {
    for (int rounds = 0; rounds < 4; ++rounds) {
      for (Tablet& tablet : world().tablets()) {
        world().connect(tablet);
        world().settle();
        world().cut(tablet);
      }
    }
  }

  /// Links hold, an operator accepts what is in quarantine, and everybody comes to know the same.
  void converge() {
    everybody_connects();
    for (const std::string unit : {"01-PPT", "01-RH1"}) {
      const auto waiting = world().reader(unit).quarantine(1000);
      for (const auto& entry : *waiting) {
        require(world()
                    .rule(unit, entry.exception.actor, entry.exception.counter,
                          storage::HubStore::Ruling::accept)
                    .has_value(),
                "what is in quarantine can be accepted");
      }
    }
    everybody_connects();
    for (Tablet& tablet : world().tablets()) {
      world().connect(tablet);
      world().settle();
    }
    for (Tablet& tablet : world().tablets()) {
      require(tablet.in_sync(), "over links that hold every tablet comes to be in sync");
      require(tablet.digest() == world().hub_digest(tablet.unit), "and has what the hub has");
      world().cut(tablet);
    }
  }

  SmallWorld small_;
  test::SyncWorld::HubDisks disks_;
  std::vector<storage::MemoryKv::Snapshot> tablets_;
  sync::TimeReading start_;
  std::size_t crashes_ = 0;
  Hostile hostile_ = Hostile::nobody;
  std::map<Connection*, Seen> seen_;
  std::vector<Bytes> history_;
};

void play(Hostile hostile, BytesView bytes) {
  static Game game;
  Input in(bytes);
  game.play(hostile, in);
}

/// Connections that come to life and are then spoken to.
std::vector<Bytes> game_seeds() {
  std::vector<Bytes> seeds;
  const auto greeted = [](std::uint8_t tablet) {
    return Bytes{tablet, 0, tablet, 5, tablet, 3, tablet, 5, tablet, 3, tablet, 7, 0, tablet, 8};
  };
  for (std::uint8_t tablet = 0; tablet < 3; ++tablet) {
    for (std::uint8_t how = 0; how < 5; ++how) {
      for (std::uint8_t at = 0; at < 3; ++at) {
        Bytes seed = greeted(tablet);
        seed.resize(2 + 4 * at);
        for (std::uint8_t more = 0; more < 12; ++more)
          seed.insert(seed.end(), {tablet, 12, how, more, at});
        seeds.push_back(std::move(seed));
      }
    }
    Bytes seed = greeted(tablet);
    for (std::uint8_t more = 0; more < 6; ++more)
      seed.insert(seed.end(),
                  {tablet, 2, more, 0, more, tablet, 9, 0, tablet, 10, 3, tablet, 1, tablet, 0});
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace

std::vector<Target> targets() {
  return {
      {"sessions_lossy", [](BytesView bytes) { play(Hostile::nobody, bytes); }, game_seeds, 256, 8},
      {"hub_session", [](BytesView bytes) { play(Hostile::tablet, bytes); }, game_seeds, 256, 8},
      {"agent_session", [](BytesView bytes) { play(Hostile::hub, bytes); }, game_seeds, 256, 8},
  };
}

}  // namespace fieldpost::fuzz

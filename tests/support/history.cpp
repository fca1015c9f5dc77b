#include "tests/support/history.h"

#include <algorithm>
#include <map>
#include <ostream>

namespace fieldpost::test {

namespace {

using namespace fieldpost::model;

constexpr std::size_t kWriters = 4;
constexpr std::size_t kChangesMax = 64;

const char* const kAuthors[kWriters] = {"alice", "bob", "chan", "hub"};
// Few paths and few values, so that edits meet often.
const char* const kPaths[] = {
    "direction",          "drug_items/k1/net_mg", "grounds", "persons/p1/name_km",
    "persons/p2/name_km", "position/lat",         "state"};

struct Writer {
  ActorId actor;
  std::uint64_t counter = 0;  ///< of all this actor's edits, also of other records
  std::uint64_t prev = 0;     ///< of its newest edit of this record
  Mask own_past = 0;          ///< what that edit rests on, and itself
  Mask known = 0;
  Mask form = 0;  ///< what was known when the form was opened
};

VersionVector vector_of(const History& history, Mask mask) {
  std::map<std::uint64_t, std::uint64_t> newest;
  for (std::size_t i = 0; i < history.changes.size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    auto& counter = newest[history.changes[i].dot.actor.value];
    counter = std::max(counter, history.changes[i].dot.counter.value);
  }
  std::vector<VersionVector::Entry> entries;
  entries.reserve(newest.size());
  for (const auto& [actor, counter] : newest) entries.push_back({{actor}, {counter}});
  return *VersionVector::from_entries(std::move(entries));
}

Seal make_seal(std::uint8_t change, std::uint8_t which) {
  Seal seal;
  seal.id.bytes.fill(change);
  seal.id.bytes[0] = which;
  KeyBox box;
  box.recipient.bytes.fill(0x77);
  box.box = Bytes(80, change);
  seal.boxes.push_back(std::move(box));
  return seal;
}

/// A value; a sealed one marks its seal as used.
Value make_value(Dice& dice, std::uint8_t change, bool (&seals_used)[2]) {
  switch (dice.below(8)) {
    case 0:
      return Null{};
    case 1:
      return dice.one_in(2);
    case 2:
      return static_cast<std::int64_t>(dice.below(3)) - 1;
    case 3:
      return std::string("void");
    case 4:
      return List{std::int64_t{7}, std::string(dice.one_in(2) ? "weapons" : "drugs")};
    case 5: {
      const std::size_t which = dice.below(2);
      seals_used[which] = true;
      return Sealed{make_seal(change, static_cast<std::uint8_t>(which)).id, Bytes(3, change)};
    }
    default:
      return std::string(dice.one_in(2) ? "entry" : "exit");
  }
}

ChangeTimes make_times(Dice& dice) {
  constexpr std::int64_t kWalls[] = {
      0, 1'772'349'300'000, 1'772'349'300'001, 2'085'978'496'000, INT64_MAX, INT64_MIN};
  ChangeTimes times;
  times.wall = {kWalls[dice.below(std::size(kWalls))]};
  times.boot = dice.below(2);
  times.monotonic_ms = dice.below(3);
  if (dice.one_in(3)) times.hub = HubTime{{kWalls[dice.below(std::size(kWalls))]}, dice.below(3)};
  return times;
}

Change make_change(const History& history, const Writer& writer, std::size_t who, Mask form,
                   Dice& dice) {
  const auto number = static_cast<std::uint8_t>(history.changes.size() + 1);
  Change change;
  change.record.bytes.fill(0x51);
  change.dot = {writer.actor, {writer.counter}};
  change.prev = {writer.prev};
  change.type = "stop";
  change.unit = "PPT";
  change.context = vector_of(history, form);
  change.author = kAuthors[who];
  change.times = make_times(dice);
  change.schema_version = static_cast<std::uint32_t>(1 + dice.below(2));
  change.salt.bytes.fill(number);
  if (dice.one_in(8)) change.origin = Origin{{{0xDEAD}, {number}}, {}};
  bool seals_used[2] = {false, false};
  for (const char* path : kPaths) {
    if (dice.one_in(4)) change.edits.push_back({path, make_value(dice, number, seals_used)});
  }
  if (dice.one_in(6)) change.reason = std::string("mistyped");
  if (dice.one_in(6)) {
    seals_used[1] = true;
    change.reason = Sealed{make_seal(number, 1).id, Bytes(2, number)};
  }
  for (std::uint8_t i = 0; i < 2; ++i) {
    if (seals_used[i]) change.seals.push_back(make_seal(number, i));
  }
  return change;
}

void edit(History& history, Writer& writer, std::size_t who, Dice& dice) {
  if (history.changes.size() == kChangesMax) return;
  const Mask form = dice.one_in(2) ? writer.form : writer.known;
  writer.counter += 1 + (dice.one_in(3) ? dice.below(5) : 0);  // the others were of other records
  history.changes.push_back(make_change(history, writer, who, form, dice));
  const Mask self = Mask{1} << (history.changes.size() - 1);
  writer.own_past |= form | self;
  history.past.push_back(writer.own_past);
  writer.prev = writer.counter;
  writer.known |= writer.own_past;
}

void take_step(History& history, std::vector<Writer>& writers, const Step& step) {
  const std::size_t who = step.who % kWriters;
  Writer& writer = writers[who];
  Dice dice(step.entropy);
  switch (step.kind) {
    case Step::Kind::edit:
      edit(history, writer, who, dice);
      break;
    case Step::Kind::open:
      writer.form = writer.known;
      break;
    case Step::Kind::meet:
      writer.known |= writers[dice.below(kWriters)].known;
      break;
    case Step::Kind::fetch:
      if (!history.changes.empty()) writer.known |= history.past[dice.below(history.past.size())];
      break;
    case Step::Kind::new_actor:
      // Neither growing nor falling with time, so that sorting by actor is not sorting by age.
      writer = {{dice.next() | 1}, 0, 0, 0, dice.one_in(2) ? writer.form : writer.known,
                writer.form};
      break;
  }
}

}  // namespace

std::uint64_t Dice::next() {
  state_ += 0x9E3779B97F4A7C15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

Script make_script(std::uint64_t seed, std::size_t length) {
  using Kind = Step::Kind;
  constexpr Kind kOdds[] = {Kind::edit, Kind::edit,  Kind::edit, Kind::edit,
                            Kind::edit, Kind::edit,  Kind::open, Kind::open,
                            Kind::meet, Kind::fetch, Kind::meet, Kind::new_actor};
  Dice dice(seed);
  Script script;
  script.delivery = dice.next();
  for (std::size_t i = 0; i < length; ++i) {
    const Kind kind = kOdds[dice.below(std::size(kOdds))];
    script.steps.push_back({kind, static_cast<std::uint8_t>(dice.below(kWriters)), dice.next()});
  }
  return script;
}

History play(const Script& script) {
  std::vector<Writer> writers(kWriters);
  for (std::size_t i = 0; i < kWriters; ++i) writers[i].actor = {0xA0 + i};
  History history;
  for (const Step& step : script.steps) take_step(history, writers, step);
  return history;
}

std::vector<std::size_t> random_admissible_order(const History& history, Mask mask, Dice& dice) {
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < history.changes.size(); ++i) {
    if ((mask >> i & 1) != 0) left.push_back(i);
  }
  std::vector<std::size_t> order;
  Mask done = 0;
  while (!left.empty()) {
    // From a random place on, the first whose whole past is there. One always is: the oldest.
    const std::size_t from = dice.below(left.size());
    for (std::size_t k = 0; k < left.size(); ++k) {
      const auto it = left.begin() + static_cast<std::ptrdiff_t>((from + k) % left.size());
      const Mask self = Mask{1} << *it;
      if ((history.past[*it] & ~self & ~done) != 0) continue;
      done |= self;
      order.push_back(*it);
      left.erase(it);
      break;
    }
  }
  return order;
}

Mask random_knowledge(const History& history, Dice& dice) {
  Mask mask = 0;
  if (history.changes.empty()) return mask;
  for (std::size_t n = dice.below(4); n > 0; --n)
    mask |= history.past[dice.below(history.past.size())];
  return mask;
}

std::ostream& operator<<(std::ostream& out, const Script& script) {
  const History history = play(script);
  out << script.steps.size() << " steps, delivery seed " << script.delivery << '\n';
  for (std::size_t i = 0; i < history.changes.size(); ++i) {
    const Change& change = history.changes[i];
    out << "  [" << i << "] " << change.author << ' ' << to_text(change.dot) << " prev "
        << change.prev.value << " saw {";
    for (const auto& entry : change.context.entries()) {
      out << ' ' << to_text(Dot{entry.actor, entry.counter});
    }
    out << " } sets";
    for (const FieldValue& field : change.edits)
      out << ' ' << field.path << '#' << field.value.index();
    out << '\n';
  }
  return out;
}

}  // namespace fieldpost::test

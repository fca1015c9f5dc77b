// The laws of the merge, over random histories, against the oracle.
//
// RC_PARAMS sets the seed and the number of histories; a failure is shrunk to few steps and printed
// with what reproduces it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <rapidcheck.h>
#include <set>

#include "model/record.h"
#include "tests/support/catch.h"
#include "tests/support/history.h"
#include "tests/support/oracle.h"

#ifdef FIELDPOST_TEST_RECORD_BYTES
#include "wire/codec.h"
#endif

namespace fieldpost::test {
namespace {

using namespace fieldpost::model;

/// Scripts that grow with RapidCheck's size and shrink by dropping steps.
rc::Gen<Script> scripts() {
  return rc::Gen<Script>([](const rc::Random& random, int size) {
    rc::Random source = random;
    const auto length =
        static_cast<std::size_t>(2 + size / 4 + static_cast<int>(source.split().next() % 4));
    return rc::shrinkable::shrinkRecur(
        make_script(source.next(), length), [](const Script& script) {
          return rc::seq::map(rc::shrink::removeChunks(script.steps),
                              [delivery = script.delivery](std::vector<Step> steps) {
                                return Script{std::move(steps), delivery};
                              });
        });
  });
}

/// What this run has looked at.
struct Tally {
  std::size_t histories = 0;
  std::size_t several_tablets = 0;  ///< with changes of two actors or more
  std::size_t stale_contexts =
      0;  ///< with a form that was saved after its own tablet had saved another
};
Tally tally;

/// The history of a script, counted.
History counted(const Script& script) {
  History history = play(script);
  std::set<ActorId> writers;
  bool stale = false;
  for (const Change& change : history.changes) {
    writers.insert(change.dot.actor);
    stale = stale || change.context[change.dot.actor] < change.prev;
  }
  ++tally.histories;
  if (writers.size() > 1) ++tally.several_tablets;
  if (stale) ++tally.stale_contexts;
  return history;
}

bool holds(const std::string& law, const std::function<void(const Script&)>& property) {
  setenv("RC_PARAMS", "seed=20260301 max_success=20000", 0);  // when not started by ctest
  return rc::check(law, [&] { property(*scripts()); });
}

Record fresh() {
  RecordId id;
  id.bytes.fill(0x51);
  return empty_record(id, "stop", "PPT");
}

/// Equal in every way that anyone can see, the canonical bytes included where they exist.
void require_same(const Record& a, const Record& b) {
  RC_ASSERT(a == b);
#ifdef FIELDPOST_TEST_RECORD_BYTES
  const auto bytes_a = wire::encode_record(a);
  const auto bytes_b = wire::encode_record(b);
  RC_ASSERT(bytes_a.has_value());
  RC_ASSERT(bytes_b.has_value());
  RC_ASSERT(*bytes_a == *bytes_b);
  const auto decoded = wire::decode_record(*bytes_a);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == a);
#endif
}

void require_sound(const Record& record) {
  const Status status = check_record(record);
  if (!status) RC_FAIL(status.error().message());
}

Oracle oracle_of(const History& history, Mask mask) {
  Oracle oracle;
  for (std::size_t i = 0; i < history.changes.size(); ++i) {
    if ((mask >> i & 1) != 0) oracle.receive(history.changes[i]);
  }
  return oracle;
}

/// What a replica holds that knows exactly `mask`, by apply alone.
Record replica(const History& history, Mask mask, Dice& dice) {
  Record record = fresh();
  for (std::size_t i : random_admissible_order(history, mask, dice)) {
    RC_ASSERT(apply(record, history.changes[i]) == Applied::applied);
  }
  return record;
}

Record joined(Record into, const Record& other) {
  RC_ASSERT(join(into, other).has_value());
  return into;
}

bool has(const Record& record, const Dot& dot, std::string_view path) {
  for (const Sibling& sibling : siblings(record, path)) {
    if (sibling.group->dot == dot) return true;
  }
  return false;
}

/// Every value of `before` is in `after`, or a change of the same path whose context covers it is in `why`.
void require_nothing_lost(const History& history, const Record& before, const Record& after,
                          Mask why) {
  for (const DotGroup& group : before.groups) {
    for (const FieldValue& field : group.fields) {
      if (has(after, group.dot, field.path)) continue;
      bool replaced = false;
      for (std::size_t i = 0; i < history.changes.size(); ++i) {
        const Change& change = history.changes[i];
        const bool covers =
            (why >> i & 1) != 0 && change.context[group.dot.actor] >= group.dot.counter;
        const bool same_path =
            std::any_of(change.edits.begin(), change.edits.end(),
                        [&](const FieldValue& edit) { return edit.path == field.path; });
        replaced = replaced || (covers && same_path);
      }
      RC_ASSERT(replaced);
    }
  }
}

// ---- arrival in any order ----

/// Each change once, a third of them twice, shuffled; now and then some never arrive.
std::vector<std::size_t> arrivals(const History& history, Dice& dice) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < history.changes.size(); ++i) {
    order.push_back(i);
    if (dice.one_in(3)) order.push_back(i);
  }
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[dice.below(i)]);
  if (dice.one_in(2)) order.resize(order.size() - order.size() / 4);
  return order;
}

void check_arrivals(const Script& script) {
  const History history = counted(script);
  Dice dice(script.delivery);
  Oracle oracle;
  Record record = fresh();
  std::vector<Change> waiting;
  std::set<Dot> applied;
  for (std::size_t i : arrivals(history, dice)) {
    const Change& change = history.changes[i];
    const bool new_to_us = !applied.contains(change.dot);
    waiting.push_back(change);
    oracle.receive(change);
    const Record before = record;
    const Drained drained = drain(record, waiting);
    Mask now = 0;
    for (const Dot& dot : drained.applied) {
      RC_ASSERT(applied.insert(dot).second);  // none twice
      for (std::size_t k = 0; k < history.changes.size(); ++k) {
        if (history.changes[k].dot == dot) now |= Mask{1} << k;
      }
    }
    RC_ASSERT(applied == oracle.admitted());
    RC_ASSERT(drained.mismatched.empty());
    if (!new_to_us) RC_ASSERT(drained.known == std::vector<Dot>{change.dot});
    std::set<Dot> present = applied;  // what is not applied is still waiting: never dropped
    for (const Change& one : waiting) present.insert(one.dot);
    RC_ASSERT(present == oracle.received());
    require_sound(record);
    require_nothing_lost(history, before, record, now);
    if (drained.applied.empty()) RC_ASSERT(record == before);
  }
  require_same(record, oracle.record());
}

TEST_CASE(
    "changes that arrive in any order, twice or not at all, are held, drained and merged as the "
    "oracle says") {
  CHECK(holds("arrival", check_arrivals));
}

// ---- apply ----

void check_orders(const Script& script) {
  const History history = counted(script);
  Dice dice(script.delivery);
  const Mask mask = dice.one_in(2) ? history.all() : random_knowledge(history, dice);
  Record a = fresh();
  const std::vector<std::size_t> order = random_admissible_order(history, mask, dice);
  for (std::size_t i : order) {
    const Change& change = history.changes[i];
    const Record before = a;
    RC_ASSERT(classify(a, change) == Applied::applied);
    RC_ASSERT(apply(a, change) == Applied::applied);
    RC_ASSERT(a.vv.compare(before.vv) == std::partial_ordering::greater);
    require_sound(a);
    require_nothing_lost(history, before, a, Mask{1} << i);
    for (const FieldValue& edit : change.edits) RC_ASSERT(has(a, change.dot, edit.path));
  }
  require_same(a, oracle_of(history, mask).record());
  require_same(a, replica(history, mask, dice));
  const Record before = a;
  for (std::size_t i : order) RC_ASSERT(apply(a, history.changes[i]) == Applied::already_known);
  RC_ASSERT(a == before);
}

TEST_CASE(
    "applying in any admissible order gives the oracle's record, and replaying changes nothing") {
  CHECK(holds("apply", check_orders));
}

// ---- join ----

struct Known {
  Mask mask = 0;
  Record record;
};

void check_pair(const History& history, const Known& a, const Known& b) {
  const Record ab = joined(a.record, b.record);
  require_sound(ab);
  require_same(ab, joined(b.record, a.record));
  require_same(ab, oracle_of(history, a.mask | b.mask).record());
  RC_ASSERT(joined(a.record, a.record) == a.record);
  RC_ASSERT(joined(ab, a.record) == ab);
  RC_ASSERT(joined(b.record, ab) == ab);
  RC_ASSERT(ab.vv.covers(a.record.vv));
  RC_ASSERT(ab.vv.covers(b.record.vv));
  RC_ASSERT((a.record.vv == b.record.vv) == (a.mask == b.mask));
  require_nothing_lost(history, a.record, ab, b.mask);
  require_nothing_lost(history, b.record, ab, a.mask);
}

void check_joins(const Script& script) {
  const History history = counted(script);
  Dice dice(script.delivery);
  std::vector<Known> replicas;
  for (std::size_t n = 3 + dice.below(3); n > 0; --n) {
    const Mask mask = random_knowledge(history, dice);
    replicas.push_back({mask, replica(history, mask, dice)});
  }
  const Known& a = replicas[0];
  const Known& b = replicas[1];
  const Known& c = replicas[2];
  check_pair(history, a, b);
  require_same(joined(joined(a.record, b.record), c.record),
               joined(a.record, joined(b.record, c.record)));
  while (replicas.size() > 1) {  // a random tree, a random side of each fork
    std::swap(replicas[dice.below(replicas.size())], replicas.back());
    const Known last = replicas.back();
    replicas.pop_back();
    Known& other = replicas[dice.below(replicas.size())];
    other.record =
        dice.one_in(2) ? joined(other.record, last.record) : joined(last.record, other.record);
    other.mask |= last.mask;
    require_sound(other.record);
  }
  require_same(replicas[0].record, oracle_of(history, replicas[0].mask).record());
}

TEST_CASE("joining is commutative, associative and idempotent, and equals the oracle in any tree") {
  CHECK(holds("join", check_joins));
}

// ---- both ----

void check_mixed(const Script& script) {
  const History history = counted(script);
  if (history.changes.empty()) return;
  Dice dice(script.delivery);
  std::vector<Known> replicas(3, Known{0, fresh()});
  for (std::size_t step = 0; step < history.changes.size(); ++step) {
    Known& known = replicas[dice.below(replicas.size())];
    const Record before = known.record;
    if (dice.one_in(3)) {
      const Known& other = replicas[dice.below(replicas.size())];
      known.record = joined(known.record, other.record);
      known.mask |= other.mask;
    } else {
      const std::size_t i = dice.below(history.changes.size());
      const Mask self = Mask{1} << i;
      const Applied verdict = apply(known.record, history.changes[i]);
      const bool missing = (history.past[i] & ~self & ~known.mask) != 0;
      const bool known_before = (known.mask & self) != 0;
      RC_ASSERT((verdict == Applied::already_known) == known_before);
      RC_ASSERT((verdict == Applied::applied) == (!known_before && !missing));
      if (verdict == Applied::applied) known.mask |= self;
      if (verdict != Applied::applied) RC_ASSERT(known.record == before);
    }
    require_sound(known.record);
    require_nothing_lost(history, before, known.record, known.mask);
  }
  for (const Known& known : replicas) {
    Dice again(script.delivery);
    require_same(known.record, oracle_of(history, known.mask).record());
    require_same(known.record, replica(history, known.mask, again));
  }
}

TEST_CASE(
    "a replica that both applies changes and joins states equals the oracle of what it knows") {
  CHECK(holds("apply and join", check_mixed));
}

// ---- what people see ----

void check_shown(const Script& script) {
  const History history = counted(script);
  Dice dice(script.delivery);
  const Mask first = random_knowledge(history, dice);
  const Mask second = random_knowledge(history, dice);
  const Record record = joined(replica(history, first, dice), replica(history, second, dice));
  const auto expected = expected_fields(oracle_of(history, first | second).record());
  const std::vector<ShownField> fields = shown_fields(record);
  RC_ASSERT(fields.size() == expected.size());
  std::vector<std::string> in_conflict;
  auto it = expected.begin();
  for (const ShownField& field : fields) {
    const auto& [path, want] = *it++;
    RC_ASSERT(field.path == path);
    RC_ASSERT(field.group->dot == want.dot);
    RC_ASSERT(*field.value == want.value);
    RC_ASSERT(field.sibling_count == want.siblings);
    RC_ASSERT(field.conflict == want.conflict);
    RC_ASSERT(shown(record, path) == field.value);
    RC_ASSERT(siblings(record, path).size() == want.siblings);
    if (want.conflict) in_conflict.push_back(path);
  }
  RC_ASSERT(conflicts(record) == in_conflict);
  RC_ASSERT(shown(record, "never_set") == nullptr);
}

TEST_CASE("the value that is shown, and what is called a conflict, follow from the changes alone") {
  CHECK(holds("shown", check_shown));
}

// ---- the histories themselves ----

TEST_CASE("random histories reach what they are for") {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    const History history = play(make_script(seed, 20));
    Dice dice(seed);
    for (std::size_t i = 0; i < history.changes.size(); ++i) {
      const Change& change = history.changes[i];
      const Status status = check_change(change);
      INFO(i);
      REQUIRE(status);
      seen["stale context"] += change.context[change.dot.actor] < change.prev;
      seen["gap in an actor's counters"] += change.dot.counter.value > change.prev.value + 1;
      seen["no edits"] += change.edits.empty();
      seen["two seals"] += change.seals.size() == 2;
      seen["sealed reason"] += std::holds_alternative<Sealed>(change.reason);
      seen["origin"] += change.origin.has_value();
      seen["actor of a restored store"] += change.dot.actor.value > 0xA3;
      seen["hub time"] += estimate(change.times).clock == ClockKind::hub;
    }
    const Record record = replica(history, history.all(), dice);
    const auto fields = shown_fields(record);
    seen["conflict"] += !conflicts(record).empty();
    seen["equal siblings"] += std::any_of(
        fields.begin(), fields.end(),
        [](const ShownField& field) { return field.sibling_count > 1 && !field.conflict; });
    seen["three siblings"] +=
        std::any_of(fields.begin(), fields.end(),
                    [](const ShownField& field) { return field.sibling_count > 2; });
    seen["a group that lost some of its fields"] +=
        std::any_of(record.groups.begin(), record.groups.end(), [&](const DotGroup& group) {
          return std::any_of(
              history.changes.begin(), history.changes.end(), [&](const Change& change) {
                return change.dot == group.dot && change.edits.size() > group.fields.size();
              });
        });
  }
  for (const auto& [what, count] : seen) {
    INFO(what << ": " << count);
    CHECK(count > 200);
  }
  CHECK(seen.size() == 12);
}

// Last: what the laws above were tried on. FIELDPOST_HISTORIES is what the run must not fall short of.
TEST_CASE("as many random histories were run as this run claims") {
  std::printf("%zu random histories, %zu of several tablets, %zu with a stale context\n",
              tally.histories, tally.several_tablets, tally.stale_contexts);
  const char* claimed = std::getenv("FIELDPOST_HISTORIES");
  if (claimed == nullptr) return;
  CHECK(tally.histories >= std::strtoull(claimed, nullptr, 10));
  CHECK(tally.several_tablets >= tally.histories / 2);
  CHECK(tally.stale_contexts >= tally.histories / 4);
}

}  // namespace
}  // namespace fieldpost::test

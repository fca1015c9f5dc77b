// The merge against its oracle (tests/support/oracle.h): histories out of the fuzzer's bytes, four bytes a step, so
// that a step can be dropped, moved or repeated; then replicas that know parts of them.
#include "tests/fuzz/fuzz.h"
#include "tests/support/history.h"
#include "tests/support/oracle.h"
#include "wire/codec.h"

namespace fieldpost::fuzz {
namespace {

using namespace model;
using test::Dice;
using test::History;
using test::Mask;
using test::Script;
using test::Step;

constexpr std::size_t kStepBytes = 4;

Script script_of(Input& in) {
  Script script;
  script.delivery = in.number(2);
  while (in.left() >= kStepBytes) {
    Step step;
    step.kind = static_cast<Step::Kind>(in.below(5));
    step.who = in.byte();
    // What, where and which values: few bytes of input, spread over all of the entropy that a step uses. A new
    // actor is random, so that no two are ever the same.
    const std::uint64_t nth = step.kind == Step::Kind::new_actor ? script.steps.size() + 1 : 0;
    step.entropy = Dice(in.number(2) | nth << 16).next();
    script.steps.push_back(step);
  }
  return script;
}

Record fresh() {
  RecordId id;
  id.bytes.fill(0x51);
  return empty_record(id, "stop", "PPT");
}

void require_same(const Record& a, const Record& b, const char* should) {
  require(a == b, should);
  const auto bytes = wire::encode_record(a);
  require(bytes.has_value() && *bytes == *wire::encode_record(b), "equal records have equal bytes");
  require(*wire::decode_record(*bytes) == a, "a merged record survives the wire");
}

/// What a replica holds that knows exactly `mask`.
Record replica(const History& history, Mask mask, Dice& dice) {
  Record record = fresh();
  for (const std::size_t i : random_admissible_order(history, mask, dice)) {
    require(apply(record, history.changes[i]) == Applied::applied, "what comes in order applies");
    require(apply(record, history.changes[i]) == Applied::already_known, "and is known then");
  }
  require(check_record(record).has_value(), "a merged record is sound");
  return record;
}

Record of_oracle(const History& history, Mask mask) {
  test::Oracle oracle;
  for (std::size_t i = 0; i < history.changes.size(); ++i) {
    if ((mask >> i & 1) != 0) oracle.receive(history.changes[i]);
  }
  return oracle.record();
}

Record joined(Record into, const Record& other) {
  require(join(into, other).has_value(), "two states of a record join");
  return into;
}

void require_shown(const Record& record) {
  const auto expected = test::expected_fields(record);
  std::size_t fields = 0;
  for (const ShownField& shown : shown_fields(record)) {
    const auto found = expected.find(std::string(shown.path));
    require(found != expected.end(), "what is shown has a value");
    require(*shown.value == found->second.value && shown.group->dot == found->second.dot,
            "what is shown is what the rule says");
    require(
        shown.sibling_count == found->second.siblings && shown.conflict == found->second.conflict,
        "and so is what is in conflict");
    ++fields;
  }
  require(fields == expected.size(), "every field is shown");
}

/// Changes in any order, some twice, some never.
void take_arrivals(const History& history, Dice& dice) {
  Record record = fresh();
  test::Oracle oracle;
  std::vector<Change> waiting;
  std::set<Dot> applied;
  for (std::size_t n = 0; n < history.changes.size() + 3; ++n) {
    const Change& change = history.changes[dice.below(history.changes.size())];
    oracle.receive(change);
    waiting.push_back(change);
    const Drained drained = drain(record, waiting);
    for (const Dot& dot : drained.applied)
      require(applied.insert(dot).second, "none applies twice");
    require(drained.mismatched.empty(), "none of one history contradicts another");
  }
  require(applied == oracle.admitted(), "what rests on nothing missing is applied, and only that");
  std::set<Dot> present = applied;
  for (const Change& one : waiting) present.insert(one.dot);
  require(present == oracle.received(), "what is not applied waits: none is dropped");
  require_same(record, oracle.record(), "arrival in any order gives the oracle's record");
}

void take_merge(BytesView bytes) {
  Input in(bytes);
  const Script script = script_of(in);
  const History history = test::play(script);
  if (history.changes.empty()) return;
  Dice dice(script.delivery);
  const Mask masks[] = {test::random_knowledge(history, dice),
                        test::random_knowledge(history, dice),
                        test::random_knowledge(history, dice)};
  Record parts[3];
  for (int i = 0; i < 3; ++i) {
    parts[i] = replica(history, masks[i], dice);
    require_same(parts[i], of_oracle(history, masks[i]), "apply gives the oracle's record");
    require_same(parts[i], replica(history, masks[i], dice), "whatever the order");
    require_same(joined(parts[i], parts[i]), parts[i], "join is idempotent");
  }
  const Record ab = joined(parts[0], parts[1]);
  require_same(ab, joined(parts[1], parts[0]), "join is commutative");
  require_same(ab, of_oracle(history, masks[0] | masks[1]), "join gives the oracle's record");
  require_same(joined(ab, parts[2]), joined(parts[0], joined(parts[1], parts[2])),
               "join is associative");
  require_same(joined(ab, parts[0]), ab, "joining what is known changes nothing");
  const Record all = replica(history, history.all(), dice);
  require_same(joined(all, ab), all, "nor does joining less");
  require_shown(all);
  take_arrivals(history, dice);
}

std::vector<Bytes> merge_seeds() {
  std::vector<Bytes> seeds;
  Dice dice(1);
  for (std::size_t steps : {1U, 2U, 3U, 4U, 6U, 8U, 12U, 16U, 24U, 40U}) {
    for (int i = 0; i < 4; ++i) {
      Bytes seed;
      for (std::size_t n = 0; n < 2 + steps * kStepBytes; ++n)
        seed.push_back(static_cast<std::uint8_t>(dice.next()));
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}

}  // namespace

std::vector<Target> targets() { return {{"merge", take_merge, merge_seeds, 200}}; }

}  // namespace fieldpost::fuzz

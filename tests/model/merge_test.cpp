// apply, hold and join, told as what Alice and Bob did to one stop.
#include "model/record.h"
#include "tests/support/catch.h"
#include "tests/support/people.h"

namespace fieldpost::test {
namespace {

using Told = std::vector<std::pair<std::string, std::string>>;  ///< author and text of each sibling

Told told(const Record& record, std::string_view path) {
  Told out;
  for (const Sibling& sibling : siblings(record, path)) {
    const auto* words = std::get_if<std::string>(sibling.value);
    out.emplace_back(sibling.group->meta.author, words != nullptr ? *words : "(none)");
  }
  return out;
}

Record after(const std::vector<Change>& changes) {
  Record record = empty_stop();
  for (const Change& one : changes) {
    INFO(to_text(one.dot));
    REQUIRE(apply(record, one) == Applied::applied);
    REQUIRE(check_record(record));
  }
  return record;
}

Record join_of(Record a, const Record& b) {
  REQUIRE(join(a, b));
  REQUIRE(check_record(a));
  return a;
}

const Change kCreated =
    change(dot(kAlice, 1), 0, {}, {{"direction", text("entry")}, {"state", text("final")}});
const Change kAlicePlate =
    change(dot(kAlice, 2), 1, vv({{kAlice, 1}}), {{"plate", text("2A-1234")}});
const Change kBobPlate = change(dot(kBob, 1), 0, vv({{kAlice, 1}}), {{"plate", text("2A-1284")}});

// ---- who replaces whom ----

struct Row {
  std::string_view what;
  Change a;  ///< Alice's edit of the plate
  Change b;  ///< Bob's
  Told plates;
};

TEST_CASE("an edit replaces exactly what its author saw") {
  const Change alice_blind =
      change(dot(kAlice, 2), 1, vv({{kAlice, 1}}), {{"plate", text("2A-1234")}});
  const Change bob_blind = change(dot(kBob, 1), 0, vv({{kAlice, 1}}), {{"plate", text("2A-1284")}});
  const Change bob_saw = change(dot(kBob, 1), 0, vv({{kAlice, 2}}), {{"plate", text("2A-1284")}});
  const Change alice_saw =
      change(dot(kAlice, 2), 1, vv({{kAlice, 1}, {kBob, 1}}), {{"plate", text("2A-1234")}});
  const Row rows[] = {
      {"Bob saw Alice's plate: Bob beats Alice", alice_blind, bob_saw, {{"bob", "2A-1284"}}},
      {"Alice saw Bob's plate: Alice beats Bob", alice_saw, bob_blind, {{"alice", "2A-1234"}}},
      {"neither saw the other's: neither beats the other",
       alice_blind,
       bob_blind,
       {{"alice", "2A-1234"}, {"bob", "2A-1284"}}},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    for (const bool alice_first : {true, false}) {
      Record record = after({kCreated});
      std::vector<Change> waiting =
          alice_first ? std::vector{row.a, row.b} : std::vector{row.b, row.a};
      drain(record, waiting);
      CHECK(waiting.empty());
      CHECK(told(record, "plate") == row.plates);
      CHECK(record.vv == vv({{kAlice, 2}, {kBob, 1}}));
    }
  }
}

TEST_CASE("edits of different fields both stand and are no conflict") {
  const Change bob = change(dot(kBob, 1), 0, vv({{kAlice, 1}}), {{"witness", text("Sok")}});
  const Record record = after({kCreated, kAlicePlate, bob});
  CHECK(told(record, "plate") == Told{{"alice", "2A-1234"}});
  CHECK(told(record, "witness") == Told{{"bob", "Sok"}});
  CHECK(conflicts(record).empty());
}

TEST_CASE("items that two tablets add at once both survive") {
  const Record record = after(
      {kCreated,
       change(dot(kAlice, 2), 1, vv({{kAlice, 1}}), {{"persons/p1/name_latin", text("Chan")}}),
       change(dot(kBob, 1), 0, vv({{kAlice, 1}}), {{"persons/p2/name_latin", text("Dara")}})});
  CHECK(told(record, "persons/p1/name_latin") == Told{{"alice", "Chan"}});
  CHECK(told(record, "persons/p2/name_latin") == Told{{"bob", "Dara"}});
}

TEST_CASE(
    "a form that Alice opened before her own last edit says so and replaces nothing it did not "
    "show") {
  // She saved the plate, then saved an older form, still open on the other screen.
  const Change stale = change(dot(kAlice, 3), 2, vv({{kAlice, 1}}), {{"plate", text("2A-9999")}});
  const Record record = after({kCreated, kAlicePlate, stale});
  CHECK(told(record, "plate") == Told{{"alice", "2A-1234"}, {"alice", "2A-9999"}});
}

TEST_CASE("a conflict is settled by an edit that saw both sides, and by no less") {
  const Record both = after({kCreated, kAlicePlate, kBobPlate});
  Record settled = both;
  REQUIRE(apply(settled, change(dot(kHub, 1), 0, both.vv, {{"plate", text("2A-1234")}})) ==
          Applied::applied);
  CHECK(told(settled, "plate") == Told{{"hub", "2A-1234"}});
  Record half = both;
  REQUIRE(apply(half, change(dot(kHub, 1), 0, vv({{kAlice, 2}}), {{"plate", text("2A-1234")}})) ==
          Applied::applied);
  CHECK(told(half, "plate") == Told{{"bob", "2A-1284"}, {"hub", "2A-1234"}});
}

TEST_CASE("a field is cleared by a null that stays, so that nothing comes back") {
  const Change cleared = change(dot(kAlice, 3), 2, vv({{kAlice, 2}}), {{"plate", Null{}}});
  Record record = after({kCreated, kAlicePlate, cleared});
  CHECK(told(record, "plate") == Told{{"alice", "(none)"}});
  CHECK(told(join_of(record, after({kCreated, kAlicePlate})), "plate") ==
        Told{{"alice", "(none)"}});
}

TEST_CASE("a void and an amendment at once are a conflict on the state") {
  const Record record =
      after({kCreated, change(dot(kAlice, 2), 1, vv({{kAlice, 1}}), {{"state", text("void")}}),
             change(dot(kBob, 1), 0, vv({{kAlice, 1}}),
                    {{"plate", text("2A-1")}, {"state", text("amended")}})});
  CHECK(conflicts(record) == std::vector<std::string>{"state"});
}

TEST_CASE("a seal stays as long as one value under it does, and a sealed reason is no state") {
  Change sealed_edit = change(dot(kAlice, 1), 0, {},
                              {{"client_pseudonym", sealed(1, "aa")},
                               {"education", sealed(1, "bb")},
                               {"setting", sealed(2, "cc")}});
  sealed_edit.seals = {seal(1), seal(2), seal(3)};
  sealed_edit.reason = sealed(3, "dd");
  Record record = after({sealed_edit});
  CHECK(record.groups[0].seals == std::vector<Seal>{seal(1), seal(2)});
  apply(record,
        change(dot(kBob, 1), 0, vv({{kAlice, 1}}), {{"education", Null{}}, {"setting", Null{}}}));
  CHECK(record.groups[0].seals == std::vector<Seal>{seal(1)});
  apply(record,
        change(dot(kBob, 2), 1, vv({{kAlice, 1}, {kBob, 1}}), {{"client_pseudonym", Null{}}}));
  CHECK(record.groups.size() == 2);
  CHECK(record.groups[0].dot == dot(kBob, 1));
}

// ---- known, held, mismatched ----

struct HoldRow {
  std::string_view what;
  Change change;
  Applied verdict;
};

TEST_CASE("what does not fit yet is held, what is known is left, and neither touches the record") {
  Change elsewhere = kAlicePlate;
  elsewhere.unit = "BVT";
  Change other_type = kAlicePlate;
  other_type.type = "seizure";
  Change other_record = kAlicePlate;
  other_record.record.bytes[0] ^= 1;
  const HoldRow rows[] = {
      {"a replay", kCreated, Applied::already_known},
      {"Alice's next", kAlicePlate, Applied::applied},
      {"Alice's next but one", change(dot(kAlice, 3), 2, vv({{kAlice, 2}}), {}),
       Applied::held_for_predecessor},
      {"the same from a stale form", change(dot(kAlice, 3), 2, vv({{kAlice, 1}}), {}),
       Applied::held_for_predecessor},
      {"an edit that leaves out one we have", change(dot(kAlice, 3), 0, {}, {}),
       Applied::held_for_predecessor},
      {"Bob's first", kBobPlate, Applied::applied},
      {"Bob's second", change(dot(kBob, 2), 1, {}, {}), Applied::held_for_predecessor},
      {"Bob's first on this record, his ninth in all", change(dot(kBob, 9), 0, {}, {}),
       Applied::applied},
      {"Bob saw more than we have", change(dot(kBob, 1), 0, vv({{kAlice, 2}}), {}),
       Applied::held_for_context},
      {"Bob saw an edit of the hub", change(dot(kBob, 1), 0, vv({{kHub, 1}}), {}),
       Applied::held_for_context},
      {"another unit", elsewhere, Applied::mismatch},
      {"another type", other_type, Applied::mismatch},
      {"another record", other_record, Applied::mismatch},
  };
  for (const HoldRow& row : rows) {
    INFO(row.what);
    Record record = after({kCreated});
    const Record before = record;
    CHECK(classify(record, row.change) == row.verdict);
    CHECK(record == before);
    CHECK(apply(record, row.change) == row.verdict);
    CHECK((record == before) == (row.verdict != Applied::applied));
  }
}

TEST_CASE("held changes are let in when their predecessors arrive, oldest first") {
  const Change second = change(dot(kAlice, 2), 1, vv({{kAlice, 1}}), {{"plate", text("2A-1")}});
  const Change third = change(dot(kAlice, 3), 2, vv({{kAlice, 2}}), {{"plate", text("2A-2")}});
  const Change bob = change(dot(kBob, 1), 0, vv({{kAlice, 3}}), {{"plate", text("2A-3")}});
  Record record = empty_stop();
  std::vector<Change> waiting = {bob, third, second};
  CHECK(drain(record, waiting).applied.empty());
  CHECK(waiting.size() == 3);
  CHECK(record == empty_stop());
  waiting.push_back(kCreated);
  const Drained drained = drain(record, waiting);
  CHECK(waiting.empty());
  CHECK(drained.applied ==
        std::vector<Dot>{dot(kAlice, 1), dot(kAlice, 2), dot(kAlice, 3), dot(kBob, 1)});
  CHECK(told(record, "plate") == Told{{"bob", "2A-3"}});
}

TEST_CASE("draining takes out what is known and names what does not belong") {
  Record record = after({kCreated});
  Change elsewhere = kAlicePlate;
  elsewhere.unit = "BVT";
  const Change far = change(dot(kAlice, 9), 8, {}, {});
  std::vector<Change> waiting = {elsewhere, far, kCreated};
  const Drained drained = drain(record, waiting);
  CHECK(drained.applied.empty());
  CHECK(drained.known == std::vector<Dot>{dot(kAlice, 1)});
  CHECK(drained.mismatched == std::vector<Dot>{dot(kAlice, 2)});
  CHECK(waiting == std::vector<Change>{far});
}

// ---- join ----

struct JoinRow {
  std::string_view what;
  std::vector<Change> a;
  std::vector<Change> b;
  Told plates;
};

TEST_CASE("two states are joined by what each has seen, and it does not matter from which side") {
  const Change bob_saw = change(dot(kBob, 1), 0, vv({{kAlice, 2}}), {{"plate", text("2A-1284")}});
  const JoinRow rows[] = {
      {"one side knows nothing", {kCreated, kAlicePlate}, {}, {{"alice", "2A-1234"}}},
      {"one side is older", {kCreated, kAlicePlate}, {kCreated}, {{"alice", "2A-1234"}}},
      {"both are the same", {kCreated, kBobPlate}, {kCreated, kBobPlate}, {{"bob", "2A-1284"}}},
      {"each has an edit that the other lacks",
       {kCreated, kAlicePlate},
       {kCreated, kBobPlate},
       {{"alice", "2A-1234"}, {"bob", "2A-1284"}}},
      {"one side has replaced what the other still shows",
       {kCreated, kAlicePlate, bob_saw},
       {kCreated, kAlicePlate},
       {{"bob", "2A-1284"}}},
  };
  for (const JoinRow& row : rows) {
    INFO(row.what);
    const Record a = after(row.a);
    const Record b = after(row.b);
    const Record ab = join_of(a, b);
    CHECK(told(ab, "plate") == row.plates);
    CHECK(join_of(b, a) == ab);
    CHECK(join_of(ab, ab) == ab);
    CHECK(join_of(ab, a) == ab);
    CHECK(join_of(ab, b) == ab);
  }
}

TEST_CASE("of a group that both sides have, only the fields that both still have stay") {
  const Change four =
      change(dot(kAlice, 1), 0, {},
             {{"a", text("1")}, {"b", text("1")}, {"c", text("1")}, {"d", text("1")}});
  const Record left = after({four, change(dot(kBob, 1), 0, vv({{kAlice, 1}}), {{"a", text("2")}})});
  const Record right =
      after({four, change(dot(kHub, 1), 0, vv({{kAlice, 1}}), {{"c", text("3")}})});
  const Record both = join_of(left, right);
  CHECK(told(both, "a") == Told{{"bob", "2"}});
  CHECK(told(both, "b") == Told{{"alice", "1"}});
  CHECK(told(both, "c") == Told{{"hub", "3"}});
  CHECK(told(both, "d") == Told{{"alice", "1"}});
}

TEST_CASE("records that are not the same record are never joined") {
  const Record stop = after({kCreated});
  for (const auto& spoil :
       {+[](Record& r) { r.id.bytes[3] ^= 1; }, +[](Record& r) { r.type = "visit"; },
        +[](Record& r) { r.unit = "BVT"; }}) {
    Record other = stop;
    spoil(other);
    Record into = stop;
    const Status status = join(into, other);
    REQUIRE_FALSE(status);
    CHECK(status.error().is(Errc::conflict));
    CHECK(into == stop);
  }
}

}  // namespace
}  // namespace fieldpost::test

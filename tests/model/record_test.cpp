// What a record must be, and how it is shown to people.
#include "model/record.h"

#include <functional>

#include "base/limits.h"
#include "tests/support/catch.h"
#include "tests/support/people.h"

namespace fieldpost::test {
namespace {

/// Alice and Bob each made one edit without knowing of the other's.
Record two_edits() {
  Record record = empty_stop();
  Change alice = change(
      dot(kAlice, 1), 0, {},
      {{"direction", text("entry")}, {"grounds", sealed(1, "xyz")}, {"outcome", text("fine")}});
  alice.seals = {seal(1)};
  REQUIRE(apply(record, alice) == Applied::applied);
  REQUIRE(apply(record, change(dot(kBob, 1), 0, {},
                               {{"direction", text("exit")}, {"outcome", text("fine")}})) ==
          Applied::applied);
  return record;
}

struct Row {
  std::string_view what;
  std::function<void(Record&)> spoil;
  Errc code;
};

TEST_CASE("a record that keeps the invariants is taken") {
  CHECK(check_record(empty_stop()));
  CHECK(check_record(two_edits()));
}

TEST_CASE("a record that breaks an invariant is refused") {
  const Row rows[] = {
      {"no type", [](Record& r) { r.type.clear(); }, Errc::malformed},
      {"no unit", [](Record& r) { r.unit.clear(); }, Errc::malformed},
      {"groups unsorted", [](Record& r) { std::swap(r.groups[0], r.groups[1]); }, Errc::malformed},
      {"a dot twice", [](Record& r) { r.groups[1].dot = r.groups[0].dot; }, Errc::malformed},
      {"a dot above the vector", [](Record& r) { r.groups[1].dot.counter = {2}; }, Errc::malformed},
      {"a dot of an unknown actor", [](Record& r) { r.groups[1].dot.actor = {0xFE}; },
       Errc::malformed},
      {"a zero counter", [](Record& r) { r.groups[0].dot.counter = {0}; }, Errc::malformed},
      {"an empty group", [](Record& r) { r.groups[1].fields.clear(); }, Errc::malformed},
      {"no author", [](Record& r) { r.groups[0].meta.author.clear(); }, Errc::malformed},
      {"fields unsorted",
       [](Record& r) { std::swap(r.groups[1].fields[0], r.groups[1].fields[1]); }, Errc::malformed},
      {"a seal missing", [](Record& r) { r.groups[0].seals.clear(); }, Errc::malformed},
      {"a seal of another group",
       [](Record& r) { std::swap(r.groups[0].seals, r.groups[1].seals); }, Errc::malformed},
      {"a seal that nothing uses", [](Record& r) { r.groups[1].seals = {seal(2)}; },
       Errc::malformed},
      {"too many actors",
       [](Record& r) {
         for (std::uint64_t i = 0; i < limits::kVectorEntriesMax; ++i)
           r.vv.add(dot({0x1000 + i}, 1));
       },
       Errc::too_large},
      {"too many groups", [](Record& r) { r.groups.resize(limits::kGroupsMax + 1); },
       Errc::too_large},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Record record = two_edits();
    row.spoil(record);
    const Status status = check_record(record);
    REQUIRE_FALSE(status);
    CHECK(status.error().is(row.code));
  }
}

TEST_CASE("siblings come in the order of their dots") {
  const Record record = two_edits();
  const std::vector<Sibling> direction = siblings(record, "direction");
  REQUIRE(direction.size() == 2);
  CHECK(direction[0].group->meta.author == "alice");
  CHECK(*direction[0].value == text("entry"));
  CHECK(direction[1].group->meta.author == "bob");
  CHECK(*direction[1].value == text("exit"));
  CHECK(siblings(record, "grounds").size() == 1);
  CHECK(siblings(record, "never_set").empty());
}

TEST_CASE("different siblings are a conflict, equal ones are not") {
  const Record record = two_edits();
  CHECK(conflicts(record) == std::vector<std::string>{"direction"});
  const std::vector<ShownField> fields = shown_fields(record);
  REQUIRE(fields.size() == 3);
  CHECK(fields[0].path == "direction");
  CHECK(fields[0].conflict);
  CHECK(fields[0].sibling_count == 2);
  CHECK(fields[1].path == "grounds");
  CHECK(fields[1].sibling_count == 1);
  CHECK(fields[2].path == "outcome");
  CHECK(fields[2].sibling_count == 2);
  CHECK_FALSE(fields[2].conflict);
}

TEST_CASE("a null beside a value is a conflict, because clearing a field is an edit") {
  Record record = empty_stop();
  apply(record, change(dot(kAlice, 1), 0, {}, {{"witness", text("Sok")}}));
  apply(record, change(dot(kBob, 1), 0, {}, {{"witness", Null{}}}));
  CHECK(conflicts(record) == std::vector<std::string>{"witness"});
}

struct ShownRow {
  std::string_view what;
  Dot a;
  std::int64_t a_ms;
  Dot b;
  std::int64_t b_ms;
  std::string_view shown;  ///< "a" or "b"
};

TEST_CASE("of two siblings the later estimated time is shown, then the higher actor") {
  const ShownRow rows[] = {
      {"Alice was later", dot(kAlice, 1), 20, dot(kBob, 1), 10, "a"},
      {"Bob was later", dot(kAlice, 1), 10, dot(kBob, 1), 20, "b"},
      {"the same time", dot(kAlice, 1), 10, dot(kBob, 1), 10, "b"},
      {"before 1970", dot(kAlice, 1), -1, dot(kBob, 1), -2, "a"},
      {"the same time, one actor, a stale form", dot(kAlice, 1), 10, dot(kAlice, 2), 10, "b"},
  };
  for (const ShownRow& row : rows) {
    INFO(row.what);
    Change a = change(row.a, 0, {}, {{"direction", text("a")}});
    a.times.wall = {row.a_ms};
    Change b = change(row.b, row.a.actor == row.b.actor ? row.a.counter.value : 0, {},
                      {{"direction", text("b")}});
    b.times.wall = {row.b_ms};
    Record record = empty_stop();
    REQUIRE(apply(record, a) == Applied::applied);
    REQUIRE(apply(record, b) == Applied::applied);
    REQUIRE(shown(record, "direction") != nullptr);
    CHECK(*shown(record, "direction") == text(row.shown));
    CHECK(*shown_fields(record)[0].value == text(row.shown));
  }
  CHECK(shown(empty_stop(), "direction") == nullptr);
}

}  // namespace
}  // namespace fieldpost::test

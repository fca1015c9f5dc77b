// What a change must be by itself, and what time it claims.
#include "model/change.h"

#include <functional>
#include <limits>

#include "base/limits.h"
#include "tests/support/catch.h"
#include "tests/support/people.h"

namespace fieldpost::test {
namespace {

/// Alice's third edit of the stop, her form opened after her second and Bob's first.
Change good() {
  Change c = change(
      dot(kAlice, 3), 2, vv({{kAlice, 2}, {kBob, 1}}),
      {{"direction", text("entry")}, {"grounds", sealed(1, "xyz")}, {"state", text("final")}});
  c.seals = {seal(1)};
  c.reason = text("mistyped at night");
  return c;
}

struct Row {
  std::string_view what;
  std::function<void(Change&)> spoil;
  Errc code;
};

TEST_CASE("a change that keeps the rules is taken") {
  CHECK(check_change(good()));
  CHECK(check_change(change(dot(kBob, 1), 0, {}, {})));  // says nothing, moves the vector
  Change c = good();
  c.reason = sealed(1, "why");
  CHECK(check_change(c));
  c = good();
  c.edits[0].value = std::string(limits::kTextBytesMax, 'x');
  CHECK(check_change(c));
}

TEST_CASE("a change that breaks a rule is refused") {
  const Row rows[] = {
      {"actor zero", [](Change& c) { c.dot.actor = {0}; }, Errc::malformed},
      {"counter zero",
       [](Change& c) {
         c.dot.counter = {0};
         c.prev = {0};
         c.context = {};
       },
       Errc::malformed},
      {"prev is the change itself", [](Change& c) { c.prev = {3}; }, Errc::malformed},
      {"prev is later", [](Change& c) { c.prev = {4}; }, Errc::malformed},
      {"the context covers the change", [](Change& c) { c.context.add(dot(kAlice, 3)); },
       Errc::malformed},
      // Named after the bug: such a change could never be applied and would have been held for ever.
      {"the context covers more of its own actor than prev", [](Change& c) { c.prev = {1}; },
       Errc::malformed},
      {"the context covers its own actor, but there is no prev", [](Change& c) { c.prev = {0}; },
       Errc::malformed},
      {"a context of too many actors",
       [](Change& c) {
         for (std::uint64_t i = 0; i < limits::kVectorEntriesMax; ++i)
           c.context.add(dot({0x1000 + i}, 1));
       },
       Errc::too_large},
      {"no type", [](Change& c) { c.type.clear(); }, Errc::malformed},
      {"a unit over the limit",
       [](Change& c) { c.unit = std::string(limits::kNameBytesMax + 1, 'u'); }, Errc::malformed},
      {"an author that is not UTF-8", [](Change& c) { c.author = "\xC3\x28"; }, Errc::malformed},
      {"edits unsorted", [](Change& c) { std::swap(c.edits[0], c.edits[2]); }, Errc::malformed},
      {"a path twice", [](Change& c) { c.edits[2].path = "grounds"; }, Errc::malformed},
      {"a bad path", [](Change& c) { c.edits[0].path = "Direction"; }, Errc::malformed},
      {"text over the limit",
       [](Change& c) { c.edits[0].value = std::string(limits::kTextBytesMax + 1, 'x'); },
       Errc::too_large},
      {"text that is not UTF-8", [](Change& c) { c.edits[0].value = text("\xFF"); },
       Errc::malformed},
      {"a list over the limit",
       [](Change& c) { c.edits[0].value = List(limits::kListItemsMax + 1, std::int64_t{1}); },
       Errc::too_large},
      {"a list of what is not UTF-8",
       [](Change& c) { c.edits[0].value = List{std::string("\x80")}; }, Errc::malformed},
      {"a ciphertext over the limit",
       [](Change& c) {
         c.edits[1].value = Sealed{seal(1).id, Bytes(limits::kCiphertextBytesMax + 1)};
       },
       Errc::too_large},
      {"a seal that is missing", [](Change& c) { c.seals.clear(); }, Errc::malformed},
      {"a seal that nothing uses", [](Change& c) { c.seals.push_back(seal(2)); }, Errc::malformed},
      {"a seal twice", [](Change& c) { c.seals.push_back(seal(1)); }, Errc::malformed},
      {"a seal without a box", [](Change& c) { c.seals[0].boxes.clear(); }, Errc::malformed},
      {"a box cut short", [](Change& c) { c.seals[0].boxes[0].box.pop_back(); }, Errc::malformed},
      {"boxes of one seal with different ephemeral keys",
       [](Change& c) {
         c.seals[0].boxes.push_back(c.seals[0].boxes[0]);
         c.seals[0].boxes[1].recipient.bytes.fill(0x78);
         c.seals[0].boxes[1].box[31] ^= 1;
       },
       Errc::malformed},
      {"a recipient twice", [](Change& c) { c.seals[0].boxes.push_back(c.seals[0].boxes[0]); },
       Errc::malformed},
      {"a reason that is a number", [](Change& c) { c.reason = std::int64_t{1}; }, Errc::malformed},
      {"an empty reason", [](Change& c) { c.reason = text(""); }, Errc::malformed},
      {"a reason over the limit",
       [](Change& c) { c.reason = std::string(limits::kReasonBytesMax + 1, 'r'); },
       Errc::too_large},
      {"a reason whose seal is missing", [](Change& c) { c.reason = sealed(9, "why"); },
       Errc::malformed},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Change c = good();
    row.spoil(c);
    const Status status = check_change(c);
    REQUIRE_FALSE(status);
    CHECK(status.error().is(row.code));
    CHECK_FALSE(status.error().detail.empty());
  }
}

TEST_CASE("too many edits are refused before they are looked at") {
  Change c = change(dot(kAlice, 1), 0, {}, {});
  for (std::size_t i = 0; i <= limits::kEditsMax; ++i) c.edits.push_back({"a", Null{}});
  CHECK(check_change(c).error().is(Errc::too_large));
}

struct TimeRow {
  std::string_view what;
  ChangeTimes times;
  EstimatedTime expected;
};

TEST_CASE(
    "the estimated time counts from the last hub time of this boot, else it is the wall clock") {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  constexpr std::uint64_t kMono = std::numeric_limits<std::uint64_t>::max();
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  const TimeRow rows[] = {
      {"a tablet at 1970 that never met its hub", {{0}, 1, 500, {}}, {{0}, ClockKind::wall}},
      {"a tablet at 2036",
       {{2'085'978'496'000}, 1, 500, {}},
       {{2'085'978'496'000}, ClockKind::wall}},
      {"a wrong wall clock beside a hub time",
       {{0}, 1, 700, HubTime{{1'000'000}, 500}},
       {{1'000'200}, ClockKind::hub}},
      {"the very moment", {{0}, 1, 500, HubTime{{1'000'000}, 500}}, {{1'000'000}, ClockKind::hub}},
      {"a monotonic clock that ran backwards",
       {{7}, 1, 499, HubTime{{1'000'000}, 500}},
       {{7}, ClockKind::wall}},
      {"a hub time at the end of time",
       {{0}, 1, 700, HubTime{{kMax}, 500}},
       {{kMax}, ClockKind::hub}},
      {"a monotonic clock at its end", {{0}, 1, kMono, HubTime{{1}, 0}}, {{kMax}, ClockKind::hub}},
      {"both ends", {{0}, 1, kMono, HubTime{{kMin}, 0}}, {{-1}, ClockKind::hub}},
  };
  for (const TimeRow& row : rows) {
    INFO(row.what);
    CHECK(estimate(row.times) == row.expected);
  }
}

}  // namespace
}  // namespace fieldpost::test

// Version vectors: each row says both how a stands to b and how b stands to a.
#include "model/version_vector.h"

#include "tests/support/catch.h"
#include "tests/support/people.h"

namespace fieldpost::test {
namespace {

using Order = std::partial_ordering;

struct Row {
  std::string_view what;
  VersionVector a;
  VersionVector b;
  Order order;  ///< of a against b
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = {
      {"two that know nothing", {}, {}, Order::equivalent},
      {"one edit against none", vv({{kAlice, 1}}), {}, Order::greater},
      {"the same", vv({{kAlice, 2}, {kBob, 1}}), vv({{kBob, 1}, {kAlice, 2}}), Order::equivalent},
      {"a later edit by the same tablet", vv({{kAlice, 2}}), vv({{kAlice, 1}}), Order::greater},
      {"Bob saw Alice's edit", vv({{kAlice, 1}, {kBob, 1}}), vv({{kAlice, 1}}), Order::greater},
      {"Bob saw an older edit of Alice", vv({{kAlice, 1}, {kBob, 1}}), vv({{kAlice, 2}}),
       Order::unordered},
      {"each made one alone", vv({{kAlice, 1}}), vv({{kBob, 1}}), Order::unordered},
      {"each has one that the other lacks", vv({{kAlice, 2}, {kBob, 1}}),
       vv({{kAlice, 1}, {kBob, 2}}), Order::unordered},
      {"the hub between", vv({{kAlice, 1}, {kBob, 1}, {kHub, 1}}), vv({{kAlice, 1}, {kHub, 1}}),
       Order::greater},
      {"larger counters of fewer actors", vv({{kHub, 900}}), vv({{kAlice, 1}, {kHub, 2}}),
       Order::unordered},
      {"the largest counter", vv({{kAlice, UINT64_MAX}}), vv({{kAlice, UINT64_MAX - 1}}),
       Order::greater},
  };
  return kRows;
}

Order reversed(Order order) {
  if (order == Order::less) return Order::greater;
  if (order == Order::greater) return Order::less;
  return order;
}

TEST_CASE("of two version vectors, a beats b exactly when b does not beat a") {
  for (const Row& row : rows()) {
    INFO(row.what);
    CHECK(row.a.compare(row.b) == row.order);
    CHECK(row.b.compare(row.a) == reversed(row.order));
    const bool a_covers = row.order == Order::greater || row.order == Order::equivalent;
    const bool b_covers = row.order == Order::less || row.order == Order::equivalent;
    CHECK(row.a.covers(row.b) == a_covers);
    CHECK(row.b.covers(row.a) == b_covers);
    CHECK((row.a == row.b) == (row.order == Order::equivalent));
  }
}

TEST_CASE("the merge of two version vectors covers both and nothing more") {
  for (const Row& row : rows()) {
    INFO(row.what);
    VersionVector ab = row.a;
    ab.merge(row.b);
    VersionVector ba = row.b;
    ba.merge(row.a);
    CHECK(ab == ba);
    CHECK(ab.covers(row.a));
    CHECK(ab.covers(row.b));
    for (const auto& entry : ab.entries()) {
      CHECK((row.a[entry.actor] == entry.counter || row.b[entry.actor] == entry.counter));
    }
  }
}

TEST_CASE("a vector covers a tablet's edits up to its entry") {
  const VersionVector seen = vv({{kAlice, 3}});
  CHECK(seen.covers(dot(kAlice, 1)));
  CHECK(seen.covers(dot(kAlice, 3)));
  CHECK_FALSE(seen.covers(dot(kAlice, 4)));
  CHECK_FALSE(seen.covers(dot(kBob, 1)));
  CHECK(seen[kAlice] == Sequence{3});
  CHECK(seen[kBob] == Sequence{0});
}

TEST_CASE("adding never lowers an entry and never stores a zero counter or the actor zero") {
  VersionVector seen = vv({{kAlice, 3}});
  seen.add(dot(kAlice, 2));
  CHECK(seen[kAlice] == Sequence{3});
  seen.add(dot(kBob, 0));
  seen.add(dot(ActorId{0}, 1));
  CHECK(seen.size() == 1);
  seen.add(dot(kBob, 1));
  CHECK(seen.size() == 2);
}

TEST_CASE("entries stay sorted by actor whatever the order of adding") {
  VersionVector seen = vv({{kHub, 1}, {kAlice, 1}, {kBob, 1}});
  REQUIRE(seen.size() == 3);
  CHECK(seen.entries()[0].actor == kAlice);
  CHECK(seen.entries()[1].actor == kBob);
  CHECK(seen.entries()[2].actor == kHub);
}

TEST_CASE("a peer's entries are taken only sorted, unique and without zeros") {
  using Entries = std::vector<VersionVector::Entry>;
  CHECK(VersionVector::from_entries({}));
  CHECK(*VersionVector::from_entries({{kAlice, {2}}, {kBob, {1}}}) == vv({{kAlice, 2}, {kBob, 1}}));
  const std::pair<std::string_view, Entries> bad[] = {
      {"unsorted", {{kBob, {1}}, {kAlice, {2}}}},
      {"twice the same", {{kAlice, {1}}, {kAlice, {2}}}},
      {"the actor zero, which no store has", {{ActorId{0}, {1}}, {kAlice, {1}}}},
      {"a zero counter", {{kAlice, {0}}}},
      {"a zero counter at the end", {{kAlice, {1}}, {kBob, {0}}}},
  };
  for (const auto& [what, entries] : bad) {
    INFO(what);
    REQUIRE_FALSE(VersionVector::from_entries(entries));
    CHECK(VersionVector::from_entries(entries).error().is(Errc::malformed));
  }
}

TEST_CASE("a dot is written as actor and counter") {
  CHECK(to_text(dot(ActorId{0xA1B2C3D4E5F60718}, 42)) == "a1b2c3d4e5f60718:42");
}

}  // namespace
}  // namespace fieldpost::test

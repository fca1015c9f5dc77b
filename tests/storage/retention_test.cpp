// What is due, as a table: each reason alone keeps an old record, and age by receipt comes before all of them.
#include "storage/retention.h"

#include "tests/support/catch.h"

using namespace fieldpost;
using namespace fieldpost::storage;

namespace {

const RetentionRules kFiveYears = {{"stop", {Instant{1'000}, "stop: 5 years"}}};

RetentionFacts old_stop() {
  RetentionFacts facts;
  facts.type = "stop";
  facts.unit = "01-PPT";
  facts.last_received = Instant{999};
  return facts;
}

}  // namespace

TEST_CASE("retention: what keeps a record, and in which order it is said") {
  struct Row {
    const char* says;
    void (*make)(RetentionFacts&);
    Keeps keeps;
    const char* name;
  };
  const Row rows[] = {
      {"older than the period", [](RetentionFacts&) {}, Keeps::nothing, "due"},
      {"received at the very instant", [](RetentionFacts& f) { f.last_received = Instant{1'000}; },
       Keeps::young, "young"},
      {"received later", [](RetentionFacts& f) { f.last_received = Instant{5'000}; }, Keeps::young,
       "young"},
      {"of a type without a rule", [](RetentionFacts& f) { f.type = "case"; }, Keeps::no_rule,
       "no_rule"},
      {"on hold", [](RetentionFacts& f) { f.on_hold = true; }, Keeps::hold, "legal_hold"},
      {"in conflict", [](RetentionFacts& f) { f.conflict = true; }, Keeps::conflict, "conflict"},
      {"with a held change", [](RetentionFacts& f) { f.held = true; }, Keeps::held, "held"},
      {"with a change in quarantine", [](RetentionFacts& f) { f.quarantined = true; },
       Keeps::quarantine, "quarantine"},
      {"with a copy to be decided on", [](RetentionFacts& f) { f.staged = true; }, Keeps::recovery,
       "recovery"},
      {"damaged", [](RetentionFacts& f) { f.damaged = true; }, Keeps::damage, "damage"},
      {"on hold and with everything else",
       [](RetentionFacts& f) {
         f.on_hold = f.conflict = f.held = f.quarantined = f.staged = f.damaged = true;
       },
       Keeps::hold, "legal_hold"},
      {"young and on hold",
       [](RetentionFacts& f) {
         f.on_hold = true;
         f.last_received = Instant{2'000};
       },
       Keeps::young, "young"},
  };
  for (const Row& row : rows) {
    INFO(row.says);
    RetentionFacts facts = old_stop();
    row.make(facts);
    const Keeps keeps = what_keeps(facts, kFiveYears);
    CHECK(keeps == row.keeps);
    CHECK(name_of(keeps) == row.name);
  }
}

TEST_CASE("retention: without a rule nothing is ever due") {
  CHECK(what_keeps(old_stop(), {}) == Keeps::no_rule);
}

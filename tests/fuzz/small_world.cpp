#include "tests/fuzz/small_world.h"

#include "tests/fuzz/fuzz.h"

namespace fieldpost::fuzz {

using test::field;

SmallWorld::SmallWorld() {
  world.count_traffic = false;
  world.check = [](const model::Change& change) {
    std::optional<wire::ChangeException> fault;
    for (const auto& edit : change.edits) {
      if (edit.path != "bad") continue;
      fault = wire::ChangeException{change.dot.actor,        change.dot.counter,
                                    change.record,           wire::ExceptionKind::quarantined,
                                    "unknown_field",         "bad",
                                    "no form has this field"};
    }
    return fault;
  };
  t07 = &world.add_tablet("T07", "01-PPT");
  t08 = &world.add_tablet("T08", "01-PPT");
  rh1 = &world.add_tablet("RH1", "01-RH1", "health");
  for (int i = 0; i < 3; ++i) {
    records.push_back(world.record(
        *t07, {field("direction", std::string("entry")), field("state", std::string("final"))}));
  }
  records.push_back(world.record(*rh1, {field("state", std::string("final"))}));
  world.sync(*t07);
  world.sync(*t08);
  world.sync(*rh1);
  for (test::Tablet* tablet : {t07, t08}) world.cut(*tablet);
  (void)world.edit(*t07, records[0], {field("witness", std::string("Chan Dara"))});
  (void)world.edit(*t08, records[0], {field("witness", std::string("Meas Sophea"))});
  (void)world.edit(*t08, records[1], {field("bad", std::int64_t{1})});
  (void)world.edit(*t08, records[1], {field("witness", std::string("Sok"))});
  world.sync(*t07);
  world.sync(*t08);
  world.settle();
  for (test::Tablet& tablet : world.tablets()) world.cut(tablet);
  (void)world.edit(*t07, records[2], {field("witness", std::string("Chan Dara"))});
  (void)world.edit(*t07, records[2], {field("notes", std::string("not sent yet"))});
  const auto counts = world.reader("01-PPT").counts();
  require(counts && counts->conflicts == 1 && counts->quarantined == 1 && counts->held == 1,
          "the small world has a conflict, a quarantine and a held change");
}

}  // namespace fieldpost::fuzz

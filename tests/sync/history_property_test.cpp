// Random histories: tablets that record, edit, connect, break off, crash; a hub that commits now or
// later, restarts, fails. Then everything heals, and the hub's log, read by an oracle that shares no
// code with the merge, must give exactly the records that hub and tablets have.
#include <set>

#include "tests/sync/random_days.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr std::size_t kHistories = 300;
constexpr std::uint64_t kFirstSeed = 20260301;

class RandomHistory {
 public:
  explicit RandomHistory(std::uint64_t seed) : world_(seed) {
    world_.check = [](const model::Change& c) -> std::optional<wire::ChangeException> {
      for (const model::FieldValue& edit : c.edits) {
        if (edit.value == model::Value(std::string("bad"))) {
          return wire::ChangeException{
              c.dot.actor, c.dot.counter, c.record,           wire::ExceptionKind::quarantined,
              "enum",      edit.path,     "not a known value"};
        }
      }
      return std::nullopt;
    };
    const std::size_t tablets = 2 + dice().below(3);
    for (std::size_t i = 0; i < tablets; ++i) {
      Tablet& tablet = world_.add_tablet("T" + std::to_string(i), i == 3 ? "BTB" : "PPT");
      if (dice().one_in(2)) tablet.estimate.push_bytes = 300;  // pushes of one or two changes
    }
  }

  void run() {
    const std::size_t acts = 30 + dice().below(90);
    for (std::size_t i = 0; i < acts; ++i) act();
    heal();
    compare();
  }

 private:
  Dice& dice() { return world_.dice(); }
  Tablet& any_tablet() { return world_.tablets()[dice().below(world_.tablets().size())]; }

  std::vector<model::FieldValue> some_fields() {
    static const std::vector<std::string> paths = {"direction", "note", "plate", "state"};
    static const std::vector<std::string> values = {"a", "b", "c", "d", "e"};
    std::vector<model::FieldValue> fields;
    for (const std::string& path : paths) {
      if (dice().one_in(2)) fields.push_back(field(path, values[dice().below(values.size())]));
    }
    if (fields.empty() || dice().one_in(25)) fields = {field("note", std::string("bad"))};
    return fields;
  }

  void record_or_edit(Tablet& tablet) {
    const auto ids = *tablet.store->ids_after(RecordId{}, 1'000);
    if (ids.empty() || dice().one_in(4)) {
      world_.record(tablet, some_fields());
    } else {
      const RecordId id = ids[dice().below(ids.size())];
      auto& forms = opened_[&tablet];
      std::optional<model::VersionVector> context;
      if (dice().one_in(3) && forms.contains(id))
        context = *tablet.store->renamed(id, forms.at(id).seen, forms.at(id).under);
      if (dice().one_in(3))
        forms[id] = {tablet.view(id).record.vv, tablet.store->state().current()->actor};
      REQUIRE(world_.edit(tablet, id, some_fields(), context).has_value());
    }
    const auto& own = *tablet.store->state().current();
    made_.insert({own.actor, own.head});
  }

  void note_acknowledged() {
    for (const Tablet& tablet : world_.tablets()) {
      for (const storage::OwnActor& own : tablet.store->state().actors) {
        // An acknowledgement is a promise: the change must be durable at this very moment.
        if (own.acked.value == 0) continue;
        const auto entry = world_.reader(tablet.unit).log(own.actor, own.acked);
        REQUIRE(entry.has_value());
        REQUIRE(entry->has_value());
      }
    }
  }

  void hub_acts() {
    switch (dice().below(8)) {
      case 0:
        world_.restart_hub();
        break;
      case 1: {
        const auto fate =
            dice().one_in(2) ? storage::CommitFate::fail_before : storage::CommitFate::fail_after;
        world_.hub_kv(0).set_faults(
            storage::MemoryFaults::at(world_.hub_kv(0).commits() + 1, fate));
        break;
      }
      case 2: {
        const auto found = world_.reader("PPT").conflicts(RecordId{}, 5);
        if (found && !found->empty()) settle_conflict(found->front());
        break;
      }
      default: {
        const auto entries = world_.reader("PPT").quarantine(5);
        if (entries && !entries->empty() && dice().one_in(2)) rule(entries->front());
      }
    }
  }

  void settle_conflict(const RecordId& id) {
    const auto record = world_.reader("PPT").record(id);
    const auto paths = model::conflicts(**record);
    if (paths.empty()) return;
    if (!world_.resolve((*record)->unit, id, {field(paths.front(), std::string("settled"))}))
      recover();
  }

  /// Retry would say "bad" again: the operator accepts or rejects.
  void rule(const storage::QuarantineEntry& entry) {
    const auto ruling =
        dice().one_in(2) ? storage::HubStore::Ruling::accept : storage::HubStore::Ruling::reject;
    const Status done = world_.rule("PPT", entry.exception.actor, entry.exception.counter, ruling);
    if (!done && !done.error().is(Errc::conflict)) recover();
  }

  void recover() { world_.restart_hub(); }

  void act() {
    Tablet& tablet = any_tablet();
    switch (dice().below(14)) {
      case 0:
      case 1:
      case 2:
        record_or_edit(tablet);
        break;
      case 3:
        world_.connect(tablet);
        break;
      case 4:
        world_.cut(tablet);
        break;
      case 5:
        if (dice().one_in(4)) world_.restart_tablet(tablet);
        break;
      case 6:
        world_.write(false);
        break;
      case 7:
        world_.write(true);
        break;
      case 8:
        if (dice().one_in(3)) hub_acts();
        break;
      case 9:
        world_.pass(dice().below(100'000));
        break;
      case 10: {
        const auto all = world_.connections();
        for (const auto& connection : all) {
          for (std::size_t n = dice().below(6); n > 0 && world_.hear_writer(*connection); --n) {
          }
        }
        break;
      }
      case 11:
        for (std::size_t n = dice().below(12); n > 0 && world_.move_up(tablet); --n) {
        }
        break;
      case 12:
        for (std::size_t n = dice().below(12); n > 0 && world_.move_down(tablet); --n) {
        }
        break;
      default:
        world_.settle(dice().one_in(2));
        break;
    }
    note_acknowledged();
  }

  void heal() {
    world_.hub_kv(0).set_faults({});
    world_.restart_hub();
    heal_and_check_quietly();
    for (int round = 0; round < 200; ++round) {
      const auto entries = *world_.reader("PPT").quarantine(100);
      if (entries.empty()) break;
      for (const auto& entry : entries) rule(entry);
      world_.settle();
    }
    heal_and_check_quietly();
  }

  void heal_and_check_quietly() {
    for (int round = 0; round < 4; ++round) {
      for (Tablet& tablet : world_.tablets()) {
        if (!tablet.link) world_.connect(tablet);
      }
      world_.settle(dice().one_in(2));
    }
  }

  void compare() {
    require_converged(world_, "PPT");
    // By their first names: what was unacknowledged when the hub crashed was written anew.
    std::set<model::Dot> logged;
    require_log_gives_records(world_, "PPT", [&](const model::Change& change) {
      REQUIRE(logged.insert(change.origin ? change.origin->dot : change.dot).second);
    });
    for (const model::Dot& dot : made_) REQUIRE(logged.contains(dot));
  }

  SyncWorld world_;
  struct Open {  ///< a form that somebody has had open for a while
    model::VersionVector seen;
    ActorId under;
  };
  std::map<Tablet*, std::map<RecordId, Open>> opened_;
  std::set<model::Dot> made_;
};

}  // namespace

TEST_CASE("random histories converge, and nothing acknowledged is lost or doubled") {
  for_each_seed(kFirstSeed, kHistories, [](std::uint64_t seed) { RandomHistory(seed).run(); });
}

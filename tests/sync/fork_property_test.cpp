// Random days in which disks are copied and put back, over and over, while everybody goes on working.
//
// Each edit sets a text of its own. What must hold in the end: every edit that a tablet still had, or that was
// ever acknowledged, is in the hub's log; one edit stands there under one first name; nothing waits for a
// predecessor that nobody has; and the log, played into the oracle, gives the records.
#include <set>

#include "sync/fork_repair.h"
#include "tests/sync/random_days.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr std::uint64_t kFirstSeed = 90'000;
constexpr std::size_t kHistories = 400;

class ForkedDays {
 public:
  explicit ForkedDays(std::uint64_t seed) : world_(seed) {}

  void run() {
    add("T01", nullptr);
    add("T02", nullptr);
    const std::size_t steps = 60 + dice().below(140);
    for (std::size_t i = 0; i < steps; ++i) act();
    for (int round = 0; round < 8; ++round) {
      for (Tablet& tablet : world_.tablets()) {
        if (!tablet.link) world_.connect(tablet);
      }
      world_.settle(dice().one_in(2));
    }
    compare();
  }

  std::size_t chains_closed() {
    std::size_t closed = 0;
    for (const Tablet& tablet : world_.tablets()) {
      for (const storage::OwnActor& own : tablet.store->state().actors)
        closed += own.closed ? 1 : 0;
    }
    return closed;
  }

 private:
  using Edits = std::set<std::pair<RecordId, std::string>>;
  struct Disk {
    storage::MemoryKv::Snapshot kv;
    Edits edits;
  };
  struct Open {  ///< a form that somebody has had open for a while
    RecordId record;
    model::VersionVector seen;
    ActorId under;
  };

  Dice& dice() { return world_.dice(); }
  Tablet& any() { return world_.tablets()[dice().below(world_.tablets().size())]; }

  void add(const std::string& name, Tablet* original) {
    Tablet& tablet = world_.add_tablet(name, "PPT");
    if (original == nullptr) return;
    tablet.identity = original->identity;
    put_back(tablet, {original->kv->snapshot(), here_[original]});
  }

  void put_back(Tablet& tablet, const Disk& disk) {
    world_.cut(tablet);
    tablet.store.reset();
    tablet.kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables, disk.kv);
    tablet.store = *storage::open_agent_store(*tablet.kv, *tablet.codec);
    here_[&tablet] = disk.edits;
    forms_.erase(&tablet);
  }

  void record_or_edit(Tablet& tablet) {
    const std::string text = "edit " + std::to_string(++texts_);
    const auto ids = *tablet.store->ids_after(RecordId{}, 1'000);
    RecordId id;
    if (ids.empty() || dice().one_in(4)) {
      id = world_.record(tablet, {field("note", text)});
    } else {
      auto& forms = forms_[&tablet];
      std::optional<model::VersionVector> seen;
      id = ids[dice().below(ids.size())];
      if (!forms.empty() && dice().one_in(3)) {
        const Open& form = forms[dice().below(forms.size())];
        id = form.record;
        seen = *tablet.store->renamed(id, form.seen, form.under);
      }
      const char* const path = dice().one_in(2) ? "note" : "plate";
      const Status done = world_.edit(tablet, id, {field(path, text)}, seen);
      INFO((done ? std::string() : done.error().message()));
      REQUIRE(done);
      if (dice().one_in(3))
        forms.push_back({id, tablet.view(id).record.vv, tablet.store->state().current()->actor});
    }
    here_[&tablet].insert({id, text});
  }

  void act() {
    Tablet& tablet = any();
    switch (dice().below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        record_or_edit(tablet);
        break;
      case 4:
      case 5:
        world_.connect(tablet);
        break;
      case 6:
        world_.cut(tablet);
        break;
      case 7:
        if (dice().one_in(2))
          disks_.emplace_back(&tablet, Disk{tablet.kv->snapshot(), here_[&tablet]});
        break;
      case 8:
        if (!disks_.empty() && dice().one_in(2)) {
          const auto& [owner, disk] = disks_[dice().below(disks_.size())];
          put_back(*owner, disk);
        }
        break;
      case 9:
        if (world_.tablets().size() < 5 && dice().one_in(3))
          add("C" + std::to_string(world_.tablets().size()), &tablet);
        break;
      case 10: {  // what the agent does when it notices at its start that its disk was put back
        if (!dice().one_in(3)) break;
        const ActorId fresh = random_actor(world_.random());
        REQUIRE(tablet.store->state().current());
        world_.cut(tablet);
        REQUIRE(tablet.store->add_actor(
            fresh, wire::chain_start(world_.hub_id(), tablet.identity.device, fresh)));
        break;
      }
      case 11:
        world_.write(dice().one_in(2));
        break;
      case 12:
        for (std::size_t n = dice().below(8); n > 0 && world_.move_up(tablet); --n) {
        }
        break;
      case 13:
        for (std::size_t n = dice().below(8); n > 0 && world_.move_down(tablet); --n) {
        }
        break;
      case 14:
        if (dice().one_in(6))
          world_.restart_hub();
        else
          hear_all(world_);
        break;
      default:
        world_.settle(dice().one_in(2));
    }
    note_acknowledged();
  }

  void note_acknowledged() {
    for (Tablet& tablet : world_.tablets()) {
      if (tablet.waiting() == 0) acknowledged_.insert(here_[&tablet].begin(), here_[&tablet].end());
    }
  }

  void compare() {
    require_converged(world_, "PPT");
    Edits wanted = acknowledged_;
    for (Tablet& tablet : world_.tablets())
      wanted.insert(here_[&tablet].begin(), here_[&tablet].end());
    std::map<std::pair<RecordId, std::string>, std::set<model::Dot>> first_names;
    require_log_gives_records(world_, "PPT", [&](const model::Change& change) {
      const auto& text = std::get<std::string>(change.edits.front().value);
      first_names[{change.record, text}].insert(change.origin ? change.origin->dot : change.dot);
    });
    for (const auto& edit : wanted) {
      INFO(edit.second);
      REQUIRE(first_names.contains(edit));
      REQUIRE(first_names[edit].size() == 1);
    }
  }

  SyncWorld world_;
  std::map<Tablet*, Edits> here_;  ///< the edits on each disk
  std::map<Tablet*, std::vector<Open>> forms_;
  std::vector<std::pair<Tablet*, Disk>> disks_;
  Edits acknowledged_;
  std::size_t texts_ = 0;
};

}  // namespace

TEST_CASE("copied and restored tablets converge, and no edit is lost or doubled") {
  std::size_t repaired = 0;
  const auto ran = for_each_seed(kFirstSeed, kHistories, [&](std::uint64_t seed) {
    ForkedDays days(seed);
    days.run();
    repaired += days.chains_closed();
  });
  // A run in which nothing forked would prove nothing.
  if (ran) CHECK(repaired > *ran);
}

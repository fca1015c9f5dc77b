// Random days in which disks are copied and put back, over and over, while everybody goes on working.
//
// Each edit sets a text of its own. What must hold in the end: every edit that a tablet still had, or that was
// ever acknowledged, is in the hub's log; one edit stands there under one first name; nothing waits for a
// predecessor that nobody has; and the log, played into the oracle, gives the records.
// All the while tablets remove from their chains what every backup of the hub has: nothing of the above may change.
// With the hub's disks put back, too: what was acknowledged up to the state put back, and what any tablet still
// has as its own, is there; what only others' copies hold is joined by the operator; what nobody holds is given
// up, and then nothing waits.
#include <set>

#include "storage/hub_backup.h"
#include "storage/hub_tables.h"
#include "storage/kv_tables.h"
#include "sync/fork_repair.h"
#include "tests/sync/random_days.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr std::uint64_t kFirstSeed = 90'000;
constexpr std::size_t kHistories = 400;

class ForkedDays {
 public:
  explicit ForkedDays(std::uint64_t seed, bool hub_too = false, bool wild = false,
                      bool promises_kept = true)
      : world_(seed), hub_too_(hub_too), wild_(wild), promises_kept_(promises_kept) {}

  void run() {
    add("T01", nullptr);
    add("T02", nullptr);
    if (wild_) add("T03", nullptr);
    if (wild_) quarantine_some();
    const std::size_t steps = (wild_ ? 200 : 60) + dice().below(wild_ ? 300 : 140);
    for (std::size_t i = 0; i < steps; ++i) act();
    if (doubt_in_ > 0) doubt();
    everybody_syncs();
    if (wild_) accept_all();
    if (hub_too_) settle_losses();
    if (wild_) accept_all();
    compare();
  }

  std::size_t hubs_put_back() const { return hubs_put_back_; }
  std::size_t joined() const { return joined_; }

  std::uint64_t gaps() const { return gaps_; }
  std::size_t entries_removed() const { return entries_removed_; }

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

  void everybody_syncs() {
    for (int round = 0; round < 8; ++round) {
      for (Tablet& tablet : world_.tablets()) {
        if (!tablet.link) world_.connect(tablet);
      }
      world_.settle(dice().one_in(2));
    }
  }

  /// The operator joins what the hub still lacks, and gives up what nobody has.
  void settle_losses() {
    std::set<RecordId> records;
    for (const auto& one : *world_.reader("PPT").staged(10'000)) {
      if (*world_.reader("PPT").lacks(one.state)) records.insert(one.state.id);
    }
    for (const RecordId& id : records) {
      const Status done = world_.recover("PPT", id);
      INFO((done ? std::string() : done.error().message()));
      REQUIRE(done);
    }
    joined_ += records.size();
    everybody_syncs();
    for (;;) {
      const auto held = *world_.reader("PPT").held(1);
      if (held.empty()) break;
      REQUIRE(world_.recover("PPT", held.front().record, storage::HubStore::Recovery::release));
      ++joined_;
    }
    everybody_syncs();
  }

  void hub_disk() {
    put_back_or_keep();
    say_backed_up();
  }

  std::map<ActorId, Sequence> heads() {
    std::map<ActorId, Sequence> all;
    REQUIRE(
        storage::walk_tables(world_.hub_kv(0), storage::hub_tables::kTableCount,
                             [&](storage::TableId table, BytesView key, BytesView value) -> Status {
                               FP_TRY(const auto head, storage::head_in(table, key, value));
                               if (head) all.insert(*head);
                               return {};
                             }));
    return all;
  }

  /// What every disk that may still be put back has of each chain.
  void say_backed_up() {
    const bool by_disks = hub_too_ && promises_kept_;
    if (by_disks && hub_disks_.empty()) return;
    std::map<ActorId, Sequence> least = by_disks ? hub_disks_.front().heads : heads();
    for (const HubDisk& disk : hub_disks_) {
      if (!by_disks) break;
      for (auto& [actor, head] : least) {
        const auto there = disk.heads.find(actor);
        head = there == disk.heads.end() ? Sequence{} : std::min(head, there->second);
      }
    }
    REQUIRE(world_.store("PPT").put_backed_up({least.begin(), least.end()},
                                              storage::HubStore::BackedUp::restate));
  }

  void remove_what_is_safe(Tablet& tablet) {
    const auto before = tablet.digest();
    const auto done = tablet.store->purge(Instant{world_.now().wall.ms + 1}, 1 + dice().below(20));
    INFO((done ? std::string() : done.error().message()));
    REQUIRE(done);
    entries_removed_ += done->entries;
    REQUIRE(tablet.digest() == before);
    for (const storage::OwnActor& own : tablet.store->state().actors) {
      REQUIRE((own.purged_to.value == 0 || own.purged_to < own.head || own.closed));
    }
  }

  void put_back_or_keep() {
    if (hub_disks_.empty() || dice().one_in(3)) {
      hub_disks_.push_back({world_.hub_disks(), acknowledged_, heads(), world_.hub_process()});
      return;
    }
    if (!dice().one_in(3)) {
      // Never to be put back again.
      if (hub_disks_.size() > 1 && dice().one_in(2)) hub_disks_.erase(hub_disks_.begin());
      return;
    }
    const auto [disks, acknowledged, there, process] = hub_disks_[dice().below(hub_disks_.size())];
    if (wild_ && dice().one_in(2)) {
      // A virtual machine's snapshot: the process goes on as if nothing had been, until its clock tells. Backups of
      // the past that is rolled away stay, and may be put back in their turn.
      world_.roll_back_hub(disks, process);
      doubt_in_ = 1 + dice().below(12);
      acknowledged_ = acknowledged;
      ++hubs_put_back_;
      return;
    }
    world_.put_back_hub(disks);
    doubt_in_ = 0;
    acknowledged_ = acknowledged;
    ++hubs_put_back_;
  }

  void doubt() {
    doubt_in_ = 0;
    world_.doubt_hub();
  }

  /// Every seventh edit breaks a form: it is set aside, and accepted in the end.
  void quarantine_some() {
    world_.check = [](const model::Change& change) -> std::optional<wire::ChangeException> {
      const auto* text = std::get_if<std::string>(&change.edits.front().value);
      if (text == nullptr || text->back() != '7') return std::nullopt;
      return wire::ChangeException{change.dot.actor,
                                   change.dot.counter,
                                   change.record,
                                   wire::ExceptionKind::quarantined,
                                   "enum",
                                   change.edits.front().path,
                                   "not one of the choices"};
    };
  }

  void accept_all() {
    for (int round = 0; round < 400; ++round) {
      const auto aside = *world_.reader("PPT").quarantine(1);
      if (aside.empty()) break;
      const auto& e = aside.front().exception;
      const Status done = world_.rule("PPT", e.actor, e.counter, storage::HubStore::Ruling::accept);
      INFO((done ? std::string() : done.error().message()));
      REQUIRE(done);
    }
    everybody_syncs();
  }

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
    if (hub_too_ && dice().one_in(wild_ ? 25 : 12)) hub_disk();
    if (doubt_in_ > 0 && --doubt_in_ == 0) doubt();
    if (!hub_too_ && dice().one_in(12)) say_backed_up();
    if (dice().one_in(6)) remove_what_is_safe(any());
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
        if (world_.tablets().size() < (wild_ ? 8U : 5U) && dice().one_in(3))
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
      // Offline it cannot know that the hub was put back meanwhile.
      if (tablet.waiting() == 0 && (!hub_too_ || tablet.in_sync()))
        acknowledged_.insert(here_[&tablet].begin(), here_[&tablet].end());
    }
  }

  void compare() {
    require_converged(world_, "PPT");
    gaps_ = world_.reader("PPT").verify([](std::uint64_t) {})->gaps;
    if (!promises_kept_) return;
    Edits wanted = acknowledged_;
    for (Tablet& tablet : world_.tablets())
      wanted.insert(here_[&tablet].begin(), here_[&tablet].end());
    std::map<std::pair<RecordId, std::string>, std::set<model::Dot>> first_names;
    const auto note = [&](const model::Change& change) {
      const auto& text = std::get<std::string>(change.edits.front().value);
      first_names[{change.record, text}].insert(change.origin ? change.origin->dot : change.dot);
    };
    if (joined_ == 0)
      require_log_gives_records(world_, "PPT", note);
    else
      each_logged(world_, "PPT", note);
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
  struct HubDisk {
    SyncWorld::HubDisks disks;
    Edits acknowledged;
    std::map<ActorId, Sequence> heads;
    SyncWorld::HubProcess process;
  };
  std::vector<HubDisk> hub_disks_;
  bool hub_too_;
  bool wild_;
  bool promises_kept_;
  std::size_t doubt_in_ = 0;  ///< steps until a hub that was rolled back notices
  std::size_t hubs_put_back_ = 0;
  std::size_t joined_ = 0;
  std::size_t entries_removed_ = 0;
  std::uint64_t gaps_ = 0;
  std::size_t texts_ = 0;
};

}  // namespace

TEST_CASE("copied and restored tablets converge, and no edit is lost or doubled") {
  std::size_t repaired = 0;
  std::size_t removed = 0;
  const auto ran = for_each_seed(kFirstSeed, kHistories, [&](std::uint64_t seed) {
    ForkedDays days(seed);
    days.run();
    repaired += days.chains_closed();
    removed += days.entries_removed();
  });
  // A run in which nothing forked would prove nothing.
  if (ran) {
    CHECK(repaired > *ran);
    CHECK(removed > *ran);
  }
}

TEST_CASE("with the hub's disks put back, too, no edit that anybody holds is lost or doubled") {
  std::size_t put_back = 0;
  std::size_t joined = 0;
  std::size_t removed = 0;
  const auto ran = for_each_seed(kFirstSeed, kHistories, [&](std::uint64_t seed) {
    ForkedDays days(seed, true);
    days.run();
    put_back += days.hubs_put_back();
    joined += days.joined();
    removed += days.entries_removed();
  });
  if (ran) {
    CHECK(removed > *ran);
    CHECK(put_back > *ran);
    CHECK(joined > *ran / 4);
  }
}

TEST_CASE(
    "a hub put back to before what it called safe converges with everybody, and says what is "
    "missing") {
  std::uint64_t gaps = 0;
  const auto ran = for_each_seed(kFirstSeed, kHistories, [&](std::uint64_t seed) {
    ForkedDays days(seed, true, false, false);
    days.run();
    gaps += days.gaps();
  });
  if (ran) CHECK(gaps > *ran / 8);
}

TEST_CASE(
    "with the running hub rolled back, changes set aside, and more copies, too: the same holds") {
  for_each_seed(kFirstSeed, kHistories / 4, [&](std::uint64_t seed) {
    ForkedDays days(seed, true, true);
    days.run();
  });
}

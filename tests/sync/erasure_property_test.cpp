// Random days in which records are erased: tablets record, edit, break off; the hub erases what is old, restarts, and
// is put back to before erasures, with its ledger. Then everything heals: nothing erased is anywhere, everyone agrees,
// and every chain verifies.
#include <set>

#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr std::size_t kDays = 120;
constexpr std::uint64_t kFirstSeed = 20261126;

class Day {
 public:
  explicit Day(std::uint64_t seed) : world_(seed) {
    for (std::size_t i = 0; i < 2 + dice().below(2); ++i)
      world_.add_tablet("T" + std::to_string(i), "PPT");
  }

  void run() {
    for (std::size_t left = 40 + dice().below(60); left > 0; --left) act();
    heal();
  }

  static inline std::size_t erased = 0;  ///< over all days, so that the test knows it did its work
  static inline std::size_t put_back = 0;
  static inline std::size_t set_aside = 0;

 private:
  Dice& dice() { return world_.dice(); }
  Tablet& any() { return world_.tablets()[dice().below(world_.tablets().size())]; }

  void act() {
    world_.pass(1 + dice().below(5'000));
    Tablet& tablet = any();
    switch (dice().below(12)) {
      case 0:
      case 1:
      case 2:
        world_.record(tablet, {field("note", std::string("a"))});
        break;
      case 3:
      case 4:
        edit(tablet);
        break;
      case 5:
        if (tablet.link) world_.cut(tablet);
        break;
      case 6:
        world_.restart_hub(dice().one_in(2));
        break;
      case 7:
        erase_some();
        break;
      case 8:
        if (dice().one_in(3)) put_hub_back();
        break;
      default:
        if (!tablet.link) world_.connect(tablet);
        if (dice().one_in(2)) world_.settle();
    }
  }

  void edit(Tablet& tablet) {
    const auto ids = *tablet.store->ids_after(RecordId{}, 100);
    if (ids.empty()) return;
    const std::string value(1, static_cast<char>('a' + dice().below(5)));
    REQUIRE(world_.edit(tablet, ids[dice().below(ids.size())], {field("note", value)}));
  }

  void erase_some() {
    if (dice().one_in(2)) disks_ = world_.hub_disks();
    storage::ErasureOrder order;
    const auto ids = *world_.reader("PPT").ids_after(RecordId{}, 100);
    for (const RecordId& id : ids) {
      if (dice().one_in(3)) order.records.push_back(id);
    }
    order.rules["stop"] = {Instant{world_.now().wall.ms - 2'000}, "stop: 2 seconds"};
    order.references = [](const model::Record&) { return std::vector<RecordId>{}; };
    order.at = world_.now().wall;
    const auto report = world_.store("PPT").erase(order);
    REQUIRE(report);
    for (const storage::ErasedRecord& one : report->erased) gone_.insert(one.id);
    erased += report->erased.size();
    world_.feed_moved("PPT");
  }

  /// With what `restore` does before the hub serves.
  void put_hub_back() {
    if (!disks_) return;
    const auto ledger = world_.reader("PPT").whole_ledger();
    REQUIRE(ledger);
    world_.put_back_hub(*disks_);
    disks_.reset();
    REQUIRE(world_.store("PPT").take_ledger({1, {}}, *ledger));
    world_.restart_hub();
    ++put_back;
  }

  void decide() {
    const auto aside = *world_.reader("PPT").quarantine(1'000);
    for (const storage::QuarantineEntry& entry : aside) {
      if (entry.exception.kind != wire::ExceptionKind::quarantined) continue;
      CHECK(entry.exception.rule == storage::kErasedRule);
      CHECK(gone_.contains(entry.exception.record));
      ++set_aside;
      const auto ruling =
          dice().one_in(2) ? storage::HubStore::Ruling::accept : storage::HubStore::Ruling::reject;
      REQUIRE(world_.rule("PPT", entry.exception.actor, entry.exception.counter, ruling));
    }
    for (const storage::StagedState& state : *world_.reader("PPT").staged(1'000)) {
      CHECK_FALSE(gone_.contains(state.state.id));
      // Two copies of one record are decided on together.
      const Status done = world_.recover("PPT", state.state.id);
      if (!done) CHECK(done.error().is(Errc::not_found));
    }
  }

  void heal() {
    for (int round = 0; round < 4; ++round) {
      for (Tablet& tablet : world_.tablets()) {
        if (!tablet.link) world_.connect(tablet);
      }
      world_.settle();
      decide();
      world_.settle();
    }
    heal_and_check(world_);
    for (const RecordId& id : gone_) {
      CHECK_FALSE(world_.reader("PPT").record(id)->has_value());
      CHECK(world_.reader("PPT").erased(id)->has_value());
      for (const Tablet& tablet : world_.tablets())
        CHECK_FALSE(tablet.store->base(id)->has_value());
    }
  }

  SyncWorld world_;
  std::set<RecordId> gone_;
  std::optional<SyncWorld::HubDisks> disks_;
};

}  // namespace

TEST_CASE("random days with erasures: nothing erased comes back, and everyone converges") {
  for (std::size_t i = 0; i < kDays; ++i) {
    INFO("seed " << kFirstSeed + i);
    Day(kFirstSeed + i).run();
  }
  // It did what it is for.
  CHECK(Day::erased > kDays);
  CHECK(Day::put_back > kDays / 10);
  CHECK(Day::set_aside > kDays / 10);
}

// What the hub's operator does of an evening: conflicts, what was set aside, what was lost.
#include <algorithm>

#include "tests/sim/sim.h"

namespace fieldpost::sim {

namespace {

constexpr std::uint32_t kFaulty = 41;      ///< every so many words break their form
constexpr std::uint64_t kKept = 2 * kDay;  ///< of what a tablet wrote, whatever the hub has

}  // namespace

/// A form in which every so many words are no choice, and, later versions of it, unknown for a while.
std::optional<wire::ChangeException> Simulation::form_check(const model::Change& change) const {
  wire::ChangeException exception{change.dot.actor,
                                  change.dot.counter,
                                  change.record,
                                  wire::ExceptionKind::quarantined,
                                  "",
                                  "",
                                  ""};
  if (change.schema_version > hub_forms_) {
    exception.rule = "schema_version";
    exception.detail = "a version of the form that this hub does not have yet";
    return exception;
  }
  for (const model::FieldValue& edit : change.edits) {
    const auto word = ledger_.word_in(edit.value);
    if (!word || *word % kFaulty != 7) continue;
    exception.rule = "enum";
    exception.path = edit.path;
    exception.detail = "not one of the choices";
    return exception;
  }
  return std::nullopt;
}

void Simulation::evening() {
  if (hub_forms_ == 1 && operator_.one_in(4)) hub_forms_ = 2;
  rule_quarantine(false);
  resolve_some();
  if (operator_.one_in(2)) join_staged();
  mend_hub();
  mend_tablets();
  remove_old();
  hear_writer();
}

/// What the scrubber does in the background.
void Simulation::mend_hub() {
  for (const std::string& unit : compartments()) {
    storage::StoredPlace from;
    for (bool ended = false; !ended;) {
      const auto page = world_.reader(unit).scrub(from, std::size_t{1} << 20);
      if (!page) violated("the hub's store cannot be looked through: " + page.error().message());
      if (!page->damaged.empty()) {
        const auto report = world_.store(unit).repair(page->damaged, world_.now().wall);
        if (report) {
          count("hub_records_mended", report->records_mended);
          if (report->records_lost + report->log_damaged > 0)
            violated("rot in one record was not mended from the log");
        } else if (report.error().is(Errc::store_failed)) {
          world_.restart_hub();
          hub_begins_anew();
          continue;
        }
      }
      from = page->next;
      ended = page->ended;
    }
  }
}

/// What the agent does while it has nothing else to do. It takes its time: a third of them ends in an evening.
void Simulation::mend_tablets() {
  const std::uint64_t day = static_cast<std::uint64_t>(now().ms) / kDay;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    const auto& device = devices_[i];
    if (!healing_ && (day + i) % 3 != 0) continue;
    if (!usable(*device) || device->broken) continue;
    for (bool ended = false; !ended;) {
      const auto looked = device->tablet->store->scrub(std::size_t{1} << 20);
      if (!looked)
        violated("a tablet's store cannot be looked through: " + looked.error().message());
      ended = *looked;
    }
    const auto settled = device->tablet->store->settle_damage(world_.now().wall);
    if (settled) {
      if (*settled > 0) count("tablet_values_set_aside", *settled);
    } else if (!device->broken && !settled.error().is(Errc::store_full)) {
      violated("damage cannot be set aside: " + settled.error().message());
    }
  }
}

/// What is at the hub, in its backups and old enough leaves the chains of the tablets.
void Simulation::remove_old() {
  const Instant before{now().ms - static_cast<std::int64_t>(kKept)};
  for (const auto& device : devices_) {
    if (!usable(*device) || device->broken) continue;
    const auto removed = device->tablet->store->purge(before, 1'000);
    if (removed)
      count("changes_removed_from_tablets", removed->entries);
    else if (!device->broken && !removed.error().is(Errc::store_full))
      violated("old changes cannot be removed: " + removed.error().message());
  }
}

std::vector<std::string> Simulation::compartments() const {
  std::vector<std::string> all = {units_.front()};
  if (options_.tablets >= 6) all.emplace_back("VAN");
  return all;
}

void Simulation::rule_quarantine(bool all) {
  for (const std::string& unit : compartments()) {
    const auto aside = world_.reader(unit).quarantine(all ? 10'000 : 400);
    if (!aside) violated("the quarantine cannot be listed: " + aside.error().message());
    for (const auto& entry : *aside) {
      const wire::ChangeException& e = entry.exception;
      const bool liar = hostile(entry.device);
      if (e.kind == wire::ExceptionKind::unauthorised) {
        if (!liar) violated("an honest change was refused: " + e.rule + ", " + e.detail);
        continue;
      }
      auto ruling = storage::HubStore::Ruling::accept;
      if (e.rule == "schema_version") {
        fired(Fault::newer_forms);
        if (hub_forms_ == 1 && !all) continue;
        hub_forms_ = 2;
        ruling = storage::HubStore::Ruling::retry;
      }
      const auto logged = world_.reader(unit).log(e.actor, e.counter);
      if (!logged || !*logged) continue;
      const auto change = wire::decode_change(e.actor, (*logged)->frame);
      if (e.rule == "enum" && operator_.one_in(3)) ruling = storage::HubStore::Ruling::reject;
      if (liar) ruling = storage::HubStore::Ruling::reject;
      // Also when its reply is lost: then it may have happened.
      if (ruling == storage::HubStore::Ruling::reject) unclean_.insert(e.record);
      const Status done = world_.rule(unit, e.actor, e.counter, ruling);
      if (!done) {
        if (done.error().is(Errc::store_failed) || done.error().is(Errc::store_full)) {
          world_.restart_hub();
          hub_begins_anew();
          return;
        }
        // Ruled by then, by what another ruling let in.
        count("rulings_refused");
        if (ruling == storage::HubStore::Ruling::reject && done.error().is(Errc::conflict))
          continue;
        if (done.error().is(Errc::not_found)) continue;
        violated("a ruling fails: " + done.error().message());
      }
      count(ruling == storage::HubStore::Ruling::reject   ? "rejected"
            : ruling == storage::HubStore::Ruling::accept ? "accepted"
                                                          : "retried");
    }
  }
}

void Simulation::resolve_some() {
  if (rolled_back_) return;
  const auto conflicts = world_.reader(units_.front()).conflicts(RecordId{}, 20);
  if (!conflicts) violated("conflicts cannot be listed: " + conflicts.error().message());
  for (const RecordId& id : *conflicts) {
    if (operator_.one_in(2)) continue;
    const auto record = world_.reader(units_.front()).record(id);
    if (!record || !*record) continue;
    const auto paths = model::conflicts(**record);
    const std::string& path = paths.front();
    const auto visible = ledger_.visible(**record, path);
    const WordId word = ledger_.next(id, path, (*record)->unit, Ledger::kOperator, visible);
    const Status done = world_.resolve(units_.front(), id, {test::field(path, Ledger::text(word))});
    if (!done) {
      // Nothing of it is required; whether it is there, the log will say.
      if (!done.error().is(Errc::store_failed) && !done.error().is(Errc::store_full))
        violated("a conflict cannot be settled: " + done.error().message());
      world_.restart_hub();
      hub_begins_anew();
      return;
    }
    ledger_.at(word).acked = true;
    count("conflicts_settled");
  }
}

/// What only tablets' copies have of the past that a restored hub lost.
void Simulation::join_staged() {
  if (rolled_back_) return;
  for (const std::string& unit : compartments()) {
    const auto staged = world_.reader(unit).staged(10'000);
    if (!staged) violated("what is staged cannot be listed: " + staged.error().message());
    std::set<RecordId> records;
    std::set<RecordId> doubtful;
    for (const auto& one : *staged) {
      records.insert(one.state.id);
      if (hostile(one.device)) doubtful.insert(one.state.id);
    }
    for (const RecordId& id : records) {
      const auto decision = doubtful.contains(id) ? storage::HubStore::Recovery::refuse
                                                  : storage::HubStore::Recovery::join;
      const Status done = world_.recover(unit, id, decision);
      unclean_.insert(id);
      if (done) {
        count("records_recovered");
        continue;
      }
      if (done.error().is(Errc::store_failed) || done.error().is(Errc::store_full)) {
        world_.restart_hub();
        hub_begins_anew();
        return;
      }
      count("recoveries_refused");
    }
  }
}

/// What nobody has any more is given up, so that what waits for it is merged.
void Simulation::release_held() {
  for (const std::string& unit : compartments()) {
    std::set<RecordId> tried;
    for (;;) {
      const auto held = world_.reader(unit).held(200);
      if (!held) violated("what waits cannot be listed: " + held.error().message());
      bool moved = false;
      for (const auto& entry : *held) {
        if (!tried.insert(entry.record).second) continue;
        const auto waits = world_.reader(unit).actor(entry.actor);
        if (!waits || !*waits) violated("what waits has no author");
        // Only a hub that was put back can have shown somebody what is nowhere any more.
        if (!ever_put_back_ && !hostile((*waits)->device))
          violated("something waits for what nobody has, of record " + entry.record.hex());
        const Status done =
            world_.recover(unit, entry.record, storage::HubStore::Recovery::release);
        if (!done) violated("what waits cannot be released: " + done.error().message());
        unclean_.insert(entry.record);
        count("records_released");
        moved = true;
      }
      if (!moved) break;
    }
  }
}

}  // namespace fieldpost::sim

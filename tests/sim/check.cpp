// What must hold, all along and when everything is healed.
#include <algorithm>

#include "tests/sim/sim.h"

namespace fieldpost::sim {

namespace {

std::string word_list(const std::vector<WordId>& words) {
  std::string list;
  for (const WordId word : words) list += " " + Ledger::text(word);
  return list.empty() ? " none" : list;
}

std::string state_words(const storage::RecordView& view) {
  std::string words = view.record.id.hex() + (view.at_hub ? ", at the hub" : "") +
                      (view.lost_at_hub ? ", lost at the hub" : "") +
                      (view.damaged ? ", damaged" : "");
  for (const storage::OwnChange& own : view.own) {
    words += "; own " + own.change.dot.actor.hex() + ":" +
             std::to_string(own.change.dot.counter.value) + (own.acked ? " acked" : "") +
             (own.applied ? " applied" : "");
    if (own.exception)
      words +=
          " " + own.exception->rule + "/" + std::to_string(static_cast<int>(own.exception->kind));
  }
  return words;
}

}  // namespace

void Simulation::note_acked(Device& device) {
  if (device.tablet->waiting() != 0) violated("a tablet is in sync while changes of it wait");
  for (; device.acked < device.here.size(); ++device.acked) {
    Word& word = ledger_.at(device.here[device.acked]);
    if (!word.acked) count("words_acked");
    word.acked = true;
  }
}

/// Whether the hub's log has it.
bool Simulation::hub_has(WordId id) {
  const Word& word = ledger_.at(id);
  const auto history = world_.reader(word.unit).history(word.record);
  if (!history) return false;  // damaged for the moment: judged in the end
  for (const storage::LogEntry& entry : *history) {
    const auto change = wire::decode_change(entry.actor, entry.frame);
    if (!change) continue;
    for (const model::FieldValue& edit : change->edits) {
      if (ledger_.word_in(edit.value) == id) return true;
    }
  }
  return false;
}

/// What the tablet's screen says at this moment, against what is so.
void Simulation::check_claims(Device& device) {
  if (rolled_back_ || device.here.empty()) return;
  // The newest has most to fear; of the others any.
  for (const std::size_t at : {device.here.size() - 1, network_.below(device.here.size())}) {
    const WordId id = device.here[at];
    count("claims_checked");
    if (!hub_has(id) && !unclean_.contains(ledger_.at(id).record))
      violated("a tablet says that all is at the hub, and " + Ledger::text(id) + " is not");
  }
  // Of another tablet, perhaps far from any network: what it says of a record.
  Device& other = any_device(network_);
  if (!usable(other) || other.here.empty() || other.hub_life != hub_life_) return;
  const RecordId record = ledger_.at(other.here[network_.below(other.here.size())]).record;
  const auto view = other.tablet->store->load(record);
  if (!view || !*view || !(*view)->at_hub || unclean_.contains(record)) return;
  count("claims_checked");
  for (const WordId id : other.here) {
    if (ledger_.at(id).record == record && !hub_has(id))
      violated("a tablet says that a record is at the hub, and its " + Ledger::text(id) +
               " is not");
  }
}

/// Why a connection ended that nothing broke.
void Simulation::watch(const Error& error, Device& device) {
  count("closed." + error.code.message());
  if (device.tablet->closed_for_good)
    violated("an honest tablet gives up for good: " + error.message());
}

void Simulation::everybody_syncs() {
  for (int round = 0; round < 8; ++round) {
    for (const auto& device : devices_) {
      const bool again = round % 3 == 2 || !device->tablet->link;
      if (usable(*device) && again) world_.connect(*device->tablet);
    }
    world_.settle(operator_.one_in(2));
    for (const auto& device : devices_) settle_in(*device);
  }
}

void Simulation::heal() {
  healing_ = true;
  happened("heal");
  for (const auto& device : devices_) {
    world_.cut(*device->tablet);
    if (device->tablet->gone) continue;
    device->tablet->kv->set_faults({});
    revive(*device);
  }
  lines_.clear();
  for (std::size_t half = 0; half < 2; ++half) world_.hub_kv(half).set_faults({});
  if (rolled_back_) doubt();
  mend_hub();
  mend_tablets();
  everybody_syncs();
  for (int round = 0; round < 3; ++round) {
    rule_quarantine(true);
    everybody_syncs();
    join_staged();
    everybody_syncs();
  }
  // What is ruled in may itself wait for what nobody has any more, or for what a tablet sends a copy of now.
  for (int round = 0; round < 3; ++round) {
    join_staged();
    everybody_syncs();
    release_held();
    everybody_syncs();
    rule_quarantine(true);
    everybody_syncs();
  }
}

void Simulation::check_everything() {
  for (const auto& unit : compartments()) {
    const auto aside = world_.reader(unit).quarantine(100'000);
    if (!aside) violated("the quarantine cannot be listed: " + aside.error().message());
    for (const auto& entry : *aside) {
      if (!hostile(entry.device))
        violated("something is set aside in the end: " + entry.exception.rule + ", " +
                 entry.exception.detail);
    }
    const auto held = world_.reader(unit).held(10);
    if (!held || !held->empty())
      violated("something waits for a predecessor in the end, of record " +
               (held ? held->front().record.hex() + ", change " + held->front().actor.hex() + ":" +
                           std::to_string(held->front().counter.value)
                     : held.error().message()));
  }
  std::map<std::string, Hash, std::less<>> digests;
  const auto hub_digest = [&](const std::string& unit) {
    const auto known = digests.find(unit);
    return known != digests.end() ? known->second
                                  : digests.emplace(unit, world_.hub_digest(unit)).first->second;
  };
  for (const auto& device : devices_) {
    if (!usable(*device)) continue;
    Tablet& tablet = *device->tablet;
    const std::string who = "tablet " + tablet.name + ": ";
    if (!tablet.in_sync())
      violated(who + "not in sync in the end: " +
               (tablet.closed ? tablet.closed->message() : std::string("no reason known")));
    note_acked(*device);
    const auto exceptions = tablet.store->exceptions();
    if (!exceptions) violated(who + exceptions.error().message());
    for (const wire::ChangeException& e : *exceptions) {
      if (e.kind == wire::ExceptionKind::unauthorised)
        violated(who + "an honest change was refused: " + e.rule + ", " + e.detail);
    }
    if (tablet.digest() != hub_digest(tablet.unit))
      violated(who + "differs from the hub" + difference(tablet));
    const Status sound = tablet.store->verify([](std::uint64_t) {});
    if (!sound) violated(who + sound.error().message());
    const auto ids = tablet.store->ids_after(RecordId{}, 1'000'000);
    if (!ids) violated(who + ids.error().message());
    for (const RecordId& id : *ids) {
      const storage::RecordView view = tablet.view(id);
      if (view.record.unit != tablet.unit)
        violated(who + "still has a record of " + view.record.unit + ": " + state_words(view));
      if (!view.at_hub)
        violated(who + "does not say of a record that it is at the hub: " + state_words(view));
    }
  }
  for (const std::string& unit : compartments()) check_records(unit);
  const Status verified = world_.verify_hub();
  if (!verified) violated("the hub's proof fails: " + verified.error().message());
}

/// Where a tablet and the hub differ, for whoever must find out why.
std::string Simulation::difference(const Tablet& tablet) {
  std::set<RecordId> ids;
  for (const RecordId& id : *tablet.store->ids_after(RecordId{}, 1'000'000)) ids.insert(id);
  for (const RecordId& id : *world_.reader(tablet.unit).ids_after(RecordId{}, 1'000'000))
    ids.insert(id);
  for (const RecordId& id : ids) {
    const auto here = tablet.store->load(id);
    const auto there = world_.reader(tablet.unit).record(id);
    if (!here || !there) return " in " + id.hex() + ", which cannot be read";
    if (*there && (*there)->unit != tablet.unit) {
      if (*here && (*here)->record.unit != (*there)->unit)
        return ": of another unit it still has " + state_words(**here);
      continue;
    }
    if (!*here) return ": it lacks " + id.hex();
    if (!*there) return ": the hub lacks " + id.hex();
    if ((*here)->record == **there) continue;
    std::string words = " in " + state_words(**here) + "; here";
    for (const auto& [actor, counter] : (*here)->record.vv.entries())
      words += " " + actor.hex().substr(0, 4) + ":" + std::to_string(counter.value);
    words += "; hub";
    for (const auto& [actor, counter] : (*there)->vv.entries())
      words += " " + actor.hex().substr(0, 4) + ":" + std::to_string(counter.value);
    return words;
  }
  return "";
}

void Simulation::check_records(const std::string& compartment) {
  std::map<WordId, std::set<model::Dot>> first_names;
  std::map<WordId, std::size_t> entries;
  std::map<RecordId, std::map<std::string, std::set<WordId>, std::less<>>> merged;
  const auto ids = world_.reader(compartment).ids_after(RecordId{}, 10'000'000);
  if (!ids) violated("the hub's records cannot be listed: " + ids.error().message());
  const std::string& hostile_unit = units_.front();
  for (const RecordId& id : *ids) {
    const auto record = world_.reader(compartment).record(id);
    const auto history = world_.reader(compartment).history(id);
    if (!record || !*record || !history) violated("the hub cannot read record " + id.hex());
    for (const storage::LogEntry& entry : *history) {
      const auto change = wire::decode_change(entry.actor, entry.frame);
      if (!change) violated("the hub logs what is no change");
      for (const model::FieldValue& edit : change->edits) {
        const auto* text = std::get_if<std::string>(&edit.value);
        if (change->author == "officer-X100") continue;
        const auto word = text == nullptr ? std::nullopt : ledger_.word_in(std::string_view(*text));
        if (!word) continue;  // an operator's note, or what a rejection puts back
        const Word& wrote = ledger_.at(*word);
        if (wrote.record != id || wrote.path != edit.path || wrote.unit != (*record)->unit)
          violated("the hub has " + Ledger::text(*word) + " where nobody wrote it");
        merged[id][edit.path].insert(*word);
        if (change->author == "operator") continue;
        first_names[*word].insert(change->origin ? change->origin->dot : change->dot);
        ++entries[*word];
      }
    }
    for (const model::DotGroup& group : (*record)->groups) {
      for (const model::FieldValue& field : group.fields) {
        const auto* text = std::get_if<std::string>(&field.value);
        if (text != nullptr && *text == "evil" && (*record)->unit != hostile_unit)
          violated("a hostile device wrote into " + (*record)->unit);
      }
    }
    if (unclean_.contains(id)) continue;
    for (const auto& [path, words] : merged[id]) {
      const std::vector<WordId> all(words.begin(), words.end());
      const bool once =
          std::all_of(all.begin(), all.end(), [&](WordId word) { return entries[word] <= 1; });
      const auto expected = ledger_.remaining(all);
      const auto visible = ledger_.visible(**record, path);
      const std::string where = " of " + path + " in record " + id.hex();
      const auto listed = [&] {
        return " (left:" + word_list(expected) + "; shown:" + word_list(visible) +
               "; merged:" + word_list(all) + ")";
      };
      count("fields_checked");
      if (!std::includes(visible.begin(), visible.end(), expected.begin(), expected.end()))
        violated("a value" + where + " is gone, and nobody who saw it replaced it" + listed());
      if (once && visible != expected)
        violated("a value" + where + " is shown that somebody had replaced" + listed());
      if (expected.size() > 1) count("conflicts_kept");
    }
  }
  const bool health = compartment == "VAN";
  std::set<WordId> wanted;
  for (const auto& device : devices_) {
    if (usable(*device) && (device->half == 1) == health)
      wanted.insert(device->here.begin(), device->here.end());
  }
  for (WordId id = 0; id < ledger_.size(); ++id) {
    if (ledger_.at(id).acked && (ledger_.at(id).unit == "VAN") == health) wanted.insert(id);
  }
  for (const WordId id : wanted) {
    const Word& word = ledger_.at(id);
    const auto& of_record = merged[word.record];
    const auto found = of_record.find(word.path);
    if (found == of_record.end() || !found->second.contains(id))
      violated(Ledger::text(id) + (word.acked ? " was acknowledged" : " is on a tablet") +
               ", and the hub does not have it (record " + word.record.hex() + ", made by device " +
               std::to_string(word.maker) + ")");
    if (first_names[id].size() > 1)
      violated(Ledger::text(id) + " stands at the hub under two names");
    count("words_at_hub");
  }
}

}  // namespace fieldpost::sim

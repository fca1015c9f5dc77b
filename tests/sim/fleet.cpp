// People and tablets: who works where and when, and what they write.
#include <algorithm>

#include "tests/sim/sim.h"

namespace fieldpost::sim {

namespace {

constexpr std::size_t kTabletsOfUnit = 5;
constexpr std::array<const char*, 4> kPaths = {"note", "plate", "remark", "state"};

}  // namespace

void Simulation::enrol_fleet() {
  const std::size_t health = options_.tablets / 6;
  const std::size_t units = std::max<std::size_t>(2, (options_.tablets - health) / kTabletsOfUnit);
  for (std::size_t i = 0; i < units; ++i) units_.push_back("P" + std::to_string(10 + i));
  for (std::size_t i = 0; i < options_.tablets; ++i) {
    const bool van = i < health;
    const std::string unit = van ? "VAN" : units_[i % units];
    Device& device = enrol("T" + std::to_string(100 + i), unit, van);
    device.newer = options_.allows(Fault::newer_forms) && dice(Fault::newer_forms).one_in(4);
  }
  if (options_.allows(Fault::hostile_device)) enrol("X100", units_.front(), false).hostile = true;
  back_up_hub();
}

Device& Simulation::enrol(const std::string& name, const std::string& unit, bool health) {
  auto device = std::make_unique<Device>();
  device->index = devices_.size();
  device->half = health ? 1 : 0;
  device->tablet = &world_.add_tablet(name, unit, health ? "health" : "enforcement");
  if (!health) device->tablet->identity.foreign_types = {"visit"};
  device_units_[device->tablet->identity.device] = unit;
  devices_.push_back(std::move(device));
  return *devices_.back();
}

void Simulation::plan_day(std::size_t day) {
  // Between 5 in the morning and 10 at night.
  const auto sometime = [this] { return 5 * kHour + people_.below(17 * kHour); };
  for (const auto& device : devices_) {
    const std::size_t index = device->index;
    const std::size_t changes = options_.changes_a_day * (60 + people_.below(80)) / 100;
    for (std::size_t i = 0; i < changes; ++i)
      timeline_.after(sometime(), [this, index] { work(index); });
    const std::size_t sessions = options_.sessions_a_day - 1 + people_.below(3);
    for (std::size_t i = 0; i < sessions; ++i)
      timeline_.after(sometime(), [this, index] { begin_session(index); });
  }
  timeline_.after(23 * kHour, [this] { evening(); });
  count("device_days", devices_.size());
  happened("day", day);
}

RecordId Simulation::new_record_id() {
  std::array<std::uint8_t, 10> entropy{};
  world_.random()(entropy);
  return make_record_id(world_.now().wall, entropy);
}

std::optional<RecordId> Simulation::some_record(Device& device) {
  // Mostly of the last two days: that is what people come back to.
  const std::uint64_t span = people_.one_in(4) ? 10 * kDay : 2 * kDay;
  const Instant from{now().ms - static_cast<std::int64_t>(people_.below(span))};
  const auto found = device.tablet->store->ids_after(make_record_id(from, {}), 1);
  if (!found) violated("a tablet cannot list its records: " + found.error().message());
  if (found->empty()) return std::nullopt;
  return found->front();
}

void Simulation::work(std::size_t index) {
  Device& device = *devices_[index];
  if (!usable(device)) return;
  if (people_.below(100) < 70) {
    const auto first = people_.below(kPaths.size());
    std::vector<std::string> paths = {kPaths[first]};
    if (people_.one_in(3)) paths.emplace_back(kPaths[(first + 1) % kPaths.size()]);
    std::sort(paths.begin(), paths.end());
    write(device, new_record_id(), paths, nullptr);
    return;
  }
  const char* const path = kPaths[people_.below(kPaths.size())];
  if (!device.forms.empty() && people_.one_in(3)) {
    const OpenForm form = device.forms[people_.below(device.forms.size())];
    if (form.visible.contains(path)) write(device, form.record, {path}, &form);
    return;
  }
  const auto id = some_record(device);
  if (!id) return;
  const storage::RecordView view = device.tablet->view(*id);
  if (view.damaged || view.record.unit != device.tablet->unit) return;
  if (people_.one_in(4)) {
    OpenForm form{*id, view.record.vv, device.tablet->store->state().current()->actor, {}};
    for (const char* p : kPaths) form.visible[p] = ledger_.visible(view.record, p);
    if (device.forms.size() >= 4) device.forms.erase(device.forms.begin());
    device.forms.push_back(std::move(form));
  }
  write(device, *id, {path}, nullptr);
}

bool Simulation::write(Device& device, const RecordId& id, const std::vector<std::string>& paths,
                       const OpenForm* form) {
  Tablet& tablet = *device.tablet;
  std::optional<model::VersionVector> seen;
  model::Record as_seen = model::empty_record(id, tablet.type, tablet.unit);
  const auto stored = tablet.store->load(id);
  if (!stored) violated("a tablet cannot read a record: " + stored.error().message());
  if (*stored) {
    if ((*stored)->record.unit != tablet.unit || (*stored)->damaged) return false;
    as_seen = (*stored)->record;
  }
  if (form != nullptr) {
    const auto renamed = tablet.store->renamed(id, form->seen, form->under);
    if (!renamed) violated("a form's vector cannot be renamed: " + renamed.error().message());
    seen = *renamed;
  }
  std::vector<WordId> words;
  std::vector<model::FieldValue> fields;
  for (const std::string& path : paths) {
    const auto visible =
        form != nullptr ? form->visible.find(path)->second : ledger_.visible(as_seen, path);
    words.push_back(ledger_.next(id, path, tablet.unit, device.index, visible));
    std::string text = Ledger::text(words.back());
    if (people_.one_in(200)) text.append(1'000 + people_.below(limits::kTextBytesMax - 1'100), 'x');
    fields.push_back(test::field(path, std::move(text)));
  }
  world_.schema_version = device.newer ? 2 : 1;
  const Status done = world_.edit(tablet, id, std::move(fields), seen);
  world_.schema_version = 1;
  happened("write", device.index, words.front());
  bool there = done.has_value();
  if (!there && done.error().is(Errc::store_failed)) {
    // Its fate is unknown: what is on the disk decides, as it does for the person who looks again.
    revive(device);
    const auto after = device.tablet->store->load(id);
    if (!after) violated("a tablet cannot read a record: " + after.error().message());
    if (*after) {
      const auto now_there = ledger_.visible((*after)->record, paths.front());
      there = std::find(now_there.begin(), now_there.end(), words.front()) != now_there.end();
    }
  } else if (!there && !done.error().is(Errc::store_full)) {
    violated("a tablet does not take what its user wrote: " + done.error().message());
  }
  if (!there) {
    count("writes_refused");
    for (std::size_t i = 0; i < words.size(); ++i) ledger_.take_back();
    return false;
  }
  count("writes");
  count("words", words.size());
  device.here.insert(device.here.end(), words.begin(), words.end());
  return true;
}

void Simulation::begin_session(std::size_t index) {
  Device& device = *devices_[index];
  if (device.tablet->gone || device.tablet->link || device.dialling) return;
  if (now() < device.away_until) return;
  if (device.hostile) return hostile_session(device);
  count("sessions");
  device.attempts = 0;
  device.session_until = later(10 * kMinute + people_.below(30 * kMinute));
  dial(index);
}

void Simulation::dial(std::size_t index) {
  Device& device = *devices_[index];
  device.dialling = false;
  if (device.tablet->gone || device.tablet->link || now() >= device.session_until) return;
  revive(device);
  ++device.attempts;
  count("connections");
  world_.connect(*device.tablet);
  open_line(index);
}

/// The process has ended at a commit whose fate it does not know; it starts again over what is there.
void Simulation::revive(Device& device) {
  if (!device.broken) return;
  device.broken = false;
  hang_up(device, false);
  world_.restart_tablet(*device.tablet);
  ++device.tablet->boots;
  happened("tablet starts", device.index);
}

void Simulation::settle_in(Device& device) {
  const auto& grants = device.tablet->store->state().grants;
  if (grants.size() != 1 || grants.front().unit == device.tablet->unit) return;
  device.tablet->unit = grants.front().unit;
  device.forms.clear();
  happened("settled in", device.index);
}

void Simulation::in_sync(Line& line) {
  Device& device = *devices_[line.device];
  if (!line.synced) count("sessions_in_sync");
  line.synced = true;
  if (!rolled_back_) device.hub_life = hub_life_;
  note_acked(device);
  check_claims(device);
}

TabletDisk Simulation::disk_of(Device& device) {
  return {device.tablet->kv->snapshot(), device.here, now()};
}

void Simulation::put_back(Device& device, const TabletDisk& disk) {
  hang_up(device, false);
  Tablet& tablet = *device.tablet;
  tablet.store.reset();
  tablet.kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables, disk.kv);
  auto opened = storage::open_agent_store(*tablet.kv, *tablet.codec);
  if (!opened) violated("a tablet's disk of before does not open: " + opened.error().message());
  tablet.store = std::move(*opened);
  ++tablet.boots;
  device.here = disk.here;
  device.acked = 0;
  device.forms.clear();
  device.broken = false;
  device.hub_life = 0;
  const auto& grants = tablet.store->state().grants;
  if (grants.size() == 1) tablet.unit = grants.front().unit;
}

}  // namespace fieldpost::sim

// What breaks, when, and how often.
#include <algorithm>

#include "storage/hub_backup.h"
#include "storage/hub_tables.h"
#include "storage/kv_tables.h"
#include "tests/sim/sim.h"

namespace fieldpost::sim {

namespace {

constexpr storage::TableId kBase = 2;  ///< of the agent's store: rot reaches under it
constexpr std::size_t kDisksKept = 3;
constexpr std::size_t kBackupsKept = 3;
constexpr std::size_t kClonesMax = 3;
constexpr std::size_t kDestroyedMax = 2;

/// How often in a hundred days, for a fleet of twelve. Those of links are drawn per connection.
struct Rate {
  Fault fault;
  std::size_t per_hundred_days;
  bool by_fleet;  ///< more tablets, more of it
};
constexpr std::array<Rate, 20> kRates = {{
    {Fault::long_offline, 60, true},        {Fault::tablet_crash, 200, true},
    {Fault::tablet_sync_failed, 150, true}, {Fault::tablet_reply_lost, 150, true},
    {Fault::tablet_full, 50, true},         {Fault::tablet_rot, 80, true},
    {Fault::tablet_put_back, 50, true},     {Fault::tablet_tail_lost, 60, true},
    {Fault::tablet_cloned, 20, false},      {Fault::tablet_clock, 80, true},
    {Fault::tablet_destroyed, 10, false},   {Fault::hub_crash, 50, false},
    {Fault::hub_sync_failed, 40, false},    {Fault::hub_reply_lost, 40, false},
    {Fault::hub_full, 40, false},           {Fault::hub_rot, 40, false},
    {Fault::hub_restored, 15, false},       {Fault::hub_restored_twice, 8, false},
    {Fault::hub_rolled_back, 15, false},    {Fault::device_moved, 50, false},
}};

/// The next commit that writes something meets `fate`; `met` is told.
storage::MemoryFaults next_commit(storage::CommitFate fate, std::function<void()> met) {
  return {[fate, met = std::move(met), done = false](std::uint64_t,
                                                     storage::UpdateKind kind) mutable {
    const bool skips = fate == storage::CommitFate::full && kind == storage::UpdateKind::freeing;
    if (done || skips) return storage::CommitFate::succeed;
    done = true;
    met();
    return fate;
  }};
}

/// Changes one byte of a value.
Status rot(storage::Kv& kv, storage::TableId table, BytesView key, Dice& dice) {
  return kv.update([&](storage::KvWrite& write) -> Status {
    FP_TRY(const auto value, write.get(table, key));
    if (!value || value->size() < 2) return {};
    Bytes changed = to_bytes(*value);
    changed[1 + dice.below(changed.size() - 1)] ^= static_cast<std::uint8_t>(1 + dice.below(255));
    return write.put(table, key, changed);
  });
}

}  // namespace

void Simulation::plan_faults(std::size_t day) {
  keep_disks();
  if (day > 0) back_up_hub();
  for (const Rate& rate : kRates) {
    if (!options_.allows(rate.fault)) continue;
    Dice& own = dice(rate.fault);
    const std::size_t scale = rate.by_fleet ? std::max<std::size_t>(options_.tablets, 4) : 12;
    std::size_t hundredths = rate.per_hundred_days * scale / 12;
    for (; hundredths > 0; hundredths -= std::min<std::size_t>(hundredths, 100)) {
      const std::uint64_t at = own.below(kDay);
      if (own.below(100) >= hundredths) break;
      timeline_.after(at, [this, fault = rate.fault] { strike(fault); });
    }
  }
}

void Simulation::strike(Fault fault) {
  switch (fault) {
    case Fault::hub_crash:
    case Fault::hub_sync_failed:
    case Fault::hub_reply_lost:
    case Fault::hub_full:
    case Fault::hub_rot:
    case Fault::hub_restored:
    case Fault::hub_restored_twice:
    case Fault::hub_rolled_back:
      return strike_hub(fault);
    default: {
      Device& device = any_device(dice(fault));
      if (usable(device)) strike_tablet(fault, device);
    }
  }
}

void Simulation::strike_tablet(Fault fault, Device& device) {
  Dice& own = dice(fault);
  Tablet& tablet = *device.tablet;
  happened(name(fault), device.index);
  const auto breaks = [this, &device, fault](storage::CommitFate fate) {
    device.tablet->kv->set_faults(next_commit(fate, [this, &device, fault] {
      fired(fault);
      device.broken = true;
    }));
  };
  switch (fault) {
    case Fault::long_offline:
      fired(fault);
      hang_up(device, false);
      device.away_until = later(kDay + own.below(5 * kDay));
      break;
    case Fault::tablet_crash:
      fired(fault);
      device.broken = true;
      break;
    case Fault::tablet_sync_failed:
      breaks(storage::CommitFate::fail_before);
      break;
    case Fault::tablet_reply_lost:
      breaks(storage::CommitFate::fail_after);
      break;
    case Fault::tablet_full:
      device.full_until = later(own.below(6 * kHour));
      tablet.kv->set_faults({[this, &device](std::uint64_t, storage::UpdateKind kind) {
        if (kind == storage::UpdateKind::freeing || now() >= device.full_until)
          return storage::CommitFate::succeed;
        fired(Fault::tablet_full);
        return storage::CommitFate::full;
      }});
      break;
    case Fault::tablet_rot: {
      // Of what the hub delivered: it is fetched again.
      Bytes key;
      if (!tablet.kv->view([&](const storage::KvRead& read) {
            const auto from = new_record_id();
            return read.scan(kBase, {}, from.view().first(2),
                             [&](BytesView at, BytesView) -> Result<storage::KvRead::Step> {
                               key = to_bytes(at);
                               return own.one_in(3) ? storage::KvRead::Step::stop
                                                    : storage::KvRead::Step::more;
                             });
          }) ||
          key.empty())
        break;
      if (rot(*tablet.kv, kBase, key, own)) fired(fault);
      break;
    }
    case Fault::tablet_put_back:
      if (device.disks.empty()) break;
      fired(fault);
      put_back(device, TabletDisk(device.disks[own.below(device.disks.size())]));
      if (own.one_in(2)) {
        // What the agent does when it notices at its start.
        const ActorId fresh = random_actor(world_.random());
        const Status added = tablet.store->add_actor(
            fresh, wire::chain_start(world_.hub_id(), tablet.identity.device, fresh));
        if (!added) violated("a tablet that was put back cannot go on: " + added.error().message());
      }
      break;
    case Fault::tablet_tail_lost:
      timeline_.after(kHour + own.below(4 * kHour),
                      [this, index = device.index, disk = disk_of(device)] {
                        Device& later_on = *devices_[index];
                        if (later_on.tablet->gone) return;
                        fired(Fault::tablet_tail_lost);
                        put_back(later_on, disk);
                      });
      break;
    case Fault::tablet_cloned: {
      if (device.half != 0 || devices_.size() >= options_.tablets + 1 + kClonesMax) break;
      fired(fault);
      for (std::size_t half = 0; half < 2; ++half) world_.hub_kv(half).set_faults({});
      Device& copy = enrol("C" + std::to_string(devices_.size()), tablet.unit, false);
      world_.take_identity(*copy.tablet, tablet);
      copy.newer = device.newer;
      put_back(copy, disk_of(device));
      break;
    }
    case Fault::tablet_clock: {
      fired(fault);
      const std::int64_t day = static_cast<std::int64_t>(kDay);
      const std::array<std::int64_t, 5> errors = {-world_.now().wall.ms + 1, 3'650 * day,
                                                  -static_cast<std::int64_t>(own.below(2 * kDay)),
                                                  static_cast<std::int64_t>(own.below(kHour)), 0};
      tablet.clock_error_ms = errors[own.below(errors.size())];
      break;
    }
    case Fault::tablet_destroyed:
      if (counters_["fault.tablet_destroyed"] >= kDestroyedMax) break;
      fired(fault);
      hang_up(device, own.one_in(2));
      tablet.gone = true;
      break;
    case Fault::device_moved:
      if (device.half == 0) move_device(device);
      break;
    default:
      break;
  }
}

void Simulation::move_device(Device& device) {
  const DeviceId id = device.tablet->identity.device;
  const std::string unit = units_[dice(Fault::device_moved).below(units_.size())];
  if (unit == device_units_[id]) return;
  const auto moved = world_.store(unit).move_device(id, unit, world_.now().wall);
  if (!moved && moved.error().is(Errc::store_failed)) {
    world_.restart_hub();
    hub_begins_anew();
    const auto stored = world_.reader(unit).device(id);
    if (!stored || !*stored) violated("a device is gone after a crash");
    device_units_[id] = (*stored)->unit;
    return;
  }
  if (!moved) return;
  fired(Fault::device_moved);
  device_units_[id] = unit;
  std::vector<std::uint64_t> its;
  for (const auto& [line, at] : lines_) {
    if (devices_[at.device]->tablet->identity.device == id) its.push_back(line);
  }
  for (const std::uint64_t line : its) {
    if (!lines_.at(line).left) world_.cut(*devices_[lines_.at(line).device]->tablet);
    lines_.at(line).left = false;
    ended(line);
  }
}

void Simulation::keep_disks() {
  for (const auto& device : devices_) {
    if (!usable(*device)) continue;
    device->disks.push_back(disk_of(*device));
    if (device->disks.size() > kDisksKept) device->disks.pop_front();
  }
}

void Simulation::back_up_hub() {
  // A backup is not taken of a past that nobody has noticed to be one.
  if (rolled_back_) return;
  HubDisk disk;
  disk.disks = world_.hub_disks();
  disk.acked = ledger_.acked();
  disk.device_units = device_units_;
  disk.life = world_.hub_ends();
  for (std::size_t half = 0; half < disk.heads.size(); ++half) {
    const Status walked =
        storage::walk_tables(world_.hub_kv(half), storage::hub_tables::kTableCount,
                             [&](storage::TableId table, BytesView key, BytesView value) -> Status {
                               FP_TRY(const auto head, storage::head_in(table, key, value));
                               if (head) disk.heads[half].insert(*head);
                               return {};
                             });
    if (!walked) violated("the hub's tables cannot be read: " + walked.error().message());
  }
  backups_.push_back(std::move(disk));
  if (backups_.size() > kBackupsKept) backups_.pop_front();
  say_backed_up();
}

/// What every backup that can still be restored has of each chain.
void Simulation::say_backed_up() {
  for (std::size_t half = 0; half < 2; ++half) {
    std::map<ActorId, Sequence> least = backups_.front().heads[half];
    for (const HubDisk& disk : backups_) {
      for (auto& [actor, head] : least) {
        const auto there = disk.heads[half].find(actor);
        head = there == disk.heads[half].end() ? Sequence{} : std::min(head, there->second);
      }
    }
    const std::string& unit = half == 0 ? units_.front() : "VAN";
    if (half == 1 && options_.tablets < 6) continue;
    const Status told = world_.store(unit).put_backed_up({least.begin(), least.end()},
                                                         storage::HubStore::BackedUp::restate);
    if (!told && !told.error().is(Errc::store_failed) && !told.error().is(Errc::store_full))
      violated("the watermark is not taken: " + told.error().message());
    if (!told) {
      world_.restart_hub();
      hub_begins_anew();
    }
  }
}

void Simulation::strike_hub(Fault fault) {
  Dice& own = dice(fault);
  happened(name(fault));
  const std::size_t half = own.one_in(4) ? 1 : 0;
  const auto meets = [this, fault, half](storage::CommitFate fate) {
    world_.hub_kv(half).set_faults(next_commit(fate, [this, fault] { fired(fault); }));
  };
  switch (fault) {
    case Fault::hub_crash:
      fired(fault);
      // A process that ends is in doubt of nothing it did not know before.
      if (rolled_back_) rolled_back_ = false;
      for (std::size_t i = 0; i < 2; ++i) world_.hub_kv(i).set_faults({});
      world_.restart_hub(own.one_in(3));
      hub_begins_anew();
      break;
    case Fault::hub_sync_failed:
      meets(storage::CommitFate::fail_before);
      break;
    case Fault::hub_reply_lost:
      meets(storage::CommitFate::fail_after);
      break;
    case Fault::hub_full:
      meets(storage::CommitFate::full);
      break;
    case Fault::hub_rot: {
      const auto from =
          make_record_id(Instant{now().ms - static_cast<std::int64_t>(own.below(3 * kDay))}, {});
      const auto ids = world_.reader(units_.front()).ids_after(from, 1);
      if (!ids || ids->empty()) break;
      if (rot(world_.hub_kv(0), storage::hub_tables::kRecords, ids->front().view(), own)) {
        fired(fault);
      } else {  // another fault waited for the next commit
        world_.restart_hub();
        hub_begins_anew();
      }
      break;
    }
    case Fault::hub_restored:
      if (backups_.empty()) break;
      fired(fault);
      put_hub_back(own.below(backups_.size()), false);
      break;
    case Fault::hub_restored_twice: {
      // Only when one was restored before; else now and again in a few hours.
      if (backups_.empty()) break;
      const std::size_t chosen = own.below(backups_.size());
      put_hub_back(chosen, false);
      backups_[chosen].times_restored += 1;
      timeline_.after(kHour + own.below(8 * kHour), [this] {
        for (std::size_t i = 0; i < backups_.size(); ++i) {
          if (backups_[i].times_restored == 0) continue;
          backups_[i].times_restored = 0;
          fired(Fault::hub_restored_twice);
          return put_hub_back(i, false);
        }
      });
      break;
    }
    case Fault::hub_rolled_back: {
      const std::size_t chosen = own.below(std::max<std::size_t>(backups_.size(), 1));
      if (backups_.empty() || rolled_back_ || backups_[chosen].life != world_.hub_ends()) break;
      fired(fault);
      put_hub_back(chosen, true);
      const std::uint64_t ends = world_.hub_ends();
      timeline_.after(own.below(20 * kMinute), [this, ends] {
        if (rolled_back_ && world_.hub_ends() == ends) doubt();
      });
      break;
    }
    default:
      break;
  }
}

void Simulation::doubt() {
  rolled_back_ = false;
  world_.doubt_hub();
  hub_begins_anew();
}

void Simulation::put_hub_back(std::size_t backup, bool rolled) {
  const HubDisk disk = backups_[backup];
  happened(rolled ? "the hub is rolled back" : "the hub is restored", backup);
  rolled_back_ = rolled;
  ever_put_back_ = true;
  if (rolled) {
    world_.roll_back_hub(disk.disks);
    // What was backed up of the past that is gone may not be told from this one's: it is not restored any more.
    backups_.erase(backups_.begin() + static_cast<std::ptrdiff_t>(backup) + 1, backups_.end());
  } else {
    world_.put_back_hub(disk.disks);
  }
  device_units_ = disk.device_units;
  for (const auto& device : devices_) {
    const DeviceId id = device->tablet->identity.device;
    if (!device_units_.contains(id)) device_units_[id] = device->tablet->unit;
    device->acked = 0;
  }
  ledger_.forget_acked_since(disk.acked);
  ++hub_life_;
  delivered_.clear();
  hub_begins_anew();
}

void Simulation::hub_begins_anew() {
  // What it had taken in hand is lost with it; the devices' entries may be, too.
  writer_busy_ = false;
  happened("the hub starts", world_.hub_ends());
}

}  // namespace fieldpost::sim

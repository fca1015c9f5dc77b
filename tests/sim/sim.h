// The simulator: people, tablets, links and a hub, on virtual time, with whatever can go wrong.
//
// SyncWorld (tests/support) is the ground: the production sessions, stores, codec and merge, and the hub's writer.
// Here is what moves it: when people work and when there is a network (fleet.cpp), how long a frame takes and what
// becomes of it (network.cpp), what breaks (nemesis.cpp), who lies (hostile.cpp), what the hub's operator does of
// an evening (operator.cpp), and what must hold, all along and in the end (check.cpp).
//
// Thread rule: one thread.
// Invariants:
//   1. One seed, one trace: nothing reads a clock, an address or the order of pointers.
//   2. Each kind of fault draws from dice of its own, so that leaving one out changes no other's throws.
//   3. A check is told only what a person or the ledger knows; it never asks the code under test for a verdict.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <stdexcept>

#include "tests/sim/ledger.h"
#include "tests/sim/options.h"
#include "tests/sim/timeline.h"
#include "tests/support/sync_world.h"

namespace fieldpost::sim {

using test::Connection;
using test::Dice;
using test::SyncWorld;
using test::Tablet;

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A form that somebody has had open for a while.
struct OpenForm {
  RecordId record;
  model::VersionVector seen;
  ActorId under;
  std::map<std::string, std::vector<WordId>, std::less<>> visible;
};

/// A tablet's disk at one moment, and which words its own chains hold.
struct TabletDisk {
  storage::MemoryKv::Snapshot kv;
  std::vector<WordId> here;
  Instant at;
};

struct Device {
  std::size_t index = 0;
  Tablet* tablet = nullptr;
  std::size_t half = 0;
  bool hostile = false;
  bool newer = false;  ///< has the next version of the forms
  std::vector<WordId> here;
  std::size_t acked = 0;  ///< words of `here` that were noted as acknowledged
  std::vector<OpenForm> forms;
  std::deque<TabletDisk> disks;
  Instant away_until;
  Instant full_until;
  bool broken = false;         ///< a commit failed: the process must end
  std::uint64_t hub_life = 0;  ///< of the last time it was in sync
  bool dialling = false;
  std::size_t attempts = 0;  ///< in this session
  Instant session_until;
};

/// One connection as the network sees it.
struct Line {
  std::shared_ptr<Connection> ends;
  std::size_t device = 0;
  std::uint64_t latency_ms = 50;
  std::uint64_t bytes_per_s = 50'000;
  bool up_busy = false;
  bool down_busy = false;
  bool dead = false;  ///< nobody has noticed yet
  bool left = false;  ///< the tablet is off; what it sent is still coming
  bool leaving = false;
  bool synced = false;
  std::size_t delivers_open = 0;  ///< sent by the hub and not answered
};

class Simulation {
 public:
  explicit Simulation(const Options& options);
  Outcome run();

 private:
  // ---- fleet.cpp ----
  void enrol_fleet();
  Device& enrol(const std::string& name, const std::string& unit, bool health);
  void plan_day(std::size_t day);
  void work(std::size_t device);
  bool write(Device& device, const RecordId& id, const std::vector<std::string>& paths,
             const OpenForm* form);
  RecordId new_record_id();
  std::optional<RecordId> some_record(Device& device);
  void begin_session(std::size_t device);
  void dial(std::size_t device);
  void in_sync(Line& line);
  void settle_in(Device& device);
  void revive(Device& device);
  void put_back(Device& device, const TabletDisk& disk);
  TabletDisk disk_of(Device& device);

  // ---- network.cpp ----
  void open_line(std::size_t device);
  void tend();
  void pump(std::uint64_t id);
  void arrive_up(std::uint64_t id);
  void arrive_down(std::uint64_t id);
  void ended(std::uint64_t id);
  void hang_up(Device& device, bool late);
  void hear_writer();
  void write_at_hub();
  void tapped(Connection& connection, bool up, BytesView frame);
  std::optional<std::uint64_t> line_of(const Device& device) const;

  // ---- nemesis.cpp ----
  void plan_faults(std::size_t day);
  void strike(Fault fault);
  void strike_tablet(Fault fault, Device& device);
  void strike_hub(Fault fault);
  void keep_disks();
  void back_up_hub();
  void put_hub_back(std::size_t backup, bool rolled);
  void doubt();
  void hub_begins_anew();
  void say_backed_up();
  void move_device(Device& device);
  void hostile_session(Device& device);

  // ---- operator.cpp ----
  void evening();
  void rule_quarantine(bool all);
  void resolve_some();
  void join_staged();
  void release_held();
  void mend_hub();
  void mend_tablets();
  void remove_old();
  /// A unit of each compartment that this fleet has.
  std::vector<std::string> compartments() const;
  std::optional<wire::ChangeException> form_check(const model::Change& change) const;

  // ---- check.cpp ----
  void check_claims(Device& device);
  bool hub_has(WordId word);
  void heal();
  void everybody_syncs();
  void check_everything();
  void check_records(const std::string& unit);
  std::string difference(const Tablet& tablet);
  void note_acked(Device& device);
  void watch(const Error& error, Device& device);

  // ---- all ----
  void happened(std::string_view what, std::uint64_t a = 0, std::uint64_t b = 0);
  [[noreturn]] void violated(const std::string& what) const { throw Violation(what); }
  void count(std::string_view what, std::uint64_t n = 1);
  void fired(Fault fault) { count(std::string("fault.") + std::string(name(fault))); }
  Dice& dice(Fault fault) { return *fault_dice_[static_cast<std::size_t>(fault)]; }
  Device& any_device(Dice& dice) { return *devices_[dice.below(devices_.size())]; }
  Instant now() const { return timeline_.now(); }
  Instant later(std::uint64_t ms) const {
    return Instant{now().ms + static_cast<std::int64_t>(ms)};
  }
  bool hostile(const DeviceId& id) const {
    return std::any_of(devices_.begin(), devices_.end(), [&](const auto& device) {
      return device->hostile && device->tablet->identity.device == id;
    });
  }
  bool usable(const Device& device) const { return !device.tablet->gone && !device.hostile; }
  const std::string& unit_of(const DeviceId& device) { return device_units_[device]; }

  struct HubDisk {
    SyncWorld::HubDisks disks;
    std::vector<bool> acked;
    std::array<std::map<ActorId, Sequence>, 2> heads;
    std::map<DeviceId, std::string> device_units;
    std::uint64_t life = 0;
    std::uint64_t times_restored = 0;
  };

  Options asked_;
  Options options_;  ///< with what the seed leaves out
  SyncWorld world_;
  Timeline timeline_;
  Dice people_;
  Dice network_;
  Dice operator_;
  std::array<std::unique_ptr<Dice>, kFaults> fault_dice_;
  Ledger ledger_;
  std::deque<std::unique_ptr<Device>> devices_;
  std::map<DeviceId, std::string> device_units_;
  std::vector<std::string> units_;
  std::map<std::uint64_t, Line> lines_;
  std::uint64_t next_line_ = 1;
  std::uint64_t hub_lives_ = 0;  ///< as last seen of the world
  std::uint64_t hub_life_ = 1;   ///< of its data
  std::deque<HubDisk> backups_;
  bool rolled_back_ = false;  ///< and not yet noticed
  bool ever_put_back_ = false;
  bool writer_busy_ = false;
  bool healing_ = false;
  Instant hub_full_until_;
  std::uint32_t hub_forms_ = 1;
  std::set<RecordId> unclean_;  ///< an operator's recovery or rejection decided something on it
  std::map<RecordId, model::VersionVector>
      delivered_;  ///< the newest vector that the hub told, in this life
  std::map<ActorId, Sequence> pushed_;
  std::vector<Bytes> captured_;  ///< frames of others, for whoever would send them again
  std::uint64_t trace_ = 14'695'981'039'346'656'037ULL;
  Counters counters_;
  std::deque<std::string> last_lines_;
};

}  // namespace fieldpost::sim

// The links: how long a frame takes, and what becomes of it on the way.
#include <algorithm>

#include "tests/sim/sim.h"

namespace fieldpost::sim {

namespace {

constexpr std::uint64_t kSilence = 90 * kSecond;  ///< after which a side takes the other for gone
constexpr std::size_t kCapturedMax = 64;

std::uint64_t fold(BytesView bytes) {
  std::uint64_t hash = 14'695'981'039'346'656'037ULL;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 1'099'511'628'211ULL;
  return hash;
}

}  // namespace

void Simulation::open_line(std::size_t device) {
  Line line;
  line.ends = devices_[device]->tablet->link;
  line.device = device;
  line.latency_ms = 20 + network_.below(400);
  line.bytes_per_s = 2'000 + network_.below(150'000);
  if (options_.allows(Fault::slow_link) && dice(Fault::slow_link).one_in(8)) {
    fired(Fault::slow_link);
    line.bytes_per_s = 200 + dice(Fault::slow_link).below(800);
    line.latency_ms = 800;
  }
  const std::uint64_t id = next_line_++;
  happened("connects", device, id);
  if (options_.allows(Fault::cut) && dice(Fault::cut).one_in(3)) {
    timeline_.after(dice(Fault::cut).below(40 * kSecond), [this, id] {
      const auto at = lines_.find(id);
      if (at == lines_.end() || at->second.left) return;
      fired(Fault::cut);
      if (at->second.up_busy || at->second.down_busy) count("cuts_within_a_frame");
      const bool late = options_.allows(Fault::late_arrival) && dice(Fault::late_arrival).one_in(2);
      hang_up(*devices_[at->second.device], late);
    });
  }
  if (options_.allows(Fault::half_open) && dice(Fault::half_open).one_in(10)) {
    timeline_.after(dice(Fault::half_open).below(30 * kSecond), [this, id] {
      const auto at = lines_.find(id);
      if (at == lines_.end() || at->second.left) return;
      fired(Fault::half_open);
      at->second.dead = true;
      timeline_.after(kSilence, [this, id] {
        const auto still = lines_.find(id);
        if (still != lines_.end() && !still->second.left)
          hang_up(*devices_[still->second.device], false);
      });
    });
  }
  lines_.emplace(id, std::move(line));
}

std::optional<std::uint64_t> Simulation::line_of(const Device& device) const {
  for (const auto& [id, line] : lines_) {
    if (line.device == device.index && !line.left) return id;
  }
  return std::nullopt;
}

/// The tablet's end is gone. `late`: what it had sent is still on its way.
void Simulation::hang_up(Device& device, bool late) {
  const auto id = line_of(device);
  if (!id) {
    world_.cut(*device.tablet);
    return;
  }
  Line& line = lines_.at(*id);
  if (late && !line.dead && !line.ends->up.empty() && device.tablet->link == line.ends) {
    fired(Fault::late_arrival);
    world_.leave(*device.tablet);
    line.latency_ms += dice(Fault::late_arrival).below(20 * kSecond);
    line.left = true;
  } else {
    world_.cut(*device.tablet);
  }
  happened("hangs up", device.index, *id);
  ended(*id);
}

/// After a connection's end at the tablet: the next attempt, if its user is still where there is a network.
void Simulation::ended(std::uint64_t id) {
  Line& line = lines_.at(id);
  Device& device = *devices_[line.device];
  if (!line.left) {
    world_.forget(line.ends);
    lines_.erase(id);
  }
  if (device.hostile || device.tablet->gone || device.dialling || healing_) return;
  if (device.tablet->closed) watch(*device.tablet->closed, device);
  if (device.attempts > 8 || now() >= device.session_until) return;
  const bool was_leaving = line_of(device).has_value();
  if (was_leaving) return;
  device.dialling = true;
  const std::uint64_t wait = std::max<std::uint64_t>(device.tablet->retry_after_ms,
                                                     kSecond + network_.below(20 * kSecond));
  timeline_.after(wait, [this, index = device.index] { dial(index); });
}

/// After each event: frames that were queued are on their way, the writer is called, what ended is noticed.
void Simulation::tend() {
  if (world_.hub_ends() != hub_lives_) {
    hub_lives_ = world_.hub_ends();
    std::vector<std::uint64_t> all;
    for (auto& [id, line] : lines_) all.push_back(id);
    for (const std::uint64_t id : all) {
      const bool left = lines_.at(id).left;
      lines_.at(id).left = false;
      if (left)
        lines_.erase(id);
      else
        ended(id);
    }
  }
  std::vector<std::uint64_t> gone;
  for (auto& [id, line] : lines_) {
    Device& device = *devices_[line.device];
    if (line.left ? line.ends->up.empty() : device.tablet->link != line.ends) {
      gone.push_back(id);
    } else {
      pump(id);
    }
  }
  for (const std::uint64_t id : gone) {
    if (lines_.at(id).left) {
      world_.forget(lines_.at(id).ends);
      lines_.erase(id);
    } else {
      ended(id);
    }
  }
  for (const auto& device : devices_) {
    if (device->broken) revive(*device);
  }
  if (world_.writer_has_work() && !writer_busy_) {
    writer_busy_ = true;
    // Now and then the disk has other things to do.
    const std::uint64_t busy = network_.one_in(12) ? network_.below(3 * kSecond) : 0;
    timeline_.after(2 + network_.below(30) + busy, [this] { write_at_hub(); });
  }
}

void Simulation::pump(std::uint64_t id) {
  Line& line = lines_.at(id);
  const auto takes = [&](const Bytes& frame) {
    return line.latency_ms + frame.size() * kSecond / line.bytes_per_s;
  };
  if (!line.up_busy && !line.ends->up.empty()) {
    line.up_busy = true;
    timeline_.after(takes(line.ends->up.front()), [this, id] { arrive_up(id); });
  }
  if (line.left || line.down_busy) return;
  if (!line.ends->down.empty()) {
    line.down_busy = true;
    timeline_.after(takes(line.ends->down.front()), [this, id] { arrive_down(id); });
  } else if (line.ends->hub_closed && !line.dead) {
    line.down_busy = true;
    timeline_.after(line.latency_ms, [this, id] { arrive_down(id); });
  }
}

void Simulation::arrive_up(std::uint64_t id) {
  const auto at = lines_.find(id);
  if (at == lines_.end()) return;
  Line& line = at->second;
  line.up_busy = false;
  if (line.ends->up.empty()) return;
  if (line.dead) return line.ends->up.pop_front();
  if (line.left) count("frames_after_the_end");
  happened("up", line.device, fold(line.ends->up.front()));
  world_.move_up(line.ends);
}

void Simulation::arrive_down(std::uint64_t id) {
  const auto at = lines_.find(id);
  if (at == lines_.end() || at->second.left) return;
  Line& line = at->second;
  Device& device = *devices_[line.device];
  line.down_busy = false;
  if (device.tablet->link != line.ends) return;
  if (line.dead) {
    if (!line.ends->down.empty()) line.ends->down.pop_front();
    return;
  }
  if (!line.ends->down.empty()) happened("down", line.device, fold(line.ends->down.front()));
  world_.move_down(*device.tablet);
  if (device.tablet->link != line.ends) return;
  settle_in(device);
  if (!device.tablet->in_sync()) return;
  in_sync(line);
  if (std::exchange(line.leaving, true)) return;
  timeline_.after(network_.below(15 * kMinute), [this, id] {
    const auto still = lines_.find(id);
    if (still == lines_.end() || still->second.left) return;
    Device& leaver = *devices_[still->second.device];
    leaver.session_until = now();
    hang_up(leaver, false);
  });
}

void Simulation::write_at_hub() {
  writer_busy_ = false;
  const std::size_t crashes = world_.hub_crashes();
  const std::size_t rollbacks = world_.rollbacks_noticed();
  if (!world_.write(!network_.one_in(3))) return;
  count("hub_commits");
  happened("commit");
  if (world_.rollbacks_noticed() != rollbacks) {
    count("rollbacks_noticed_by_a_cursor");
    rolled_back_ = false;
    hub_begins_anew();
  }
  if (world_.hub_crashes() != crashes) return hub_begins_anew();
  hear_writer();
}

void Simulation::hear_writer() {
  auto all = world_.connections();
  while (!all.empty()) {
    const std::size_t next = network_.below(all.size());
    const auto connection = all[next];
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(next));
    while (world_.hear_writer(*connection)) {
    }
  }
}

/// What anybody could see on the wire, opened with the tablet's own keys.
void Simulation::tapped(Connection& connection, bool up, BytesView frame) {
  count(up ? "frames_up" : "frames_down");
  if (healing_) return;
  Device* device = nullptr;
  for (const auto& candidate : devices_) {
    if (candidate->tablet->link.get() == &connection) device = candidate.get();
  }
  if (device == nullptr || device->hostile) return;
  const auto id = line_of(*device);
  Line* const line = id ? &lines_.at(*id) : nullptr;
  if (up) {
    if (captured_.size() < kCapturedMax)
      captured_.push_back(to_bytes(frame));
    else if (network_.one_in(50))
      captured_[network_.below(kCapturedMax)] = to_bytes(frame);
    const wire::Decoded decoded = test::open_frame(frame);
    happened(wire::message_name(decoded.message), device->index);
    if (line != nullptr && std::holds_alternative<wire::Got>(decoded.message))
      line->delivers_open -= std::min<std::size_t>(line->delivers_open, 1);
    if (const auto* push = std::get_if<wire::Push>(&decoded.message)) {
      const Sequence last{push->first.value + push->changes.size() - 1};
      Sequence& most = pushed_[push->actor];
      if (push->first <= most) count("changes_sent_again", push->changes.size());
      most = std::max(most, last);
    }
    if (connection.agent && connection.agent->pushes_in_flight() > limits::kWindowPushes)
      violated("a tablet has more pushes under way than the window allows");
    return;
  }
  const wire::Decoded decoded = test::open_frame(frame);
  happened(wire::message_name(decoded.message), device->index);
  const auto* deliver = std::get_if<wire::Deliver>(&decoded.message);
  if (deliver == nullptr) return;
  if (line != nullptr && ++line->delivers_open > limits::kDeliverWindow)
    violated("the hub sends more deliveries than the window allows");
  const std::string& unit = device_units_[device->tablet->identity.device];
  if (deliver->unit != unit)
    violated("records of " + deliver->unit + " are sent to a tablet of " + unit);
  for (const Bytes& state : deliver->states) {
    const auto record = wire::decode_record(state);
    if (!record) violated("the hub sends what is no record: " + record.error().message());
    if (record->unit != unit)
      violated("a record of " + record->unit + " is sent to a tablet of " + unit);
    if ((record->type == "visit") != (device->half == 1))
      violated("a " + record->type + " is sent to the other compartment");
    count("states_delivered");
    if (rolled_back_) continue;
    model::VersionVector& newest = delivered_[record->id];
    if (!record->vv.covers(newest))
      violated("the vector of record " + record->id.hex() + " shrank");
    newest = record->vv;
  }
}

}  // namespace fieldpost::sim

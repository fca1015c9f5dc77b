#include "hub/io/scrubber.h"

#include <spdlog/spdlog.h>

namespace fieldpost::hub {

namespace {

/// Below it there is time to make room before the first record is refused.
constexpr std::uint64_t kRoomWarnBytes = std::uint64_t{2} << 30;

}  // namespace

Result<ReadThrough> read_through(const StoreParts& store, const std::function<Instant()>& clock,
                                 const AfterPage& after_page) {
  ReadThrough found;
  const auto reader = store.store->reader();
  storage::StoredPlace from;
  while (true) {
    FP_TRY(const storage::ScrubPage page, reader->scrub(from, Scrubber::kPageBytes));
    found.values += page.values;
    storage::RepairReport report;
    if (!page.damaged.empty()) {
      Result<storage::RepairReport> done = fail(Errc::closed, "the hub is stopping");
      store.writer->run([&](storage::HubStore& s) { done = s.repair(page.damaged, clock()); });
      FP_TRY(report, std::move(done));
      found.repairs.records_mended += report.records_mended;
      found.repairs.records_lost += report.records_lost;
      found.repairs.log_damaged += report.log_damaged;
    }
    const bool go_on = after_page(report);
    if (page.ended) return found;
    if (!go_on) return fail(Errc::closed, "the hub is stopping");
    from = page.next;
  }
}

Scrubber::Scrubber(std::vector<StoreParts> stores, std::function<Instant()> clock)
    : stores_(std::move(stores)), clock_(std::move(clock)), thread_([this] { loop(); }) {}

Scrubber::~Scrubber() { stop(); }

void Scrubber::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Scrubber::wait(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stopping_; });
  return !stopping_;
}

Scrubber::Figures Scrubber::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void Scrubber::loop() {
  do {
    Figures pass;
    bool whole = true;
    for (const StoreParts& store : stores_) {
      const auto found =
          read_through(store, clock_, [this, &store](const storage::RepairReport& report) {
            if (report.records_mended + report.records_lost + report.log_damaged > 0) {
              spdlog::error(
                  "{}: the disk damaged stored values: {} records rebuilt from their changes; {} "
                  "records and {} changes cannot be mended here, see `fieldpost-hub damaged`",
                  store.name, report.records_mended, report.records_lost, report.log_damaged);
            }
            return wait(kPause);
          });
      if (!found && found.error().is(Errc::closed)) return;
      if (!found)
        spdlog::error("reading through the {} store: {}", store.name, found.error().message());
      whole = whole && found.has_value();
      if (found) pass.values += found->values;
    }
    if (!whole) continue;
    spdlog::info("everything stored was read through: {} values", pass.values);
    const std::lock_guard lock(mutex_);
    ++figures_.passes;
    figures_.values = pass.values;
    figures_.last = clock_();
  } while (wait(kRest));
}

std::vector<std::string> store_alarms(const std::string& name, const storage::HubCounts& counts,
                                      const std::optional<Error>& fault) {
  std::vector<std::string> alarms;
  if (fault) alarms.push_back(name + ": takes no records now: " + fault->message());
  if (counts.damaged > 0) {
    alarms.push_back(name + ": " + std::to_string(counts.damaged) +
                     " stored values were damaged on the disk and cannot be mended here; "
                     "`fieldpost-hub damaged` names them");
  }
  if (counts.staged > 0) {
    alarms.push_back(name + ": the hub was put back to an older state, and " +
                     std::to_string(counts.staged) +
                     " copies of what it lost wait for a decision: `fieldpost-hub recovery`");
  }
  if (counts.room_bytes == 0) {
    alarms.push_back(
        name + ": no room left: tablets keep what they record until some is made on the disk");
  } else if (counts.room_bytes < kRoomWarnBytes) {
    alarms.push_back(name + ": room is short: " + std::to_string(counts.room_bytes >> 20) +
                     " MiB are left; make some before records must be refused");
  }
  return alarms;
}

}  // namespace fieldpost::hub

#include "hub/backup/service.h"

#include <algorithm>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fieldpost::hub::backup {

namespace {

using Steady = std::chrono::steady_clock;

/// Behind everything that a tablet waits for, on the processor and on the disk.
void be_modest() {
  constexpr int kNice = 10;
  constexpr int kWhoProcess = 1;
  constexpr int kBestEffortLast = 2 << 13 | 7;
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  // Refused by some containers; then it is as eager as the rest.
  (void)::setpriority(PRIO_PROCESS, thread, kNice);
  (void)::syscall(SYS_ioprio_set, kWhoProcess, 0, kBestEffortLast);
}

/// Of a running hub; a command says it itself.
void log(const Made& made) {
  spdlog::info("backup {} made and read back: {} entries, {} of {} chunks written", made.number,
               made.entries, made.chunks_written, made.chunks);
  for (const std::string& place : made.damaged)
    spdlog::error("backup {}: the store itself is damaged: {}", made.number, place);
  for (const std::string& file : made.repaired)
    spdlog::warn("{} was damaged and is written anew", file);
  for (const std::string& file : made.lost)
    spdlog::error("{} was damaged; older backups that need it cannot be restored", file);
}

}  // namespace

BackupService::BackupService(ServiceParts parts)
    : parts_(std::move(parts)), thread_([this] { loop(); }) {}

BackupService::~BackupService() { stop(); }

void BackupService::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Status BackupService::request(bool full, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::closed, "the hub is stopping");
    if (running_ || wish_)
      return fail(Errc::conflict,
                  "a backup is being made already; `fieldpost-hub backup list` shows it when it is "
                  "done");
    wish_ = Wish{full, std::move(done)};
  }
  wake_.notify_one();
  return {};
}

void BackupService::carry_ledger() {
  {
    const std::lock_guard lock(mutex_);
    carry_ = true;
  }
  wake_.notify_one();
}

Result<Carried> BackupService::carry_to(Repository& repository) {
  std::vector<std::unique_ptr<storage::HubReader>> readers;
  std::vector<LedgerStore> stores;
  for (const ServiceParts::Store& store : parts_.stores) {
    Writer* writer = store.writer;
    writer->run([&](storage::HubStore& hub) { readers.push_back(hub.reader()); });
    if (readers.size() == stores.size()) return fail(Errc::closed, "the hub is stopping");
    stores.push_back({store.source.name, readers.back().get(),
                      [writer](const auto& body) { writer->run(body); },
                      [writer](const std::vector<storage::ErasedRecord>& records) {
                        storage::BatchResult moved;
                        for (const storage::ErasedRecord& one : records)
                          moved.touched.push_back({one.id, one.unit, 0, one.position, false});
                        writer->announce(moved);
                      }});
  }
  return backup::carry_ledger(repository, stores, parts_.clock(), true);
}

bool BackupService::carry() {
  const auto carried = [&]() -> Result<Carried> {
    FP_TRY(const BackupSettings configured, settings());
    FP_TRY(Repository repository, repository(configured));
    FP_TRY(const storage::StoreLock held, repository.lock());
    return carry_to(repository);
  }();
  const std::lock_guard lock(mutex_);
  const bool none = !carried && !standing_.settings && carried.error().is(Errc::not_found);
  std::string fault;
  if (!carried && !none) fault = carried.error().detail;
  if (carried && !carried->faults.empty()) fault = carried->faults.front();
  if (!fault.empty() && fault != standing_.ledger_fault) spdlog::error("{}", fault);
  standing_.ledger_fault = fault;
  if (carried && carried->taken.erased + carried->taken.holds > 0)
    spdlog::warn(
        "the ledger beside the backups knew more than this store: {} records erased again, {} "
        "legal "
        "holds put or lifted again",
        carried->taken.erased, carried->taken.holds);
  return carried.has_value() || none;
}

void BackupService::loop() {
  be_modest();
  if (parts_.scheduled) {
    look();
    carry_again_ = !carry();
  }
  while (true) {
    std::optional<Wish> wish;
    bool carry_now = false;
    bool stop_now = false;
    {
      std::unique_lock lock(mutex_);
      const auto wanted = [&] { return stopping_ || wish_ || carry_; };
      if (parts_.scheduled)
        wake_.wait_for(lock, !due() ? Steady::duration(kLook) : Steady::duration{0}, wanted);
      else
        wake_.wait(lock, wanted);
      carry_now = std::exchange(carry_, false) || carry_again_;
      stop_now = stopping_;
    }
    if (carry_now) carry_again_ = !carry();
    if (stop_now) break;
    {
      const std::lock_guard lock(mutex_);
      if (!wish_ && !(parts_.scheduled && due())) continue;
      wish.swap(wish_);
      running_ = true;
    }
    const Result<Made> made = attempt(wish && wish->full);
    {
      const std::lock_guard lock(mutex_);
      running_ = false;
    }
    if (wish) wish->done(made);
  }
  if (wish_) wish_->done(fail(Errc::closed, "the hub is stopping"));
}

/// The lock is held.
bool BackupService::due() {
  const auto configured = settings();
  take(configured);
  if (!configured) return false;
  if (not_before_ && Steady::now() < *not_before_) return false;
  if (!standing_.newest_at) return true;
  const std::int64_t age_ms = parts_.clock().ms - standing_.newest_at->ms;
  // One from the future: the clock was put back, and says nothing about its age.
  return age_ms < 0 || age_ms >= std::int64_t{configured->every_hours} * 3'600'000;
}

/// The lock is held.
void BackupService::take(const Result<BackupSettings>& configured) {
  if (configured) {
    standing_.settings = *configured;
  } else if (configured.error().is(Errc::not_found)) {
    standing_.settings.reset();
  } else {
    standing_.last_error = configured.error().detail;  // a slip in hub.json: not "none configured"
  }
}

Result<BackupSettings> BackupService::settings() const {
  FP_TRY(const Settings settings, load_settings(parts_.directory));
  if (settings.backup) return *settings.backup;
  return fail(Errc::not_found,
              "no backups are configured; begin with: fieldpost-hub backup key --out FILE, then "
              "fieldpost-hub backup setup --directory FOLDER");
}

Result<Repository> BackupService::repository(const BackupSettings& settings) const {
  FP_TRY(const HubBackupKeys keys, load_backup_keys(parts_.directory));
  FP_TRY(const auto hub, HubId::from(parts_.keys->signing.public_key.view()));
  return Repository::open(settings.directory, hub, keys, parts_.random);
}

Result<Made> BackupService::attempt(bool full) {
  const Instant began = parts_.clock();
  auto made = make(full);
  look();
  const std::lock_guard lock(mutex_);
  standing_.last_attempt = began;
  // Whatever the list says afterwards: never one after the other without a pause.
  if (standing_.settings) not_before_ = Steady::now() + kRetry;
  if (made) {
    if (parts_.scheduled) log(*made);
    return made;
  }
  if (made.error().is(Errc::closed)) return made;
  if (parts_.scheduled) spdlog::error("no backup was made: {}", made.error().message());
  standing_.last_error = made.error().detail;
  if (made.error().is(Errc::locked)) not_before_ = Steady::now() + kRetryLocked;
  return made;
}

Result<Made> BackupService::make(bool full) {
  FP_TRY(const BackupSettings configured, settings());
  FP_TRY(Repository repository, repository(configured));
  FP_TRY(const storage::StoreLock held, repository.lock());
  Origin origin{parts_.directory, repository.head().hub, parts_.hub_name,
                parts_.epoch,     parts_.keys->store,    {}};
  for (const ServiceParts::Store& store : parts_.stores) origin.sources.push_back(store.source);
  // First what must outlive this backup, too. Its faults are told where they are looked for.
  if (const auto carried = carry_to(repository); !carried && carried.error().is(Errc::closed))
    return carried.error();
  const Order order{full, configured.keep, parts_.clock(), [this] { return stopping_.load(); }};
  return make_backup(repository, origin, order);
}

Result<std::vector<Listed>> BackupService::list() {
  FP_TRY(const BackupSettings configured, settings());
  FP_TRY(Repository repository, repository(configured));
  return list_backups(repository);
}

void BackupService::look() {
  const auto backups = list();
  if (backups) restate(*backups);
  note(backups);
}

void BackupService::note(const Result<std::vector<Listed>>& backups) {
  const auto configured = settings();
  const std::lock_guard lock(mutex_);
  standing_.known = true;
  standing_.last_error = backups ? std::string() : backups.error().detail;
  take(configured);
  if (!backups) return;  // what was known stays: a disk may only be unplugged
  standing_.newest.reset();
  standing_.newest_at.reset();
  standing_.oldest_at.reset();
  standing_.restorable = standing_.broken = 0;
  for (const Listed& one : *backups) {
    if (!one.restorable()) {
      ++standing_.broken;
      continue;
    }
    ++standing_.restorable;
    standing_.newest = one.number;
    standing_.newest_at = one.manifest->time;
    if (!standing_.oldest_at) standing_.oldest_at = one.manifest->time;
  }
}

void BackupService::restate(const std::vector<Listed>& backups) {
  const auto heads = watermark(backups);
  for (const ServiceParts::Store& store : parts_.stores) {
    storage::ActorHeads reached;
    if (heads && heads->contains(store.source.name)) reached = heads->at(store.source.name);
    Status stored;
    store.writer->run([&](storage::HubStore& hub) {
      stored = hub.put_backed_up(reached, storage::HubStore::BackedUp::restate);
    });
    if (!stored)
      spdlog::warn("the watermark of the {} store was not brought up to date: {}",
                   store.source.name, stored.error().message());
  }
}

Standing BackupService::standing() {
  bool look_now = false;
  {
    const std::lock_guard lock(mutex_);
    // In a running hub the service's own thread looks: a repository that hangs must not hang an operator.
    look_now = !parts_.scheduled && !standing_.known;
  }
  if (look_now) note(list());
  const std::lock_guard lock(mutex_);
  Standing now = standing_;
  now.running = running_;
  return now;
}

}  // namespace fieldpost::hub::backup

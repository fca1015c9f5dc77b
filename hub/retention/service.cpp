#include "hub/retention/service.h"

#include <algorithm>
#include <iterator>
#include <spdlog/spdlog.h>

#include "hub/store/layout.h"
#include "model/time_interval.h"
#include "schema/references.h"

namespace fieldpost::hub {

namespace {

constexpr const char* kScheduler = "retention";

RetentionOfType& of_type(RetentionLook& look, const std::string& type) {
  return *std::find_if(look.types.begin(), look.types.end(),
                       [&](const RetentionOfType& one) { return one.type == type; });
}

}  // namespace

Status vouched_for(const std::vector<storage::Device>& devices, Instant now) {
  using std::chrono::milliseconds;
  std::size_t heard = 0;
  for (const storage::Device& device : devices) {
    if (!device.status || !device.status_at) continue;
    const milliseconds ago(model::ms_between(*device.status_at, now));
    if (ago.count() < 0 || ago > kVouchedWithin) continue;
    const milliseconds apart(model::ms_between(*device.status_at, device.status->wall));
    if (apart >= -kVouchedApart && apart <= kVouchedApart) return {};
    ++heard;
  }
  const std::string found =
      heard == 0 ? "no tablet was heard of in the last seven days, so that nothing confirms"
                 : "none of the " + std::to_string(heard) +
                       " tablets heard of in the last seven days has a clock that agrees with";
  return fail(Errc::conflict, found + " this hub's clock (" + to_text(now) +
                                  "): nothing is erased by itself. If the clock is right, "
                                  "`retention plan` and `retention run` do it by hand");
}

RetentionService::RetentionService(RetentionParts parts) : parts_(std::move(parts)) {
  if (parts_.scheduled) thread_ = std::thread([this] { loop(); });
}

RetentionService::~RetentionService() { stop(); }

void RetentionService::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<RetentionSettings> RetentionService::settings() const {
  RetentionSettings settings = parts_.settings;
  if (!parts_.directory.empty()) {
    FP_TRY(Settings whole, load_settings(parts_.directory));
    settings = std::move(whole.retention);
  }
  FP_CHECK_OK(check_retention_types(settings, *parts_.registry));
  return settings;
}

RetentionService::Standing RetentionService::standing() const {
  const std::lock_guard lock(mutex_);
  return standing_;
}

Result<RetentionLook> RetentionService::plan() const { return walk(false, {}); }

Result<RetentionLook> RetentionService::run(const std::string& author) {
  {
    const std::lock_guard lock(mutex_);
    if (running_)
      return fail(Errc::conflict,
                  "a run of retention lasts already; `fieldpost-hub retention show` tells of it "
                  "when it is done");
    running_ = true;
  }
  auto look = walk(true, author);
  std::uint64_t erased = 0;
  if (look) {
    for (const RetentionOfType& type : look->types) erased += type.due;
  }
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    standing_.last_error = look ? std::string() : look.error().message();
    if (look) {
      standing_.last_run = look->at;
      standing_.last_erased = erased;
    }
  }
  if (parts_.after_run) parts_.after_run();
  return look;
}

Result<RetentionLook> RetentionService::walk(bool erasing, const std::string& author) const {
  FP_TRY(const RetentionSettings configured, settings());
  Walk walk{{}, erasing, author};
  walk.look.at = parts_.clock();
  for (const StoreParts& store : parts_.stores) FP_CHECK_OK(walk_store(store, configured, walk));
  return std::move(walk.look);
}

Status RetentionService::walk_store(const StoreParts& store, const RetentionSettings& settings,
                                    Walk& walk) const {
  const auto rules = retention_rules(settings, *parts_.registry, store.name, walk.look.at);
  if (rules.empty()) return {};
  for (const auto& [type, rule] : rules)
    walk.look.types.push_back({type, store.name, rule, 0, {}, 0, {}});
  const auto reader = store.store->reader();
  const auto references = [this](const model::Record& record) {
    return schema::references(*parts_.registry, record);
  };
  FP_TRY(const storage::KeptByHold kept, reader->kept_by_holds(references));
  storage::RetentionPage page;
  while (!page.ended) {
    if (stopping_) return fail(Errc::closed, "the hub is stopping");
    FP_TRY(page, reader->retention(page.last, kPage, rules, kept));
    std::vector<RecordId> due;
    for (const storage::RetentionPage::Entry& entry : page.entries) {
      if (walk.erasing && entry.keeps == storage::Keeps::nothing) {
        due.push_back(entry.id);
        continue;
      }
      note(entry, entry.keeps, kept, walk);
    }
    FP_CHECK_OK(erase(store, rules, std::move(due), walk));
  }
  return {};
}

void RetentionService::note(const storage::RetentionPage::Entry& entry, storage::Keeps keeps,
                            const storage::KeptByHold& kept, Walk& walk) const {
  RetentionOfType& type = of_type(walk.look, entry.facts.type);
  if (keeps == storage::Keeps::nothing) {
    ++type.due;
    type.oldest =
        std::min(type.oldest.value_or(entry.facts.last_received), entry.facts.last_received);
  } else if (keeps == storage::Keeps::young) {
    ++type.young;
  } else {
    ++type.kept[std::string(storage::name_of(keeps))];
    const auto hold = kept.find(entry.id);
    if (walk.look.kept.size() < kKeptNamed)
      walk.look.kept.push_back(
          {entry.id, keeps,
           hold == kept.end() ? std::nullopt : std::optional<storage::HoldId>(hold->second)});
  }
}

Status RetentionService::erase(const StoreParts& store, const storage::RetentionRules& rules,
                               std::vector<RecordId> due, Walk& walk) const {
  for (std::size_t from = 0; from < due.size(); from += kErasedOfJob) {
    if (stopping_) return fail(Errc::closed, "the hub is stopping");
    storage::ErasureOrder order;
    const std::size_t to = std::min(due.size(), from + kErasedOfJob);
    order.records.assign(due.begin() + static_cast<std::ptrdiff_t>(from),
                         due.begin() + static_cast<std::ptrdiff_t>(to));
    order.rules = rules;
    order.references = [this](const model::Record& record) {
      return schema::references(*parts_.registry, record);
    };
    order.at = walk.look.at;
    order.author = walk.author;
    Result<storage::ErasureReport> done = fail(Errc::closed, "the hub is stopping");
    store.writer->run([&](storage::HubStore& s) { done = s.erase(order); });
    FP_TRY(const storage::ErasureReport report, std::move(done));
    storage::BatchResult moved;
    for (const storage::ErasedRecord& erased : report.erased) {
      ++of_type(walk.look, erased.type).due;
      moved.touched.push_back({erased.id, erased.unit, 0, erased.position, false});
    }
    walk.look.changes += report.changes;
    store.writer->announce(moved);
    for (const auto& [id, keeps] : report.kept) {
      if (walk.look.kept.size() < kKeptNamed) walk.look.kept.push_back({id, keeps, {}});
    }
  }
  return {};
}

Status RetentionService::clock_is_shared() const {
  std::vector<storage::Device> devices;
  for (const StoreParts& store : parts_.stores) {
    FP_TRY(auto of_store, store.store->reader()->devices());
    std::move(of_store.begin(), of_store.end(), std::back_inserter(devices));
  }
  return vouched_for(devices, parts_.clock());
}

void RetentionService::loop() {
  std::optional<std::chrono::steady_clock::time_point> last;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kLook, [this] { return stopping_.load(); });
      if (stopping_) return;
    }
    const auto configured = settings();
    if (!configured) {
      const std::lock_guard lock(mutex_);
      if (standing_.last_error != configured.error().detail)
        spdlog::warn("retention: {}", configured.error().detail);
      standing_.last_error = configured.error().detail;
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    const auto every = std::chrono::hours(configured->every_hours);
    if (configured->every_hours == 0 || (last && now < *last + every)) continue;
    if (const Status shared = clock_is_shared(); !shared) {
      const std::lock_guard lock(mutex_);
      if (standing_.last_error != shared.error().detail)
        spdlog::warn("retention: {}", shared.error().detail);
      standing_.last_error = shared.error().detail;
      continue;
    }
    last = now;
    const auto look = run(kScheduler);
    if (!look && look.error().is(Errc::closed)) return;
    if (!look) {
      spdlog::error("retention: {}", look.error().message());
      continue;
    }
    for (const RetentionOfType& type : look->types)
      spdlog::info("retention: {} records erased ({})", type.due, type.rule.words);
  }
}

}  // namespace fieldpost::hub

#include "agent/app.h"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "agent/io/device_facts.h"
#include "agent/store/hub_time.h"
#include "base/text.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "keys/secret_file.h"
#include "schema/calendar.h"
#include "schema/compartments.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kPlacesBytesMax = 4 * 1024 * 1024;
constexpr std::int64_t kDayMs = 86'400'000;

/// "13:16", or with its date when it was not today.
std::string short_time(Instant at, Instant now, int offset_minutes) {
  const std::string then = schema::instant_text(at, offset_minutes);
  const std::string today = schema::instant_text(now, offset_minutes);
  return then.substr(0, 10) == today.substr(0, 10) ? then.substr(11, 5)
                                                   : then.substr(0, 10) + " " + then.substr(11, 5);
}

std::int64_t chains(const storage::AgentState& state, bool closed) {
  return std::count_if(state.actors.begin(), state.actors.end(),
                       [&](const storage::OwnActor& own) { return own.closed == closed; });
}

}  // namespace

Result<std::shared_ptr<const schema::Registry>> load_registry(const DataDirectory& data) {
  const auto embedded = embedded_schemas();
  std::vector<EmbeddedFile> files(embedded.begin(), embedded.end());
  std::vector<std::filesystem::path> paths;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(data.places(), failed)) {
    if (entry.path().extension() == ".csv") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::pair<std::string, Bytes>> kept;
  for (const auto& path : paths) {
    FP_TRY(Bytes bytes, keys::read_file(path, kPlacesBytesMax));
    kept.emplace_back("places/imported-" + path.filename().string(), std::move(bytes));
  }
  for (const auto& [name, bytes] : kept) files.push_back({name, bytes});
  FP_TRY(auto registry, schema::Registry::load(files));
  return std::shared_ptr<const schema::Registry>(
      std::make_shared<schema::Registry>(std::move(registry)));
}

Result<std::unique_ptr<App>> App::open(const AppOptions& options) {
  std::unique_ptr<App> app(new App());
  app->options_ = options;
  app->room_ = MakingRoom(options.keep_days);
  app->random_ = keys::system_random();
  FP_TRY(app->boot_, keys::boot_id());
  FP_TRY(app->identity_, load_identity(options.data));
  FP_TRY(auto registry, load_registry(options.data));
  FP_TRY(app->open_, open_store(options.data, app->random_, true));
  FP_CHECK_OK(sync::ensure_actor(*app->open_.store, app->identity_.hub, app->identity_.device(),
                                 app->random_, app->identity_.epoch));
  FP_TRY(app->start_, mark_start(options.data, *app->open_.store, app->identity_.hub,
                                 app->identity_.device(), this_machine(), app->random_));
  app->hub_time_ = load_hub_time(options.data);
  // Before there was such a file, and when it is lost: of another boot, as far as anybody knows.
  if (!app->hub_time_ && app->open_.store->state().last_sync)
    app->hub_time_ = sync::HubAnchor{{*app->open_.store->state().last_sync, 0}, 0};
  app->sync_identity_ = {
      app->identity_.device(), crypto::signing_key(app->identity_.device_seed),
      app->identity_.hub,      kAppVersion,
      registry->digest(),      schema::foreign_types(*registry, app->identity_.compartment)};
  Desk::Parts parts;
  App* self = app.get();
  parts.identity = &app->identity_;
  parts.store = app->open_.store.get();
  parts.registry = std::move(registry);
  parts.random = app->random_;
  parts.clock = [self] { return self->read_clock(); };
  parts.anchor = [self] { return self->hooks.anchor ? self->hooks.anchor() : self->hub_time_; };
  parts.recorded = [self] {
    if (self->hooks.recorded) self->hooks.recorded();
  };
  parts.online = [self] { return self->hooks.progress && self->hooks.progress().online; };
  parts.offset_minutes = options.offset_minutes;
  app->desk_ = std::make_unique<Desk>(std::move(parts));
  return app;
}

const net::Router& App::router() {
  if (router_) return *router_;
  ApiParts api;
  api.desk = desk_.get();
  api.status = [this] { return status(); };
  api.verify = [this] { return verify(); };
  api.damaged = [this] { return damaged(); };
  api.dial_now = hooks.dial_now;
  api.import_places = [this](const std::string& name, const std::string& csv) {
    return import_places(name, csv);
  };
  router_ = std::make_unique<net::Router>(make_router(std::move(api)));
  return *router_;
}

SyncTarget App::sync_target() const {
  return {identity_.host, identity_.port, identity_.server_name, identity_.ca_pem};
}

SyncDriver::Clocks App::clocks() {
  SyncDriver::Clocks clocks;
  clocks.read = [this] { return read_clock(); };
  clocks.facts = [this] {
    for (const std::string& words : tend()) spdlog::error("{}", words);
    return facts();
  };
  clocks.hub = hub_time_;
  clocks.learned = [this](const sync::HubAnchor& heard) {
    hub_time_ = heard;
    // On a full disk the older one stands: it judges as well, only less narrowly.
    if (auto kept = save_hub_time(options_.data, heard); !kept)
      spdlog::warn("the hub's time was not kept: {}", kept.error().message());
  };
  return clocks;
}

sync::TimeReading App::read_clock() const {
  return {keys::system_now(), boot_, keys::monotonic_ms()};
}

Result<std::uint64_t> App::make_room() {
  if (!hub_time_) return std::uint64_t{0};
  const auto now = read_clock();
  return room_.pass(*open_.store, sync::hub_time_at_least(*hub_time_, now), now.monotonic_ms);
}

sync::DeviceFacts App::facts() {
  sync::DeviceFacts facts = read_device_facts(options_.data.path);
  if (const auto alarms = look_for_alarms(options_.data, *open_.store))
    facts.alarm = alarms->text();
  return facts;
}

std::vector<std::string> App::tend() {
  const Instant now = keys::system_now();
  const auto found = open_.store->settle_damage(now);
  if (!found) return {found.error().message()};
  std::vector<std::string> words;
  if (*found == 0) return words;
  const auto damages = open_.store->damages();
  if (!damages) return {damages.error().message()};
  for (const storage::Damage& damage : *damages) {
    if (damage.found == now) words.push_back(damage_words(damage));
  }
  return words;
}

Result<json> App::damaged() {
  FP_TRY(const auto damages, open_.store->damages());
  json list = json::array();
  for (const storage::Damage& damage : damages) {
    const bool change = damage.kind == storage::Damage::Kind::own_change;
    list.push_back(
        {{"kind", change ? "own_change"
                         : (damage.kind == storage::Damage::Kind::draft ? "draft" : "record")},
         {"record", damage.record.is_zero() ? json(nullptr) : json(to_text(damage.record))},
         {"dot", change ? json(model::to_text(damage.dot)) : json(nullptr)},
         {"found", damage.found ? json(to_text(*damage.found)) : json(nullptr)},
         {"settled", damage.settled},
         {"unsendable", damage.unsendable()},
         {"words", damage_words(damage)},
         {"stored_bytes", to_hex(damage.raw)}});
  }
  return json{{"damaged", std::move(list)}};
}

Result<json> App::status() {
  tend();
  FP_TRY(const Alarms alarms, look_for_alarms(options_.data, *open_.store));
  FP_TRY(const auto counts, open_.store->counts());
  const auto& state = open_.store->state();
  const bool daemon = static_cast<bool>(hooks.progress);
  const Progress progress = daemon ? hooks.progress() : Progress{};
  const auto facts = read_device_facts(options_.data.path);
  const Instant now = keys::system_now();
  const std::string last =
      state.last_sync ? short_time(*state.last_sync, now, options_.offset_minutes) : "never";
  std::string words = progress.online
                          ? (progress.in_sync ? "Online, all at the hub." : "Online, sending.")
                          : "Offline.";
  words += counts.waiting == 0 ? " Nothing waiting."
                               : " " + std::to_string(counts.waiting) + " waiting.";
  words += state.last_sync ? " Last sync " + last + "." : " Not synced yet.";
  if (counts.exceptions > 0) words += " " + std::to_string(counts.exceptions) + " need attention.";
  json out{{"words", words},
           {"daemon", daemon},
           {"online", progress.online},
           {"in_sync", progress.in_sync},
           {"device", identity_.device_name},
           {"device_id", identity_.device().hex()},
           {"unit", desk_->home_unit()},
           {"compartment", identity_.compartment},
           {"hub", identity_.host + ":" + std::to_string(identity_.port)},
           {"records", counts.records},
           {"waiting", counts.waiting},
           {"drafts", counts.drafts},
           {"exceptions", counts.exceptions},
           {"store_bytes", counts.store_bytes},
           {"room_bytes", alarms.room_bytes},
           {"damaged", alarms.damaged},
           {"unsendable", alarms.unsendable},
           {"warnings", alarms.warnings},
           {"last_sync", state.last_sync ? json(to_text(*state.last_sync)) : json(nullptr)},
           {"last_error", progress.last_error},
           {"last_error_is_final", progress.verdict.has_value()},
           {"removed_changes", removed_entries(state)},
           {"chains_open", chains(state, false)},
           {"chains_closed", chains(state, true)},
           {"bytes_sent", progress.bytes_sent},
           {"bytes_received", progress.bytes_received},
           {"storage_free_bytes", facts.storage_free_bytes},
           {"app_version", kAppVersion},
           {"offset_minutes", options_.offset_minutes}};
  out["battery_percent"] = facts.battery_percent ? json(*facts.battery_percent) : json(nullptr);
  out["last_attempt"] =
      progress.last_attempt ? json(to_text(*progress.last_attempt)) : json(nullptr);
  out["next_attempt"] =
      progress.next_attempt ? json(to_text(*progress.next_attempt)) : json(nullptr);
  out["certificate_end"] =
      progress.certificate_end ? json(to_text(*progress.certificate_end)) : json(nullptr);
  out["certificate_days"] = nullptr;  // by hub time
  if (progress.certificate_end && hub_time_) {
    const Instant hub_now = sync::hub_time_at_least(*hub_time_, read_clock());
    out["certificate_days"] = (progress.certificate_end->ms - hub_now.ms) / kDayMs;
  }
  if (identity_.compartment == "health")
    out["visits"] = identity_.health ? "sealed to the authority and the unit" : "no grant yet";
  return out;
}

Result<json> App::verify() {
  std::uint64_t checked = 0;
  const Status sound = open_.store->verify([&](std::uint64_t done) { checked = done; });
  tend();
  FP_CHECK_OK(sound);
  FP_TRY(auto digests, desk_->digests());
  return json{{"verified", true},
              {"checked", checked},
              {"removed_changes", removed_entries(open_.store->state())},
              {"digests", std::move(digests)}};
}

Result<json> App::import_places(const std::string& name, const std::string& csv) {
  schema::PlaceList list;
  const auto problems = list.add_csv(as_bytes(csv));
  json found = json::array();
  for (const auto& problem : problems)
    found.push_back({{"line", problem.line}, {"message", problem.text}});
  if (list.size() == 0) {
    return fail(Errc::invalid_argument,
                "no place was found in the file" +
                    (problems.empty() ? std::string()
                                      : ": line " + std::to_string(problems.front().line) + ", " +
                                            problems.front().text));
  }
  std::string safe;
  for (const char c : name)
    safe += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '-';
  if (safe.empty() || safe.size() > 100) safe = "places";
  FP_CHECK_OK(keys::make_private_directory(options_.data.places()));
  FP_CHECK_OK(keys::write_file_atomically(options_.data.places() / (safe + ".csv"), as_bytes(csv)));
  FP_TRY(auto registry, load_registry(options_.data));
  desk_->replace_registry(std::move(registry));
  return json{{"places", list.size()}, {"problems", std::move(found)}};
}

}  // namespace fieldpost::agent

#include "hub/app.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <spdlog/spdlog.h>
#include <thread>
#include <unistd.h>

#include "base/embedded.h"
#include "hub/store/certificate.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "schema/compartments.h"

namespace fieldpost::hub {

namespace asio = boost::asio;

namespace {

/// How long a stopping hub waits for its peers' good-byes.
constexpr auto kGoodbye = std::chrono::seconds(2);
/// Pages that a store may take while a backup reads it: ten minutes of a fleet at full speed. Address space.
constexpr std::uint64_t kRoomBesideBackup = std::uint64_t{16} << 30;

sync::ChangeCheck change_check(const schema::Registry& registry) {
  return [&registry](const model::Change& change) -> std::optional<wire::ChangeException> {
    const auto fault = schema::check_change(registry, change);
    if (!fault) return std::nullopt;
    // Without the value: what is told to a device and logged names the field, never its content.
    return wire::ChangeException{change.dot.actor,
                                 change.dot.counter,
                                 change.record,
                                 wire::ExceptionKind::quarantined,
                                 fault->rule,
                                 fault->path,
                                 registry.message(*fault, "en", false)};
  };
}

Result<std::function<sync::TimeReading()>> time_source() {
  FP_TRY(const std::uint64_t boot, keys::boot_id());
  return std::function<sync::TimeReading()>([boot] {
    return sync::TimeReading{keys::system_now(), boot, keys::monotonic_ms()};
  });
}

std::vector<StoreParts> parts_of(const std::vector<OpenStore>& open,
                                 const std::vector<std::unique_ptr<Writer>>& writers,
                                 const schema::Registry& registry) {
  std::vector<StoreParts> parts;
  for (std::size_t i = 0; i < open.size(); ++i)
    parts.push_back({open[i].name, open[i].store.get(), writers[i].get(),
                     schema::foreign_types(registry, open[i].name)});
  return parts;
}

std::unique_ptr<backup::BackupService> backups_of(
    const std::filesystem::path& directory, const Settings& settings, const Keys& keys,
    const std::vector<OpenStore>& open, const std::vector<std::unique_ptr<Writer>>& writers,
    bool scheduled) {
  backup::ServiceParts parts;
  parts.directory = directory;
  parts.keys = &keys;
  parts.hub_name = settings.name;
  parts.epoch = open.front().store->identity().epoch;
  for (std::size_t i = 0; i < open.size(); ++i) {
    storage::LmdbKv* kv = open[i].kv.get();
    parts.stores.push_back(
        {{open[i].name, kv, [kv] { return kv->make_room_beside_view(kRoomBesideBackup); }},
         writers[i].get()});
  }
  parts.random = keys::system_random();
  parts.clock = keys::system_now;
  parts.scheduled = scheduled;
  return std::make_unique<backup::BackupService>(std::move(parts));
}

std::unique_ptr<RetentionService> retention_of(const std::filesystem::path& directory,
                                               std::vector<StoreParts> stores,
                                               const schema::Registry& registry,
                                               backup::BackupService& backups, bool scheduled) {
  RetentionParts parts;
  parts.directory = directory;
  parts.stores = std::move(stores);
  parts.registry = &registry;
  parts.clock = keys::system_now;
  parts.after_run = [&backups] { backups.carry_ledger(); };
  parts.scheduled = scheduled;
  return std::make_unique<RetentionService>(std::move(parts));
}

/// The running hub's parts, in order of construction.
struct RunningHub {
  asio::io_context control{1};  ///< main's thread: signals, timers, news of a rollback
  /// From the first moment on: one that comes while the stores open is heard when they are open.
  asio::signal_set stop_signals{control, SIGINT, SIGTERM};
  asio::signal_set renew_signals{control, SIGHUP};
  bool rolled_back = false;   ///< control's thread only
  bool told_to_stop = false;  ///< likewise
  Settings settings;
  Keys keys;
  std::vector<OpenStore> open;
  std::optional<schema::Registry> registry;
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  std::vector<std::unique_ptr<Writer>> writers;
  std::unique_ptr<backup::BackupService> backups;
  std::unique_ptr<SyncService> sync;
  std::unique_ptr<RetentionService> retention;
  std::unique_ptr<Api> api;
  std::unique_ptr<net::HttpsServer> server;
  std::filesystem::path directory;
  std::string certificate_pem;  ///< what the server shows now
  std::unique_ptr<Scrubber> scrubber;
  std::vector<std::string> alarms;  ///< as logged last
};

/// Says what is new of the stores' alarms, once.
void note_alarms(RunningHub& hub) {
  std::vector<std::string> now;
  for (std::size_t i = 0; i < hub.open.size(); ++i) {
    const auto counts = hub.open[i].store->reader()->counts();
    // A fault was logged when it came; damage when it was found.
    storage::HubCounts room;
    if (counts) room.room_bytes = counts->room_bytes;
    for (std::string& alarm : store_alarms(hub.open[i].name, room, std::nullopt)) {
      const std::string kind = alarm.substr(0, alarm.find(':', alarm.find(':') + 1));
      if (std::find(hub.alarms.begin(), hub.alarms.end(), kind) == hub.alarms.end())
        spdlog::warn("{}", alarm);
      now.push_back(kind);
    }
  }
  hub.alarms = std::move(now);
}

Status housekeeping(RunningHub& hub) {
  for (OpenStore& store : hub.open) FP_CHECK_OK(store.kv->housekeeping());
  note_alarms(hub);
  return {};
}

/// What the wall clock has gained on the one that only counts, since the last look. A machine that was put
/// back to a snapshot finds its wall clock far ahead.
class ClockWatch {
 public:
  static constexpr std::int64_t kJumpMs = 10'000;
  /// True when the wall clock jumped forward by more than a clock's correction explains.
  bool jumped() {
    const std::int64_t ahead = offset_ms();
    const bool far = ahead - offset_ms_ > kJumpMs;
    offset_ms_ = ahead;
    return far;
  }

 private:
  static std::int64_t offset_ms() {
    return keys::system_now().ms - static_cast<std::int64_t>(keys::monotonic_ms());
  }
  std::int64_t offset_ms_ = offset_ms();
};

/// Nothing that this start gave out can be told from what a lost future gave out: durable first, then anew.
void begin_anew(RunningHub& hub, const char* why) {
  if (hub.rolled_back) return;
  hub.rolled_back = true;
  spdlog::warn("{}: the stores are opened anew, in a new epoch; tablets send again what is missing",
               why);
  for (const auto& writer : hub.writers) {
    writer->run([](storage::HubStore& store) {
      if (const auto done = store.doubt(); !done)
        spdlog::error("the doubt could not be noted: {}", done.error().message());
    });
  }
  hub.control.stop();
}

/// A renewed certificate is shown to whom connects from now on; connections that stand go on.
void renew(RunningHub& hub) {
  const auto now = load_keys(hub.directory);
  if (!now) return spdlog::warn("the certificate was not looked at: {}", now.error().message());
  if (now->server_pem == hub.certificate_pem) return;
  if (auto taken = hub.server->replace_certificate({now->server_pem, now->server_key_pem}); !taken)
    return spdlog::warn("the renewed certificate is not used yet: {}", taken.error().message());
  hub.certificate_pem = now->server_pem;
  spdlog::info("a renewed certificate is in use");
}

net::ServerConfig server_config(const Settings& settings) {
  const ConnectionSettings& wanted = settings.connections;
  const ConnectionSettings fitted = fit_to_open_files(wanted);
  if (fitted != wanted) {
    spdlog::warn(
        "this process may open few files: {} connections at a time instead of {}, {} of them of "
        "strangers; raise LimitNOFILE",
        fitted.connections_max, wanted.connections_max, fitted.strangers_max);
  }
  net::ServerConfig config;
  config.address = settings.listen;
  config.port = settings.port;
  config.connections_max = fitted.connections_max;
  config.strangers_max = fitted.strangers_max;
  config.handshake_timeout_ms = fitted.handshake_ms;
  config.header_timeout_ms = fitted.header_ms;
  config.body_timeout_ms = fitted.body_ms;
  config.idle_timeout_ms = fitted.idle_ms;
  config.stream_idle_timeout_ms = fitted.silence_ms;
  config.stream_message_timeout_ms = fitted.message_ms;
  config.stream_close_timeout_ms = fitted.close_ms;
  return config;
}

/// Certificates of another time: this machine's clock is wrong, or was when they were made.
void note_dates(const Keys& keys) {
  for (const auto& [name, pem] : {std::pair("server certificate", &keys.server_pem),
                                  std::pair("certificate authority", &keys.ca_pem)}) {
    const auto info = keys::read_certificate(*pem);
    if (!info) continue;  // the server refuses it in its own words
    if (const auto fault = date_fault(name, *info, keys::system_now())) spdlog::warn("{}", *fault);
  }
}

Status wire_up(RunningHub& hub, const std::filesystem::path& directory, bool new_epoch) {
  hub.directory = directory;
  FP_TRY(hub.keys, load_keys(directory));
  note_dates(hub.keys);
  FP_TRY(hub.registry, schema::Registry::load(embedded_schemas()));
  FP_CHECK_OK(check_retention_types(hub.settings.retention, *hub.registry));
  FP_TRY(hub.open, open_stores(directory, hub.keys, keys::system_random(),
                               storage::Opening::serving, new_epoch));
  for (const OpenStore& store : hub.open) {
    if (!store.kv->migrated().empty()) spdlog::warn("{}", store.kv->migrated());
  }
  const unsigned threads = hub.settings.threads != 0
                               ? hub.settings.threads
                               : std::max(1U, std::thread::hardware_concurrency());
  std::vector<asio::io_context*> contexts;
  for (unsigned i = 0; i < threads; ++i) {
    hub.contexts.push_back(std::make_unique<asio::io_context>(1));
    contexts.push_back(hub.contexts.back().get());
  }
  for (std::size_t i = 0; i < hub.open.size(); ++i) {
    hub.writers.push_back(std::make_unique<Writer>(
        *hub.open[i].store,
        [&hub, i](Writer::FeedEnds ends) { hub.sync->feed_moved(i, std::move(ends)); },
        [&hub, i](const std::vector<model::Dot>& changes) { hub.sync->outcomes(i, changes); }));
  }
  hub.backups = backups_of(directory, hub.settings, hub.keys, hub.open, hub.writers, true);
  hub.sync = std::make_unique<SyncService>(
      contexts, parts_of(hub.open, hub.writers, *hub.registry), hub.keys.signing,
      change_check(*hub.registry), keys::system_random(), keys::system_now,
      [&hub] {
        asio::post(hub.control, [&hub] {
          begin_anew(hub,
                     "a tablet knows more of this hub "
                     "than its data does");
        });
      },
      std::chrono::milliseconds(hub.settings.connections.greeting_ms));
  hub.certificate_pem = hub.keys.server_pem;
  hub.server = std::make_unique<net::HttpsServer>(
      contexts, server_config(hub.settings),
      net::TlsServerConfig{hub.keys.server_pem, hub.keys.server_key_pem},
      [&hub](net::HttpRequest request, const net::Responder& respond) {
        hub.api->handle(std::move(request), respond);
      },
      [&hub](std::shared_ptr<net::MessageStream> stream, const asio::any_io_executor& executor) {
        hub.sync->accept(std::move(stream), executor);
      });
  return hub.server->start();
}

Status make_api(RunningHub& hub) {
  ApiParts parts;
  parts.stores = parts_of(hub.open, hub.writers, *hub.registry);
  parts.sync = hub.sync.get();
  parts.backups = hub.backups.get();
  hub.retention = retention_of(hub.directory, parts.stores, *hub.registry, *hub.backups, true);
  parts.retention = hub.retention.get();
  parts.counters = &hub.server->counters();
  hub.scrubber = std::make_unique<Scrubber>(parts.stores, keys::system_now);
  parts.scrubber = hub.scrubber.get();
  parts.registry = &*hub.registry;
  parts.keys = &hub.keys;
  parts.settings = hub.settings;
  parts.random = keys::system_random();
  parts.clock = keys::system_now;
  FP_TRY(parts.times, time_source());
  parts.port = hub.server->port();
  hub.api = std::make_unique<Api>(std::move(parts));
  return {};
}

void run_until_signal(RunningHub& hub) {
  asio::io_context& control = hub.control;
  hub.stop_signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    hub.told_to_stop = true;
    control.stop();
  });
  std::function<void()> await_hang_up = [&] {
    hub.renew_signals.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      renew(hub);
      await_hang_up();
    });
  };
  await_hang_up();
  asio::steady_timer minute(control);
  std::function<void()> each_minute = [&] {
    minute.expires_after(std::chrono::minutes(1));
    minute.async_wait([&](const boost::system::error_code& error) {
      if (error) return;
      if (auto done = housekeeping(hub); !done)
        spdlog::warn("housekeeping: {}", done.error().message());
      renew(hub);
      each_minute();
    });
  };
  each_minute();
  note_alarms(hub);
  ClockWatch clock;
  asio::steady_timer second(control);
  std::function<void()> each_second = [&] {
    second.expires_after(std::chrono::seconds(1));
    second.async_wait([&](const boost::system::error_code& error) {
      if (error) return;
      if (clock.jumped()) return begin_anew(hub, "the clock jumped, as after a restored snapshot");
      each_second();
    });
  };
  each_second();
  std::vector<std::thread> threads;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work;
  threads.reserve(hub.contexts.size());
  work.reserve(hub.contexts.size());
  for (const auto& context : hub.contexts) work.emplace_back(context->get_executor());
  for (const auto& context : hub.contexts) threads.emplace_back([&context] { context->run(); });
  control.run();
  spdlog::info("stopping: finishing what has arrived");
  // A backup under way is given up; the next one goes on from what it wrote.
  hub.retention->stop();
  hub.backups->stop();
  hub.scrubber->stop();  // it waits for the writers
  // The writers first: what they commit now is acknowledged before the streams are told to close.
  for (const auto& writer : hub.writers) writer->stop();
  hub.server->stop();
  work.clear();
  // Connections that do not close in time are cut: their records are durable or will be sent again.
  std::promise<void> ended;
  std::thread reaper([&hub, waiting = ended.get_future()] {
    if (waiting.wait_for(kGoodbye) == std::future_status::ready) return;
    for (const auto& context : hub.contexts) context->stop();
  });
  for (std::thread& thread : threads) thread.join();
  ended.set_value();
  reaper.join();
  // Both may come while the other is carried out: a signal is not to be lost, nor is a doubt.
  control.restart();
  control.poll();
  if (hub.rolled_back) {
    for (OpenStore& open : hub.open) {
      if (const auto noted = open.store->doubt(); !noted)
        spdlog::error("the doubt could not be noted: {}", noted.error().message());
    }
    return;
  }
  for (OpenStore& open : hub.open) {
    if (const auto marked = open.store->stopped(); !marked)
      spdlog::warn("the clean stop could not be noted: {}", marked.error().message());
  }
}

}  // namespace

Result<std::unique_ptr<LocalHub>> LocalHub::open(const std::filesystem::path& directory) {
  std::unique_ptr<LocalHub> hub(new LocalHub);
  FP_TRY(hub->settings_, load_settings(directory));
  FP_TRY(hub->keys_, load_keys(directory));
  FP_TRY(hub->registry_, schema::Registry::load(embedded_schemas()));
  FP_TRY(hub->open_,
         open_stores(directory, hub->keys_, keys::system_random(), storage::Opening::looking));
  for (OpenStore& store : hub->open_) {
    if (!store.kv->migrated().empty())
      std::fprintf(stderr, "fieldpost-hub: %s\n", store.kv->migrated().c_str());
    hub->writers_.push_back(std::make_unique<Writer>(*store.store, [](const Writer::FeedEnds&) {}));
  }
  hub->backups_ =
      backups_of(directory, hub->settings_, hub->keys_, hub->open_, hub->writers_, false);
  ApiParts parts;
  parts.backups = hub->backups_.get();
  parts.stores = parts_of(hub->open_, hub->writers_, *hub->registry_);
  hub->retention_ = retention_of(directory, parts.stores, *hub->registry_, *hub->backups_, false);
  parts.retention = hub->retention_.get();
  parts.registry = &*hub->registry_;
  parts.keys = &hub->keys_;
  parts.settings = hub->settings_;
  parts.random = keys::system_random();
  parts.clock = keys::system_now;
  FP_TRY(parts.times, time_source());
  parts.port = hub->settings_.port;
  hub->api_ = std::make_unique<Api>(std::move(parts));
  return hub;
}

net::HttpResponse LocalHub::call(net::HttpRequest request) {
  // Shared: the Api's thread may still be inside set_value() when this call is already gone.
  const auto answer = std::make_shared<std::promise<net::HttpResponse>>();
  api_->handle(std::move(request), net::Responder([answer](net::HttpResponse response) {
                 answer->set_value(std::move(response));
               }),
               true);
  return answer->get_future().get();
}

namespace {

/// One opening of the stores. True: the data was doubted, and they are to be opened again.
Result<bool> run_once(const std::filesystem::path& directory, RunOptions& options) {
  RunningHub hub;
  FP_TRY(hub.settings, load_settings(directory));
  if (options.listen) hub.settings.listen = *options.listen;
  if (options.port) hub.settings.port = *options.port;
  if (options.threads) hub.settings.threads = *options.threads;
  spdlog::set_level(spdlog::level::from_str(hub.settings.log_level));
  FP_CHECK_OK(wire_up(hub, directory, options.new_epoch));
  FP_CHECK_OK(make_api(hub));
  options.port = hub.server->port();  // the same one when it opens again
  options.new_epoch = false;
  FP_TRY(const RunFile run_file,
         RunFile::write(directory, {local_address(hub.settings.listen), hub.server->port(),
                                    static_cast<int>(::getpid())}));
  spdlog::info("hub {} listens on {}:{}", hub.settings.name, hub.settings.listen,
               hub.server->port());
  run_until_signal(hub);
  return hub.rolled_back && !hub.told_to_stop;
}

}  // namespace

Status run_hub(const std::filesystem::path& directory, const RunOptions& options) {
  RunOptions now = options;
  for (bool again = true; again;) {
    FP_TRY(again, run_once(directory, now));
  }
  return {};
}

}  // namespace fieldpost::hub

#include "agent/daemon.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>
#include <thread>
#include <unistd.h>

#include "agent/api/guard.h"
#include "keys/clock.h"
#include "net/server.h"

namespace fieldpost::agent {

namespace asio = boost::asio;

namespace {

constexpr auto kHousekeeping = std::chrono::minutes(1);
constexpr auto kLook = std::chrono::milliseconds(50);
/// A megabyte a second: a full tablet is read through within minutes, and nobody waits for it.
constexpr std::size_t kScrubBytes = 256 * 1024;
constexpr auto kScrubPause = std::chrono::milliseconds(250);
constexpr auto kScrubRest = std::chrono::hours(24);
/// A peer that does not say good-bye is not waited for longer.
constexpr auto kGoodbye = std::chrono::seconds(3);

/// The two threads and the driver between them, for both kinds of run.
class Engine {
 public:
  explicit Engine(App& app)
      : app_(app),
        driver_(store_side, network, app.sync_identity(), app.sync_target(), app.store(),
                app.random(), app.clocks(), [this] { changed(); }),
        network_work_(asio::make_work_guard(network)),
        store_work_(asio::make_work_guard(store_side)) {
    app_.hooks.progress = [this] { return driver_.progress(); };
    app_.hooks.anchor = [this] { return driver_.anchor(); };
    app_.hooks.recorded = [this] { driver_.local_change(); };
    app_.hooks.dial_now = [this] { driver_.dial_now(); };
  }
  ~Engine() {
    app_.hooks = {};
    halt();
  }

  Status start() {
    FP_CHECK_OK(driver_.start());
    network_thread_ = std::thread([this] { network.run(); });
    return {};
  }
  void run() { store_side.run(); }
  /// Both threads stand still afterwards.
  void halt() {
    network_work_.reset();
    network.stop();
    if (network_thread_.joinable()) network_thread_.join();
  }
  /// Then `run` returns.
  void stop() {
    if (stopping_) return;
    stopping_ = true;
    goodbye_.expires_after(kGoodbye);
    goodbye_.async_wait([this](const boost::system::error_code& error) {
      if (!error) store_side.stop();
    });
    driver_.stop([this] { store_side.stop(); });
  }
  SyncDriver& driver() { return driver_; }

  asio::io_context store_side{1};
  asio::io_context network{1};

 private:
  void changed() {
    const Progress& now = driver_.progress();
    if (now.online != was_online_)
      spdlog::info(now.online ? "connected to the hub" : "no connection to the hub");
    if (!now.last_error.empty() && now.last_error != last_error_)
      spdlog::warn("{}", now.last_error);
    was_online_ = now.online;
    last_error_ = now.last_error;
  }

  App& app_;
  SyncDriver driver_;
  asio::executor_work_guard<asio::io_context::executor_type> network_work_;
  asio::executor_work_guard<asio::io_context::executor_type> store_work_;
  asio::steady_timer goodbye_{store_side};
  std::thread network_thread_;
  bool stopping_ = false;
  bool was_online_ = false;
  std::string last_error_;
};

void make_room(App& app) {
  const auto removed = app.make_room();
  if (!removed) return spdlog::error("making room: {}", removed.error().message());
  if (*removed > 0)
    spdlog::info("{} own changes, which the hub and all its backups have, are no longer kept here",
                 *removed);
}

void keep_house(asio::steady_timer& timer, App& app) {
  timer.expires_after(kHousekeeping);
  timer.async_wait([&timer, &app](const boost::system::error_code& error) {
    if (error) return;
    if (auto done = app.kv().housekeeping(); !done) spdlog::error("{}", done.error().message());
    if (app.hooks.progress && app.hooks.progress().in_sync) make_room(app);
    keep_house(timer, app);
  });
}

/// Says what reading found damaged, and lets the connection begin again where that must be fetched.
void tend(App& app, Engine& engine) {
  const auto found = app.tend();
  for (const std::string& words : found) spdlog::error("{}", words);
  if (!found.empty()) engine.driver().local_change();
}

/// Reads all that is stored, a little at a time, so that rot is found while the hub, or a backup, still has
/// what was lost.
class Scrub {
 public:
  Scrub(App& app, Engine& engine) : app_(app), engine_(engine), timer_(engine.store_side) {}
  void start() { wait(kScrubPause); }
  void stop() { timer_.cancel(); }

 private:
  void wait(std::chrono::milliseconds pause) {
    timer_.expires_after(pause);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) step();
    });
  }
  void step() {
    const auto ended = app_.store().scrub(kScrubBytes);
    tend(app_, engine_);
    if (!ended) spdlog::error("reading through the store: {}", ended.error().message());
    if (ended && *ended) spdlog::info("everything stored here was read through");
    wait(ended && !*ended ? kScrubPause : std::chrono::milliseconds(kScrubRest));
  }

  App& app_;
  Engine& engine_;
  asio::steady_timer timer_;
};

/// How the last look before the stop found things: the good-bye changes them.
struct Look {
  std::uint64_t deadline_ms = 0;
  Progress seen;
};

void look(asio::steady_timer& timer, Engine& engine, Look& state) {
  timer.expires_after(kLook);
  timer.async_wait([&timer, &engine, &state](const boost::system::error_code& error) {
    if (error) return;
    state.seen = engine.driver().progress();
    const bool over = state.seen.in_sync || state.seen.verdict || state.seen.blocked;
    if (over || keys::monotonic_ms() >= state.deadline_ms) return engine.stop();
    look(timer, engine, state);
  });
}

}  // namespace

Status run_daemon(const AppOptions& options, std::uint16_t port) {
  FP_TRY(auto app, App::open(options));
  if (!app->kv().migrated().empty()) spdlog::warn("{}", app->kv().migrated());
  if (app->start_found().put_back)
    spdlog::warn("{}; new records go under a new chain, and nothing is lost",
                 app->start_found().words);
  FP_TRY(const std::string token, api_token(options.data, app->random()));
  Engine engine(*app);
  const net::Router& router = app->router();
  auto gate = std::make_shared<ApiGate>();
  gate->token = token;
  net::ServerConfig config;
  config.port = port;
  config.connections_max = 32;  // a form, a script and some to spare
  config.strangers_max = 16;    // any page in a browser here may open connections: half stays free
  config.body_limit = [&router](const net::HttpRequest& request) {
    return router.body_bytes_max(request);
  };
  auto& store_side = engine.store_side;
  net::HttpServer server({&engine.network}, config,
                         [gate, &router, &store_side, &app, &engine](net::HttpRequest request,
                                                                     net::Responder respond) {
                           if (auto refusal = refuse(request, *gate))
                             return respond(*std::move(refusal));
                           if (request.known) request.known();
                           asio::post(store_side, [&, request = std::move(request),
                                                   respond = std::move(respond)]() mutable {
                             router.handle(std::move(request), respond);
                             tend(*app, engine);
                           });
                         });
  FP_CHECK_OK(server.start());
  gate->port = server.port();  // before the network thread runs
  FP_CHECK_OK(engine.start());
  if (auto written = write_run_file(options.data, {server.port(), ::getpid()}); !written) {
    engine.halt();
    return written;
  }
  spdlog::info("tablet {} of unit {}: the interface answers at http://127.0.0.1:{}",
               app->identity().device_name, app->identity().unit, server.port());
  asio::signal_set signals(store_side, SIGINT, SIGTERM);
  asio::steady_timer housekeeping(store_side);
  Scrub scrub(*app, engine);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    spdlog::info("stopping");
    server.stop();
    scrub.stop();
    engine.stop();
  });
  keep_house(housekeeping, *app);
  scrub.start();
  engine.run();
  remove_run_file(options.data);
  engine.halt();  // the server may go only when nothing runs it
  return {};
}

Result<nlohmann::json> sync_once(const AppOptions& options, std::int64_t timeout_ms) {
  FP_TRY(auto app, App::open(options));
  if (!app->kv().migrated().empty()) spdlog::warn("{}", app->kv().migrated());
  Engine engine(*app);
  FP_CHECK_OK(engine.start());
  asio::steady_timer timer(engine.store_side);
  Look last{keys::monotonic_ms() + static_cast<std::uint64_t>(timeout_ms), {}};
  look(timer, engine, last);
  engine.run();
  engine.halt();
  const auto& state = app->store().state();
  if (last.seen.verdict) return Error(*last.seen.verdict);
  if (last.seen.blocked) {
    return fail(Errc::corrupt, "what could be sent was sent, and what the hub had came; " +
                                   std::to_string(state.waiting) +
                                   " waiting: " + last.seen.blocked->detail);
  }
  if (!last.seen.in_sync) {
    std::string why = last.seen.last_error;
    if (why.empty() && !last.seen.online) {
      const SyncTarget hub = app->sync_target();
      why = hub.host;
      why.append(":")
          .append(std::to_string(hub.port))
          .append(
              " has not answered yet: a very poor link, or the login page of this network. Try "
              "with "
              "more time (--timeout), or on another network");
    }
    return fail(Errc::timeout, "not in sync after " + std::to_string(timeout_ms / 1000) + " s, " +
                                   std::to_string(state.waiting) + " waiting" +
                                   (why.empty() ? std::string() : ": " + why));
  }
  make_room(*app);
  return nlohmann::json{
      {"in_sync", true},
      {"waiting", state.waiting},
      // Counted by the driver when the connection has closed, after the last look.
      {"bytes_sent", engine.driver().progress().bytes_sent},
      {"bytes_received", engine.driver().progress().bytes_received},
      {"last_sync",
       state.last_sync ? nlohmann::json(to_text(*state.last_sync)) : nlohmann::json(nullptr)}};
}

}  // namespace fieldpost::agent

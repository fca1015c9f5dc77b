// run and sync: with and without staying.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <thread>

#include "agent/cli/session.h"
#include "agent/daemon.h"
#include "keys/clock.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

void start_log(const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_logger_st("agent"));
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
}

/// The daemon does it; this command only watches.
Result<json> watch_daemon(Client& client, std::int64_t timeout_ms) {
  FP_CHECK_OK(client.call("POST", "/v1/sync", json::object()));
  const auto deadline = keys::monotonic_ms() + static_cast<std::uint64_t>(timeout_ms);
  for (;;) {
    FP_TRY(json status, client.call("GET", "/v1/status"));
    if (status["in_sync"] == true) return status;
    // Of the attempt that the request above began, or of the one that was under way.
    if (status.value("last_error_is_final", false))
      return fail(Errc::unauthorised, status.value("last_error", ""));
    if (keys::monotonic_ms() >= deadline) {
      const std::string error = status.value("last_error", "");
      return fail(Errc::timeout, "not in sync after " + std::to_string(timeout_ms / 1000) + " s, " +
                                     std::to_string(status.value("waiting", 0)) + " waiting" +
                                     (error.empty() ? "" : ": " + error));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  auto* run = app.add_subcommand(
      "run", "stay, sync whenever there is a link, and serve the form and scripts on loopback");
  auto port = std::make_shared<std::uint16_t>(0);
  run->add_option("--port", *port, "of the loopback interface; 0 takes any that is free")
      ->envname("FIELDPOST_AGENT_PORT");
  run->footer(
      "Example:\n  fieldpost-agent run --log-level warn &\n  curl -H \"Authorization: Bearer $(cat "
      "DATA/api.token)\" "
      "http://127.0.0.1:PORT/v1/status\nAddress and process id stand in run.json of the data "
      "folder.");
  run->callback([&session, port] {
    session.run([&]() -> Status {
      start_log(session.log_level);
      FP_TRY(const auto options, session.options());
      return run_daemon(options, *port);
    });
  });

  auto* sync = app.add_subcommand(
      "sync", "exchange everything with the hub once, then say whether it worked");
  auto timeout_s = std::make_shared<std::int64_t>(60);
  auto once = std::make_shared<bool>(false);
  sync->add_flag("--once", *once,
                 "exchange everything, then leave; to stay is the matter of 'run'");
  sync->add_option("--timeout", *timeout_s, "seconds to try")->check(CLI::Range(1, 86'400));
  sync->footer("Example:\n  fieldpost-agent sync --once --timeout 120 && echo all at the hub");
  sync->callback([&session, timeout_s, once] {
    session.run([&]() -> Status {
      if (!*once)
        return fail(Errc::invalid_argument,
                    "say 'sync --once'; to stay and sync whenever there is a link is 'run'");
      spdlog::set_level(spdlog::level::off);
      FP_TRY(const auto options, session.options());
      const auto running = read_run_file(options.data);
      json done;
      bool by_daemon = false;
      if (running) {
        FP_TRY(Client * client, session.client());
        FP_TRY(by_daemon, client->daemon());
        if (by_daemon) {
          FP_TRY(done, watch_daemon(*client, *timeout_s * 1000));
        }
        session.opened.reset();  // gives the store back
      }
      if (!by_daemon) {
        FP_TRY(done, sync_once(options, *timeout_s * 1000));
      }
      if (session.json) {
        std::cout << done.dump() << '\n';
      } else {
        std::cout << "In sync: everything recorded here is at the hub (" << done["bytes_sent"]
                  << " bytes sent, " << done["bytes_received"] << " received).\n";
      }
      return {};
    });
  });
}

}  // namespace fieldpost::agent

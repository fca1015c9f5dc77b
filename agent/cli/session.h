// What every command shares: the settings, the way to the API, and how a command ends.
//
// Thread rule: the command's only thread.
// Invariants:
//   1. A failure is one sentence on stderr; exit code 2 when the input was at fault, else 1.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/app.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's name
class App;
}

namespace fieldpost::agent {

/// Asks the agent: over loopback when a daemon runs, else in this process on a store opened for it.
class Client {
 public:
  explicit Client(AppOptions options) : options_(std::move(options)) {}
  /// The answer's JSON, or the error it stands for. `body` null: none.
  Result<nlohmann::json> call(const std::string& method, const std::string& target,
                              const nlohmann::json& body = nullptr);
  /// The answer as it is, also when it is a refusal.
  Result<net::HttpResponse> ask(const std::string& method, const std::string& target,
                                const nlohmann::json& body = nullptr);
  /// Whether a daemon answers.
  Result<bool> daemon();

 private:
  Status connect();
  Result<net::HttpResponse> ask_daemon(const std::string& method, const std::string& target,
                                       const std::string& body);

  AppOptions options_;
  std::optional<RunningDaemon> running_;
  std::string token_;
  std::unique_ptr<App> app_;
  bool connected_ = false;
};

struct Session {
  std::string data = default_data_path().string();
  std::string author;
  std::string language = "en";
  std::string utc_offset = "+07:00";
  std::string log_level = "info";
  int keep_days = kKeepDays;
  bool json = false;

  int exit_code = 0;
  std::unique_ptr<Client> opened;  ///< by the first call of `client`

  Result<AppOptions> options() const;
  Result<Client*> client();
  /// Ends the command: prints the sentence, sets the exit code.
  void fail_with(const Error& error);
  /// Runs a command's body.
  void run(const std::function<Status()>& body);
};

int exit_code_of(const Error& error);
/// Printed with control characters of records made harmless: a terminal obeys escape sequences.
std::string printable(std::string_view text);

// One function a command; each adds it to the program.
void add_enroll(CLI::App& app, Session& session);
void add_run(CLI::App& app, Session& session);
void add_record(CLI::App& app, Session& session);
void add_edit(CLI::App& app, Session& session);  ///< edit, void, finalise, discard
void add_list(CLI::App& app, Session& session);
void add_show(CLI::App& app, Session& session);
void add_import(CLI::App& app, Session& session);
void add_export(CLI::App& app, Session& session);
void add_status(CLI::App& app, Session& session);  ///< status, verify
void add_places(CLI::App& app, Session& session);
void add_health(CLI::App& app, Session& session);

int run_cli(int argc, char** argv);

}  // namespace fieldpost::agent

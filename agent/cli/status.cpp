// status and verify.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "agent/cli/session.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::int64_t kCertificateDaysMin = 30;

}  // namespace

void add_status(CLI::App& app, Session& session) {
  auto* status =
      app.add_subcommand("status", "in words: what is here, what waits, when it last synced");
  status->footer("Examples:\n  fieldpost-agent status\n  fieldpost-agent status --json");
  status->callback([&session] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_TRY(const json answer, client->call("GET", "/v1/status"));
      if (session.json) {
        std::cout << answer.dump() << '\n';
        return {};
      }
      std::cout << answer["words"].get<std::string>() << "\nTablet "
                << answer["device"].get<std::string>() << " of unit "
                << answer["unit"].get<std::string>() << " ("
                << answer["compartment"].get<std::string>() << "), hub "
                << answer["hub"].get<std::string>() << ". " << answer["records"] << " records, "
                << answer["drafts"] << " drafts.\n";
      for (const json& warning : answer["warnings"])
        std::cout << "! " << printable(warning.get<std::string>()) << '\n';
      if (answer.contains("visits"))
        std::cout << "Visits: " << answer["visits"].get<std::string>() << ".\n";
      if (answer["removed_changes"] != 0)
        std::cout << "Of the changes made here the oldest " << answer["removed_changes"]
                  << " are no longer kept on this tablet: the hub has them, and all its backups "
                     "had. Their records are here.\n";
      if (answer["chains_open"].get<int>() > 1)
        std::cout
            << "This tablet's data was put back or copied. Nothing is lost: the next sync settles "
               "what the hub has of it.\n";
      if (answer["daemon"] == false)
        std::cout << "Nothing syncs by itself: 'fieldpost-agent run' is not running.\n";
      const json& days = answer["certificate_days"];
      if (days.is_number_integer() && days < kCertificateDaysMin)
        std::cout << "The hub's certificate ends in " << std::max<std::int64_t>(0, days)
                  << " days: tell the hub's operator to renew it.\n";
      const std::string error = answer.value("last_error", "");
      if (!error.empty()) std::cout << "Last attempt failed: " << printable(error) << '\n';
      return {};
    });
  });

  auto* damaged =
      app.add_subcommand("damaged", "what this tablet's disk damaged, and what became of it");
  damaged->footer(
      "With --json the bytes found in each value's place come along, for whoever looks into it.");
  damaged->callback([&session] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_TRY(const json answer, client->call("GET", "/v1/damaged"));
      if (session.json) {
        std::cout << answer.dump() << '\n';
        return {};
      }
      for (const json& one : answer["damaged"])
        std::cout << (one["settled"] == true ? "  " : "! ")
                  << printable(one["words"].get<std::string>()) << '\n';
      if (answer["damaged"].empty()) std::cout << "Nothing was found damaged.\n";
      return {};
    });
  });

  auto* verify = app.add_subcommand(
      "verify", "check every chain and open every value; print the records' digests");
  verify->callback([&session] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_TRY(const json answer, client->call("POST", "/v1/verify"));
      if (session.json) {
        std::cout << answer.dump() << '\n';
        return {};
      }
      std::cout << "Verified: " << answer["checked"] << " entries, all as they were written.\n";
      if (answer["removed_changes"] != 0)
        std::cout
            << answer["removed_changes"]
            << " older changes are no longer kept here and could not be checked; the hub's own "
               "'verify' checks them.\n";
      for (const auto& [unit, digest] : answer["digests"].items())
        std::cout << "Digest of " << unit << ": " << digest.get<std::string>() << '\n';
      return {};
    });
  });
}

}  // namespace fieldpost::agent

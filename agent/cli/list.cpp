// list: what is on this tablet, in short.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/cli/paging.h"
#include "net/http.h"

namespace fieldpost::agent {

using nlohmann::json;

Status for_each_record(Client& client, const QueryParameters& query,
                       const std::function<Result<bool>(const json&)>& visit, std::string after) {
  for (;;) {
    QueryParameters parameters{{"limit", "200"}, {"after", after}};
    parameters.insert(parameters.end(), query.begin(), query.end());
    FP_TRY(const json page, client.call("GET", net::make_target({"v1", "records"}, parameters)));
    for (const json& entry : page["records"]) {
      FP_TRY(const bool more, visit(entry));
      if (!more) return {};
    }
    if (page["next"].is_null()) return {};
    after = page["next"].get<std::string>();
  }
}

void add_list(CLI::App& app, Session& session) {
  struct Options {
    std::string type;
    std::string state;
    std::string since;
    std::size_t limit = 50;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("list", "the records and drafts on this tablet");
  command->add_option("--type", options->type, "only this type");
  command->add_option(
      "--state", options->state,
      "draft, final, amended, void; or on_tablet, sending, at_hub, lost_at_hub, attention");
  command->add_option("--since", options->since,
                      "only records made from this time on: 2026-03-14 or 2026-03-14T07:00+07:00");
  command->add_option("--limit", options->limit, "at most so many; 0: all");
  command->footer(
      "Examples:\n  fieldpost-agent list --type stop --since 2026-03-14\n  fieldpost-agent list "
      "--state attention\n"
      "  fieldpost-agent list --json --limit 0");
  command->callback([&session, options] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      std::string after;
      if (!options->since.empty()) {
        const std::string text = options->since.size() == 10
                                     ? options->since + "T00:00" + session.utc_offset
                                     : options->since;
        const auto at = instant_from_text(text);
        if (!at || at->ms < 0)
          return fail(Errc::invalid_argument,
                      "--since '" + options->since + "' is no date or time such as 2026-03-14");
        after = to_text(make_record_id(*at, {}));
      }
      const QueryParameters query{
          {"lang", session.language}, {"type", options->type}, {"state", options->state}};
      std::size_t count = 0;
      FP_CHECK_OK(for_each_record(
          *client, query,
          [&](const json& entry) -> Result<bool> {
            if (session.json) {
              std::cout << entry.dump() << '\n';
            } else {
              std::cout << entry["id"].get<std::string>() << "  "
                        << entry["type"].get<std::string>() << "  "
                        << entry["state"].get<std::string>() << "  "
                        << entry["words"].get<std::string>();
              for (const json& part : entry["title"])
                std::cout << "  "
                          << printable(part.is_string() ? part.get<std::string>() : part.dump());
              if (entry["conflicts"] == true) std::cout << "  (conflict)";
              std::cout << '\n';
            }
            return ++count != options->limit;
          },
          after));
      if (!session.json && count == 0)
        std::cout << "Nothing here"
                  << (options->type.empty() && options->state.empty() ? " yet" : " that matches")
                  << ".\n";
      if (!session.json && count == options->limit)
        std::cout << "… (--limit " << options->limit << ")\n";
      return {};
    });
  });
}

}  // namespace fieldpost::agent

// list: what is on this tablet, in short.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/cli/paging.h"

namespace fieldpost::agent {

using nlohmann::json;

std::string url_part(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

Status for_each_record(Client& client, const std::string& query,
                       const std::function<Result<bool>(const json&)>& visit, std::string after) {
  for (;;) {
    FP_TRY(const json page, client.call("GET", "/v1/records?limit=200" + query +
                                                   (after.empty() ? "" : "&after=" + after)));
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
  command->add_option("--state", options->state,
                      "draft, final, amended, void; or on_tablet, sending, at_hub, attention");
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
      const std::string query = "&lang=" + session.language + "&type=" + url_part(options->type) +
                                "&state=" + url_part(options->state);
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

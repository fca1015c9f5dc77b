// places import FILE.csv.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "agent/cli/session.h"
#include "base/text.h"
#include "keys/secret_file.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kPlacesBytesMax =
    3 * 1024 * 1024;  ///< of one file: below a request's limit once quoted

}  // namespace

void add_places(CLI::App& app, Session& session) {
  auto* places =
      app.add_subcommand("places", "the provinces, checkpoints and communes that forms offer");
  places->require_subcommand(1);
  auto* import = places->add_subcommand(
      "import", "add or renew places from a CSV: code,name_km,name_latin,lat,lon,valid_from");
  auto file = std::make_shared<std::string>();
  import->add_option("FILE", *file, "the CSV")->required();
  import->footer(
      "Example:\n  fieldpost-agent places import communes.csv\nA file of the same name replaces "
      "what it brought before.");
  import->callback([&session, file] {
    session.run([&]() -> Status {
      FP_TRY(const Bytes bytes, keys::read_file(*file, kPlacesBytesMax));
      if (const auto at = first_invalid_utf8(as_text(bytes)); at != std::string::npos) {
        return fail(Errc::invalid_argument, "'" + *file + "' is not UTF-8 (byte " +
                                                std::to_string(at) + "): save it as UTF-8");
      }
      FP_TRY(Client * client, session.client());
      FP_TRY(const json answer,
             client->call("POST", "/v1/places",
                          {{"name", std::filesystem::path(*file).stem().string()},
                           {"csv", std::string(as_text(bytes))}}));
      for (const json& problem : answer["problems"]) {
        std::cerr << "line " << problem["line"] << ": "
                  << printable(problem["message"].get<std::string>()) << '\n';
      }
      if (session.json) {
        std::cout << answer.dump() << '\n';
      } else {
        std::cout << answer["places"] << " places taken in, " << answer["problems"].size()
                  << " lines refused.\n";
      }
      if (!answer["problems"].empty()) {
        return fail(Errc::invalid_argument,
                    std::to_string(answer["problems"].size()) + " lines of '" + *file +
                        "' were refused (named above), the others are in use");
      }
      return {};
    });
  });
}

}  // namespace fieldpost::agent

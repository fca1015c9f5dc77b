// import FILE: many records from NDJSON or CSV, the bad lines reported and the rest taken.
#include "schema/import.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <unistd.h>

#include "agent/cli/session.h"
#include "base/limits.h"
#include "base/text.h"
#include "keys/secret_file.h"
#include "schema/document.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kBatchRows = 250;
/// Below the API's limit for one request, with room for its own words.
constexpr std::size_t kBatchBytes = 2 * 1024 * 1024;
constexpr std::size_t kCsvFileBytesMax = 64 * 1024 * 1024;

struct ImportArguments {
  std::string file;
  std::string type;
  std::string format;
  bool quiet = false;
};

/// Collects rows, sends them in batches, adds up what came of them.
class Sender {
 public:
  Sender(Session& session, Client& client, const ImportArguments& options, bool columns)
      : session_(session), client_(client), options_(options), columns_(columns) {}

  Status add(std::size_t line, const std::string& external_id, json document) {
    json row{{"line", line}, {"document", std::move(document)}};
    if (!external_id.empty()) row["external_id"] = external_id;
    bytes_ += row.dump().size();
    rows_.push_back(std::move(row));
    if (rows_.size() < kBatchRows && bytes_ < kBatchBytes) return {};
    return flush();
  }

  Status flush() {
    if (rows_.empty()) return {};
    FP_TRY(const json answer, client_.call("POST", "/v1/import",
                                           {{"rows", std::move(rows_)},
                                            {"type", options_.type},
                                            {"author", session_.author},
                                            {"lang", session_.language}}));
    rows_ = json::array();
    bytes_ = 0;
    added += answer["added"].get<std::uint64_t>();
    present += answer["present"].get<std::uint64_t>();
    for (const json& row : answer["refused"]) refuse(row["line"].get<std::size_t>(), row["faults"]);
    for (const json& row : answer["warnings"]) note(row["line"].get<std::size_t>(), row["faults"]);
    if (!options_.quiet && ::isatty(STDERR_FILENO) != 0) {
      std::cerr << '\r' << added << " added, " << present << " there already, " << refused
                << " refused …" << std::flush;
    }
    return {};
  }

  void refuse(std::size_t line, const json& faults) {
    ++refused;
    for (const json& fault : faults) {
      if (fault.value("severity", "error") == "error") say(line, fault, true);
    }
  }
  void note(std::size_t line, const json& faults) {
    for (const json& fault : faults) say(line, fault, false);
  }

  std::uint64_t added = 0;
  std::uint64_t present = 0;
  std::uint64_t refused = 0;
  json errors = json::array();
  json notes = json::array();

 private:
  void say(std::size_t line, const json& fault, bool error) {
    // What the agent says of a row from a CSV it says of a record: here it is a column again.
    const std::string path = fault.value("path", "");
    json entry{{"line", line},
               {"field", columns_ ? schema::column_of(path) : path},
               {"rule", fault.value("rule", "")},
               {"message", fault.value("message", "")}};
    if (!session_.json) {
      const std::string field = entry["field"];
      std::cerr << (error ? "line " : "note: line ") << line << ": "
                << (field.empty() ? "" : printable(field) + ": ")
                << printable(entry["message"].get<std::string>()) << '\n';
    }
    (error ? errors : notes).push_back(std::move(entry));
  }

  Session& session_;
  Client& client_;
  const ImportArguments& options_;
  const bool columns_;  ///< name fields as the columns of a CSV
  json rows_ = json::array();
  std::size_t bytes_ = 0;
};

json faults_json(const schema::Registry& registry, const std::vector<schema::Fault>& faults,
                 const std::string& language) {
  json list = json::array();
  for (const auto& fault : faults) {
    list.push_back({{"path", fault.path},
                    {"rule", fault.rule},
                    {"severity", fault.severity == schema::Severity::error ? "error" : "warn"},
                    {"message", registry.message(fault, language)}});
  }
  return list;
}

Status import_csv(Session& session, Client& client, const ImportArguments& options,
                  Sender& sender) {
  if (options.type.empty())
    return fail(Errc::invalid_argument,
                "a CSV does not say what it holds: give --type stop, seizure, case or visit");
  FP_TRY(const Bytes bytes, keys::read_file(options.file, kCsvFileBytesMax));
  FP_TRY(const auto app_options, session.options());
  FP_TRY(const auto registry, load_registry(app_options.data));
  FP_TRY(const json status, client.call("GET", "/v1/status"));
  // What the agent gives a new record; here only so that the rows can be checked as a whole.
  const std::string unit = status["unit"];
  const json stand_in{{"id", "00000000-0000-7000-8000-000000000000"},
                      {"unit", unit},
                      {"author", session.author.empty() ? "IMPORT" : session.author},
                      {"captured_at", "2026-01-01T00:00:00Z"},
                      {"ref_no", unit + "-" + status["device"].get<std::string>() + "-2026-00000"}};
  schema::ImportOptions import;
  import.offset_minutes = app_options.offset_minutes;
  import.envelope = [&](std::size_t, std::string_view) { return json(stand_in); };
  auto opened = schema::CsvImport::open(*registry, options.type, bytes, std::move(import));
  if (!opened)
    return fail(Errc::invalid_argument, "'" + options.file + "': " + opened.error().detail);
  while (auto row = opened->next()) {
    if (!row->good()) {
      sender.refuse(row->line, faults_json(*registry, row->faults, session.language));
      continue;
    }
    json document = std::move(row->document);
    for (const auto& [name, value] : stand_in.items()) {
      if (document.value(name, json()) == value) document.erase(name);
    }
    // Who stopped the car wrote the record, unless somebody is named.
    if (session.author.empty() && !document.contains("author") && document.contains("officer_id"))
      document["author"] = document["officer_id"];
    FP_CHECK_OK(sender.add(row->line, row->external_id, std::move(document)));
  }
  return sender.flush();
}

Status import_ndjson(Session&, Client&, const ImportArguments& options, Sender& sender) {
  std::ifstream file;
  if (options.file != "-") {
    // A folder opens like a file, and ends before its first line.
    if (std::filesystem::is_directory(options.file))
      return fail(Errc::invalid_argument, "'" + options.file + "' is a folder: name a file in it");
    file.open(options.file, std::ios::binary);
    if (!file)
      return fail(
          Errc::not_found,
          "'" + options.file + "' cannot be opened: is the name right, and may you read it?");
  }
  std::istream& in = options.file == "-" ? std::cin : file;
  std::string text;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    std::string_view bare = trimmed(text);
    if (bare.empty()) continue;
    auto document = schema::parse_document(bare);
    if (!document || !document->is_object()) {
      sender.refuse(
          line,
          json::array(
              {{{"path", ""},
                {"rule", "json"},
                {"severity", "error"},
                {"message", "This line is not one JSON object" +
                                (document ? std::string(".") : ": " + document.error().detail)}}}));
      continue;
    }
    std::string external;
    if (document->contains("external_id") && (*document)["external_id"].is_string())
      external = (*document)["external_id"];
    document->erase("external_id");
    FP_CHECK_OK(sender.add(line, external, *std::move(document)));
  }
  return sender.flush();
}

Status import(Session& session, const ImportArguments& options) {
  FP_TRY(Client * client, session.client());
  std::string format = options.format;
  if (format.empty())
    format = options.file.ends_with(".csv") || options.file.ends_with(".CSV") ? "csv" : "ndjson";
  Sender sender(session, *client, options, format == "csv");
  FP_CHECK_OK(format == "csv" ? import_csv(session, *client, options, sender)
                              : import_ndjson(session, *client, options, sender));
  if (session.json) {
    std::cout << json{{"added", sender.added},
                      {"present", sender.present},
                      {"refused", sender.refused},
                      {"errors", sender.errors},
                      {"notes", sender.notes}}
                     .dump()
              << '\n';
  } else {
    std::cerr << (::isatty(STDERR_FILENO) != 0 && !options.quiet ? "\n" : "");
    std::cout << sender.added << " recorded, " << sender.present << " there already, "
              << sender.refused << " refused.\n";
  }
  if (sender.refused > 0) {
    return fail(Errc::invalid_argument, std::to_string(sender.refused) + " of the lines in '" +
                                            options.file +
                                            "' were refused (named above), the others are "
                                            "recorded: mend those lines and import the file again");
  }
  return {};
}

}  // namespace

void add_import(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand(
      "import", "take in many records from a file; running it twice changes nothing");
  auto options = std::make_shared<ImportArguments>();
  command
      ->add_option("FILE", options->file, "NDJSON (one record a line; - for standard input) or CSV")
      ->required();
  command->add_option("--type", options->type, "of the records, where they do not say it");
  command->add_option("--format", options->format, "csv or ndjson; else by the file's name")
      ->check(CLI::IsMember({"csv", "ndjson"}));
  command->add_flag("--quiet", options->quiet, "no progress");
  command->footer(
      "Examples:\n  fieldpost-agent import checkpoint-day.csv --type stop\n  fieldpost-agent "
      "import day.ndjson\n"
      "A bad line is reported with its number and left out; the rest is recorded, and the exit "
      "code is 2. A column or\n"
      "member external_id names a row, with the time of its event; without it, a row is known by "
      "its content.");
  command->callback(
      [&session, options] { session.run([&] { return import(session, *options); }); });
}

}  // namespace fieldpost::agent

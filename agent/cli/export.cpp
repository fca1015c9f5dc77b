// export: everything that is here, as NDJSON or as CSV.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>

#include "agent/cli/csv_cell.h"
#include "agent/cli/paging.h"

namespace fieldpost::agent {

using nlohmann::json;

std::string csv_cell(std::string_view text) {
  // A spreadsheet runs what begins so; a plain number may keep its sign.
  const bool number =
      !text.empty() &&
      text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) == std::string_view::npos &&
      text != "-";
  const bool formula = !number && !text.empty() &&
                       std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos;
  std::string out = "\"";
  if (formula) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

namespace {

struct ExportArguments {
  std::string out = "-";
  std::string format;
  std::string type;
  std::string state;
};

std::string cell_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string joined;
  for (const json& part : value)
    joined +=
        (joined.empty() ? "" : ";") + (part.is_string() ? part.get<std::string>() : part.dump());
  return joined;
}

/// Long format: one line a value, so that repeats need no columns of their own.
class CsvWriter {
 public:
  explicit CsvWriter(std::ostream& out) : out_(out) {
    out_ << "\xEF\xBB\xBF"
         << "record_id,type,unit,state,ref_no,container,item_id,field,value\r\n";
  }
  void write(const json& entry) {
    entry_ = &entry;
    for (const auto& [name, value] : entry["document"].items()) {
      if (name == "id" || name == "type" || name == "unit" || name == "state" || name == "ref_no" ||
          name == "seals")
        continue;
      if (name == "conflicts") {
        // The shown value stands under its field; here every value that was written without the other.
        for (const auto& [path, siblings] : value.items()) {
          for (const json& sibling : siblings) line(name, sibling["dot"], path, sibling["value"]);
        }
        continue;
      }
      if (value.is_array() && !value.empty() && value.front().is_object()) {
        for (const json& item : value) {
          for (const auto& [part, inner] : item.items()) {
            if (part != "item_id") line(name, item.value("item_id", ""), part, inner);
          }
        }
      } else if (value.is_object() && !value.contains("sealed")) {
        for (const auto& [part, inner] : value.items()) line(name, "", part, inner);
      } else {
        line("", "", name, value);
      }
    }
  }

 private:
  void line(const std::string& container, const std::string& item, const std::string& field,
            const json& value) {
    const json& document = (*entry_)["document"];
    const bool sealed = value.is_object();
    const std::string ref = document.contains("ref_no") && document["ref_no"].is_string()
                                ? document["ref_no"].get<std::string>()
                                : "";
    for (const auto& text :
         {(*entry_)["id"].get<std::string>(), (*entry_)["type"].get<std::string>(),
          (*entry_)["unit"].get<std::string>(), (*entry_)["state"].get<std::string>(), ref,
          container, item, field}) {
      out_ << csv_cell(text) << ',';
    }
    out_ << csv_cell(sealed ? "(sealed)" : cell_text(value)) << "\r\n";
  }

  std::ostream& out_;
  const json* entry_ = nullptr;
};

Status export_records(Session& session, const ExportArguments& options) {
  FP_TRY(Client * client, session.client());
  std::string format = options.format;
  if (format.empty()) format = options.out.ends_with(".csv") ? "csv" : "ndjson";
  std::ofstream file;
  if (options.out != "-") {
    file.open(options.out, std::ios::binary | std::ios::trunc);
    if (!file)
      return fail(
          Errc::invalid_argument,
          "'" + options.out + "' cannot be written: is the folder there, and may you write to it?");
  }
  std::ostream& out = options.out == "-" ? std::cout : file;
  std::optional<CsvWriter> csv;
  if (format == "csv") csv.emplace(out);
  std::uint64_t count = 0;
  bool visits = false;
  const QueryParameters query{{"documents", "1"}, {"type", options.type}, {"state", options.state}};
  FP_CHECK_OK(for_each_record(*client, query, [&](const json& entry) -> Result<bool> {
    if (entry["state"] == "draft" && options.state != "draft")
      return true;  // drafts never leave the tablet unasked
    visits = visits || entry["type"] == "visit";
    if (csv) {
      csv->write(entry);
    } else {
      out << entry["document"].dump() << '\n';
    }
    ++count;
    if (!out)
      return fail(Errc::io, "writing to '" + options.out + "' failed after " +
                                std::to_string(count) + " records: is the disk full?");
    return true;
  }));
  out.flush();
  if (!out) return fail(Errc::io, "writing to '" + options.out + "' failed: is the disk full?");
  if (options.out != "-")
    std::cout << count << " records exported to " << printable(options.out) << ".\n";
  if (visits)
    std::cerr << "Notice: this export holds records of treatment. Passing it on is restricted; "
                 "account for every disclosure.\n";
  return {};
}

}  // namespace

void add_export(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("export", "write the records here to a file");
  auto options = std::make_shared<ExportArguments>();
  command->add_option("--out", options->out, "FILE, or - for standard output");
  command->add_option("--format", options->format, "ndjson or csv; else by the file's name")
      ->check(CLI::IsMember({"csv", "ndjson"}));
  command->add_option("--type", options->type, "only this type");
  command->add_option("--state", options->state, "only this state");
  command->footer(
      "Examples:\n  fieldpost-agent export --out day.ndjson\n  fieldpost-agent export --out "
      "day.csv --type seizure\n"
      "The CSV has a line for each value (record, container, item, field, value), opens in a "
      "spreadsheet with Khmer\n"
      "intact, and its cells are never run as formulas.\n"
      "A record with conflicts carries all their values in `conflicts`; the shown one stands in "
      "its field.");
  command->callback(
      [&session, options] { session.run([&] { return export_records(session, *options); }); });
}

}  // namespace fieldpost::agent

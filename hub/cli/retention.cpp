#include "hub/cli/retention.h"

#include <string>

#include "hub/cli/print.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

std::string reasons(const json& kept) {
  std::string out;
  for (const auto& [reason, count] : kept.items())
    out += (out.empty() ? "" : ", ") + text(count) + " " + reason;
  return out;
}

void print_kept(const json& answer) {
  for (const json& one : answer["kept"]) {
    line("  kept: " + text(one["record"]) + "  " + text(one["reason"]) +
         (one["hold"].is_null() ? "" : " " + text(one["hold"])));
  }
}

constexpr const char* kNoRules =
    "No retention is configured: every record is kept for ever. hub.json may hold, for example, "
    "\"retention\": {\"stop\": {\"years\": 5}}";

}  // namespace

void print_retention(const json& answer) {
  if (answer["types"].empty()) line(kNoRules);
  for (const json& type : answer["types"])
    line(text(type["rule"]) + " (" + text(type["compartment"]) +
         "): due when the last change was received before " + text(type["before"]));
  line(answer["every_hours"].is_null()
           ? "Erased only when asked: fieldpost-hub retention run"
           : "The running hub erases what is due every " + text(answer["every_hours"]) + " hours");
  for (const auto& [name, count] : answer["erased"].items())
    line(name + ": " + text(count) + " records erased so far");
  if (!answer["last_run_at"].is_null())
    line("Last run " + text(answer["last_run_at"]) + ": " + text(answer["last_run_erased"]) +
         " erased");
  if (!answer["fault"].is_null()) line("LAST RUN FAILED: " + text(answer["fault"]));
}

void print_retention_plan(const json& answer) {
  if (answer["types"].empty()) line(kNoRules);
  for (const json& type : answer["types"]) {
    std::string out = text(type["rule"]) + ": " + text(type["due"]) + " due";
    if (!type["oldest"].is_null()) out += " (the oldest last changed " + text(type["oldest"]) + ")";
    out += ", " + text(type["young"]) + " not old enough";
    if (!type["kept"].empty()) out += ", kept: " + reasons(type["kept"]);
    line(out);
  }
  print_kept(answer);
  if (answer["types"].empty()) return;
  line("Nothing was erased. To erase what is due: fieldpost-hub retention run");
}

void print_retention_run(const json& answer) {
  if (answer["types"].empty()) line(kNoRules);
  for (const json& type : answer["types"]) {
    std::string out = text(type["rule"]) + ": " + text(type["erased"]) + " erased, " +
                      text(type["young"]) + " not old enough";
    if (!type["kept"].empty()) out += ", kept: " + reasons(type["kept"]);
    line(out);
  }
  print_kept(answer);
}

void print_hold(const json& hold) {
  line(text(hold["id"]) + "  record " + text(hold["record"]) + "  since " + text(hold["at"]) +
       ", by " + text(hold["author"]) + ": " + text(hold["reason"]));
  if (!hold["lifted"].is_null())
    line("  lifted " + text(hold["lifted"]["at"]) + ", by " + text(hold["lifted"]["author"]) +
         ": " + text(hold["lifted"]["reason"]));
}

void print_holds(const json& answer) {
  if (answer["holds"].empty()) line("No legal hold was ever put.");
  for (const json& hold : answer["holds"]) print_hold(hold);
}

}  // namespace fieldpost::hub

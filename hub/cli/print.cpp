#include "hub/cli/print.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "hub/cli/backup.h"

namespace fieldpost::hub {

using nlohmann::json;

std::string text(const json& value) {
  if (value.is_null()) return "(none)";
  std::string out = value.is_string() ? value.get<std::string>() : value.dump();
  // A stored text must not be able to move the cursor of an operator's terminal.
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

void line(const std::string& content) { std::printf("%s\n", content.c_str()); }

namespace {

/// A text with something in it.
bool said(const json& value) {
  return value.is_string() && !value.get_ref<const std::string&>().empty();
}

std::string duration(std::int64_t ms) {
  const std::int64_t minutes = ms / 60'000;
  if (minutes < 1) return "less than a minute";
  if (minutes < 120) return std::to_string(minutes) + " minutes";
  if (minutes < 48 * 60) return std::to_string(minutes / 60) + " hours";
  return std::to_string(minutes / (24 * 60)) + " days";
}

/// "3 hours ahead".
std::string offset(std::int64_t ms) {
  const auto size = ms < 0 ? 0 - static_cast<std::uint64_t>(ms) : static_cast<std::uint64_t>(ms);
  return duration(static_cast<std::int64_t>(std::min<std::uint64_t>(size, INT64_MAX))) +
         (ms < 0 ? " behind" : " ahead");
}

constexpr std::int64_t kWorthSayingMs = 60'000;

/// "made after … and before …; estimated within 3 s", and what of the claimed time contradicts it.
void print_interval(const json& interval, const std::string& indent) {
  std::string said_of =
      indent + (interval["earliest"].is_null() ? "made before " + text(interval["latest"])
                                               : "made between " + text(interval["earliest"]) +
                                                     " and " + text(interval["latest"]));
  if (interval["error_ms"].is_number()) {
    said_of += "; the time stated is an estimate, within ";
    said_of += std::to_string((interval["error_ms"].get<std::int64_t>() + 999) / 1000) + " s";
  }
  line(said_of);
  if (interval["outside"].get<bool>())
    line(indent + "WRONG CLOCK: the time stated cannot be true, it lies outside of that");
  const auto off = [&](const char* name) {
    return interval.contains(name) && interval[name].is_number() &&
           (interval[name].get<std::int64_t>() >= kWorthSayingMs ||
            interval[name].get<std::int64_t>() <= -kWorthSayingMs);
  };
  if (off("clock_error_ms"))
    line(indent + "the device's own clock was " + offset(interval["clock_error_ms"]));
  else if (off("device_clock_error_ms"))
    line(indent + "the device's own clock was " + offset(interval["device_clock_error_ms"]) +
         " when it last reported");
}

std::string summary(const json& record) {
  const json& document = record["document"];
  std::string out = text(record["id"]) + "  " + text(record["type"]) + "  " + text(record["unit"]);
  for (const char* field : {"state", "ref_no", "captured_at"}) {
    if (document.contains(field)) out += "  " + text(document[field]);
  }
  if (!record["conflicts"].empty()) out += "  CONFLICT";
  if (!record["inconsistent"].empty()) out += "  INCONSISTENT";
  if (!record["sealed"].empty()) out += "  (sealed)";
  return out;
}

void print_fields(const json& value, const std::string& indent, const std::string& prefix = {}) {
  for (const auto& [key, member] : value.items()) {
    std::string name = prefix;
    if (!name.empty()) name += '.';
    name += key;
    const bool objects = member.is_array() && !member.empty() && member.front().is_object();
    if (member.is_object() || objects) {
      print_fields(member, indent, name);
    } else {
      line(indent + name + " = " + text(member));
    }
  }
}

void print_siblings(const json& conflict) {
  line("  CONFLICT in " + text(conflict["path"]) +
       ": each of these was written without knowing the other");
  bool any_sealed = false;
  for (const json& sibling : conflict["siblings"]) {
    const bool sealed = sibling["sealed"].get<bool>();
    any_sealed = any_sealed || sealed;
    line("    " + (sealed ? std::string("(sealed)") : text(sibling["value"])) + "   by " +
         text(sibling["author"]) + " at " + text(sibling["time"]) + " (" + text(sibling["clock"]) +
         ")" +
         (sealed ? std::string()
                 : "   choose " + text(sibling["actor"]) + ":" + text(sibling["counter"])) +
         (sibling["shown"].get<bool>() ? "   shown meanwhile" : ""));
    if (sibling.contains("interval")) print_interval(sibling["interval"], "      ");
  }
  if (any_sealed)
    line(
        "    The hub cannot read these: a tablet of the unit settles it with fieldpost-agent "
        "edit.");
}

}  // namespace

void print_units(const json& answer) {
  for (const json& unit : answer["units"]) {
    line(text(unit["code"]) + "  " + text(unit["compartment"]) + "  " + text(unit["name"]));
  }
  if (answer["units"].empty())
    line("No units yet. Add one: fieldpost-hub unit add 01-PPT --name Poipet");
}

void print_device(const json& device) {
  line(text(device["name"]) + "  unit " + text(device["unit"]) + "  " +
       text(device["compartment"]) + "  " + text(device["standing"]));
  line("  compare code        " + text(device["compare"]) +
       "  (the tablet shows the same after enrolment)");
  line("  enrolled            " + text(device["enrolled_at"]));
  line("  last contact        " + text(device["last_contact"]));
  line("  last complete sync  " + text(device["last_complete_sync"]));
  if (said(device["last_error"]))
    line("  last failure        " + text(device["last_error_at"]) + ": " +
         text(device["last_error"]));
  if (device.contains("former_units")) {
    std::string way = "  Moved from ";
    for (const json& unit : device["former_units"]) way += text(unit) + " to ";
    line(way + text(device["unit"]));
  }
  if (device.contains("forks")) {
    const json& forks = device["forks"];
    line("  COPIED OR RESTORED  " + text(forks["times"]) +
         (forks["times"] == 1 ? " time, last " : " times, last ") + text(forks["last_at"]) +
         ": the hub had " + text(forks["hub_had"]) + " of its changes, it had " +
         text(forks["device_had"]) + "; " + text(forks["written_anew"]) +
         " changes came under a new chain. Nothing was left out; is one tablet in two places?");
  }
  if (!device.contains("reported")) return;
  const json& reported = device["reported"];
  line("  it said at " + text(reported["as_of"]) + ": " + text(reported["waiting"]) +
       " waiting, app " + text(reported["app_version"]));
  if (reported.value("clock_wrong", false))
    line("  WRONG CLOCK         " + offset(reported["clock_error_ms"]) +
         ", at that report; nothing is lost by it. Have it set: times of records made before the "
         "tablet's next contact are guesses");
  if (reported.contains("alarm")) line("  ALARM  " + text(reported["alarm"]));
}

void print_devices(const json& answer) {
  for (const json& device : answer["devices"]) print_device(device);
  if (answer["devices"].empty())
    line("No devices yet. Invite one: fieldpost-hub device invite T07 --unit 01-PPT");
  line("As of " + text(answer["as_of"]) + ". What a silent device holds is unknown.");
}

void print_invitation(const json& answer) {
  line("Enrolment code for device " + text(answer["name"]) + " of unit " + text(answer["unit"]) +
       ", for one use until " + text(answer["expires_at"]) + ":");
  line("");
  line("  " + text(answer["code"]));
  line("");
  line("On the tablet:  fieldpost-agent enroll CODE");
}

void print_records(const json& answer) {
  for (const json& record : answer["records"]) line(summary(record));
  if (answer["records"].empty()) line("No records.");
  if (answer.contains("next_after")) line("More: --after " + text(answer["next_after"]));
}

void print_record(const json& record) {
  line(summary(record));
  print_fields(record["document"], "  ");
  for (const json& path : record["sealed"])
    line("  " + text(path) + " = (sealed: only key holders can read it)");
  for (const json& conflict : record["conflicts"]) print_siblings(conflict);
  for (const json& fault : record["inconsistent"])
    line("  INCONSISTENT: " + text(fault["message"]));
  if (record.contains("recovered")) {
    for (const json& entry : record["recovered"])
      line("  RECOVERED: " + text(entry["kind"]) + ", by " + text(entry["author"]) + " at " +
           text(entry["at"]) + ": " + text(entry["note"]));
  }
  if (record.contains("holds")) {
    for (const json& hold : record["holds"])
      line("  LEGAL HOLD " + text(hold["id"]) + ", by " + text(hold["author"]) + " at " +
           text(hold["at"]) + ": " + text(hold["reason"]) +
           (hold["record"] == record["id"] ? "" : " (of record " + text(hold["record"]) + ")"));
  }
  line("  version " + text(record["version"]));
}

void print_history(const json& answer) {
  for (const json& change : answer["changes"]) {
    line("received " + text(change.value("received_at", json())) + "  change " +
         text(change["actor"]) + ":" + text(change["counter"]));
    if (change.contains("unreadable")) {
      line("  cannot be read: " + text(change["unreadable"]));
      continue;
    }
    line("  by " + text(change["author"]) + " at " + text(change["time"]) + " (" +
         text(change["clock"]) + ")");
    if (change.contains("interval")) print_interval(change["interval"], "  ");
    if (change.contains("reason")) line("  reason: " + text(change["reason"]));
    for (const auto& [path, value] : change["edits"].items())
      line("  " + path + " = " + text(value));
  }
}

void print_conflicts(const json& answer) {
  for (const json& record : answer["records"]) {
    line(summary(record));
    for (const json& conflict : record["conflicts"]) print_siblings(conflict);
  }
  if (answer["records"].empty())
    line("No conflicts.");
  else
    line("Settle one: fieldpost-hub resolve ID PATH --choose ACTOR:COUNTER --note WHY");
}

void print_quarantine(const json& answer) {
  bool open = false;
  for (const json& entry : answer["quarantine"]) {
    open = open || entry["kind"] == "quarantined";
    line(text(entry["actor"]) + ":" + text(entry["counter"]) + "  " + text(entry["kind"]) +
         "  record " + text(entry["record"]) + "  since " + duration(entry["age_ms"]));
    line("  " + text(entry["rule"]) + (said(entry["path"]) ? " at " + text(entry["path"]) : "") +
         ": " + text(entry["reason"]));
  }
  if (answer["quarantine"].empty())
    line("Nothing in quarantine.");
  else if (!open)
    line(
        "None of these waits for a decision: what is unauthorised is refused for good, and on its "
        "tablet's list.");
  else
    line("Decide: fieldpost-hub quarantine retry|accept|reject ACTOR:COUNTER --note WHY");
}

void print_held(const json& answer) {
  for (const json& entry : answer["held"]) {
    line(text(entry["actor"]) + ":" + text(entry["counter"]) + "  record " + text(entry["record"]) +
         "  for " + duration(entry["age_ms"]) + ": " + text(entry["reason"]));
  }
  if (answer["held"].empty()) line("Nothing is held.");
}

void print_recovery(const json& answer) {
  std::map<std::string, std::size_t> by_device;
  std::uint64_t bytes = 0;
  std::size_t copies = 0;
  for (const json& entry : answer["recovery"]) {
    line(text(entry["record"]) + "  " + text(entry["type"]) + "  " + text(entry["unit"]) +
         (entry["here"].is_null()        ? "  THE HUB DOES NOT HAVE IT"
          : entry["missing"].get<bool>() ? "  THE HUB LACKS A PART OF IT"
                                         : "  (here again meanwhile: nothing is missing)"));
    for (const json& copy : entry["copies"]) {
      const std::string device =
          said(copy["device_name"])
              ? text(copy["device_name"])
              : "device " + text(copy["device"]).substr(0, 8) + " (not enrolled here)";
      ++by_device[device];
      ++copies;
      bytes += copy["bytes"].get<std::uint64_t>();
      line("  copy of " + device + ", here since " + text(copy["received_at"]) + ", " +
           text(copy["bytes"]) + " bytes:");
      print_fields(copy["state"]["document"], "    ");
    }
    for (const json& change : entry["waiting"])
      line("  held for what is missing: change " + text(change["actor"]) + ":" +
           text(change["counter"]) + ", since " + text(change["since"]) + ": " +
           text(change["reason"]));
    for (const json& decided : entry["decided"])
      line("  decided before: " + text(decided["kind"]) + ", by " + text(decided["author"]) +
           " at " + text(decided["at"]) + ": " + text(decided["note"]));
  }
  if (answer["recovery"].empty()) return line("Nothing waits to be recovered.");
  std::string from;
  for (const auto& [device, count] : by_device)
    from += (from.empty() ? "" : ", ") + device + " (" + std::to_string(count) + ")";
  line(std::to_string(copies) + " copies of " + std::to_string(answer["recovery"].size()) +
       " records, " + std::to_string((bytes + 1023) / 1024) + " KiB, from " + from + ".");
  line(
      "First let every tablet sync that may come: its own changes come signed. Then: "
      "fieldpost-hub recovery join ID --note WHY");
}

void print_status(const json& answer) {
  line("Hub " + text(answer["name"]) + ", as of " + text(answer["as_of"]) +
       (answer["running"].get<bool>() ? "" : " (not running)"));
  if (!answer["connected_devices"].is_null()) {
    line("  " + text(answer["connected_devices"]) + " of " + text(answer["devices"]) +
         " devices connected");
  }
  for (const json& warning : answer["warnings"]) line("  ! " + text(warning));
  for (const auto& [name, counts] : answer["stores"].items()) {
    line("  " + name + ": " + text(counts["records"]) + " records from " + text(counts["changes"]) +
         " changes; " + text(counts["conflicts"]) + " in conflict, " + text(counts["held"]) +
         " held, " + text(counts["quarantined"]) + " in quarantine; " +
         (counts["refused"] == 0 ? std::string() : text(counts["refused"]) + " refused; ") +
         (counts["staged"] == 0 ? std::string() : text(counts["staged"]) + " TO BE RECOVERED; ") +
         std::to_string(counts["store_bytes"].get<std::uint64_t>() / 1024) + " KiB");
  }
  line("  " + backup_line(answer["backup"]));
}

void print_damaged(const json& answer) {
  for (const json& one : answer["damaged"])
    line(std::string(one["mended"].get<bool>() ? "  " : "! ") + text(one["compartment"]) + ": " +
         text(one["words"]));
  if (answer["damaged"].empty()) line("Nothing was found damaged.");
}

void print_repair(const json& answer) {
  for (const auto& [name, store] : answer["stores"].items()) {
    line(name + ": " + text(store["values"]) + " values read, " + text(store["records_mended"]) +
         " damaged records rebuilt, " + text(store["records_lost"]) + " records and " +
         text(store["log_damaged"]) + " changes cannot be mended here");
  }
  if (!answer["sound"].get<bool>()) line("`fieldpost-hub damaged` names them.");
}

void print_verify(const json& answer) {
  for (const auto& [name, store] : answer["stores"].items()) {
    if (store.contains("fault")) {
      line(name + ": FAULT: " + text(store["fault"]));
    } else {
      const std::string gaps =
          store.value("gaps", 0) == 0
              ? ""
              : "; " + text(store["missing"]) +
                    " more changes are missing, as their tablets have signed: " +
                    text(store["gaps"]) + " gaps";
      const std::string erased = store.value("erased", 0) == 0
                                     ? ""
                                     : "; " + text(store["erased"]) + " records are erased, " +
                                           text(store["erased_changes"]) +
                                           " changes of theirs proved by their hashes";
      line(name + ": good. " + text(store["changes"]) + " changes in " + text(store["chains"]) +
           " chains, " + text(store["signatures"]) + " signatures, " + text(store["records"]) +
           " records replayed and equal" + gaps + erased);
    }
  }
}

}  // namespace fieldpost::hub

// One tablet and one hub: push, pull, resync, edits, visits; everything counted by the proxy between them.
#include <algorithm>

#include "tests/bench/hub_process.h"
#include "tests/bench/keys.h"
#include "tests/bench/tablet.h"

namespace fieldpost::bench {

namespace {

constexpr std::size_t kVisits = 1000;
constexpr std::size_t kEdits = 100;
constexpr const char* kUnit = "01-PPT";

double per(std::uint64_t bytes, std::size_t records) {
  return static_cast<double>(bytes) / static_cast<double>(records);
}

struct PushFigures {
  double records_per_s = 0;
  double wire_bytes = 0;
  double agent_bytes = 0;
  double hub_bytes = 0;
};

PushFigures push(Tablet& tablet, HubProcess& hub, std::size_t records) {
  PushFigures out;
  hub.proxy().reset_counters();
  std::uint64_t bytes = 0;
  const auto moments = tablet.sync([&] { bytes = hub.proxy().bytes(); });
  out.records_per_s =
      static_cast<double>(records) / seconds_between(moments.start, *moments.acknowledged);
  out.wire_bytes = per(bytes, records);
  out.agent_bytes = per(tablet.disk_bytes(), records);
  out.hub_bytes = per(hub.store_bytes("enforcement"), records);
  return out;
}

void resync(Tablet& tablet, HubProcess& hub, Report& report) {
  // Long enough that what the tablet answers when it is in sync has not passed yet.
  hub.set_delay(std::chrono::milliseconds(20));
  hub.proxy().reset_counters();
  std::uint64_t bytes = 0;
  std::uint64_t turns = 0;
  tablet.sync({}, [&] {
    bytes = hub.proxy().bytes();
    turns = hub.proxy().round_trips();
  });
  hub.set_delay(std::chrono::milliseconds(0));
  report.set("resync_bytes", static_cast<double>(bytes));
  report.set("resync_round_trips", static_cast<double>(turns + 1), "TCP's connect counted as one");
}

/// Each record gets one text of 20 characters in a field that was empty or said something else.
void edit(Tablet& tablet, HubProcess& hub, const std::vector<nlohmann::json>& records,
          Report& report) {
  Workload draw({.seed = 4242});
  std::size_t edited = 0;
  for (const auto& document : records) {
    if (document["type"] != "stop") continue;
    agent::Desk::EditOrder order;
    std::string text = draw.stop()["persons"][0].value("name_latin", "") + " " +
                       draw.stop()["ref_no"].get<std::string>();
    text += std::to_string(edited * 7919 % 100'000) + "--------------------";
    order.set["witness"] = text.substr(0, 20);
    order.reason = edited % 3 == 0   ? "name heard wrongly at the post"
                   : edited % 3 == 1 ? "added after the shift"
                                     : "checked against the papers";
    const auto done = need(tablet.desk().edit(
        need(record_id_from_text(document["id"].get<std::string>())), order, {"NP-2231", "en"}));
    if (!done.faults.empty())
      throw std::runtime_error("an edit was refused: " + done.faults.dump());
    if (++edited == kEdits) break;
  }
  hub.proxy().reset_counters();
  std::uint64_t bytes = 0;
  tablet.sync([&] { bytes = hub.proxy().bytes(); });
  report.set("edit100_bytes", static_cast<double>(bytes));
}

}  // namespace

void measure_push_and_pull(const Plan& plan, Report& report) {
  const auto records = documents(7, plan.records, kUnit);
  std::vector<double> push_rates;
  std::vector<double> pull_rates;
  PushFigures last;
  double pull_bytes = 0;
  for (std::size_t i = 0; i < plan.repeats; ++i) {
    HubProcess hub;
    const auto first = hub.admit("T07", kUnit);
    const auto second = hub.admit("T08", kUnit);
    Tablet tablet(first);
    tablet.import(records);
    hub.start();
    last = push(tablet, hub, plan.records);
    push_rates.push_back(last.records_per_s);
    Tablet fresh(second);
    hub.proxy().reset_counters();
    std::uint64_t bytes = 0;
    const auto moments = fresh.sync({}, [&] { bytes = hub.proxy().bytes(); });
    pull_rates.push_back(static_cast<double>(plan.records) /
                         seconds_between(moments.start, *moments.in_sync));
    pull_bytes = per(bytes, plan.records);
    if (i + 1 < plan.repeats) continue;
    resync(tablet, hub, report);
    edit(tablet, hub, records, report);
  }
  const std::string note = "best of " + std::to_string(plan.repeats) + ", median ";
  report.set("push_records_per_s", percentile(push_rates, 1),
             note + std::to_string(static_cast<int>(median(push_rates))));
  report.set("push_wire_bytes_per_record", last.wire_bytes);
  report.set("store_bytes_per_record_agent", last.agent_bytes);
  report.set("store_bytes_per_record_hub", last.hub_bytes);
  report.set("pull_records_per_s", percentile(pull_rates, 1),
             note + std::to_string(static_cast<int>(median(pull_rates))));
  report.set("pull_wire_bytes_per_record", pull_bytes);
}

void measure_rtt(const Plan& plan, Report& report) {
  HubProcess hub;
  const auto identity = hub.admit("T07", kUnit);
  Tablet tablet(identity);
  tablet.import(documents(8, plan.records, kUnit));
  hub.start();
  hub.set_delay(std::chrono::milliseconds(50));
  const auto moments = tablet.sync();
  report.set("push_rtt100_s", seconds_between(moments.start, *moments.acknowledged));
}

void measure_visits(const Plan&, Report& report) {
  HubProcess hub;
  const std::string unit = "02-MRU1";
  const auto identity = hub.admit("M01", unit, "health");
  Tablet tablet(identity);
  Workload workload({.seed = 11, .unit = unit, .device = "M01"});
  std::vector<nlohmann::json> visits;
  for (std::size_t i = 0; i < kVisits; ++i) visits.push_back(workload.visit());
  tablet.import(visits);
  hub.start();
  std::uint64_t bytes = 0;
  tablet.sync([&] { bytes = hub.proxy().bytes(); });
  report.set("visit_push_bytes_per_record", per(bytes, kVisits));
}

}  // namespace fieldpost::bench

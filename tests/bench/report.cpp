#include "tests/bench/report.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

namespace fieldpost::bench {

namespace {

bool met(const Bar& bar, double value) {
  return bar.better == Better::lower ? value <= *bar.bar : value >= *bar.bar;
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 1000 ? "%.0f" : value >= 100 ? "%.1f" : "%.2f", value);
  return text;
}

}  // namespace

const std::vector<Bar>& bars() {
  static const std::vector<Bar> all = {
      {"local_write_p99_vs_lmdb", Better::lower, 2, "×",
       "one record durable through the agent, p99 against raw LMDB puts"},
      {"local_write_rate_vs_lmdb", Better::higher, 0.5, "×", "the same, rate"},
      {"push_records_per_s", Better::higher, 15'000, "/s",
       "10,000 records to an empty hub, to the last durable ack"},
      {"push_wire_bytes_per_record", Better::lower, 260, "B", "TCP payload both ways"},
      {"push_rtt100_s", Better::lower, 2.5, "s", "the same push with 100 ms round trips"},
      {"visit_push_bytes_per_record", Better::lower, 1200, "B", "1,000 sealed visits"},
      {"resync_bytes", Better::lower, 6000, "B",
       "nothing changed: TCP connect to in sync, TLS included"},
      {"resync_round_trips", Better::lower, 4, "", "TCP's own connect included"},
      {"edit100_bytes", Better::lower, 16'000, "B",
       "100 records amended, connection and TLS included"},
      {"pull_records_per_s", Better::higher, 19'000, "/s",
       "10,000 records to a fresh tablet, durable there"},
      {"pull_wire_bytes_per_record", Better::lower, 260, "B", "TCP payload both ways"},
      {"fleet_records_per_s", Better::higher, 8000, "/s",
       "1,000 agents × 20 records at once, TLS handshakes included"},
      {"fleet_p99_s", Better::lower, 3, "s", "common start to each agent's last durable ack"},
      {"reconnect_storm_2000_s", Better::lower, 30, "s",
       "2,000 agents in sync again after the hub was restarted, from the order on"},
      {"reconnect_storm_api_p95_ms", Better::lower, std::nullopt, "ms",
       "GET /v1/status on a new connection, meanwhile"},
      {"link_resent_percent", Better::lower, 5, "%",
       "2,000 records at 512 kbit/s, cut every 5 s: pushed bytes that were pushed again"},
      {"link_goodput_percent", Better::higher, 60, "%",
       "the same: what the push costs on a good link, of what this one could have carried"},
      {"deliver_p50_ms", Better::lower, 100, "ms", "one record to 1,000 connected tablets"},
      {"deliver_p99_ms", Better::lower, 300, "ms", "the same"},
      {"hub_apply_vs_lmdb", Better::higher, 0.5, "×",
       "durable merge against a replay of its keys and values"},
      {"backup_mb_per_s", Better::higher, std::nullopt, "MB/s",
       "a first backup of a running hub of 100,000 records, read back; of what the store holds"},
      {"restore_mb_per_s", Better::higher, std::nullopt, "MB/s", "the same, restored and checked"},
      {"backup_ingest_slowdown", Better::lower, 30, "%",
       "10,000 records pushed while backups are made, against the same without"},
      {"agent_rss_anon_mib", Better::lower, 16, "MiB",
       "100,000 records, restarted, 60 s idle, connected"},
      {"agent_rss_file_mib", Better::lower, std::nullopt, "MiB", "file pages of the same process"},
      {"agent_idle_cpu_ms_per_min", Better::lower, 50, "ms", "the same process"},
      {"hub_idle_conn_kib", Better::lower, 100, "KiB", "each of 1,000 idle TLS connections"},
      {"hub_idle_cpu_percent_1000", Better::lower, 2, "%", "of one core"},
      {"store_bytes_per_record_agent", Better::lower, 1500, "B", "on disk after the push"},
      {"store_bytes_per_record_hub", Better::lower, 1800, "B", "on disk after the push"},
  };
  return all;
}

void Report::set(const std::string& key, double value, std::string note) {
  figures_[key] = {value, std::move(note)};
}

void Report::print() const {
  std::printf("\n%-32s %12s %-4s %12s  %s\n", "key", "measured", "", "bar", "");
  for (const Bar& bar : bars()) {
    const auto found = figures_.find(bar.key);
    if (found == figures_.end()) continue;
    const double value = found->second.value;
    const std::string limit =
        bar.bar ? (bar.better == Better::lower ? "≤ " : "≥ ") + number(*bar.bar) : "";
    std::printf("%-32s %12s %-4s %12s  %-8s %s\n", bar.key, number(value).c_str(), bar.unit,
                limit.c_str(),
                !bar.bar          ? ""
                : met(bar, value) ? "met"
                                  : "NOT MET",
                found->second.note.c_str());
  }
  if (!raw_.empty()) std::printf("\nmeasured beside, in the same run\n");
  for (const auto& [key, value] : raw_)
    std::printf("%-40s %14s\n", key.c_str(), number(value).c_str());
}

void Report::write_json(const std::string& path, const std::string& command) const {
  using nlohmann::json;
  json out{{"command", command},
           {"cores", std::thread::hardware_concurrency()},
           {"cpu", cpu_name()},
           {"figures", json::object()},
           {"beside", raw_}};
  double load[3] = {0, 0, 0};
  if (::getloadavg(load, 3) == 3) out["load_average"] = {load[0], load[1], load[2]};
  for (const Bar& bar : bars()) {
    const auto found = figures_.find(bar.key);
    if (found == figures_.end()) continue;
    json one{{"value", found->second.value}, {"unit", bar.unit}, {"meaning", bar.meaning}};
    if (bar.bar) {
      one["bar"] = *bar.bar;
      one["better"] = bar.better == Better::lower ? "lower" : "higher";
      one["met"] = met(bar, found->second.value);
    }
    if (!found->second.note.empty()) one["note"] = found->second.note;
    out["figures"][bar.key] = std::move(one);
  }
  std::ofstream file(path);
  file << out.dump(2) << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace fieldpost::bench

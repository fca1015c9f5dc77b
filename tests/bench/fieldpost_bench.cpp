// fieldpost-bench: the figures of docs/results.md, measured on this machine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <sys/resource.h>

#include "crypto/crypto.h"
#include "tests/bench/keys.h"
#include "tests/bench/need.h"

namespace fieldpost::bench {

std::vector<nlohmann::json> documents(std::uint64_t seed, std::size_t count,
                                      const std::string& unit) {
  Workload workload({.seed = seed, .unit = unit});
  std::vector<nlohmann::json> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(workload.mixed());
  return out;
}

double percentile(std::vector<double> values, double p) {
  if (values.empty()) throw std::runtime_error("nothing was measured");
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(std::lround(p * static_cast<double>(values.size() - 1)));
  return values[at];
}
double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

namespace {

struct Group {
  std::vector<std::string> keys;
  void (*measure)(const Plan&, Report&);
};

const std::vector<Group>& groups() {
  static const std::vector<Group> all = {
      {{"local_write_p99_vs_lmdb", "local_write_rate_vs_lmdb"}, measure_local_write},
      {{"push_records_per_s", "push_wire_bytes_per_record", "resync_bytes", "resync_round_trips",
        "edit100_bytes", "pull_records_per_s", "pull_wire_bytes_per_record",
        "store_bytes_per_record_agent", "store_bytes_per_record_hub"},
       measure_push_and_pull},
      {{"push_rtt100_s"}, measure_rtt},
      {{"visit_push_bytes_per_record"}, measure_visits},
      {{"fleet_records_per_s", "fleet_p99_s"}, measure_fleet},
      {{"reconnect_storm_2000_s", "reconnect_storm_api_p95_ms"}, measure_storm},
      {{"link_resent_percent", "link_goodput_percent"}, measure_link},
      {{"deliver_p50_ms", "deliver_p99_ms", "hub_idle_conn_kib", "hub_idle_cpu_percent_1000"},
       measure_deliver},
      {{"hub_apply_vs_lmdb"}, measure_hub_apply},
      {{"backup_mb_per_s", "restore_mb_per_s", "backup_ingest_slowdown"}, measure_backup},
      {{"agent_rss_anon_mib", "agent_rss_file_mib", "agent_idle_cpu_ms_per_min"},
       measure_idle_agent},
  };
  return all;
}

/// Refuses a workload that flatters.
void check_workload(const Plan& plan, Report& report) {
  const auto size = measure(to_ndjson(documents(7, plan.records, "01-PPT")), plan.records);
  report.raw("workload_json_bytes_per_record", size.json_mean());
  report.raw("workload_gzip9_bytes_per_record", size.gzip_mean());
  std::printf("workload: %zu records, %.0f bytes of JSON and %.1f bytes of gzip -9 each\n",
              size.records, size.json_mean(), size.gzip_mean());
  if (size.json_mean() < 850 || size.json_mean() > 1000 || size.gzip_mean() < 165) {
    throw std::runtime_error(
        "this workload does not count: 850 to 1,000 bytes of JSON and at least 165 of gzip -9 a "
        "record are asked for");
  }
}

int run(const Plan& plan, const std::vector<std::string>& only, const std::string& json_file,
        const std::string& command) {
  need(crypto::init());
  // A thousand connections and their peers' files.
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Report report;
  check_workload(plan, report);
  int failures = 0;
  for (const Group& group : groups()) {
    const bool wanted =
        only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& key) {
          return std::find(group.keys.begin(), group.keys.end(), key) != group.keys.end();
        });
    if (!wanted) continue;
    std::printf("measuring %s …\n", group.keys.front().c_str());
    std::fflush(stdout);
    try {
      group.measure(plan, report);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "fieldpost-bench: %s was not measured: %s\n", group.keys.front().c_str(),
                   error.what());
      ++failures;
    }
  }
  report.print();
  if (!json_file.empty()) report.write_json(json_file, command);
  return failures == 0 ? 0 : 1;
}

}  // namespace

}  // namespace fieldpost::bench

int main(int argc, char** argv) {
  using namespace fieldpost::bench;
  CLI::App app{
      "Measures Fieldpost against its bars, on real processes with TLS and real fsync, beside raw "
      "LMDB."};
  std::string json_file;
  std::vector<std::string> only;
  bool quick = false;
  Plan plan;
  std::vector<std::string> known;
  for (const Bar& bar : bars()) known.emplace_back(bar.key);
  app.add_option("--json", json_file, "Write the figures to this file too");
  app.add_option("--only", only, "Measure only these keys (and what is measured with them)")
      ->check(CLI::IsMember(known));
  app.add_flag(
      "--quick", quick,
      "A tenth of the records, one repeat, 5 s of idling: to see that it runs, not for figures");
  app.add_option("--repeats", plan.repeats, "How often the noisy ones are measured")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (quick) plan = {1000, 2000, 100, 1, 5};
  std::string command = "scripts/bench";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  try {
    return run(plan, only, json_file, command);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fieldpost-bench: %s\n", error.what());
    return 1;
  }
}

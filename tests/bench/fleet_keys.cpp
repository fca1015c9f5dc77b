// A thousand tablets at one hub: all push at once, one delivers to all, and all are silent.
#include "tests/bench/fleet.h"
#include "tests/bench/hub_process.h"
#include "tests/bench/keys.h"

namespace fieldpost::bench {

namespace {

constexpr std::size_t kRecordsEach = 20;
constexpr std::size_t kTabletsOfUnit = 2;  ///< a checkpoint has two tablets
constexpr std::size_t kDeliveries = 20;

std::string unit_code(std::size_t n) {
  std::string code = "01-U";
  for (int i = 0; i < 4; ++i, n /= 26) code += static_cast<char>('A' + n % 26);
  return code;
}

}  // namespace

void measure_fleet(const Plan& plan, Report& report) {
  std::vector<double> rates;
  std::vector<double> tails;
  for (std::size_t i = 0; i < plan.repeats; ++i) {
    HubProcess hub;
    const auto identities =
        hub.admit_fleet(plan.fleet, [](std::size_t n) { return unit_code(n / kTabletsOfUnit); });
    hub.start();
    Fleet fleet(identities, hub.port());
    fleet.prepare(kRecordsEach);
    const auto times = fleet.connect_and_push();
    rates.push_back(static_cast<double>(plan.fleet * kRecordsEach) / percentile(times, 1));
    tails.push_back(percentile(times, 0.99));
  }
  report.set("fleet_records_per_s", percentile(rates, 1),
             "median " + std::to_string(static_cast<int>(median(rates))));
  report.set("fleet_p99_s", percentile(tails, 0));
}

void measure_deliver(const Plan& plan, Report& report) {
  HubProcess hub;
  const auto identities =
      hub.admit_fleet(plan.fleet, [](std::size_t) { return std::string("01-PPT"); });
  hub.start();
  const auto before = hub.process().figures();
  Fleet fleet(identities, hub.port());
  fleet.connect_and_push();
  std::vector<double> times;
  for (std::size_t i = 0; i < kDeliveries; ++i) {
    const auto one = fleet.deliver_one();
    times.insert(times.end(), one.begin(), one.end());
  }
  report.set("deliver_p50_ms", percentile(times, 0.5));
  report.set("deliver_p99_ms", percentile(times, 0.99));
  fleet.idle(std::chrono::seconds(5));  // writes of last contacts end
  const auto idle = hub.process().figures();
  fleet.idle(std::chrono::seconds(plan.idle_s));
  const auto after = hub.process().figures();
  if (fleet.live() != plan.fleet) throw std::runtime_error("connections were lost while idle");
  report.set("hub_idle_conn_kib",
             (after.rss_anon_kib - before.rss_anon_kib) / static_cast<double>(plan.fleet),
             "growth of the hub's anonymous memory");
  report.set("hub_idle_cpu_percent_1000", (after.cpu_ms - idle.cpu_ms) / (10.0 * plan.idle_s));
}

}  // namespace fieldpost::bench

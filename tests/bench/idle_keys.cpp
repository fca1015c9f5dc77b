// The agent's process as it is on a tablet all day: many records, a live connection, nothing to do.
#include <fstream>
#include <thread>

#include "tests/bench/child.h"
#include "tests/bench/hub_process.h"
#include "tests/bench/keys.h"
#include "tests/bench/tablet.h"

namespace fieldpost::bench {

namespace {

constexpr std::size_t kDocumentsAtOnce = 10'000;
constexpr auto kSettle = std::chrono::seconds(60);

}  // namespace

void measure_idle_agent(const Plan& plan, Report& report) {
  HubProcess hub;
  const auto identity = hub.admit("T07", "01-PPT");
  Tablet tablet(identity);
  Workload workload({.seed = 12});
  for (std::size_t made = 0; made < plan.store_records; made += kDocumentsAtOnce) {
    std::vector<nlohmann::json> some;
    for (std::size_t i = 0; i < std::min(kDocumentsAtOnce, plan.store_records - made); ++i)
      some.push_back(workload.mixed());
    tablet.import(some);
  }
  hub.start();
  tablet.sync();
  tablet.close();
  const auto log = tablet.data().path / "agent.log";
  Child agent("agent/fieldpost-agent",
              {"--data", tablet.data().path.string(), "run", "--port", "0"}, log.string());
  std::this_thread::sleep_for(plan.idle_s >= 60 ? kSettle : std::chrono::seconds(plan.idle_s));
  if (!agent.running() || hub.proxy().connections_open() == 0) {
    std::ifstream in(log);
    throw std::runtime_error("the idle agent is not connected: " +
                             std::string(std::istreambuf_iterator<char>(in), {}));
  }
  const auto before = agent.figures();
  std::this_thread::sleep_for(std::chrono::seconds(plan.idle_s));
  const auto after = agent.figures();
  report.set("agent_rss_anon_mib", after.rss_anon_kib / 1024);
  report.set("agent_rss_file_mib", after.rss_file_kib / 1024);
  report.set("agent_idle_cpu_ms_per_min", (after.cpu_ms - before.cpu_ms) * 60.0 / plan.idle_s);
}

}  // namespace fieldpost::bench

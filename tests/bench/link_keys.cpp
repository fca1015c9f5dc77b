// A poor link, and a whole fleet that comes back at once.
//
// A poor link: 512 kbit/s each way with 8 kB of buffer before it, cut every 5 s. What a push costs is measured on a
// good link first, in frames of pushes: `goodput` is that, over what the poor link could have carried from the
// first dial to the last acknowledgement, reconnecting and waiting included. `resent` is the part of all pushed
// bytes that was unacknowledged when its connection ended, whether or not it turned out to have arrived.
#include <atomic>
#include <thread>

#include "net/client.h"
#include "tests/bench/fleet.h"
#include "tests/bench/hub_process.h"
#include "tests/bench/keys.h"
#include "tests/bench/tablet.h"

namespace fieldpost::bench {

namespace {

constexpr std::size_t kLinkRecords = 2'000;
constexpr std::uint64_t kLinkBytesPerS = 512'000 / 8;
constexpr std::chrono::seconds kCutEvery{5};
constexpr std::size_t kAgentsOfUnit = 2;

/// Asks the hub's API over and over, each time on a connection of its own, while the fleet comes back.
class Prober {
 public:
  explicit Prober(const HubProcess& hub) {
    request_.host = "127.0.0.1";
    request_.port = hub.port();
    request_.target = "/v1/status";
    request_.headers = {{"Authorization", "Bearer " + hub.keys().admin_token}};
    request_.trust = need(net::trust_ca(hub.keys().ca_pem));
    thread_ = std::thread([this] { run(); });
  }
  ~Prober() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  const std::vector<double>& answered_ms() const { return answered_ms_; }
  std::size_t failed() const { return failed_; }

 private:
  void run() {
    while (!stop_) {
      const auto start = Clock::now();
      const auto answer = net::http_request(request_);
      if (answer && answer->response.status == 200)
        answered_ms_.push_back(1000 * seconds_since(start));
      else
        ++failed_;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  net::ClientRequest request_;
  std::atomic<bool> stop_{false};
  std::vector<double> answered_ms_;
  std::size_t failed_ = 0;
  std::thread thread_;
};

}  // namespace

void measure_storm(const Plan& plan, Report& report) {
  const std::size_t agents = plan.fleet * 2;
  HubProcess hub;
  const auto identities = hub.admit_fleet(
      agents, [](std::size_t n) { return "02-S" + std::to_string(1'000 + n / kAgentsOfUnit); });
  hub.start();
  Fleet fleet(identities, hub.port());
  fleet.prepare(1);
  fleet.connect_and_push();
  fleet.come_back_by_themselves();
  const auto start = Clock::now();
  std::unique_ptr<Prober> prober;
  fleet.until_all_in_sync([&] {
    hub.restart();
    prober = std::make_unique<Prober>(hub);
  });
  const double took_s = seconds_since(start);
  prober->stop();
  report.set("reconnect_storm_2000_s", took_s,
             std::to_string(agents) + " agents, " + std::to_string(fleet.attempts()) + " dials");
  report.set("reconnect_storm_api_p95_ms", percentile(prober->answered_ms(), 0.95),
             std::to_string(prober->answered_ms().size()) + " answers, " +
                 std::to_string(prober->failed()) + " without one, median " +
                 std::to_string(static_cast<int>(median(prober->answered_ms()))));
}

void measure_link(const Plan& plan, Report& report) {
  const std::size_t records = std::min(kLinkRecords, plan.records);
  const auto workload = documents(9, records, "01-PPT");
  std::uint64_t needed = 0;
  {
    HubProcess hub;
    const auto identity = hub.admit("T07", "01-PPT");
    Tablet tablet(identity);
    tablet.import(workload);
    hub.start();
    needed = tablet.sync().pushed_bytes;
  }
  HubProcess hub;
  const auto identity = hub.admit("T07", "01-PPT");
  Tablet tablet(identity);
  tablet.import(workload);
  hub.start();
  hub.set_line(kLinkBytesPerS, kCutEvery);
  hub.proxy().reset_counters();
  const auto moments = tablet.sync();
  hub.set_line(0, {});
  const double took_s = seconds_between(moments.start, *moments.acknowledged);
  report.set(
      "link_resent_percent",
      100.0 * static_cast<double>(moments.lost_bytes) / static_cast<double>(moments.pushed_bytes),
      std::to_string(hub.proxy().connections()) + " connections");
  report.set(
      "link_goodput_percent",
      100.0 * static_cast<double>(needed) / (static_cast<double>(kLinkBytesPerS) * took_s),
      std::to_string(needed / records) + " bytes a record; " + std::to_string(took_s) + " s");
}

}  // namespace fieldpost::bench

// The measurements, one function for each group of keys that is measured together.
//
// Thread rule: one thread, one after the other.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/report.h"
#include "tests/bench/workload.h"

namespace fieldpost::bench {

struct Plan {
  std::size_t records = 10'000;         ///< of a push
  std::size_t store_records = 100'000;  ///< of the idle agent
  std::size_t fleet = 1000;
  std::size_t repeats = 3;
  int idle_s = 60;
};

std::vector<nlohmann::json> documents(std::uint64_t seed, std::size_t count,
                                      const std::string& unit);

void measure_local_write(const Plan& plan, Report& report);
void measure_push_and_pull(const Plan& plan, Report& report);
void measure_rtt(const Plan& plan, Report& report);
void measure_visits(const Plan& plan, Report& report);
void measure_fleet(const Plan& plan, Report& report);
void measure_storm(const Plan& plan, Report& report);
void measure_link(const Plan& plan, Report& report);
void measure_deliver(const Plan& plan, Report& report);
void measure_hub_apply(const Plan& plan, Report& report);
void measure_backup(const Plan& plan, Report& report);
void measure_idle_agent(const Plan& plan, Report& report);

/// Sorts; p from 0 to 1.
double percentile(std::vector<double> values, double p);
double median(std::vector<double> values);

}  // namespace fieldpost::bench

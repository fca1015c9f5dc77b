// fieldpost-workload: record documents from a seed, one JSON a line.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/bench/workload.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Writes realistic record documents, one JSON object a line, drawn from a seed.\n\n"
      "Example: fieldpost-workload --seed 7 --records 300 --type mix --unit 01-PPT > day.ndjson"};
  fieldpost::bench::WorkloadOptions options;
  std::size_t records = 100;
  std::string type = "mix";
  app.add_option("--seed", options.seed, "The same seed gives the same records")
      ->capture_default_str();
  app.add_option("--records", records, "How many")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  app.add_option("--type", type, "mix is 70 % stops and 30 % seizures")
      ->check(CLI::IsMember({"mix", "stop", "seizure", "visit"}))
      ->capture_default_str();
  app.add_option("--unit", options.unit, "The unit that the records belong to")
      ->capture_default_str();
  app.add_option("--device", options.device, "The tablet's name, part of reference numbers")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  fieldpost::bench::Workload workload(options);
  for (std::size_t i = 0; i < records; ++i) {
    const auto document = type == "stop"      ? workload.stop()
                          : type == "seizure" ? workload.seizure()
                          : type == "visit"   ? workload.visit()
                                              : workload.mixed();
    if (std::puts(document.dump().c_str()) < 0) return 1;
  }
  return 0;
}

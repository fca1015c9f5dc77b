// Record documents as checkpoints and rehab units make them, drawn from a seed: the input of the benchmark,
// of the dictionary's training and of the demo.
//
// Thread rule: one thread per Workload.
// Invariants:
//   1. The same seed, words and settings give the same documents, byte for byte.
//   2. Every document passes its form's check as a final record. What only the device knows at the time of
//      recording (captured_at) is left out, as a form does; `id` and `ref_no` are given.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/bench/words.h"

namespace fieldpost::bench {

struct WorkloadOptions {
  std::uint64_t seed = 1;
  std::string unit = "01-PPT";
  std::string device = "T07";
  const Words* words = &measuring_words();
};

class Workload {
 public:
  explicit Workload(WorkloadOptions options);

  nlohmann::json stop();
  /// With 1–4 items.
  nlohmann::json seizure();
  nlohmann::json visit();
  /// 70 % stops, 30 % seizures.
  nlohmann::json mixed();

 private:
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  std::string pick(std::span<const char* const> from) { return from[below(from.size())]; }
  std::string pick(std::initializer_list<const char*> from) {
    return *(from.begin() + below(from.size()));
  }
  std::string digits(std::size_t count);
  std::string letters(std::string_view alphabet, std::size_t count);
  std::string item_id();
  std::string officer();
  std::string exhibit();
  void advance();
  nlohmann::json envelope(const char* type);
  nlohmann::json position();
  nlohmann::json vehicle();
  nlohmann::json person(bool suspect);
  void add_search(nlohmann::json& stop);
  nlohmann::json drug_item();
  nlohmann::json chemical_item();
  nlohmann::json property_item();
  std::string remark();

  WorkloadOptions options_;
  std::mt19937_64 engine_;
  std::int64_t now_ms_;
  std::uint64_t number_ = 0;
};

/// What the issue demands of a workload, measured.
struct WorkloadSize {
  std::size_t records = 0;
  std::size_t json_bytes = 0;
  std::size_t gzip_bytes = 0;  ///< gzip -9 of the NDJSON
  double json_mean() const {
    return records == 0 ? 0 : static_cast<double>(json_bytes) / static_cast<double>(records);
  }
  double gzip_mean() const {
    return records == 0 ? 0 : static_cast<double>(gzip_bytes) / static_cast<double>(records);
  }
};
std::string to_ndjson(const std::vector<nlohmann::json>& documents);
/// Runs gzip. Throws when there is none.
WorkloadSize measure(const std::string& ndjson, std::size_t records);

}  // namespace fieldpost::bench

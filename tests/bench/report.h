// The figures of one run, each with its bar, and how they are printed and written.
//
// Thread rule: one thread.
// Invariants:
//   1. A figure without a measurement is never shown as met.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fieldpost::bench {

enum class Better : bool { lower, higher };

/// One row of the table.
struct Bar {
  const char* key;
  Better better;
  std::optional<double> bar;  ///< none: shown beside others only
  const char* unit;
  const char* meaning;
};

const std::vector<Bar>& bars();

class Report {
 public:
  void set(const std::string& key, double value, std::string note = {});
  /// A limit of the machine, measured beside.
  void raw(const std::string& key, double value) { raw_[key] = value; }
  void print() const;
  /// Throws when the file cannot be written.
  void write_json(const std::string& path, const std::string& command) const;

 private:
  struct Figure {
    double value = 0;
    std::string note;
  };
  std::map<std::string, Figure> figures_;
  std::map<std::string, double> raw_;
};

}  // namespace fieldpost::bench

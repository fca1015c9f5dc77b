// A program of this build, run beside the benchmark, and what /proc says of it.
//
// Thread rule: one thread.
// Invariants:
//   1. The child never outlives this object.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fieldpost::bench {

struct ProcessFigures {
  double rss_anon_kib = 0;
  double rss_file_kib = 0;
  double cpu_ms = 0;  ///< user and system, since its start
};

class Child {
 public:
  /// `program` is relative to the build directory: "hub/fieldpost-hub". Its output goes to `log`.
  Child(const std::string& program, std::vector<std::string> arguments, const std::string& log);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int pid() const { return pid_; }
  bool running();
  /// SIGTERM, then waits.
  void stop();
  ProcessFigures figures() const;

 private:
  int pid_ = -1;
};

}  // namespace fieldpost::bench

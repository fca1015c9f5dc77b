// fieldpost-sim: runs seeds on all cores and says what was found.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/options.h"
#include "tests/sim/planted.h"

using namespace fieldpost;
using namespace fieldpost::sim;

namespace {

/// What a device does on a day, at least, in the mean of a run that is to prove something.
constexpr double kChangesMin = 20;
constexpr double kSessionsMin = 4;

constexpr std::string_view kUsage =
    "usage: fieldpost-sim [--start N | --fresh] [--seeds N] [--tablets N] [--days N] [--jobs N]\n"
    "                     [--steps N] [--without FAULT,FAULT…] [--twice] [--require-all]\n"
    "                     [--regressions FILE] [--trace] [--shrink]\n"
    "                     [--planted] [--bug NAME]\n";

struct Arguments {
  Options options;
  std::uint64_t seeds = 20;
  std::size_t jobs = 2;
  bool require_all = false;
  bool twice = false;
  std::string regressions;
  bool trace = false;
  bool shrink = false;
  bool planted = false;
  std::string bug;
};

[[noreturn]] void wrong(const std::string& what) {
  std::cerr << "fieldpost-sim: " << what << "\n" << kUsage;
  std::exit(2);
}

std::uint64_t number(std::string_view option, const char* text) {
  std::uint64_t value = 0;
  const std::string_view digits = text == nullptr ? "" : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
    wrong(std::string(option) + " needs a number");
  return value;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&] { return number(option, argv[++i]); };
    if (option == "--start") {
      arguments.options.seed = value();
    } else if (option == "--seeds") {
      arguments.seeds = value();
    } else if (option == "--tablets") {
      arguments.options.tablets = value();
    } else if (option == "--days") {
      arguments.options.days = value();
    } else if (option == "--jobs") {
      arguments.jobs = value();
    } else if (option == "--steps") {
      arguments.options.steps_max = value();
    } else if (option == "--require-all") {
      arguments.require_all = true;
    } else if (option == "--twice") {
      arguments.twice = true;
    } else if (option == "--fresh") {
      arguments.options.seed = std::random_device{}();
    } else if (option == "--regressions" && i + 1 < argc) {
      arguments.regressions = argv[++i];
    } else if (option == "--trace") {
      arguments.trace = true;
    } else if (option == "--shrink") {
      arguments.shrink = true;
    } else if (option == "--planted") {
      arguments.planted = true;
    } else if (option == "--bug" && i + 1 < argc) {
      arguments.planted = true;
      arguments.bug = argv[++i];
    } else if (option == "--without" && i + 1 < argc) {
      std::stringstream list(argv[++i]);
      for (std::string one; std::getline(list, one, ',');) {
        const auto fault = fault_named(one);
        if (!fault) wrong(fault.error().detail);
        arguments.options.without.set(static_cast<std::size_t>(*fault));
      }
    } else {
      wrong("no option " + std::string(option));
    }
  }
  if (arguments.options.tablets < 2 || arguments.options.tablets > 50)
    wrong("--tablets is 2 to 50");
  if (arguments.jobs < 1 || arguments.seeds < 1) wrong("--jobs and --seeds are at least 1");
  return arguments;
}

void tell(const Outcome& outcome, bool trace) {
  if (outcome.violation) {
    std::cout << "VIOLATION  seed " << outcome.options.seed << ": " << *outcome.violation
              << "\n  again: scripts/sim " << outcome.options.words() << " --trace\n";
  }
  if (!trace) return;
  for (const std::string& line : outcome.last_lines) std::cout << "    " << line << "\n";
  std::cout << "  trace " << std::hex << outcome.trace << std::dec << " after " << outcome.steps
            << " steps\n";
}

/// One worker: every `jobs`-th seed; a line of the pipe for each.
void work(const Arguments& arguments, std::size_t mine, int to) {
  for (std::uint64_t i = mine; i < arguments.seeds; i += arguments.jobs) {
    Options options = arguments.options;
    options.seed += i;
    Outcome outcome = simulate(options);
    if (arguments.twice && !outcome.violation && simulate(options).trace != outcome.trace)
      outcome.violation = "the same seed did something else the second time";
    std::ostringstream line;
    line << options.seed << '\t' << outcome.trace << '\t' << outcome.steps << '\t'
         << outcome.violation.value_or("");
    for (const auto& [name, count] : outcome.counters) line << '\t' << name << '=' << count;
    std::string text = line.str();
    for (char& c : text) c = c == '\n' ? ' ' : c;
    text += '\n';
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t sent = ::write(to, text.data() + at, text.size() - at);
      if (sent <= 0) ::_exit(3);
      at += static_cast<std::size_t>(sent);
    }
  }
  ::_exit(0);
}

struct Totals {
  Counters counters;
  std::uint64_t done = 0;
  std::vector<std::pair<std::uint64_t, std::string>> violations;
};

void take(const std::string& line, Totals& totals) {
  std::stringstream in(line);
  std::string seed;
  std::string trace;
  std::string steps;
  std::string violation;
  std::getline(in, seed, '\t');
  std::getline(in, trace, '\t');
  std::getline(in, steps, '\t');
  std::getline(in, violation, '\t');
  ++totals.done;
  totals.counters["steps"] += std::strtoull(steps.c_str(), nullptr, 10);
  if (!violation.empty()) {
    // At once: who waits for the rest may as well begin with this one.
    std::cerr << "VIOLATION  seed " << seed << ": " << violation << "\n";
    totals.violations.emplace_back(std::strtoull(seed.c_str(), nullptr, 10), violation);
  }
  for (std::string one; std::getline(in, one, '\t');) {
    const auto equals = one.find('=');
    totals.counters[one.substr(0, equals)] += std::strtoull(one.c_str() + equals + 1, nullptr, 10);
  }
}

Totals run_all(const Arguments& arguments) {
  int ends[2];
  if (::pipe(ends) != 0) wrong("no pipe");
  std::vector<pid_t> workers;
  for (std::size_t i = 0; i < arguments.jobs; ++i) {
    const pid_t pid = ::fork();
    if (pid < 0) wrong("no process");
    if (pid == 0) {
      ::close(ends[0]);
      work(arguments, i, ends[1]);
    }
    workers.push_back(pid);
  }
  ::close(ends[1]);
  Totals totals;
  std::FILE* in = ::fdopen(ends[0], "r");
  char* line = nullptr;
  std::size_t room = 0;
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  while (::getline(&line, &room, in) > 0) {
    std::string text(line);
    if (text.back() == '\n') text.pop_back();
    take(text, totals);
    if (terminal || totals.done % 10 == 0 || totals.done == arguments.seeds)
      std::cerr << (terminal ? "\r" : "") << totals.done << " of " << arguments.seeds << " seeds, "
                << totals.violations.size() << " violations" << (terminal ? "" : "\n")
                << std::flush;
  }
  if (terminal) std::cerr << "\n";
  std::free(line);
  std::fclose(in);
  for (const pid_t pid : workers) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) totals.violations.emplace_back(0, "a worker ended by itself");
  }
  return totals;
}

/// Prints what the whole run was. Whether it was enough to prove anything.
bool told_enough(const Totals& totals, const Options& options) {
  const auto counted = [&](std::string_view name) {
    const auto found = totals.counters.find(name);
    return found == totals.counters.end() ? 0.0 : static_cast<double>(found->second);
  };
  const double days = std::max(1.0, counted("device_days"));
  const double changes = counted("writes") / days;
  const double sessions = counted("sessions") / days;
  std::printf(
      "%llu seeds from %llu: %.0f device-days, %.0f changes (%.1f a device-day), %.0f sessions "
      "(%.1f), %zu violations\n",
      static_cast<unsigned long long>(totals.done), static_cast<unsigned long long>(options.seed),
      counted("device_days"), counted("writes"), changes, counted("sessions"), sessions,
      totals.violations.size());
  return changes >= kChangesMin && sessions >= kSessionsMin;
}

/// Each line that is neither empty nor a comment: the arguments of one run that once broke a rule.
int run_regressions(const std::string& path) {
  std::ifstream in(path);
  if (!in) wrong("cannot read " + path);
  int broken = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string> words = {"fieldpost-sim"};
    std::stringstream split(line);
    for (std::string word; split >> word;) words.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    const Outcome outcome = simulate(parse(static_cast<int>(argv.size()), argv.data()).options);
    std::cout << (outcome.violation ? "VIOLATION  " + *outcome.violation : std::string("good"))
              << "  " << line << "\n";
    broken += outcome.violation ? 1 : 0;
  }
  return broken == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (arguments.planted)
    return run_planted(arguments.options, arguments.seeds, arguments.jobs, arguments.bug);
  if (!arguments.regressions.empty()) return run_regressions(arguments.regressions);
  if (arguments.trace || arguments.shrink) {
    Outcome outcome = simulate(arguments.options);
    if (arguments.shrink && outcome.violation) {
      outcome = shrink(outcome, [](const Outcome& tried) {
        std::cerr << (tried.violation ? "still: " : "not:   ") << tried.options.words() << "\n";
      });
    }
    tell(outcome, true);
    for (const auto& [name, count] : outcome.counters)
      std::cout << "  " << name << " " << count << "\n";
    return outcome.violation ? 1 : 0;
  }
  const Totals totals = run_all(arguments);
  for (const auto& [name, count] : totals.counters)
    std::cout << "  " << name << " " << count << "\n";
  for (const auto& [seed, what] : totals.violations) {
    Options options = arguments.options;
    options.seed = seed;
    std::cout << "VIOLATION  seed " << seed << ": " << what << "\n  again: scripts/sim "
              << options.words() << " --trace\n  smaller: scripts/sim " << options.words()
              << " --shrink\n";
  }
  bool idle = !told_enough(totals, arguments.options);
  for (const std::string_view fault : kFaultNames) {
    const auto found = totals.counters.find("fault." + std::string(fault));
    if (found != totals.counters.end()) continue;
    if (arguments.options.without[static_cast<std::size_t>(*fault_named(fault))]) continue;
    std::cout << "never happened: " << fault << "\n";
    idle = true;
  }
  if (!totals.violations.empty()) return 1;
  return idle && arguments.require_all ? 1 : 0;
}

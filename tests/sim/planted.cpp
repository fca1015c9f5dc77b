#include "tests/sim/planted.h"

#include <cstdio>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

#include "base/planted.h"

namespace fieldpost::sim {

namespace {

struct Caught {
  std::uint64_t seeds = 0;  ///< tried, the catching one included; 0: not caught
  std::string by;
};

/// In a process of its own: a mistake may end it. What is written: "t" for each seed begun, then "c" and what was
/// said.
void try_seeds([[maybe_unused]] Bug bug, Options options, std::uint64_t seeds, int to) {
#ifdef FIELDPOST_PLANTED
  planted_bug = bug;
#endif
  const auto say = [to](const std::string& text) {
    if (::write(to, text.data(), text.size()) < 0) ::_exit(3);
  };
  for (std::uint64_t i = 0; i < seeds; ++i, ++options.seed) {
    say("t");
    const Outcome outcome = simulate(options);
    if (!outcome.violation) continue;
    say("c" + *outcome.violation);
    break;
  }
  ::_exit(0);
}

struct Trial {
  std::size_t bug = 0;
  pid_t process = 0;
  int from = -1;
};

Trial begin(std::size_t bug, const Options& options, std::uint64_t seeds) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  Trial trial{bug, ::fork(), ends[0]};
  if (trial.process < 0) throw std::runtime_error("no process");
  if (trial.process == 0) {
    ::close(ends[0]);
    if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(3);
    try_seeds(static_cast<Bug>(bug), options, seeds, ends[1]);
  }
  ::close(ends[1]);
  return trial;
}

Caught finish(const Trial& trial) {
  std::string all;
  char part[512];
  for (ssize_t got = 0; (got = ::read(trial.from, part, sizeof part)) > 0;)
    all.append(part, static_cast<std::size_t>(got));
  ::close(trial.from);
  int status = 0;
  ::waitpid(trial.process, &status, 0);
  const std::size_t said = all.find('c');
  Caught caught{std::min(said, all.size()), ""};
  if (said != std::string::npos)
    caught.by = all.substr(said + 1);
  else if (WIFSIGNALED(status))
    caught.by = "the process ended itself: a rule of the code's own was broken";
  else
    caught.seeds = 0;
  for (char& c : caught.by) c = c == '\n' ? ' ' : c;
  return caught;
}

}  // namespace

int run_planted(const Options& options, std::uint64_t seeds, std::size_t jobs,
                const std::string& only) {
#ifndef FIELDPOST_PLANTED
  std::cerr << "fieldpost-sim: this build has no planted mistakes; scripts/sim --planted makes one "
               "that has\n";
  return 2;
#endif
  std::vector<std::size_t> bugs;
  for (std::size_t i = 0; i < kBugWords.size(); ++i) {
    if (only.empty() || kBugWords[i].name == only) bugs.push_back(i);
  }
  if (bugs.empty()) {
    std::cerr << "fieldpost-sim: no planted mistake is called " << only << "\n";
    return 2;
  }
  std::size_t missed = 0;
  std::vector<Trial> running;
  std::size_t next = 0;
  for (std::size_t done = 0; done < bugs.size(); ++done) {
    while (running.size() < jobs && next < bugs.size())
      running.push_back(begin(bugs[next++], options, seeds));
    const Trial trial = running.front();
    running.erase(running.begin());
    const Caught caught = finish(trial);
    const BugWords& words = kBugWords[trial.bug];
    if (caught.seeds == 0) ++missed;
    const std::string how = caught.seeds == 0
                                ? "NOT CAUGHT in " + std::to_string(seeds) + " seeds"
                                : std::to_string(caught.seeds) + " seeds: " + caught.by;
    std::cout << words.name << std::string(28 - std::min<std::size_t>(27, words.name.size()), ' ')
              << how << "\n"
              << std::flush;
  }
  std::cout << bugs.size() - missed << " of " << bugs.size() << " planted mistakes caught\n";
  return missed == 0 ? 0 : 1;
}

}  // namespace fieldpost::sim

// Kills at every call that changes a file: in its place, and once it is done.
#include <csignal>

#include "tests/crash/trial.h"

namespace fieldpost::crash {

std::uint64_t calls_of(const Workload& workload, const Run& run, const fs::path& folder,
                       Shared& shared) {
  copy_folder(run.before, folder);
  const std::string watched = folder.string();
  const Ended ended = in_child(shared, [&] {
    const faulty_plan plan{watched.c_str(), FAULTY_COUNT, 0, 0, -1, &shared.calls, &shared.struck};
    faulty_arm(&plan);
    const Status done = play(workload, run, folder, shared);
    if (!done) shared.say(done.error().message());
    return done ? 0 : 1;
  });
  if (ended.signal != 0 || ended.code != 0)
    throw std::runtime_error("the undisturbed run ended with " + words_of(ended, shared));
  return shared.calls;
}

void try_kills(const Workload& workload, const fs::path& scratch, const Options& options,
               Account& account) {
  const std::string name = workload.subject->name();
  const fs::path folder = scratch / "killed";
  Shared& shared = *Shared::make();
  Checker checker(workload, shared);
  std::vector<std::uint64_t> calls;
  std::uint64_t total = 0;
  for (const Run& run : workload.runs) {
    calls.push_back(calls_of(workload, run, folder, shared));
    total += calls.back();
  }
  account.count("kills.calls", total);
  std::uint64_t done = 0;
  for (std::size_t r = 0; r < workload.runs.size(); ++r) {
    const Run& run = workload.runs[r];
    for (std::uint64_t at = 1; at <= calls[r]; ++at, ++done) {
      for (const faulty_mode mode : {FAULTY_KILL_BEFORE, FAULTY_KILL_AFTER}) {
        const std::string trial = name +
                                  (mode == FAULTY_KILL_BEFORE ? "/kill-before/" : "/kill-after/") +
                                  std::to_string(r) + "/" + std::to_string(at);
        // What is on the disk after a call is there before the next; only what was said differs.
        const bool thinned = options.quick && options.only.empty() && mode == FAULTY_KILL_AFTER;
        if (!options.wants(trial) || (thinned && at % 5 != 0)) continue;
        account.progress(name + ", kills at calls", done, total);
        copy_folder(run.before, folder);
        const std::string watched = folder.string();
        const Ended ended = in_child(shared, [&] {
          const faulty_plan plan{watched.c_str(), mode, at, 0, -1, &shared.calls, &shared.struck};
          faulty_arm(&plan);
          const Status status = play(workload, run, folder, shared);
          if (!status) shared.say(status.error().message());
          return 1;
        });
        if (ended.signal != SIGKILL || shared.struck == 0) {
          account.violation(trial, "it was not killed there: " + words_of(ended, shared));
          continue;
        }
        const std::uint64_t acknowledged = std::max<std::uint64_t>(shared.acknowledged, run.first);
        account.count(mode == FAULTY_KILL_BEFORE ? "kills.before" : "kills.after");
        if (const auto wrong = checker.fault(run, folder, acknowledged))
          account.violation(trial, *wrong);
      }
    }
  }
}

}  // namespace fieldpost::crash

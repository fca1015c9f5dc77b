// Lost power: images of what the disk may hold, worked out from the log of an undisturbed run.
#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include "tests/crash/disk_log.h"
#include "tests/crash/trial.h"

namespace fieldpost::crash {
namespace {

constexpr std::size_t kTearsMax = 16;    ///< of one write, from its beginning up to a sector
constexpr std::size_t kTearsRandom = 4;  ///< of one write, any of its sectors
constexpr std::size_t kSubsets = 2000;
constexpr std::size_t kSubsetsQuick = 120;
constexpr std::size_t kPlanted = 40;

DiskLog record_disk(const Workload& workload, const Run& run, const fs::path& scratch,
                    Shared& shared) {
  const fs::path folder = scratch / "logged";
  const fs::path file = scratch / "disk.log";
  copy_folder(run.before, folder);
  const std::string watched = folder.string();
  const int log = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (log < 0) throw std::runtime_error(file.string() + " cannot be written");
  const Ended ended = in_child(shared, [&] {
    const faulty_plan plan{watched.c_str(), FAULTY_COUNT, 0, 0, log, &shared.calls, &shared.struck};
    faulty_arm(&plan);
    const Status done = play(workload, run, folder, shared);
    if (!done) shared.say(done.error().message());
    return done ? 0 : 1;
  });
  ::close(log);
  if (ended.signal != 0 || ended.code != 0)
    throw std::runtime_error("the undisturbed run ended with " + words_of(ended, shared));
  auto read = DiskLog::read(file, run.before);
  if (!read) throw std::runtime_error(read.error().message());
  return *std::move(read);
}

/// The sectors of a write, as pieces of it.
DiskLog::Part sectors_of(const LogCall& call) {
  DiskLog::Part sectors;
  std::size_t at = 0;
  while (at < call.bytes.size()) {
    const std::size_t left = kSectorBytes - (call.offset + at) % kSectorBytes;
    const std::size_t end = std::min(call.bytes.size(), at + left);
    sectors.push_back({at, end});
    at = end;
  }
  return sectors;
}

DiskLog::Part some_of(const DiskLog::Part& pieces, Chance& chance) {
  DiskLog::Part some;
  for (const DiskLog::Piece& piece : pieces)
    if (chance.below(2) == 0) some.push_back(piece);
  return some;
}

class Power {
 public:
  Power(const Workload& workload, const fs::path& scratch, const Options& options, Account& account)
      : workload_(workload),
        scratch_(scratch),
        options_(options),
        account_(account),
        shared_(*Shared::make()),
        checker_(workload, shared_),
        name_(workload.subject->name()) {}

  void run() {
    const std::size_t runs = workload_.runs.size();
    const std::size_t subsets = options_.quick ? kSubsetsQuick : kSubsets;
    for (std::size_t r = 0; r < runs; ++r) {
      account_.progress(name_ + ", lost power, runs", r, runs);
      const DiskLog log = record_disk(workload_, workload_.runs[r], scratch_, shared_);
      prefixes(r, log);
      dropped(r, log);
      torn(r, log);
      for (std::size_t i = r; i < subsets; i += runs) subset(r, i, log);
    }
    if (options_.only.empty() || options_.only.find("power-planted") != std::string::npos)
      planted();
  }

 private:
  static std::optional<DiskLog::Part> all(std::size_t) { return std::nullopt; }

  bool wants(const std::string& trial) const { return options_.wants(trial); }

  /// Makes the image and looks at it.
  std::optional<std::string> fault(std::size_t r, const DiskLog& log, std::size_t end,
                                   const DiskLog::Choice& choose, bool* refusal = nullptr) {
    const fs::path folder = scratch_ / "image";
    log.make_image(end, choose, folder);
    const Run& run = workload_.runs[r];
    return checker_.fault(run, folder, log.acknowledged(end, run.first), refusal);
  }
  void trial(const std::string& kind, const std::string& trial, std::size_t r, const DiskLog& log,
             std::size_t end, const DiskLog::Choice& choose) {
    account_.count("power." + kind);
    if (const auto wrong = fault(r, log, end, choose)) account_.violation(trial, *wrong);
  }
  std::string named(const char* kind, std::size_t r, std::size_t at) const {
    return name_ + "/power-" + kind + "/" + std::to_string(r) + "/" + std::to_string(at);
  }

  void prefixes(std::size_t r, const DiskLog& log) {
    for (std::size_t end = 0; end <= log.calls().size(); ++end) {
      const std::string trial_name = named("prefix", r, end);
      if (wants(trial_name)) trial("prefixes", trial_name, r, log, end, all);
    }
  }

  /// Each write, and each name, missing alone just before something makes it durable.
  void dropped(std::size_t r, const DiskLog& log) {
    const std::size_t calls = log.calls().size();
    std::vector<std::size_t> last_open(calls, 0);
    for (std::size_t end = 1; end <= calls; ++end)
      for (const std::size_t i : log.pending(end)) last_open[i] = end;
    for (std::size_t i = 0; i < calls; ++i) {
      const std::string trial_name = named("dropped", r, i);
      if (last_open[i] == 0 || !wants(trial_name)) continue;
      trial("dropped", trial_name, r, log, last_open[i], [i](std::size_t call) {
        return call == i ? std::optional<DiskLog::Part>(DiskLog::Part{}) : std::nullopt;
      });
    }
  }

  /// The power goes in the middle of a write.
  void torn(std::size_t r, const DiskLog& log) {
    for (std::size_t i = 0; i < log.calls().size(); ++i) {
      const LogCall& call = log.calls()[i];
      if (!call.writes()) continue;
      if (call.call == FAULTY_WRITE_SYNC) {
        torn_meta(r, i, log);
        lost_meta(r, i, log);
      }
      const DiskLog::Part sectors = sectors_of(call);
      if (sectors.size() < 2) continue;
      Chance chance(r * 1'000'003 + i);
      const auto tear = [&](std::size_t n, const DiskLog::Part& part) {
        const std::string trial_name = named("torn", r, i) + "/" + std::to_string(n);
        if (!wants(trial_name)) return;
        trial("torn", trial_name, r, log, i + 1, [&](std::size_t at) {
          return at == i ? std::optional<DiskLog::Part>(part) : std::nullopt;
        });
      };
      const std::size_t tears = std::min(options_.quick ? 2 : kTearsMax, sectors.size() - 1);
      for (std::size_t n = 0; n < tears; ++n) {
        const bool every = tears == sectors.size() - 1;
        const std::size_t kept = every ? n + 1 : 1 + chance.below(sectors.size() - 1);
        tear(n, {{0, sectors[kept - 1].to}});
      }
      for (std::size_t n = 0; n < (options_.quick ? 1 : kTearsRandom); ++n)
        tear(kTearsMax + n, some_of(sectors, chance));
    }
  }

  /// Below what a disk does: a meta page's write, which lies within one sector, torn inside it. When only its
  /// beginning is there it must open as before or after: the number of the commit stands at its end. When other
  /// parts are there LMDB cannot tell, which is counted and is no fault of the store: see docs/testing.md. When
  /// the whole sector is lost the store must be refused as damaged.
  void torn_meta(std::size_t r, std::size_t i, const DiskLog& log) {
    constexpr std::size_t kWordBytes = 8;
    const LogCall& call = log.calls()[i];
    const std::size_t words = call.bytes.size() / kWordBytes;
    Chance chance(r * 7'000'003 + i);
    const auto tear = [&](std::size_t n, const char* kind, const DiskLog::Part& part) {
      const std::string trial_name = named("meta", r, i) + "/" + std::to_string(n);
      if (!wants(trial_name)) return;
      bool refused = false;
      const auto wrong = fault(
          r, log, i + 1,
          [&](std::size_t at) {
            return at == i ? std::optional<DiskLog::Part>(part) : std::nullopt;
          },
          &refused);
      account_.count(std::string("power.meta_") + kind +
                     (wrong     ? "_misread"
                      : refused ? "_refused"
                                : "_sound"));
      if (wrong && kind == std::string_view("begun")) account_.violation(trial_name, *wrong);
    };
    for (std::size_t n = 1; n < words; n += options_.quick ? 5 : 1)
      tear(n, "begun", {{0, n * kWordBytes}});
    if (options_.quick && options_.only.empty()) return;
    for (std::size_t n = 1; n < words; ++n)
      tear(words + n, "ended", {{n * kWordBytes, call.bytes.size()}});
    DiskLog::Part pieces;
    for (std::size_t n = 0; n < words; ++n)
      pieces.push_back({n * kWordBytes, (n + 1) * kWordBytes});
    for (std::size_t n = 0; n < kTearsRandom; ++n)
      tear(2 * words + n, "mixed", some_of(pieces, chance));
  }

  void lost_meta(std::size_t r, std::size_t i, const DiskLog& log) {
    const std::string trial_name = named("meta-lost", r, i);
    // Before the first commit is acknowledged nothing is lost with it: it is made anew.
    const std::uint64_t acknowledged = log.acknowledged(i + 1, workload_.runs[r].first);
    if (!wants(trial_name) || acknowledged <= kFirstStart) return;
    const fs::path folder = scratch_ / "image";
    log.make_image(i + 1, all, folder);
    {
      std::fstream file(folder / log.calls()[i].path,
                        std::ios::binary | std::ios::in | std::ios::out);
      const auto sector = log.calls()[i].offset / kSectorBytes * kSectorBytes;
      file.seekp(static_cast<std::streamoff>(sector));
      file.write(std::string(kSectorBytes, '\0').data(), kSectorBytes);
    }
    bool refused = false;
    const auto wrong = checker_.fault(workload_.runs[r], folder, acknowledged, &refused);
    account_.count("power.meta_lost_refused", refused ? 1 : 0);
    if (wrong || !refused)
      account_.violation(trial_name, wrong ? *wrong : "a store without a meta page was opened");
  }

  /// Of everything that is not durable at some moment, any part.
  void subset(std::size_t r, std::size_t number, const DiskLog& log) {
    const std::string trial_name = name_ + "/power-subset/" + std::to_string(number);
    if (wants(trial_name)) {
      account_.count("power.subsets");
      if (const auto wrong = subset_fault(r, number, log)) account_.violation(trial_name, *wrong);
    }
  }
  std::optional<std::string> subset_fault(std::size_t r, std::size_t number, const DiskLog& log) {
    Chance chance(number * 31 + 5);
    std::size_t end = 0;
    for (int tries = 0; tries < 8; ++tries) {
      end = 1 + chance.below(log.calls().size());
      const auto pending = log.pending(end);
      const auto data = std::count_if(pending.begin(), pending.end(),
                                      [&](std::size_t i) { return log.calls()[i].writes(); });
      if (data > 2) break;
    }
    const auto choose = [&](std::size_t i) -> std::optional<DiskLog::Part> {
      const LogCall& call = log.calls()[i];
      const std::size_t fate = chance.below(call.names() ? 16 : 4);
      if (!call.writes())
        return fate == 0 ? std::optional<DiskLog::Part>(DiskLog::Part{}) : std::nullopt;
      if (fate == 0) return DiskLog::Part{};
      if (fate == 1) return some_of(sectors_of(call), chance);
      return std::nullopt;
    };
    return fault(r, log, end, choose);
  }

  /// A disk that keeps no sync must be found out, or the checks are blind.
  void planted() {
    const std::size_t r = workload_.runs.size() - 1;
    DiskLog log = record_disk(workload_, workload_.runs[r], scratch_, shared_);
    log.ignore_syncs();
    std::size_t found = 0;
    for (std::size_t i = 0; i < kPlanted; ++i) found += subset_fault(r, i, log) ? 1 : 0;
    account_.count("power.planted_found", found);
    if (found < kPlanted / 2)
      account_.violation(name_ + "/power-planted", "of " + std::to_string(kPlanted) +
                                                       " images without any sync only " +
                                                       std::to_string(found) + " were found out");
  }

  const Workload& workload_;
  const fs::path& scratch_;
  const Options& options_;
  Account& account_;
  Shared& shared_;
  Checker checker_;
  std::string name_;
};

}  // namespace

void try_power(const Workload& workload, const fs::path& scratch, const Options& options,
               Account& account) {
  Power(workload, scratch, options, account).run();
}

}  // namespace fieldpost::crash

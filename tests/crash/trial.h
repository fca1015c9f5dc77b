// What all classes of trials share: child processes that may die, folders, and the account of what was found.
//
// Thread rule: one thread.
// Invariants:
//   1. A trial is named by a text that repeats it: SUBJECT/CLASS/RUN/NUMBER….
//   2. Whatever a trial does to its process (kill, crash, hang) is found, and ends only that trial.
#pragma once

#include <atomic>
#include <functional>
#include <map>

#include "tests/crash/faulty_disk.h"
#include "tests/crash/subject.h"

namespace fieldpost::crash {

/// Memory that a child shares with its parent: what it said before it died.
struct Shared {
  std::uint64_t acknowledged;  ///< operations, from the first one of the workload
  std::uint64_t calls;
  std::uint64_t struck;
  char words[4096];  ///< what is wrong
  bool refused;      ///< the engine called a store damaged, and did not open it
  std::size_t stores;
  std::array<Picture, 4> pictures;  ///< of the stores as they were found
  std::array<Picture, 4> after;     ///< and after one more operation

  void say(const std::string& text);
  static Shared* make();
};

struct Ended {
  int signal = 0;
  int code = 0;
};

/// Runs `body` in a child; its answer is the exit code. One that takes longer than `seconds` of wall time hangs:
/// it is ended by SIGALRM.
Ended in_child(Shared& shared, const std::function<int()>& body, unsigned seconds = 120);

/// Puts temporary folders into memory where the machine has a file system for that and nobody named another place:
/// no trial needs a disk that lasts, and thousands of folders are made and removed.
void prefer_memory();

/// A copy of the files below `from`, with their modes; `to` is replaced.
void copy_folder(const fs::path& from, const fs::path& to);

/// An operation as the recording run did it.
struct Operation {
  std::vector<Acknowledged> made;
  std::vector<Picture> after;  ///< of each store; empty while there is none yet
};
struct Run {
  std::size_t first = 0;  ///< operations [first, last); the first one is the start
  std::size_t last = 0;
  fs::path before;  ///< the folder as the run found it
};
struct Workload {
  const Subject* subject = nullptr;
  std::vector<Operation> operations;
  std::vector<Run> runs;
  std::uint64_t changes = 0;
};

/// Operations of the workload: 0 makes the folder, 1 is the first start.
inline constexpr std::size_t kFirstStart = 1;
/// A number that no operation of a workload has, for what a check does.
inline constexpr std::size_t kBeyond = 1'000'000;

/// Does the whole work once, undisturbed, and keeps what each run found in folders below `scratch`.
Result<Workload> record(const Subject& subject, const fs::path& scratch, std::uint64_t changes,
                        std::size_t run_operations);

/// Does the operations of a run in this process; says each acknowledgement to `shared`. Errors: of the first
/// operation that failed.
Status play(const Workload& workload, const Run& run, const fs::path& folder, Shared& shared);

/// Looks whether a folder is as it must be when the process ended, or the power went.
///
/// What the tables hold decides what every reading of them answers. So the whole proof is made once for each content,
/// and for another folder with the same content it is enough that the production engine reads the same, and that the
/// same operation on it makes of it the same once more: that tells what no table shows, LMDB's list of free pages.
class Checker {
 public:
  Checker(const Workload& workload, Shared& shared) : workload_(workload), shared_(shared) {}
  /// In a child, over `folder`, which is changed: the program is started in it and goes on. `acknowledged`
  /// operations were, by then. `refusal`: when given, a start that is refused as damaged is no fault, and is noted
  /// there.
  std::optional<std::string> fault(const Run& run, const fs::path& folder,
                                   std::uint64_t acknowledged, bool* refusal = nullptr);

 private:
  struct Content {
    std::uint64_t acknowledged = 0;
    std::vector<Picture> pictures;
    auto operator<=>(const Content&) const = default;
  };
  std::optional<std::string> look(const Run& run, const fs::path& folder,
                                  std::uint64_t acknowledged);
  std::optional<std::string> look_before_start(const Run& run, const fs::path& folder,
                                               std::uint64_t acknowledged);

  const Workload& workload_;
  Shared& shared_;
  std::map<Content, std::vector<Picture>> proven_;  ///< and what one more operation makes of it
};

/// How many calls a run makes when nothing happens.
std::uint64_t calls_of(const Workload& workload, const Run& run, const fs::path& folder,
                       Shared& shared);

/// How a child ended, in words.
std::string words_of(const Ended& ended, const Shared& shared);

/// The account: counts by name, and what was found.
class Account {
 public:
  struct Violation {
    std::string trial;
    std::string words;
  };
  /// `workload`: the options that give this workload again, with a space behind each.
  explicit Account(std::string workload) : workload_(std::move(workload)) {}
  void count(const std::string& what, std::uint64_t times = 1) { counts_[what] += times; }
  void violation(const std::string& trial, const std::string& words);
  /// Says where the work stands, now and then. `of`: of how many.
  void progress(const std::string& what, std::uint64_t at, std::uint64_t of);
  std::string json() const;
  const std::map<std::string, std::uint64_t>& counts() const { return counts_; }
  const std::vector<Violation>& violations() const { return violations_; }

 private:
  std::string again(const std::string& trial) const {
    return "scripts/crash " + workload_ + "--only " + trial;
  }

  std::string workload_;
  std::map<std::string, std::uint64_t> counts_;
  std::vector<Violation> violations_;
  std::string told_;
  std::uint64_t told_tenth_ = 0;
};

struct Options {
  bool quick = false;
  std::string only;  ///< a trial's name, or how it begins
  bool wants(const std::string& trial) const {
    return only.empty() || trial == only || trial.starts_with(only + "/");
  }
  /// Whether anything below this can be wanted.
  bool near(const std::string& part) const {
    return wants(part) || only.starts_with(part + "/") || only == part;
  }
};

/// Each class of trials, over one recorded workload.
void try_kills(const Workload& workload, const fs::path& scratch, const Options& options,
               Account& account);
void try_power(const Workload& workload, const fs::path& scratch, const Options& options,
               Account& account);
void try_errors(const Workload& workload, const fs::path& scratch, const Options& options,
                Account& account);
/// `subject` is the workload's; it is given less room meanwhile.
void try_full_maps(const Workload& workload, Subject& subject, const fs::path& scratch,
                   const Options& options, Account& account);

}  // namespace fieldpost::crash

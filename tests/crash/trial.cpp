#include "tests/crash/trial.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fieldpost::crash {

void Shared::say(const std::string& text) {
  const std::size_t size = std::min(text.size(), sizeof words - 1);
  std::memcpy(words, text.data(), size);
  words[size] = '\0';
}

Shared* Shared::make() {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no memory to share with a child");
  return static_cast<Shared*>(memory);
}

Ended in_child(Shared& shared, const std::function<int()>& body, unsigned seconds) {
  shared = {};
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no child process could be made");
  if (child == 0) {
    ::alarm(seconds);
    int code = 99;
    try {
      code = body();
    } catch (const std::exception& error) {
      shared.say(std::string("an exception reached the root: ") + error.what());
    }
    ::_exit(code);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::runtime_error("a child was lost");
  }
  if (WIFSIGNALED(status)) return {WTERMSIG(status), 0};
  return {0, WEXITSTATUS(status)};
}

void prefer_memory() {
  constexpr const char* kMemory = "/dev/shm";
  constexpr std::uint64_t kFreeBytesMin = std::uint64_t{1} << 30;
  struct statvfs volume {};
  const bool fits = ::access(kMemory, W_OK) == 0 && ::statvfs(kMemory, &volume) == 0 &&
                    std::uint64_t{volume.f_bavail} * volume.f_frsize >= kFreeBytesMin;
  if (fits) ::setenv("TMPDIR", kMemory, 0);
}

void copy_folder(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

// ---- the workload ----

namespace {

Status act_on(const Subject& subject, const Run& run, const fs::path& folder, std::size_t number,
              std::unique_ptr<Session>& session, std::vector<Acknowledged>& made) {
  made.clear();
  if (number == 0) return subject.make(folder);
  if (number == std::max(run.first, kFirstStart)) {
    FP_TRY(session, subject.open(folder, number));
    return {};
  }
  FP_TRY(made, session->act(number));
  return {};
}

}  // namespace

Result<Workload> record(const Subject& subject, const fs::path& scratch, std::uint64_t changes,
                        std::size_t run_operations) {
  Workload workload;
  workload.subject = &subject;
  const fs::path folder = scratch / "recorded";
  while (workload.changes < changes) {
    Run run;
    run.first = workload.operations.size();
    run.last = run.first + run_operations;
    run.before = scratch / ("before-" + std::to_string(workload.runs.size()));
    if (run.first == 0)
      fs::create_directory(run.before);
    else
      copy_folder(folder, run.before);
    std::unique_ptr<Session> session;
    for (std::size_t number = run.first; number < run.last; ++number) {
      Operation operation;
      FP_CHECK_OK(act_on(subject, run, folder, number, session, operation.made));
      if (session) {
        FP_TRY(operation.after, session->pictures());
      }
      workload.changes += operation.made.size();
      workload.operations.push_back(std::move(operation));
    }
    if (auto wrong = session->fault()) return fail(Errc::corrupt, "undisturbed: " + *wrong);
    workload.runs.push_back(std::move(run));
  }
  return workload;
}

Status play(const Workload& workload, const Run& run, const fs::path& folder, Shared& shared) {
  std::unique_ptr<Session> session;
  std::vector<Acknowledged> made;
  for (std::size_t number = run.first; number < run.last; ++number) {
    FP_CHECK_OK(act_on(*workload.subject, run, folder, number, session, made));
    shared.acknowledged = number + 1;
    faulty_note(number + 1);
  }
  return {};
}

// ---- the checks ----

namespace {

using Wrong = std::optional<std::string>;

Wrong pictures_fault(const Workload& workload, const Run& run, std::uint64_t acknowledged,
                     const std::vector<Picture>& found) {
  const std::vector<Picture>& before = workload.operations[acknowledged - 1].after;
  const bool last = acknowledged == run.last;
  const std::vector<Picture>& after = workload.operations[acknowledged - (last ? 1 : 0)].after;
  for (std::size_t store = 0; store < found.size(); ++store) {
    if (found[store] == before[store] || found[store] == after[store]) continue;
    return "store " + std::to_string(store) +
           " is neither what it was when the last operation was acknowledged nor what the one in "
           "flight would make of it";
  }
  return std::nullopt;
}

Wrong standings_fault(const Workload& workload, const Run& run, const Session& session,
                      std::uint64_t acknowledged) {
  std::uint64_t expected = 0;
  for (std::size_t number = 0; number < acknowledged; ++number) {
    for (const Acknowledged& change : workload.operations[number].made) {
      const auto standing = session.standing(change);
      if (!standing) return standing.error().message();
      if (*standing == Session::Standing::missing || *standing == Session::Standing::different)
        return "change " + model::to_text(change.dot) + " of operation " + std::to_string(number) +
               " was acknowledged and is " +
               (*standing == Session::Standing::missing ? "not there" : "another one now");
      ++expected;
    }
  }
  std::uint64_t in_flight = 0;
  const bool more = acknowledged < run.last;
  if (more) {
    for (const Acknowledged& change : workload.operations[acknowledged].made) {
      const auto standing = session.standing(change);
      if (!standing) return standing.error().message();
      in_flight += *standing == Session::Standing::there ? 1 : 0;
    }
    if (in_flight != 0 && in_flight != workload.operations[acknowledged].made.size())
      return "the operation in flight is there in part";
  }
  const auto changes = session.changes();
  if (!changes) return changes.error().message();
  if (*changes != expected + in_flight)
    return "the chains hold " + std::to_string(*changes) + " changes, expected are " +
           std::to_string(expected) + " and " + std::to_string(in_flight) + " in flight";
  return std::nullopt;
}

}  // namespace

std::string words_of(const Ended& ended, const Shared& shared) {
  const std::string said = shared.words[0] != '\0' ? shared.words : "";
  if (ended.signal == 0 && ended.code == 1 && !said.empty()) return said;
  const std::string how = ended.signal == SIGALRM ? "it hangs"
                          : ended.signal != 0     ? "signal " + std::to_string(ended.signal)
                                                  : "exit code " + std::to_string(ended.code);
  return said.empty() ? how : how + ": " + said;
}

Wrong Checker::fault(const Run& run, const fs::path& folder, std::uint64_t acknowledged,
                     bool* refusal) {
  const std::string watched = folder.string();
  const Ended ended = in_child(shared_, [&] {
    const faulty_plan plan{watched.c_str(), FAULTY_COUNT,   0, 0, -1,
                           &shared_.calls,  &shared_.struck};
    faulty_arm(&plan);
    const Wrong wrong = acknowledged > kFirstStart ? look(run, folder, acknowledged)
                                                   : look_before_start(run, folder, acknowledged);
    if (wrong) shared_.say(*wrong);
    return wrong ? 1 : 0;
  });
  const bool fine = ended.signal == 0 && ended.code == 0;
  if (fine && shared_.stores > 0) {
    const auto all = [&](const auto& from) {
      return std::vector<Picture>(from.begin(),
                                  from.begin() + static_cast<std::ptrdiff_t>(shared_.stores));
    };
    proven_.try_emplace({acknowledged, all(shared_.pictures)}, all(shared_.after));
  }
  if (refusal != nullptr) *refusal = shared_.refused;
  if (fine || (refusal != nullptr && shared_.refused && ended.signal == 0)) return std::nullopt;
  return words_of(ended, shared_);
}

Wrong Checker::look_before_start(const Run& run, const fs::path& folder,
                                 std::uint64_t acknowledged) {
  const Subject& subject = *workload_.subject;
  // Cut off while it was made: whoever made it does it again. A step done twice is told from one not done.
  if (acknowledged < std::max<std::size_t>(kFirstStart, run.first)) {
    if (const Status again = subject.make(folder); !again)
      return "making it again fails: " + again.error().message();
  }
  auto session = subject.open(folder, kBeyond + 1);
  if (!session) return "the program does not start: " + session.error().message();
  const auto changes = (*session)->changes();
  if (!changes || *changes != 0) return "there are changes that nobody made";
  return (*session)->fault();
}

Wrong Checker::look(const Run& run, const fs::path& folder, std::uint64_t acknowledged) {
  const Subject& subject = *workload_.subject;
  const auto found = pictures_of(subject.stores(folder));
  if (!found) {
    shared_.refused = found.error().is(Errc::corrupt);
    return "the engine does not open it: " + found.error().message();
  }
  if (auto wrong = pictures_fault(workload_, run, acknowledged, *found)) return wrong;
  const auto proven = proven_.find({acknowledged, *found});
  auto session = subject.open(folder, kBeyond + 1);
  if (!session) return "the program does not start: " + session.error().message();
  if (proven == proven_.end()) {
    if (auto wrong = standings_fault(workload_, run, **session, acknowledged)) return wrong;
    if (auto wrong = (*session)->fault()) return wrong;
  }
  const auto made = (*session)->act(kBeyond);
  if (!made) return "the store does not go on: " + made.error().message();
  const auto after = (*session)->pictures();
  if (!after) return "after going on: " + after.error().message();
  if (proven != proven_.end())
    return *after == proven->second ? Wrong{} : "it goes on otherwise than an intact store";
  session->reset();
  auto again = subject.open(folder, kBeyond + 2);
  if (!again) return "the second start fails: " + again.error().message();
  for (const Acknowledged& change : *made) {
    const auto standing = (*again)->standing(change);
    if (!standing || *standing != Session::Standing::there)
      return "what was written afterwards is not there after another start";
  }
  if (auto wrong = (*again)->fault()) return "after going on: " + *wrong;
  shared_.stores = found->size();
  std::copy(found->begin(), found->end(), shared_.pictures.begin());
  std::copy(after->begin(), after->end(), shared_.after.begin());
  return std::nullopt;
}

// ---- the account ----

void Account::violation(const std::string& trial, const std::string& words) {
  violations_.push_back({trial, words});
  std::fprintf(stderr, "VIOLATION %s: %s\n  again with: %s\n", trial.c_str(), words.c_str(),
               again(trial).c_str());
}

void Account::progress(const std::string& what, std::uint64_t at, std::uint64_t of) {
  const std::uint64_t tenth = of == 0 ? 10 : at * 10 / of;
  if (told_ == what && told_tenth_ == tenth) return;
  told_ = what;
  told_tenth_ = tenth;
  std::fprintf(stderr, "%s: %llu of %llu\n", what.c_str(), static_cast<unsigned long long>(at),
               static_cast<unsigned long long>(of));
}

std::string Account::json() const {
  nlohmann::json out = {{"counts", counts_}, {"violations", nlohmann::json::array()}};
  for (const Violation& violation : violations_)
    out["violations"].push_back(
        {{"trial", violation.trial}, {"what", violation.words}, {"again", again(violation.trial)}});
  return out.dump(2) + "\n";
}

}  // namespace fieldpost::crash

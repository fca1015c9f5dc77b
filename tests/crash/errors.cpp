// A disk that refuses, breaks off or fills up at every call, and a map without room: the process lives on.
#include <cerrno>

#include "tests/crash/trial.h"

namespace fieldpost::crash {
namespace {

using Wrong = std::optional<std::string>;

struct Fault {
  const char* name;
  faulty_mode mode;
  int error;
  std::size_t every;  ///< call; of a quick run, a multiple of it
};
constexpr Fault kFaults[] = {
    {"eio", FAULTY_FAIL, EIO, 1},
    {"enospc", FAULTY_FAIL, ENOSPC, 1},
    {"eio-done", FAULTY_FAIL_AFTER, EIO, 2},
    {"dead", FAULTY_FAIL_ON, EIO, 3},
    {"short", FAULTY_SHORT, ENOSPC, 2},
};

/// A run of the program whose operations may fail, with the account of what it acknowledged.
class Life {
 public:
  /// `error`: the errno that the disk gives.
  Life(const Workload& workload, const Run& run, const fs::path& folder, int error)
      : workload_(workload),
        subject_(*workload.subject),
        run_(run),
        folder_(folder),
        error_(error) {
    for (std::size_t number = 0; number < run.first; ++number)
      keep(workload.operations[number].made);
  }

  /// The whole run, each operation until it succeeds. `shared.struck` tells when the disk refused, and
  /// `mended` ends that for good.
  Wrong live(Shared& shared, const std::function<void()>& mended) {
    for (std::size_t number = run_.first; number < run_.last; ++number) {
      const bool struck_before = shared.struck != 0;
      const Status done = act(number);
      const bool struck_now = !struck_before && shared.struck != 0;
      if (done && struck_now && session_ && number > start() && must_be_heard(shared.struck))
        return "operation " + std::to_string(number) +
               " was acknowledged although the disk refused a part of it";
      if (done) continue;
      if (!shared.struck) return "undisturbed: " + done.error().message();
      if (auto wrong = judge(done.error())) return wrong;
      const bool sync_failed = number > start() && shared.struck == FAULTY_SYNC;
      // A sync for which there was no room leaves nothing behind: the pages are written again with the next commit.
      const Errc due = error_ == ENOSPC ? Errc::store_full : Errc::store_failed;
      if (sync_failed && !done.error().is(due))
        return "after a sync that failed the store says only: " + done.error().message();
      if (auto wrong = recover(number, done.error(), mended)) return wrong;
    }
    return settle();
  }

 private:
  std::size_t start() const { return std::max(run_.first, kFirstStart); }
  void keep(const std::vector<Acknowledged>& made) {
    kept_.insert(kept_.end(), made.begin(), made.end());
  }
  /// Whether an operation cannot be right when this call did not do what it was asked.
  static bool must_be_heard(std::uint64_t call) {
    return call == FAULTY_WRITE || call == FAULTY_WRITE_SYNC || call == FAULTY_SYNC;
  }
  static Wrong judge(const Error& error) {
    const bool typed =
        error.is(Errc::store_full) || error.is(Errc::store_failed) || error.is(Errc::io);
    if (!typed || error.detail.size() < 20)
      return "the error does not say that it is the disk's: " + error.message();
    return std::nullopt;
  }

  Status act(std::size_t number) {
    if (number == 0) return subject_.make(folder_);
    if (number == start()) {
      FP_TRY(session_, subject_.open(folder_, number));
      return {};
    }
    FP_TRY(const auto made, session_->act(number));
    keep(made);
    return {};
  }

  Wrong recover(std::size_t number, const Error& error, const std::function<void()>& mended) {
    if (!session_) {
      mended();
      const Status again = act(number);
      return again ? Wrong{} : "it cannot be begun again: " + again.error().message();
    }
    const bool failed = error.is(Errc::store_failed);
    // What can be read must be what was acknowledged, whatever failed. After a meta page that failed LMDB refuses to
    // read as well.
    const auto readable = session_->changes();
    if (!readable && !(failed && readable.error().is(Errc::store_failed)))
      return "right after the error it cannot be read: " + readable.error().message();
    if (readable) {
      if (auto wrong = standings()) return "right after the error: " + *wrong;
    }
    if (failed) {
      const auto refused = session_->act(number);
      if (refused) return "a store that failed went on without being opened again";
      if (!refused.error().is(Errc::store_failed))
        return "a store that failed says of the next write: " + refused.error().message();
    }
    mended();
    if (!failed) {
      const Status again = act(number);
      return again ? Wrong{} : "it does not go on: " + again.error().message();
    }
    session_.reset();
    auto opened = subject_.open(folder_, kBeyond + number);
    if (!opened) return "it cannot be opened again: " + opened.error().message();
    session_ = *std::move(opened);
    if (auto wrong = standings()) return "opened again: " + *wrong;
    return finish(number);
  }

  /// The fate of the operation that failed is unknown: it is there whole, or it is done now.
  Wrong finish(std::size_t number) {
    const auto changes = session_->changes();
    if (!changes) return changes.error().message();
    const std::size_t extra = *changes - kept_.size();
    const std::size_t whole = workload_.operations[number].made.size();
    if (extra == whole && whole > 0) {
      keep(workload_.operations[number].made);
      return standings();
    }
    if (extra != 0)
      return "of " + std::to_string(whole) + " changes in flight " + std::to_string(extra) +
             " are there";
    const Status again = act(number);
    return again ? Wrong{} : "opened again it does not go on: " + again.error().message();
  }

  Wrong standings() const {
    for (const Acknowledged& change : kept_) {
      const auto standing = session_->standing(change);
      if (!standing) return standing.error().message();
      if (*standing == Session::Standing::missing || *standing == Session::Standing::different)
        return "change " + model::to_text(change.dot) + " was acknowledged and is not there";
    }
    return std::nullopt;
  }
  Wrong whole() const {
    if (auto wrong = standings()) return wrong;
    const auto changes = session_->changes();
    if (!changes) return changes.error().message();
    if (*changes != kept_.size())
      return "there are " + std::to_string(*changes) + " changes, acknowledged were " +
             std::to_string(kept_.size());
    return session_->fault();
  }
  Wrong settle() {
    if (auto wrong = whole()) return "at the end: " + *wrong;
    session_.reset();
    auto opened = subject_.open(folder_, kBeyond);
    if (!opened) return "it does not open at the end: " + opened.error().message();
    session_ = *std::move(opened);
    if (auto wrong = whole()) return "opened at the end: " + *wrong;
    return std::nullopt;
  }

  const Workload& workload_;
  const Subject& subject_;
  const Run& run_;
  const fs::path& folder_;
  int error_;
  std::unique_ptr<Session> session_;
  std::vector<Acknowledged> kept_;
};

}  // namespace

void try_errors(const Workload& workload, const fs::path& scratch, const Options& options,
                Account& account) {
  const std::string name = workload.subject->name();
  const fs::path folder = scratch / "failing";
  Shared& shared = *Shared::make();
  for (std::size_t r = 0; r < workload.runs.size(); ++r) {
    const Run& run = workload.runs[r];
    const std::uint64_t calls = calls_of(workload, run, folder, shared);
    for (std::uint64_t at = 1; at <= calls; ++at) {
      if (options.only.empty() && at == 1)
        account.progress(name + ", errors, runs", r, workload.runs.size());
      for (const Fault& fault : kFaults) {
        const std::string trial =
            name + "/error-" + fault.name + "/" + std::to_string(r) + "/" + std::to_string(at);
        // In another order for each fault, so that a quick run meets every kind of call.
        const std::size_t every = fault.every * (options.quick ? 3 : 1);
        const bool thinned = options.only.empty() && (at + fault.every) % every != 0;
        if (thinned || !options.wants(trial)) continue;
        copy_folder(run.before, folder);
        const std::string watched = folder.string();
        const Ended ended = in_child(shared, [&] {
          const faulty_plan plan{watched.c_str(), fault.mode,    at, fault.error, -1,
                                 &shared.calls,   &shared.struck};
          faulty_arm(&plan);
          const auto wrong =
              Life(workload, run, folder, fault.error).live(shared, [&] { faulty_mend(); });
          if (wrong) shared.say(*wrong);
          return wrong ? 1 : 0;
        });
        account.count(std::string("errors.") + fault.name);
        if (ended.signal != 0 || ended.code != 0)
          account.violation(trial, words_of(ended, shared));
        else if (shared.struck == 0)
          account.violation(trial, "the disk was not asked so often");
      }
    }
  }
}

// ---- full maps ----

namespace {

/// The whole work in a map of so many bytes, until it is full; then with room.
Wrong fill(const Workload& workload, Subject& subject, const fs::path& folder, std::uint64_t bytes,
           bool& filled) {
  std::vector<Acknowledged> kept;
  subject.limit_map(bytes);
  if (const Status made = subject.make(folder); !made) {
    filled = made.error().is(Errc::store_full);
    return filled ? Wrong{} : "making: " + made.error().message();
  }
  auto session = subject.open(folder, kFirstStart);
  if (!session) {
    filled = session.error().is(Errc::store_full);
    return filled ? Wrong{} : "starting: " + session.error().message();
  }
  const std::size_t end = workload.operations.size();
  std::size_t number = kFirstStart + 1;
  for (; number < end; ++number) {
    const auto made = (*session)->act(number);
    if (!made && !made.error().is(Errc::store_full)) return made.error().message();
    if (!made) break;
    kept.insert(kept.end(), made->begin(), made->end());
  }
  filled = number < end;
  const auto look = [&](const char* when) -> Wrong {
    for (const Acknowledged& change : kept) {
      const auto standing = (*session)->standing(change);
      if (!standing || *standing == Session::Standing::missing ||
          *standing == Session::Standing::different)
        return std::string(when) + ", change " + model::to_text(change.dot) + " is not there";
    }
    const auto changes = (*session)->changes();
    if (!changes || *changes != kept.size()) return std::string(when) + ", the count is wrong";
    if (auto wrong = (*session)->fault()) return std::string(when) + ", " + *wrong;
    return std::nullopt;
  };
  if (auto wrong = look("full")) return wrong;
  session->reset();
  session = subject.open(folder, kBeyond);
  if (!session) return "full, it does not open again: " + session.error().message();
  if (auto wrong = look("full and opened again")) return wrong;
  session->reset();
  subject.limit_map(std::nullopt);
  session = subject.open(folder, kBeyond + 1);
  if (!session) return "with room, it does not open: " + session.error().message();
  for (; number < end; ++number) {
    const auto made = (*session)->act(number);
    if (!made) return "with room, it does not go on: " + made.error().message();
    kept.insert(kept.end(), made->begin(), made->end());
  }
  return look("with room");
}

}  // namespace

void try_full_maps(const Workload& workload, Subject& subject, const fs::path& scratch,
                   const Options& options, Account& account) {
  constexpr std::uint64_t kStepBytes = 64 * 1024;
  const fs::path folder = scratch / "full";
  Shared& shared = *Shared::make();
  bool filled = true;
  for (std::uint64_t steps = 2; filled; ++steps) {
    const std::string trial = subject.name() + "/full-map/" + std::to_string(steps);
    if (!options.wants(trial)) {
      if (steps > 1000) return;
      continue;
    }
    fs::remove_all(folder);
    const std::string watched = folder.string();
    const Ended ended = in_child(shared, [&] {
      const faulty_plan plan{watched.c_str(), FAULTY_COUNT,  0, 0, -1,
                             &shared.calls,   &shared.struck};
      faulty_arm(&plan);
      bool was_filled = false;
      const auto wrong = fill(workload, subject, folder, steps * kStepBytes, was_filled);
      shared.acknowledged = was_filled ? 1 : 0;
      if (wrong) shared.say(*wrong);
      return wrong ? 1 : 0;
    });
    const bool wrong = ended.signal != 0 || ended.code != 0;
    if (wrong) account.violation(trial, words_of(ended, shared));
    filled = shared.acknowledged != 0 && !wrong;
    account.count("errors.full_maps", filled ? 1 : 0);
  }
}

}  // namespace fieldpost::crash

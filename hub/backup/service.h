// Makes the hub's backups: at their times, and when asked; and keeps the stores' watermark true to what is there.
//
// Thread rule: every function from any thread. Backups are made on a thread of its own, of low priority, one at a
// time; never on a writer's.
// Invariants:
//   1. The repository is the truth: its list is read anew at the start and after every attempt, and the stores'
//      watermark is restated from it. While it cannot be read, the watermark stays.
//   2. A failure is kept, word for word, until an attempt succeeds.
//   3. hub.json and the keys are read at each attempt: who changes them need not restart the hub.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "hub/backup/backup.h"
#include "hub/backup/ledger.h"
#include "hub/io/writer.h"

namespace fieldpost::hub::backup {

struct ServiceParts {
  struct Store {
    Source source;
    Writer* writer = nullptr;
  };
  fs::path directory;
  const Keys* keys = nullptr;
  std::string hub_name;
  Epoch epoch;
  std::vector<Store> stores;
  RandomSource random;
  std::function<Instant()> clock;
  bool scheduled = false;  ///< false: only when asked (the command line opened the stores itself)
};

/// What the hub says of its backups.
struct Standing {
  std::optional<BackupSettings> settings;  ///< none: not configured
  bool known = false;                      ///< the repository was looked at
  bool running = false;
  std::optional<std::uint64_t> newest;  ///< restorable
  std::optional<Instant> newest_at;
  std::optional<Instant> oldest_at;  ///< the watermark is that one's
  std::size_t restorable = 0;
  std::size_t broken = 0;
  std::optional<Instant> last_attempt;
  std::string ledger_fault;  ///< why the list of erased records is not (wholly) beside the backups
  std::string last_error;    ///< of the last attempt, or why the repository cannot be read
};

class BackupService {
 public:
  /// After a failure it tries again so soon.
  static constexpr std::chrono::minutes kRetry{15};
  /// While another process holds the repository.
  static constexpr std::chrono::minutes kRetryLocked{1};
  /// Clocks jump and machines sleep: the time is looked at so often.
  static constexpr std::chrono::minutes kLook{1};

  using Done = std::function<void(Result<Made>)>;

  explicit BackupService(ServiceParts parts);
  ~BackupService();
  BackupService(const BackupService&) = delete;
  BackupService& operator=(const BackupService&) = delete;

  /// `done` hears it on the service's thread. Errors: `conflict` while one is being made or waits.
  Status request(bool full, Done done);
  /// What was erased or put on hold is to be carried to the ledger beside the backups: soon, and again until it is
  /// there. Nothing happens while no backups are configured.
  void carry_ledger();
  /// Reads the repository now. Errors: `not_found` when none is configured; the repository's.
  Result<std::vector<Listed>> list();
  Standing standing();
  /// Ends what is under way: nothing half is left.
  void stop();

 private:
  struct Wish {
    bool full = false;
    Done done;
  };
  void loop();
  bool due();
  void take(const Result<BackupSettings>& configured);
  Result<BackupSettings> settings() const;
  Result<Repository> repository(const BackupSettings& settings) const;
  Result<Made> attempt(bool full);
  /// Now. False when it has to be tried again.
  bool carry();
  Result<Carried> carry_to(Repository& repository);
  Result<Made> make(bool full);
  /// Reads the list, restates the watermark, remembers what it saw.
  void look();
  void note(const Result<std::vector<Listed>>& backups);
  void restate(const std::vector<Listed>& backups);

  ServiceParts parts_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Wish> wish_;
  bool running_ = false;
  bool carry_ = false;        ///< wanted
  bool carry_again_ = false;  ///< the last time did not succeed; the service's thread only
  Standing standing_;
  std::optional<std::chrono::steady_clock::time_point> not_before_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace fieldpost::hub::backup

// Finds what is due, and erases it: when asked, and at its times in a running hub.
//
// Thread rule: every function from any thread; one run at a time. What is written is written on each store's writer;
// between its jobs the hub's other work goes on.
// Invariants:
//   1. hub.json is read at each look: who changes it need not restart the hub.
//   2. What a hold keeps is looked at anew in every job that erases, before the first record of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "hub/io/sync_service.h"
#include "hub/retention/settings.h"

namespace fieldpost::hub {

struct RetentionParts {
  std::filesystem::path directory;  ///< of hub.json; empty: `settings` stands
  RetentionSettings settings;
  std::vector<StoreParts> stores;
  const schema::Registry* registry = nullptr;
  std::function<Instant()> clock;
  /// After something was erased: the list is to be carried to where it outlives this store. May be empty.
  std::function<void()> after_run;
  bool scheduled = false;  ///< a running hub: also at its times
};

/// Nothing is erased by itself for a clock that nobody shares: of a hub whose clock runs years ahead everything
/// would be due. Some tablet was heard of within kVouchedWithin before `now`, and its clock was then within
/// kVouchedApart of the hub's. Errors: `conflict`, in a sentence that says what to do.
inline constexpr std::chrono::hours kVouchedWithin{7 * 24};
inline constexpr std::chrono::hours kVouchedApart{24};
Status vouched_for(const std::vector<storage::Device>& devices, Instant now);

/// What a look at one type found.
struct RetentionOfType {
  std::string type;
  std::string compartment;
  storage::RetentionRule rule;
  std::uint64_t due = 0;          ///< of a run: erased
  std::optional<Instant> oldest;  ///< of those: last change received
  std::uint64_t young = 0;
  std::map<std::string, std::uint64_t, std::less<>> kept;  ///< by reason (storage::name_of)
};
struct RetentionKept {
  RecordId record;
  storage::Keeps keeps = storage::Keeps::nothing;
  std::optional<storage::HoldId> hold;
};
struct RetentionLook {
  Instant at;
  std::vector<RetentionOfType> types;
  std::vector<RetentionKept> kept;  ///< the first kKeptNamed
  std::uint64_t changes = 0;        ///< of a run: in the log, whose content is gone
};

class RetentionService {
 public:
  static constexpr std::size_t kPage = 256;  ///< records looked at in one view
  static constexpr std::size_t kErasedOfJob =
      64;  ///< a job keeps the writer some tens of milliseconds
  static constexpr std::size_t kKeptNamed = 100;
  static constexpr std::chrono::minutes kLook{1};

  explicit RetentionService(RetentionParts parts);
  ~RetentionService();
  RetentionService(const RetentionService&) = delete;
  RetentionService& operator=(const RetentionService&) = delete;
  void stop();

  /// Errors: `malformed` for hub.json.
  Result<RetentionSettings> settings() const;
  /// A dry run. Errors: the stores'; `closed` when the hub stops.
  Result<RetentionLook> plan() const;
  /// Errors: `conflict` while another run lasts; those of `plan`.
  Result<RetentionLook> run(const std::string& author);

  struct Standing {
    std::optional<Instant> last_run;  ///< since the start
    std::uint64_t last_erased = 0;
    std::string last_error;
  };
  Standing standing() const;

 private:
  struct Walk {
    RetentionLook look;
    bool erasing = false;
    std::string author;
  };
  Result<RetentionLook> walk(bool erasing, const std::string& author) const;
  Status walk_store(const StoreParts& store, const RetentionSettings& settings, Walk& walk) const;
  Status erase(const StoreParts& store, const storage::RetentionRules& rules,
               std::vector<RecordId> due, Walk& walk) const;
  void note(const storage::RetentionPage::Entry& entry, storage::Keeps keeps,
            const storage::KeptByHold& kept, Walk& walk) const;
  Status clock_is_shared() const;
  void loop();

  RetentionParts parts_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_{false};
  bool running_ = false;
  Standing standing_;
  std::thread thread_;
};

}  // namespace fieldpost::hub

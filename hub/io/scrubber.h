// Reads everything the stores hold, slowly and again each day, so that what the disk damaged is found and
// mended while its changes are sound, and before a backup has replaced the last good copy.
//
// Thread rule: a thread of its own; `figures` and `stop` from any thread. Repairs run on each store's writer.
// Invariants:
//   1. It takes a few megabytes a second of the disk, and no view of the store for longer than one page.
//   2. What is found is logged once, mended if it can be, and counted in the store itself.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "hub/io/sync_service.h"

namespace fieldpost::hub {

/// One reading of a whole store.
struct ReadThrough {
  std::uint64_t values = 0;
  storage::RepairReport repairs;
};
/// Called after each page with what was found on it; says whether to go on.
using AfterPage = std::function<bool(const storage::RepairReport& found)>;
/// Errors: those of the store; `closed` when told to stop.
Result<ReadThrough> read_through(const StoreParts& store, const std::function<Instant()>& clock,
                                 const AfterPage& after_page);

class Scrubber {
 public:
  static constexpr std::size_t kPageBytes = std::size_t{1} << 20;
  static constexpr std::chrono::milliseconds kPause{250};
  static constexpr std::chrono::hours kRest{24};

  Scrubber(std::vector<StoreParts> stores, std::function<Instant()> clock);
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;
  void stop();

  struct Figures {
    std::uint64_t passes = 0;  ///< since the start
    std::uint64_t values = 0;
    std::optional<Instant> last;  ///< when the last one was complete
  };
  Figures figures() const;

 private:
  void loop();
  /// False when told to stop meanwhile.
  bool wait(std::chrono::milliseconds time);

  const std::vector<StoreParts> stores_;
  const std::function<Instant()> clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  Figures figures_;
  std::thread thread_;
};

/// What the operator should know of a store, in sentences: short of room, full, damaged.
std::vector<std::string> store_alarms(const std::string& name, const storage::HubCounts& counts,
                                      const std::optional<Error>& fault);

}  // namespace fieldpost::hub

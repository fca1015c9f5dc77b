// One thread that does the work given to it, in order.
//
// Thread rule: `post` from any thread; the work runs on the worker's thread.
// Invariants:
//   1. At most `waiting_max` pieces of work wait; above it `post` says no.
//   2. The destructor lets the work under way finish and drops what waits.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace fieldpost::hub {

class Worker {
 public:
  explicit Worker(std::size_t waiting_max);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// False when too much waits already.
  [[nodiscard]] bool post(std::function<void()> work);

 private:
  void loop();

  const std::size_t waiting_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fieldpost::hub

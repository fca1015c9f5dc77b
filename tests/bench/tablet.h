// A tablet of production parts in this process: its data folder, its desk, its store on LMDB, its sync driver.
//
// Thread rule: called from one thread; while connected the store belongs to the store thread inside.
// Invariants:
//   1. Moments are taken on the store thread, when the session says that something changed.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/app.h"
#include "agent/records/desk.h"
#include "tests/bench/need.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::bench {

class Tablet {
 public:
  explicit Tablet(const agent::Identity& identity);
  ~Tablet();

  agent::Desk& desk() { return *desk_; }
  storage::AgentStore& store() { return app_->store(); }
  const agent::DataDirectory& data() const { return data_; }
  /// Through the desk, 500 rows a commit, as `import` does it.
  void import(const std::vector<nlohmann::json>& documents);
  /// Closes the store, so that another process may open the folder.
  void close();
  std::uint64_t disk_bytes() const;

  struct Moments {
    Clock::time_point start;
    std::optional<Clock::time_point> acknowledged;  ///< nothing waits for the hub any more
    std::optional<Clock::time_point> in_sync;
    std::uint64_t pushed_bytes = 0;  ///< frames of pushes
    std::uint64_t lost_bytes = 0;    ///< of them: unacknowledged when their connection ended
  };
  /// Connects and returns when in sync. `at_sync` is called on the store thread at that moment, `at_ack`
  /// when the last own change was acknowledged.
  Moments sync(const std::function<void()>& at_ack = {}, const std::function<void()>& at_sync = {});

 private:
  void make_desk();

  test::TempDir directory_;
  agent::DataDirectory data_;
  agent::Identity identity_;
  std::unique_ptr<agent::App> app_;
  std::unique_ptr<agent::Desk> desk_;
};

}  // namespace fieldpost::bench

// A whole hub in the test's own process: LMDB stores on disk, TLS on 127.0.0.1, its own network thread and
// writers, wired as hub/app.cpp wires them, but to be stopped, killed and started again at a chosen moment.
//
// Thread rule: the test's thread calls everything; the hooks run on a writer's thread.
// Invariants:
//   1. Start, stop, start: the same folder, keys and port.
//   2. `kill` sends and hears nothing more from the moment it is called, as a process that is killed.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <thread>

#include "hub/io/sync_service.h"
#include "hub/store/layout.h"
#include "net/server.h"
#include "tests/support/history.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::test {

class LiveHub {
 public:
  explicit LiveHub(std::uint64_t seed);
  ~LiveHub();
  LiveHub(const LiveHub&) = delete;
  LiveHub& operator=(const LiveHub&) = delete;

  /// Opens the stores and listens; from the second time on at the port of the first.
  void start();
  /// As on SIGTERM: finishes what has arrived, says good-bye. Blocks until the peers have answered, so not
  /// from the thread on which they run.
  void stop();
  /// The network stands still at once, whatever is under way; then everything is taken down.
  void kill();
  bool running() const { return server_ != nullptr; }

  std::uint16_t port() const { return port_; }
  const std::string& ca_pem() const { return keys_.ca_pem; }
  HubId id() const;
  Instant now();
  const net::ServerCounters& counters() const { return server_->counters(); }

  void add_unit(const std::string& code);
  void add_device(const DeviceId& id, const std::string& name, const std::string& unit);

  // What the enforcement store holds; while it runs.
  const storage::HubReader& reader() const { return *reader_; }

  /// For the next `start`: a peer that is silent for so long is gone.
  std::int64_t silence_ms = net::ServerConfig{}.stream_idle_timeout_ms;
  /// Before and after each commit of pushes, on the writer's thread. `before` false: the commit does not
  /// happen. Set while the hub does not run.
  std::function<bool()> before_commit;
  std::function<void()> after_commit;
  /// For a hook: from here on the hub's network does nothing. Any thread.
  void fall_silent();

 private:
  class HookedStore;
  void take_down();

  Dice dice_;
  TempDir dir_;
  std::filesystem::path path_;
  hub::Keys keys_;
  std::uint16_t port_ = 0;
  std::int64_t base_ms_ = 0;
  std::atomic<std::int64_t> passed_ms_{0};

  std::vector<hub::OpenStore> open_;
  std::vector<std::unique_ptr<HookedStore>> stores_;
  std::unique_ptr<boost::asio::io_context> context_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::vector<std::unique_ptr<hub::Writer>> writers_;
  std::unique_ptr<hub::SyncService> sync_;
  std::unique_ptr<net::HttpsServer> server_;
  std::unique_ptr<storage::HubReader> reader_;
  std::thread thread_;
};

}  // namespace fieldpost::test

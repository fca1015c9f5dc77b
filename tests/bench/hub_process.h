// A hub of production: its directory made by hub::init, its devices put straight into its stores, its program
// run as a process over real TLS, with a counting proxy before it.
//
// Thread rule: one thread; the proxy has a thread of its own.
// Invariants:
//   1. Devices are admitted before start(); nothing but the hub's process opens its stores while it runs.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <thread>

#include "agent/store/identity.h"
#include "hub/store/layout.h"
#include "tests/bench/child.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::bench {

class HubProcess {
 public:
  HubProcess();
  ~HubProcess();

  /// Keys for a new tablet of `unit`, known to the hub; its host and port are the proxy's. A health unit's
  /// tablet also gets the authority's statement.
  agent::Identity admit(const std::string& name, const std::string& unit,
                        const std::string& compartment = "enforcement");
  /// Many at once, in one pass; not through the proxy.
  std::vector<agent::Identity> admit_fleet(std::size_t count,
                                           const std::function<std::string(std::size_t)>& unit_of);
  void start();
  void stop();
  /// As an operator does it: SIGTERM, and again at the same port. Returns when it listens.
  void restart();

  std::filesystem::path data() const { return directory_.path() / "hub"; }
  test::TcpProxy& proxy() { return proxy_; }
  /// On the proxy's thread.
  void set_delay(std::chrono::microseconds one_way);
  /// A slow line that breaks every so often, until the next call; on the proxy's thread. 0: neither.
  void set_line(std::uint64_t bytes_per_s, std::chrono::milliseconds cut_every);
  /// The hub's own way to ask: its CA and token.
  const hub::Keys& keys() const { return keys_; }
  std::uint16_t port() const { return port_; }
  Child& process() { return *child_; }
  /// Bytes on the disk of a compartment's store.
  std::uint64_t store_bytes(const std::string& compartment) const;

 private:
  agent::Identity identity(const std::string& name, const std::string& unit,
                           const std::string& compartment);
  void await_start();
  void cut_later();

  test::TempDir directory_;
  hub::Keys keys_;
  std::vector<storage::Unit> units_;
  std::vector<storage::Device> devices_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  test::TcpProxy proxy_;
  boost::asio::steady_timer cut_{context_};
  std::chrono::milliseconds cut_every_{0};
  std::thread thread_;
  std::unique_ptr<Child> child_;
  std::uint16_t port_ = 0;
};

std::uint64_t disk_bytes(const std::filesystem::path& directory);

}  // namespace fieldpost::bench

// A loopback TCP proxy for tests and the benchmark: counts what passes, delays it, and cuts it off.
//
// Thread rule: everything on the io_context given, run by one thread, except the counters (any thread).
// Invariants:
//   1. Bytes keep their order; a delay holds each piece for as long, and pieces overlap (a longer line, not
//      a slower one).
//   2. A cut lets exactly the given number of bytes of that direction through, then resets both sides.
//   3. A slow line holds back little: what it cannot carry stays with the sender, as on a modem.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>

namespace fieldpost::test {

enum class Direction { up = 0, down = 1 };  ///< up: from who connected to who was connected to

class TcpProxy {
 public:
  /// Listens on a free port of 127.0.0.1 and forwards to `target_port` there.
  TcpProxy(boost::asio::io_context& context, std::uint16_t target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  std::uint16_t port() const;
  void set_target(std::uint16_t port);

  /// For pieces that arrive from now on, one way. 100 ms of round trip: 50 ms.
  void set_delay(std::chrono::microseconds one_way);
  /// From the next connection on, each direction carries so many bytes a second, with at most `buffer_bytes`
  /// waiting before the line. 0: as fast as it goes.
  void set_rate(std::uint64_t bytes_per_s, std::size_t buffer_bytes = 8 * 1024);
  /// Once, on the next connection (or the current one, if it has not passed so many bytes yet).
  void cut_after(Direction direction, std::uint64_t bytes);
  /// Half-open: nothing is forwarded any more, nothing is closed. New connections are taken and left silent.
  void set_silent(bool silent);
  /// Resets every connection now.
  void cut_all();

  // TCP payload forwarded, over all connections since the last reset_counters().
  std::uint64_t bytes_up() const { return bytes_[0]; }
  std::uint64_t bytes_down() const { return bytes_[1]; }
  std::uint64_t bytes() const { return bytes_up() + bytes_down(); }
  /// How often the payload turned from down (or nothing) to up. TCP's own connect costs one more.
  std::uint64_t round_trips() const { return round_trips_; }
  std::uint64_t connections() const { return connections_; }
  std::size_t connections_open() const { return links_.size(); }
  void reset_counters();

 private:
  class Link;
  void accept();

  boost::asio::io_context& context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::atomic<std::uint16_t> target_port_;
  std::chrono::microseconds delay_{0};
  std::uint64_t bytes_per_s_ = 0;
  std::size_t buffer_bytes_ = 0;
  std::optional<std::uint64_t> cut_[2];
  bool silent_ = false;
  std::list<std::shared_ptr<Link>> links_;
  std::atomic<std::uint64_t> bytes_[2]{};
  std::atomic<std::uint64_t> round_trips_{0};
  std::atomic<std::uint64_t> connections_{0};
};

}  // namespace fieldpost::test

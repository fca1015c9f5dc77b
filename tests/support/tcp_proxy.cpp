#include "tests/support/tcp_proxy.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <vector>

namespace fieldpost::test {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {
/// Held back at most: more than a fast line carries in a long round trip.
constexpr std::size_t kHeldBytesMax = 32 * 1024 * 1024;
/// One read of a slow line: a packet.
constexpr std::size_t kPacketBytes = 1024;
/// Of the kernel's, before a slow line: the least it grants is about twice that.
constexpr int kSocketBytes = 2048;
}  // namespace

class TcpProxy::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(TcpProxy& proxy, tcp::socket from)
      : proxy_(&proxy),
        rate_(proxy.bytes_per_s_),
        buffer_bytes_(proxy.buffer_bytes_),
        sockets_{std::move(from), tcp::socket(proxy.context_)} {}

  void run() {
    error_code unset;
    sockets_[1].open(tcp::v4(), unset);
    if (rate_ != 0)
      sockets_[1].set_option(asio::socket_base::receive_buffer_size(kSocketBytes), unset);
    sockets_[1].async_connect({asio::ip::address_v4::loopback(), proxy_->target_port_},
                              [self = shared_from_this()](error_code ec) {
                                if (self->proxy_ == nullptr) return;
                                if (ec) return self->end();
                                error_code ignored;
                                for (auto& socket : self->sockets_)
                                  socket.set_option(tcp::no_delay(true), ignored);
                                self->read(Direction::up);
                                self->read(Direction::down);
                              });
  }

  void forward_again() {
    for (const Direction direction : {Direction::up, Direction::down}) write_due(direction);
  }

  /// Resets both sides and leaves the proxy's list.
  void end() {
    if (proxy_ == nullptr) return;
    auto self = shared_from_this();
    TcpProxy* proxy = std::exchange(proxy_, nullptr);
    close();
    proxy->links_.remove(self);
  }

  void orphan() {
    proxy_ = nullptr;
    close();
  }

 private:
  friend class TcpProxy;

  struct Piece {
    Clock::time_point due;
    std::vector<unsigned char> bytes;  ///< empty: the sender ended its side
  };

  struct Lane {
    explicit Lane(asio::io_context& context) : timer(context) {}
    std::vector<unsigned char> buffer = std::vector<unsigned char>(64 * 1024);
    std::deque<Piece> pieces;
    Clock::time_point line_free{};  ///< when the last piece has left a slow line
    std::size_t held_bytes = 0;
    std::uint64_t passed = 0;
    asio::steady_timer timer;
    bool reading = false;
    bool writing = false;
    bool ended = false;
  };

  Lane& lane(Direction d) { return lanes_[static_cast<int>(d)]; }
  tcp::socket& source(Direction d) { return sockets_[static_cast<int>(d)]; }
  tcp::socket& sink(Direction d) { return sockets_[1 - static_cast<int>(d)]; }

  void close() {
    error_code ignored;
    for (auto& socket : sockets_) {
      socket.set_option(asio::socket_base::linger(true, 0), ignored);
      socket.close(ignored);
    }
    for (auto& one : lanes_) one.timer.cancel();
  }

  /// What may wait here: a slow line's buffer, and what is on a long line.
  std::size_t held_bytes_max() const {
    if (rate_ == 0) return kHeldBytesMax;
    const auto on_the_way = rate_ * static_cast<std::uint64_t>(proxy_->delay_.count()) / 1'000'000;
    return buffer_bytes_ + static_cast<std::size_t>(on_the_way);
  }

  void read(Direction d) {
    Lane& at = lane(d);
    const std::size_t once = rate_ == 0 ? at.buffer.size() : kPacketBytes;
    if (at.reading || at.ended) return;
    if (rate_ == 0 ? at.held_bytes > kHeldBytesMax : at.held_bytes + once > held_bytes_max())
      return;
    at.reading = true;
    source(d).async_read_some(asio::buffer(at.buffer.data(), once),
                              [self = shared_from_this(), d](error_code ec, std::size_t size) {
                                Lane& from = self->lane(d);
                                from.reading = false;
                                if (self->proxy_ == nullptr) return;
                                if (ec && ec != asio::error::eof) return self->end();
                                from.ended = ec == asio::error::eof;
                                self->on_piece(d, size);
                              });
  }

  void on_piece(Direction d, std::size_t size) {
    Lane& at = lane(d);
    auto& cut = proxy_->cut_[static_cast<int>(d)];
    if (cut && at.passed + size >= *cut) {
      size = static_cast<std::size_t>(*cut - std::min<std::uint64_t>(*cut, at.passed));
      cut_here_ = true;
      cut.reset();
    }
    at.passed += size;
    at.held_bytes += size;
    auto leaves = Clock::now();
    if (rate_ != 0) {
      leaves = at.line_free =
          std::max(leaves, at.line_free) + std::chrono::microseconds(size * 1'000'000 / rate_);
    }
    at.pieces.push_back(
        {leaves + proxy_->delay_,
         {at.buffer.begin(), at.buffer.begin() + static_cast<std::ptrdiff_t>(size)}});
    if (cut_here_) cut_lane_ = d;
    write_due(d);
    if (!cut_here_) read(d);
  }

  /// What has passed: not yet what waits here.
  void count(Direction d, std::size_t size) {
    if (size == 0) return;
    if (d == Direction::up && last_ == Direction::down) ++proxy_->round_trips_;
    last_ = d;
    proxy_->bytes_[static_cast<int>(d)] += size;
  }

  void write_due(Direction d) {
    Lane& at = lane(d);
    if (at.writing || at.pieces.empty() || proxy_ == nullptr || proxy_->silent_) return;
    if (const auto due = at.pieces.front().due; due > Clock::now()) {
      at.timer.expires_at(due);
      return at.timer.async_wait([self = shared_from_this(), d](error_code ec) {
        if (!ec) self->write_due(d);
      });
    }
    if (at.pieces.front().bytes.empty() && !cut_here_) {
      error_code ignored;
      sink(d).shutdown(tcp::socket::shutdown_send, ignored);
      at.pieces.pop_front();
      if (lane(Direction::up).ended && lane(Direction::down).ended &&
          lane(Direction::up).pieces.empty() && lane(Direction::down).pieces.empty()) {
        end();
      }
      return;
    }
    at.writing = true;
    asio::async_write(sink(d), asio::buffer(at.pieces.front().bytes),
                      [self = shared_from_this(), d](error_code ec, std::size_t size) {
                        Lane& to = self->lane(d);
                        to.writing = false;
                        if (self->proxy_ == nullptr) return;
                        if (ec) return self->end();
                        self->count(d, size);
                        to.held_bytes -= size;
                        to.pieces.pop_front();
                        if (self->cut_here_ && self->cut_lane_ == d && to.pieces.empty())
                          return self->end();
                        self->write_due(d);
                        if (!self->cut_here_ && self->proxy_ != nullptr) self->read(d);
                      });
  }

  TcpProxy* proxy_;  ///< null once the link has ended
  std::uint64_t rate_;
  std::size_t buffer_bytes_;
  std::array<tcp::socket, 2> sockets_;
  std::array<Lane, 2> lanes_{Lane(proxy_->context_), Lane(proxy_->context_)};
  Direction last_ = Direction::down;
  bool cut_here_ = false;
  Direction cut_lane_ = Direction::up;
};

TcpProxy::TcpProxy(asio::io_context& context, std::uint16_t target_port)
    : context_(context),
      acceptor_(context, {asio::ip::address_v4::loopback(), 0}),
      target_port_(target_port) {
  accept();
}

TcpProxy::~TcpProxy() {
  for (const auto& link : std::exchange(links_, {})) link->orphan();
}

std::uint16_t TcpProxy::port() const { return acceptor_.local_endpoint().port(); }
void TcpProxy::set_target(std::uint16_t port) { target_port_ = port; }
void TcpProxy::set_delay(std::chrono::microseconds one_way) { delay_ = one_way; }
void TcpProxy::set_rate(std::uint64_t bytes_per_s, std::size_t buffer_bytes) {
  bytes_per_s_ = bytes_per_s;
  buffer_bytes_ = buffer_bytes;
  // Inherited by what is accepted: a window once offered is not taken back.
  error_code ignored;
  if (bytes_per_s != 0)
    acceptor_.set_option(asio::socket_base::receive_buffer_size(kSocketBytes), ignored);
}

void TcpProxy::cut_after(Direction direction, std::uint64_t bytes) {
  cut_[static_cast<int>(direction)] = bytes;
}

void TcpProxy::set_silent(bool silent) {
  silent_ = silent;
  if (silent) return;
  for (const auto& link : std::list(links_)) link->forward_again();
}

void TcpProxy::cut_all() {
  for (const auto& link : std::list(links_)) link->end();
}

void TcpProxy::reset_counters() {
  bytes_[0] = 0;
  bytes_[1] = 0;
  round_trips_ = 0;
  connections_ = 0;
}

void TcpProxy::accept() {
  acceptor_.async_accept([this](error_code ec, tcp::socket socket) {
    if (ec) return;
    ++connections_;
    links_.push_back(std::make_shared<Link>(*this, std::move(socket)));
    links_.back()->run();
    accept();
  });
}

}  // namespace fieldpost::test

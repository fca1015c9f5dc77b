#include "net/tls_websocket.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/limits.h"

namespace fieldpost::net {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

namespace {

/// TLS as Beast sees it. Beast ends a connection with TLS's good-bye and waits for the peer's, as long as the
/// peer likes: here it is told when that begins (Beast's customization point for user-defined streams).
class TlsLayer {
 public:
  using executor_type = TlsSocket::executor_type;

  explicit TlsLayer(TlsSocket socket) : tls_(std::move(socket)) {}
  executor_type get_executor() { return tls_.get_executor(); }
  TlsSocket& tls() { return tls_; }
  TlsSocket::next_layer_type& next_layer() { return tls_.next_layer(); }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return tls_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return tls_.async_write_some(buffers, std::forward<Handler>(handler));
  }
  template <class Handler>
  friend void async_teardown(beast::role_type, TlsLayer& layer, Handler&& handler) {
    if (layer.on_goodbye) layer.on_goodbye();
    layer.tls_.async_shutdown(std::forward<Handler>(handler));
  }

  std::function<void()> on_goodbye;

 private:
  TlsSocket tls_;
};

// No deflate in the type: the payload is compressed already, and each instantiation costs seconds.
using Socket = websocket::stream<TlsLayer, false>;

constexpr std::size_t kMessageBytesMax = limits::kFrameBytesMax + kFrameSlackBytes;
/// Beast asks for room before it looks at the next fragment's length: with none left it would end the
/// connection without a word instead of closing it with 1009.
constexpr std::size_t kRoomBytes = kMessageBytesMax + 1;

class TlsWebSocket final : public MessageStream, public std::enable_shared_from_this<TlsWebSocket> {
 public:
  TlsWebSocket(TlsSocket socket, const StreamSettings& settings, std::shared_ptr<Place> guard)
      : remote_(remote_text(socket.next_layer())),
        binding_(channel_binding_of(socket)),
        certificate_end_(certificate_end_of(socket)),
        settings_(settings),
        guard_(std::move(guard)),
        socket_(std::move(socket)),
        executor_(socket_.get_executor()),
        deadline_(executor_),
        arriving_(executor_),
        leaving_(executor_) {
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = std::chrono::milliseconds(settings.handshake_timeout_ms);
    timeouts.idle_timeout = std::chrono::milliseconds(settings.idle_timeout_ms);
    timeouts.keep_alive_pings = true;
    socket_.set_option(timeouts);
    socket_.read_message_max(kMessageBytesMax);
    // One message, one frame, one pass: with Beast's defaults large messages are several times slower.
    socket_.auto_fragment(false);
    socket_.write_buffer_bytes(kMessageBytesMax);
    socket_.binary(true);
    // Only while an operation of Beast's is under way, and that keeps this alive.
    socket_.next_layer().on_goodbye = [this] {
      if (!closing_) limit_closing();
    };
  }

  Socket& socket() { return socket_; }

  void start(Handlers handlers) override {
    if (finished_) {
      return asio::post(executor_, [on_closed = std::move(handlers.on_closed)] {
        if (on_closed) on_closed(fail(Errc::closed, "aborted before it was started"));
      });
    }
    handlers_ = std::move(handlers);
    if (dropped_) return;
    started_ = true;
    read_next();
  }

  void send(Bytes message) override {
    if (closing_ || finished_) return;
    queued_bytes_ += message.size();
    queue_.push_back(std::move(message));
    write_next();
  }

  std::size_t queued_bytes() const override { return queued_bytes_; }

  void close(CloseCode code, std::string_view reason) override {
    close_with(code, reason, fail(Errc::closed, "closed by this side: " + std::string(reason)));
  }

  void known() override {
    if (guard_) guard_->known();
  }

  void abort() override {
    if (finished_) return;
    drop();
    asio::post(executor_, [self = shared_from_this()] {
      self->finish(fail(Errc::closed, "aborted by this side"));
    });
  }

  const wire::ChannelBinding& channel_binding() const override { return binding_; }
  std::optional<Instant> certificate_end() const override { return certificate_end_; }
  const std::string& remote() const override { return remote_; }
  // Asio's engine writes each TLS record into this BIO and sends what comes out, so it counts TCP payload.
  std::uint64_t bytes_sent() const override { return BIO_number_written(SSL_get_wbio(ssl())); }
  std::uint64_t bytes_received() const override { return BIO_number_read(SSL_get_rbio(ssl())); }
  asio::any_io_executor executor() const override { return executor_; }
  void post(std::function<void()> work) override { asio::post(executor_, std::move(work)); }

 private:
  SSL* ssl() const { return const_cast<Socket&>(socket_).next_layer().tls().native_handle(); }

  void read_next() {
    if (!incoming_view_) incoming_view_.emplace(incoming_, kRoomBytes);
    // In parts, so that it is seen when a message has begun: it has its own time.
    socket_.async_read_some(
        *incoming_view_, kMessageBytesMax,
        [self = shared_from_this()](error_code ec, std::size_t) { self->on_read(ec); });
  }

  void on_read(error_code ec) {
    if (finished_) return;
    if (ec) return finish(read_error(ec));
    if (!socket_.got_binary()) {
      return close_with(CloseCode::unknown_data, "binary messages only",
                        fail(Errc::malformed,
                             remote_ + " sent a text message; the protocol has only binary ones"));
    }
    if (socket_.is_message_done()) {
      if (std::exchange(partial_, false)) arriving_.cancel();
      Bytes message = std::move(incoming_);
      incoming_ = {};
      incoming_view_.reset();
      if (handlers_.on_message) handlers_.on_message(std::move(message));
    } else if (!std::exchange(partial_, true)) {
      expect(arriving_, "a message did not arrive whole in time");
    }
    // After a close frame of ours has gone, async_close reads (and drops) what is left.
    if (!finished_ && !close_sent_ && !dropped_) read_next();
  }

  /// Ends the connection unless the timer is cancelled or set anew within the time for a message.
  void expect(asio::steady_timer& timer, const char* otherwise) {
    timer.expires_after(std::chrono::milliseconds(settings_.message_timeout_ms));
    timer.async_wait([weak = weak_from_this(), otherwise](error_code ec) {
      if (ec) return;
      const auto self = weak.lock();
      if (!self || self->finished_) return;
      self->close_with(CloseCode::policy_error, otherwise,
                       fail(Errc::timeout, self->remote_ + ": " + otherwise));
    });
  }

  Error read_error(error_code ec) const {
    if (cause_) return *cause_;
    if (ec == websocket::error::closed) {
      const websocket::close_reason& reason = socket_.reason();
      return fail(Errc::closed, remote_ + " closed the connection (" + std::to_string(reason.code) +
                                    (reason.reason.empty() ? "" : ": ") +
                                    std::string(reason.reason.c_str()) + ")");
    }
    if (ec == beast::error::timeout) {
      return fail(Errc::timeout, remote_ + " has been silent for " +
                                     std::to_string(settings_.idle_timeout_ms / 1000) +
                                     " s: the link is dead");
    }
    if (ec == websocket::error::message_too_big) {
      return fail(Errc::too_large,
                  remote_ + " sent a message above " + std::to_string(kMessageBytesMax) + " bytes");
    }
    if (ec == asio::error::eof || ec == asio::ssl::error::stream_truncated) {
      return {ec, remote_ + " ended the connection without a word"};
    }
    return {ec, "the connection with " + remote_ + " broke"};
  }

  void write_next() {
    if (writing_ || dropped_ || close_sent_) return;
    if (queue_.empty()) {
      if (closing_) send_close();
      return;
    }
    writing_ = true;
    expect(leaving_, "a message was not taken in time");
    socket_.async_write(
        asio::buffer(queue_.front()),
        [self = shared_from_this()](error_code ec, std::size_t) { self->on_written(ec); });
  }

  void on_written(error_code ec) {
    writing_ = false;
    leaving_.cancel();
    if (finished_ || dropped_) return queue_.clear();
    if (ec) {
      // Beast gives up a write when the read met a close frame or the idle limit; the read says which.
      if (started_ && (ec == asio::error::operation_aborted || ec == websocket::error::closed))
        return;
      if (!cause_) cause_ = read_error(ec);
      drop();
      return finish(*cause_);
    }
    queued_bytes_ -= queue_.front().size();
    queue_.pop_front();
    const bool drained = queue_.empty();
    write_next();
    if (drained && !closing_ && handlers_.on_drained) handlers_.on_drained();
  }

  void close_with(CloseCode code, std::string_view reason, Error cause) {
    if (closing_ || finished_) return;
    closing_ = true;
    if (!cause_) cause_ = std::move(cause);
    close_reason_.code = static_cast<websocket::close_code>(code);
    close_reason_.reason.assign(reason.data(), std::min<std::size_t>(reason.size(), 123));
    limit_closing();
    write_next();
  }

  /// Whoever began it: the peer's half of the end is not waited for longer.
  void limit_closing() {
    deadline_.expires_after(std::chrono::milliseconds(settings_.close_timeout_ms));
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
      if (ec || self->finished_) return;
      self->finish(self->cause_.value_or(
          fail(Errc::closed, self->remote_ + " was cut off: its connection had ended")));
    });
  }

  void send_close() {
    close_sent_ = true;
    socket_.async_close(close_reason_, [self = shared_from_this()](error_code) {
      self->finish(self->cause_.value_or(fail(Errc::closed, "closed")));
    });
  }

  /// Closes the socket: whatever is in flight completes with an error.
  void drop() {
    dropped_ = true;
    closing_ = true;
    queued_bytes_ = 0;
    // The front may be in flight: its bytes must live until the write completes.
    while (queue_.size() > (writing_ ? 1u : 0u)) queue_.pop_back();
    error_code ignored;
    beast::get_lowest_layer(socket_).close(ignored);
  }

  void finish(const Error& error) {
    if (finished_) return;
    finished_ = true;
    drop();
    deadline_.cancel();
    arriving_.cancel();
    leaving_.cancel();
    Bytes().swap(incoming_);
    const Handlers handlers = std::exchange(handlers_, {});
    guard_.reset();
    if (handlers.on_closed) handlers.on_closed(error);
  }

  std::string remote_;
  wire::ChannelBinding binding_;
  std::optional<Instant> certificate_end_;
  StreamSettings settings_;
  std::shared_ptr<Place> guard_;
  Socket socket_;
  asio::any_io_executor executor_;
  asio::steady_timer deadline_;  ///< of closing
  asio::steady_timer arriving_;  ///< of a message that has begun to arrive
  asio::steady_timer leaving_;   ///< of the message under way to the peer
  Handlers handlers_;
  Bytes incoming_;
  std::optional<asio::dynamic_vector_buffer<std::uint8_t, std::allocator<std::uint8_t>>>
      incoming_view_;
  std::deque<Bytes> queue_;
  std::size_t queued_bytes_ = 0;
  std::optional<Error> cause_;
  websocket::close_reason close_reason_;
  bool started_ = false;
  bool writing_ = false;
  bool partial_ = false;     ///< a message has begun to arrive
  bool closing_ = false;     ///< nothing more is queued
  bool close_sent_ = false;  ///< async_close has begun
  bool dropped_ = false;     ///< the socket is closed
  bool finished_ = false;    ///< on_closed has been called
};

Error upgrade_error(error_code ec, const websocket::response_type& response,
                    const std::string& where) {
  if (ec == websocket::error::upgrade_declined && response.result_int() >= 500) {
    return fail(Errc::closed, where + " answered HTTP " + std::to_string(response.result_int()) +
                                  ": the hub is there but takes no connection now");
  }
  if (ec == websocket::error::upgrade_declined) {
    return fail(Errc::unsupported,
                where + " answered HTTP " + std::to_string(response.result_int()) +
                    " instead of opening the sync connection: a proxy between, or another service "
                    "on the hub's machine. Use another network, or ask the hub's operator");
  }
  if (ec == beast::error::timeout)
    return fail(Errc::timeout, where + " did not answer the upgrade in time");
  return {ec,
          where +
              " did not open the sync connection: not a Fieldpost hub, or something between. "
              "It is tried again; if it stays so on another network too, ask the hub's operator"};
}

}  // namespace

std::string remote_text(const asio::ip::tcp::socket& socket) {
  error_code ec;
  const auto endpoint = socket.remote_endpoint(ec);
  if (ec) return "unknown";
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
         std::to_string(endpoint.port());
}

void accept_websocket(TlsSocket socket, const HttpRequest& request, const StreamSettings& settings,
                      std::shared_ptr<Place> guard, StreamCallback callback) {
  auto stream = std::make_shared<TlsWebSocket>(std::move(socket), settings, std::move(guard));
  stream->socket().set_option(
      websocket::stream_base::decorator([](websocket::response_type& response) {
        response.erase(http::field::server);
        response.set(http::field::sec_websocket_protocol, kSyncProtocol);
      }));
  http::request<http::empty_body> upgrade{http::verb::get, request.target, 11};
  for (const auto& [name, value] : request.headers) upgrade.insert(name, value);
  stream->socket().async_accept(upgrade, [stream, callback = std::move(callback)](error_code ec) {
    if (ec) return callback(Error{ec, "the WebSocket upgrade of " + stream->remote() + " failed"});
    callback(std::shared_ptr<MessageStream>(stream));
  });
}

Cancel request_websocket(TlsSocket socket, const std::string& host, const std::string& path,
                         const std::string& where, const StreamSettings& settings,
                         StreamCallback callback) {
  auto stream = std::make_shared<TlsWebSocket>(std::move(socket), settings, nullptr);
  stream->socket().set_option(
      websocket::stream_base::decorator([](websocket::request_type& request) {
        request.erase(http::field::user_agent);
        request.set(http::field::sec_websocket_protocol, kSyncProtocol);
      }));
  auto response = std::make_shared<websocket::response_type>();
  stream->socket().async_handshake(
      *response, host, path,
      [stream, response, where, callback = std::move(callback)](error_code ec) {
        if (ec) return callback(upgrade_error(ec, *response, where));
        if ((*response)[http::field::sec_websocket_protocol] != kSyncProtocol) {
          return callback(
              fail(Errc::unsupported,
                   where + " opened a WebSocket but does not speak " + std::string(kSyncProtocol)));
        }
        callback(std::shared_ptr<MessageStream>(stream));
      });
  return [weak = std::weak_ptr(stream)] {
    if (auto live = weak.lock()) live->abort();
  };
}

}  // namespace fieldpost::net

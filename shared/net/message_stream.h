// One connection of whole binary messages, whatever carries them: a WebSocket over TLS, or a test.
// Free of Beast and OpenSSL on purpose: those headers cost seconds a file.
//
// Thread rule: every member is called on the connection's own single-threaded io_context; other
// threads go through `executor()` or `post()`. Handlers run there too.
// Invariants:
//   1. Messages arrive whole, in the order sent; at most one write is in flight.
//   2. Once started, `on_closed` is called exactly once, never from inside a call to the stream, and
//      nothing is called after it. The handlers (and what they captured) are then destroyed.
//   3. Nothing here bounds the send queue: its owner looks at `queued_bytes()` and stops producing.
//   4. A received message is at most limits::kFrameBytesMax + kFrameSlackBytes; a larger one closes the
//      connection (1009) before anything is allocated for it; a text message closes it with 1003.
// Lifetime: I/O in flight keeps the stream alive, so letting go of the last pointer closes nothing:
// the owner calls close() or abort(). That is why it is held by shared_ptr.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "wire/messages.h"

namespace fieldpost::net {

/// Bytes that frame headers may add to limits::kFrameBytesMax in one WebSocket message.
inline constexpr std::size_t kFrameSlackBytes = 16;

/// Close codes of RFC 6455 section 7.4.1 that Fieldpost sends.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,  ///< the program stops
  protocol_error = 1002,
  unknown_data = 1003,  ///< a text message
  policy_error = 1008,  ///< a slow peer, or one that may not
  too_big = 1009,
  internal_error = 1011,
  try_again_later = 1013,
};

class MessageStream {
 public:
  struct Handlers {
    std::function<void(Bytes&&)> on_message;
    /// `Errc::closed` when either side closed in order, with the code and reason in the detail;
    /// `Errc::timeout` when the peer went silent or was too long at one message; else what went wrong.
    std::function<void(const Error&)> on_closed;
    /// The send queue has become empty. May be null.
    std::function<void()> on_drained;
  };

  virtual ~MessageStream() = default;

  /// Begins to read. Once.
  virtual void start(Handlers handlers) = 0;
  /// Queues one message. Ignored after close() or abort().
  virtual void send(Bytes message) = 0;
  /// Bytes of messages queued and not yet handed to the operating system.
  virtual std::size_t queued_bytes() const = 0;
  /// Sends what is queued, then a close frame, and waits for the peer's; abort() after the deadline
  /// of the stream's settings. A reason is cut at 123 bytes.
  virtual void close(CloseCode code, std::string_view reason) = 0;
  /// The peer has shown who it is: it never makes room for a stranger from here on.
  virtual void known() {}
  /// Drops the connection and the queue now.
  virtual void abort() = 0;
  /// RFC 9266 tls-exporter: equal on both ends of one TLS connection, and on no other.
  virtual const wire::ChannelBinding& channel_binding() const = 0;
  /// When the certificate ends that the peer showed; nothing when it showed none.
  virtual std::optional<Instant> certificate_end() const { return std::nullopt; }
  /// "address:port" of the peer.
  virtual const std::string& remote() const = 0;
  /// TCP payload of this connection so far, handshake included.
  virtual std::uint64_t bytes_sent() const = 0;
  virtual std::uint64_t bytes_received() const = 0;

  virtual boost::asio::any_io_executor executor() const = 0;
  /// Runs `work` on the connection's thread; safe from any thread.
  virtual void post(std::function<void()> work) = 0;
};

}  // namespace fieldpost::net

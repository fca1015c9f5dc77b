// Internal to net: bytes over TCP or TLS behind one virtual interface, so that HTTP is compiled once.
//
// Thread rule: one io_context thread; one read and one write at a time.
// Invariants:
//   1. Callbacks never come from inside the call; after close() they come with operation_aborted.
//   2. The owner of a callback keeps the Transport alive until it has come.
#pragma once

#include <boost/asio/buffer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "net/tls_context.h"

namespace fieldpost::net {

class Transport {
 public:
  using Done = std::function<void(boost::system::error_code, std::size_t)>;

  virtual ~Transport() = default;
  virtual void read_some(boost::asio::mutable_buffer into, Done done) = 0;
  /// Writes all of both.
  virtual void write(boost::asio::const_buffer head, boost::asio::const_buffer body, Done done) = 0;
  /// Ends the sending side in order (close_notify, FIN).
  virtual void shutdown(std::function<void()> done) = 0;
  virtual void close() = 0;
  virtual boost::asio::ip::tcp::socket& tcp() = 0;
  /// The TLS socket to hand to a WebSocket, or null when this is plain TCP.
  virtual TlsSocket* tls() { return nullptr; }
};

std::unique_ptr<Transport> make_transport(TlsSocket socket);
std::unique_ptr<Transport> make_transport(boost::asio::ip::tcp::socket socket);

}  // namespace fieldpost::net

#include "net/transport.h"

#include <array>
#include <boost/asio/write.hpp>

namespace fieldpost::net {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

template <class Socket>
class SocketTransport : public Transport {
 public:
  explicit SocketTransport(Socket socket) : socket_(std::move(socket)) {}

  void read_some(asio::mutable_buffer into, Done done) override {
    socket_.async_read_some(into, std::move(done));
  }
  void write(asio::const_buffer head, asio::const_buffer body, Done done) override {
    asio::async_write(socket_, std::array<asio::const_buffer, 2>{head, body}, std::move(done));
  }
  void close() override {
    error_code ignored;
    tcp().close(ignored);
  }
  asio::ip::tcp::socket& tcp() override {
    return static_cast<asio::ip::tcp::socket&>(socket_.lowest_layer());
  }

 protected:
  Socket socket_;
};

class PlainTransport final : public SocketTransport<asio::ip::tcp::socket> {
 public:
  using SocketTransport::SocketTransport;
  void shutdown(std::function<void()> done) override {
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    asio::post(socket_.get_executor(), std::move(done));
  }
};

class TlsTransport final : public SocketTransport<TlsSocket> {
 public:
  using SocketTransport::SocketTransport;
  void shutdown(std::function<void()> done) override {
    socket_.async_shutdown([done = std::move(done)](error_code) { done(); });
  }
  TlsSocket* tls() override { return &socket_; }
};

}  // namespace

std::unique_ptr<Transport> make_transport(TlsSocket socket) {
  return std::make_unique<TlsTransport>(std::move(socket));
}
std::unique_ptr<Transport> make_transport(asio::ip::tcp::socket socket) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

}  // namespace fieldpost::net

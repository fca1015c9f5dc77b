#include "net/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>

#include "net/connector.h"
#include "net/tls_websocket.h"

namespace fieldpost::net {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

/// One request and its answer, over a connection of its own.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(asio::any_io_executor executor, ClientRequest request, RequestCallback callback)
      : request_(std::move(request)),
        callback_(std::move(callback)),
        where_(host_and_port(request_.host, request_.port)),
        executor_(std::move(executor)),
        timer_(executor_) {}

  void run() {
    timer_.expires_after(std::chrono::milliseconds(request_.timeout_ms));
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
      auto self = ec ? nullptr : weak.lock();
      if (self) {
        self->give_up(fail(Errc::timeout, self->where_ + " did not answer within " +
                                              std::to_string(self->request_.timeout_ms / 1000) +
                                              " s"));
      }
    });
    // The timer above is the one that counts; the connector's own must not come first.
    const std::int64_t longer_ms = request_.timeout_ms + 1000;
    cancel_connect_ = connect(executor_,
                              {request_.host, request_.port, request_.server_name, request_.trust,
                               request_.hub_time_at_least, longer_ms, longer_ms},
                              [self = shared_from_this()](Result<Connected> connected) {
                                if (!self->callback_) return;
                                if (!connected) return self->finish(std::move(connected).error());
                                self->on_connected(*std::move(connected));
                              });
  }

  void give_up(Error error) {
    if (cancel_connect_) cancel_connect_();
    if (transport_) transport_->close();
    finish(std::move(error));
  }

 private:
  void finish(Result<ClientResponse> result) {
    timer_.cancel();
    if (auto callback = std::exchange(callback_, nullptr)) callback(std::move(result));
  }

  bool build_head() {
    bool safe = true;
    auto add = [&](std::string_view name, std::string_view value) {
      safe =
          safe &&
          (std::string(name) + std::string(value)).find_first_of(std::string_view("\r\n\0", 3)) ==
              std::string::npos;
      head_.append(name).append(": ").append(value).append("\r\n");
    };
    safe = request_.target.find_first_of(std::string_view(" \r\n\0", 4)) == std::string::npos &&
           request_.target.starts_with('/');
    head_ = request_.method + " " + request_.target + " HTTP/1.1\r\n";
    if (find_header(request_.headers, "Host") == nullptr) add("Host", where_);
    for (const auto& [name, value] : request_.headers) add(name, value);
    if (!request_.body.empty()) add("Content-Type", request_.content_type);
    if (!request_.body.empty() || request_.method != "GET") {
      add("Content-Length", std::to_string(request_.body.size()));
    }
    add("Connection", "close");
    head_ += "\r\n";
    return safe;
  }

  void on_connected(Connected connected) {
    transport_ = std::move(connected.transport);
    result_.ca_pem = std::move(connected.ca_pem);
    result_.certificate_end = connected.certificate_end;
    if (!build_head()) {
      transport_->close();
      return finish(fail(Errc::invalid_argument,
                         "the request's address or a header holds characters that HTTP forbids"));
    }
    parser_.header_limit(static_cast<std::uint32_t>(request_.header_bytes_max));
    parser_.body_limit(request_.body_bytes_max);
    parser_.eager(true);
    parser_.skip(request_.method == "HEAD");
    transport_->write(asio::buffer(head_), asio::buffer(request_.body),
                      [self = shared_from_this()](error_code ec, std::size_t) {
                        if (!self->callback_) return;
                        // A server may answer and close before it has read all (413): its answer is worth reading.
                        if (ec) self->write_error_ = ec;
                        self->read();
                      });
  }

  void read() {
    transport_->read_some(input_.prepare(16 * 1024),
                          [self = shared_from_this()](error_code ec, std::size_t size) {
                            if (!self->callback_) return;
                            self->input_.commit(size);
                            self->on_read(ec);
                          });
  }

  void on_read(error_code ec) {
    error_code parse_error;
    while (input_.size() > 0 && !parser_.is_done() && !parse_error) {
      input_.consume(parser_.put(input_.data(), parse_error));
    }
    if (parse_error == http::error::need_more) parse_error = {};
    // An end of the stream is the end of an answer without a length.
    if (ec && !parser_.is_done() && !parse_error && parser_.got_some())
      parser_.put_eof(parse_error);
    if (parse_error) {
      transport_->close();
      if (parse_error == http::error::body_limit || parse_error == http::error::header_limit) {
        return finish(fail(Errc::too_large, where_ + " sent an answer above the limit"));
      }
      return finish(
          fail(Errc::malformed, where_ + " did not answer with HTTP: " + parse_error.message()));
    }
    if (parser_.is_done()) return answer();
    if (!ec) return read();
    transport_->close();
    finish(Error{write_error_ ? write_error_ : ec,
                 where_ + " closed the connection without an answer"});
  }

  void answer() {
    auto& message = parser_.get();
    HttpResponse& response = result_.response;
    response.status = message.result_int();
    response.content_type = std::string(message[http::field::content_type]);
    for (const auto& field : message) {
      response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    response.body = std::move(message.body());
    // TLS: say goodbye in order, but nobody needs to wait for it.
    transport_->shutdown([self = shared_from_this()] { self->transport_->close(); });
    finish(std::move(result_));
  }

  ClientRequest request_;
  RequestCallback callback_;  ///< null once called
  std::string where_;
  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  Cancel cancel_connect_;
  std::unique_ptr<Transport> transport_;
  std::string head_;
  error_code write_error_;
  boost::beast::flat_buffer input_;
  http::response_parser<http::string_body> parser_;
  ClientResponse result_;
};

/// The two steps of connect_stream(), and what gives up the one under way.
struct StreamAttempt {
  StreamCallback callback;
  Cancel give_up;
  bool cancelled = false;

  void finish(Result<std::shared_ptr<MessageStream>> result) {
    give_up = nullptr;
    if (cancelled && result) (*result)->abort();
    if (cancelled) result = fail(Errc::closed, "given up by this side");
    if (auto once = std::exchange(callback, nullptr)) once(std::move(result));
  }
};

}  // namespace

Cancel connect_stream(asio::any_io_executor executor, ClientTarget target,
                      StreamCallback callback) {
  auto attempt = std::make_shared<StreamAttempt>();
  attempt->callback = std::move(callback);
  if (!target.trust) {
    asio::post(executor, [attempt] {
      attempt->finish(fail(Errc::invalid_argument,
                           "the sync connection needs the hub's CA: enrol this device"));
    });
    return [] {};
  }
  ConnectSettings settings{target.host,
                           target.port,
                           target.server_name,
                           target.trust,
                           target.hub_time_at_least,
                           target.connect_timeout_ms,
                           target.handshake_timeout_ms};
  auto on_connected = [attempt, target = std::move(target)](Result<Connected> connected) {
    if (!connected) return attempt->finish(std::move(connected).error());
    if (attempt->cancelled) return attempt->finish(fail(Errc::closed, ""));
    const std::string where = host_and_port(target.host, target.port);
    attempt->give_up =
        request_websocket(std::move(*connected->transport->tls()), where, target.path, where,
                          {target.handshake_timeout_ms, target.idle_timeout_ms,
                           target.close_timeout_ms, target.message_timeout_ms},
                          [attempt](Result<std::shared_ptr<MessageStream>> result) {
                            attempt->finish(std::move(result));
                          });
  };
  attempt->give_up = connect(executor, std::move(settings), std::move(on_connected));
  return [attempt] {
    attempt->cancelled = true;
    if (attempt->give_up) attempt->give_up();
  };
}

Cancel async_http_request(asio::any_io_executor executor, ClientRequest request,
                          RequestCallback callback) {
  auto exchange = std::make_shared<Exchange>(executor, std::move(request), std::move(callback));
  asio::post(executor, [exchange] { exchange->run(); });
  return [executor, weak = std::weak_ptr(exchange)] {
    asio::post(executor, [weak] {
      if (auto live = weak.lock()) live->give_up(fail(Errc::closed, "given up by this side"));
    });
  };
}

Result<ClientResponse> http_request(ClientRequest request) {
  asio::io_context context(1);
  Result<ClientResponse> result = fail(Errc::closed, "the request was not made");
  async_http_request(context.get_executor(), std::move(request),
                     [&](Result<ClientResponse> answer) {
                       result = std::move(answer);
                       context.stop();
                     });
  context.run();
  return result;
}

}  // namespace fieldpost::net

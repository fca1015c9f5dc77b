#include "net/http_session.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <optional>

#include "net/tls_websocket.h"

namespace fieldpost::net {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytes = 8 * 1024;
/// Bytes of a Sec-WebSocket-Key: the base64 of 16.
constexpr std::size_t kUpgradeKeyBytes = 24;
/// "0", CRLF, CRLF.
constexpr std::size_t kChunkEndBytes = 5;
/// How long to wait for the peer's half of an orderly end.
constexpr std::int64_t kLingerMs = 2'000;

bool header_safe(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

std::string response_head(const HttpResponse& response, bool keep_alive) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  const bool no_body = response.status == 204 || response.status == 304;
  std::string head =
      "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(reason) + "\r\n";
  auto line = [&head](std::string_view name, std::string_view value) {
    if (!header_safe(name) || !header_safe(value)) return;
    head.append(name).append(": ").append(value).append("\r\n");
  };
  auto unless_given = [&](std::string_view name, std::string_view value) {
    if (response.header(name) == nullptr) line(name, value);
  };
  for (const auto& [name, value] : response.headers) line(name, value);
  if (!no_body) {
    if (!response.content_type.empty() && !response.body.empty()) {
      unless_given("Content-Type", response.content_type);
    }
    line("Content-Length", std::to_string(response.body.size()));
  }
  unless_given("X-Content-Type-Options", "nosniff");
  unless_given("Cache-Control", "no-store");
  unless_given("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  unless_given("Referrer-Policy", "no-referrer");
  line("Connection", keep_alive ? "keep-alive" : "close");
  return head + "\r\n";
}

bool offers_sync_protocol(const HttpRequest& request) {
  const std::string* offered = request.header("Sec-WebSocket-Protocol");
  return offered != nullptr && http::token_list{*offered}.exists(std::string(kSyncProtocol));
}

bool asks_for_websocket(const HttpRequest& request) {
  const std::string* upgrade = request.header("Upgrade");
  const std::string* connection = request.header("Connection");
  return upgrade != nullptr && http::token_list{*upgrade}.exists("websocket") &&
         connection != nullptr && http::token_list{*connection}.exists("upgrade");
}

}  // namespace

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(std::shared_ptr<const SessionShared> shared, std::unique_ptr<Transport> transport,
              std::shared_ptr<Place> guard)
      : shared_(std::move(shared)),
        transport_(std::move(transport)),
        guard_(std::move(guard)),
        executor_(transport_->tcp().get_executor()),
        timer_(executor_),
        remote_(remote_text(transport_->tcp())) {}

  void next_request() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_->config.header_bytes_max));
    parser_->body_limit(boost::none);  // judged in on_header(), before anything of it is kept
    header_seen_ = false;
    request_ = {};
    busy_ = false;
    const bool begun = input_.size() > 0 || !served_;
    arm(begun ? shared_->config.header_timeout_ms : shared_->config.idle_timeout_ms);
    if (input_.size() > 0) return parse();
    if (stopping_) return end();
    read();
  }

  void stop() {
    stopping_ = true;
    if (!busy_ && !closed_) end();
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    timer_.cancel();
    transport_->close();
    guard_.reset();
  }

 private:
  void arm(std::int64_t timeout_ms) {
    timer_.expires_after(std::chrono::milliseconds(timeout_ms));
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
      if (ec) return;
      if (auto self = weak.lock()) self->close();
    });
  }

  void read() {
    transport_->read_some(input_.prepare(kReadBytes),
                          [self = shared_from_this()](error_code ec, std::size_t size) {
                            if (self->closed_) return;
                            if (ec) return self->close();
                            // The first bytes of a request: from here its header has its own, shorter time.
                            if (!self->busy_) self->arm(self->shared_->config.header_timeout_ms);
                            self->busy_ = true;
                            self->input_.commit(size);
                            self->parse();
                          });
  }

  void parse() {
    busy_ = true;
    while (!parser_->is_done()) {
      if (input_.size() == 0) return read();
      if (may_be_chunk_end()) return read();
      error_code ec;
      const std::size_t used = parser_->put(input_.data(), ec);
      input_.consume(used);
      if (ec == http::error::need_more) {
        // A chunk's extensions or trailers have no end in Beast's eyes: they have one here.
        if (input_.size() > shared_->config.header_bytes_max)
          return refuse(http::error::header_limit);
        return read();
      }
      if (ec) return refuse(ec);
      if (parser_->is_header_done() && !header_seen_ && !on_header()) return;
    }
    if (!header_seen_ && !on_header()) return;
    input_.shrink_to_fit();
    dispatch();
  }

  /// The shortest end of a chunked body has five bytes, and Beast (1.81) aborts a debug build when it is given
  /// the first three, then four.
  bool may_be_chunk_end() const {
    return header_seen_ && parser_->chunked() && input_.size() < kChunkEndBytes &&
           *static_cast<const char*>(input_.data().data()) == '0';
  }

  void refuse(error_code ec) {
    if (ec == http::error::header_limit) {
      return answer_last(error_response(431, "too_large",
                                        "the request's header is above " +
                                            std::to_string(shared_->config.header_bytes_max) +
                                            " bytes"));
    }
    if (ec == http::error::body_limit || ec == http::error::buffer_overflow) {
      return answer_last(
          error_response(413, "too_large", "the request's body is too large for this address"));
    }
    answer_last(
        error_response(400, "malformed", "this is not an HTTP/1.1 request: " + ec.message()));
  }

  /// False when the request has been refused.
  bool on_header() {
    header_seen_ = true;
    const auto& message = parser_->get();
    request_.method = std::string(message.method_string());
    request_.target = std::string(message.target());
    request_.remote = remote_;
    request_.tls = shared_->tls;
    request_.known = [place = std::weak_ptr(guard_)] {
      if (const auto live = place.lock()) live->known();
    };
    for (const auto& field : message) {
      request_.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    keep_alive_ = message.keep_alive();
    if (auto sound = check_head(message.version()); !sound) {
      answer_last(error_response(400, "malformed", sound.error().detail));
      return false;
    }
    if (const std::string* coding = request_.header("Content-Encoding");
        coding != nullptr && !boost::beast::iequals(*coding, "identity")) {
      answer_last(error_response(415, "unsupported",
                                 "bodies are taken as they are, without Content-Encoding"));
      return false;
    }
    std::size_t limit = shared_->config.body_limit ? shared_->config.body_limit(request_) : 0;
    if (limit == 0) limit = shared_->config.body_bytes_max;
    if (const auto length = parser_->content_length(); length && *length > limit) {
      refuse(http::error::body_limit);
      return false;
    }
    parser_->body_limit(limit);
    parser_->eager(true);
    arm(shared_->config.body_timeout_ms);
    if (const std::string* expect = request_.header("Expect");
        expect != nullptr && !parser_->is_done()) {
      return send_continue();
    }
    return true;
  }

  Status check_head(unsigned version) {
    constexpr unsigned kHttp10 = 10;
    constexpr unsigned kHttp11 = 11;
    if (version != kHttp10 && version != kHttp11)
      return fail(Errc::malformed, "this is not an HTTP/1.1 request");
    // RFC 9112 section 3.2: two hosts are two opinions, and whoever stands between may believe the other.
    const std::size_t hosts = count_headers(request_, "Host");
    if (hosts > 1 || (version == kHttp11 && hosts == 0))
      return fail(Errc::malformed, "a request names its Host once");
    // Section 6.3: a coding that is not understood leaves the body's end unknown.
    if (const std::string* coding = request_.header("Transfer-Encoding");
        coding != nullptr && (!boost::beast::iequals(*coding, "chunked") ||
                              count_headers(request_, "Transfer-Encoding") != 1)) {
      return fail(Errc::malformed, "the one Transfer-Encoding taken is chunked");
    }
    return parse_target(request_);
  }

  bool send_continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    transport_->write(asio::buffer(kContinue.data(), kContinue.size()), {},
                      [self = shared_from_this()](error_code ec, std::size_t) {
                        if (self->closed_) return;
                        if (ec) return self->close();
                        self->parse();
                      });
    return false;
  }

  void dispatch() {
    ++shared_->counters->requests;
    served_ = true;
    if (shared_->on_upgrade && request_.path == kSyncPath) return upgrade();
    timer_.cancel();
    request_.body = std::move(parser_->get().body());
    head_only_ = request_.method == "HEAD";
    Responder respond([self = shared_from_this()](HttpResponse response) {
      asio::post(self->executor_, [self, response = std::move(response)]() mutable {
        self->write(std::move(response), self->keep_alive_ && !self->stopping_);
      });
    });
    shared_->on_request(std::move(request_), std::move(respond));
  }

  void upgrade() {
    if (auto refusal = refuse_upgrade()) return answer_last(*std::move(refusal));
    if (input_.size() != 0) {
      return answer_last(
          error_response(400, "malformed", "data came before the upgrade was answered"));
    }
    if (stopping_) return answer_last(error_response(503, "closed", "the hub is stopping"));
    timer_.cancel();
    closed_ = true;
    shared_->on_upgrade(std::move(request_), std::move(*transport_->tls()), std::move(guard_));
  }

  /// RFC 6455 section 4.2.1; nothing when the request is in order.
  std::optional<HttpResponse> refuse_upgrade() const {
    const auto& message = parser_->get();
    constexpr unsigned kHttp11 = 11;
    if (request_.method != "GET" || message.version() != kHttp11 || !asks_for_websocket(request_)) {
      HttpResponse response =
          error_response(426, "upgrade_required", "this address takes WebSocket connections only");
      response.headers.emplace_back("Upgrade", "websocket");
      return response;
    }
    if (const std::string* version = request_.header("Sec-WebSocket-Version");
        version == nullptr || *version != "13") {
      HttpResponse response = error_response(426, "upgrade_required",
                                             "this address speaks version 13 of WebSocket only");
      response.headers.emplace_back("Sec-WebSocket-Version", "13");
      return response;
    }
    const std::string* key = request_.header("Sec-WebSocket-Key");
    if (key == nullptr || key->size() != kUpgradeKeyBytes ||
        count_headers(request_, "Sec-WebSocket-Key") != 1) {
      return error_response(400, "malformed",
                            "an upgrade shows one Sec-WebSocket-Key, of 16 bytes in base64");
    }
    if (!message.body().empty())
      return error_response(400, "malformed", "an upgrade request has no body");
    if (!offers_sync_protocol(request_)) {
      return error_response(
          400, "unsupported",
          "this address speaks the subprotocol " + std::string(kSyncProtocol) + " only");
    }
    return std::nullopt;
  }

  void answer_last(HttpResponse response) { write(std::move(response), false); }

  void write(HttpResponse response, bool keep_alive) {
    if (closed_) return;
    busy_ = true;
    head_ = response_head(response, keep_alive);
    body_ = std::move(response.body);
    if (head_only_ || response.status == 204 || response.status == 304) body_.clear();
    arm(shared_->config.body_timeout_ms);
    transport_->write(asio::buffer(head_), asio::buffer(body_),
                      [self = shared_from_this(), keep_alive](error_code ec, std::size_t) {
                        if (self->closed_) return;
                        if (ec) return self->close();
                        std::string().swap(self->body_);
                        self->head_only_ = false;
                        keep_alive ? self->next_request() : self->end();
                      });
  }

  /// Ends in order: our half first, so that the peer reads the whole answer, then what it still sends is dropped.
  void end() {
    if (closed_ || ending_) return;
    ending_ = true;
    busy_ = true;
    arm(kLingerMs);
    transport_->shutdown([self = shared_from_this()] {
      if (!self->closed_) self->drain();
    });
  }

  void drain() {
    input_.clear();
    if (transport_->tls() != nullptr) return close();  // its shutdown has waited for the peer's
    transport_->read_some(input_.prepare(kReadBytes),
                          [self = shared_from_this()](error_code ec, std::size_t) {
                            if (self->closed_) return;
                            ec ? self->close() : self->drain();
                          });
  }

  std::shared_ptr<const SessionShared> shared_;
  std::unique_ptr<Transport> transport_;
  std::shared_ptr<Place> guard_;
  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  std::string remote_;
  boost::beast::flat_buffer input_;
  std::optional<http::request_parser<http::string_body>> parser_;
  HttpRequest request_;
  std::string head_;
  std::string body_;
  bool header_seen_ = false;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool busy_ = false;    ///< a request has begun to arrive, or its answer is under way
  bool served_ = false;  ///< a request has come whole
  bool stopping_ = false;
  bool ending_ = false;
  bool closed_ = false;
};

std::shared_ptr<HttpSession> start_http_session(std::shared_ptr<const SessionShared> shared,
                                                std::unique_ptr<Transport> transport,
                                                std::shared_ptr<Place> guard) {
  auto session =
      std::make_shared<HttpSession>(std::move(shared), std::move(transport), std::move(guard));
  session->next_request();
  return session;
}

void stop_http_session(HttpSession& session) { session.stop(); }
void drop_http_session(HttpSession& session) { session.close(); }

}  // namespace fieldpost::net

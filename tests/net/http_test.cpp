// HTTP/1.1 as the API and the command line use it, over TLS and over loopback.
#include "net/http.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "tests/net/hub_fixture.h"

using namespace fieldpost;
using test::HubFixture;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

bool says(const std::string& sentence, std::string_view part) {
  return sentence.find(part) != std::string::npos;
}

struct Loopback {
  explicit Loopback(net::ServerConfig config = {})
      : server({&loop.context()}, std::move(config),
               [this](net::HttpRequest request, net::Responder respond) {
                 on_request(std::move(request), respond);
               }) {
    REQUIRE(server.start());
  }
  /// Sends exactly this text and returns all that comes until the server closes.
  std::string talk(const std::string& text) {
    tcp::socket socket(loop.context());
    socket.connect({asio::ip::address_v4::loopback(), server.port()});
    std::string answer;
    bool ended = false;
    asio::async_write(socket, asio::buffer(text), [](auto, auto) {});
    asio::async_read(socket, asio::dynamic_buffer(answer), [&](auto, auto) { ended = true; });
    loop.run_until([&] { return ended; });
    return answer;
  }
  test::Loop loop;
  std::function<void(const net::HttpRequest&, const net::Responder&)> on_request =
      [](const net::HttpRequest& request, const net::Responder& respond) {
        net::HttpResponse response;
        response.body = request.method + " " + request.path + " [" + request.body + "]\n";
        respond(std::move(response));
      };
  net::HttpServer server;
};

net::ClientRequest to(std::uint16_t port, std::string target) {
  net::ClientRequest request;
  request.host = "127.0.0.1";
  request.port = port;
  request.target = std::move(target);
  return request;
}

}  // namespace

TEST_CASE("a request over TLS carries everything there and back") {
  HubFixture hub;
  net::HttpRequest seen;
  hub.on_request = [&](const net::HttpRequest& request, const net::Responder& respond) {
    seen = request;
    net::HttpResponse response;
    response.status = 201;
    response.headers.emplace_back("X-Place", "01");
    response.body = std::string(300'000, 'x');
    respond(std::move(response));
  };
  auto request = to(hub.server.port(), "/v1/units/01-PPT/records?state=final&name=a%20b+c");
  request.method = "POST";
  request.trust = hub.target().trust;
  request.headers.emplace_back("Authorization", "Bearer t");
  request.body = std::string(200'000, 'y');
  const auto answer = hub.request(request).value().response;
  CHECK(answer.status == 201);
  CHECK(answer.body == std::string(300'000, 'x'));
  CHECK(*answer.header("x-place") == "01");
  CHECK(seen.method == "POST");
  CHECK(seen.tls);
  CHECK(seen.segments == std::vector<std::string>{"v1", "units", "01-PPT", "records"});
  CHECK(seen.query_value("state") == "final");
  CHECK(seen.query_value("name") == "a b c");
  CHECK(seen.query_value("none").empty());
  CHECK(*seen.header("AUTHORIZATION") == "Bearer t");
  CHECK(seen.body.size() == 200'000);
  CHECK(says(seen.remote, "127.0.0.1:"));
}

TEST_CASE("every answer carries the security headers, and a handler may set its own") {
  Loopback agent;
  std::string answer = agent.talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  for (const char* header :
       {"X-Content-Type-Options: nosniff", "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none'", "Content-Type: application/json"}) {
    CHECK(says(answer, header));
  }
  agent.on_request = [](const auto&, const auto& respond) {
    net::HttpResponse response;
    response.headers.emplace_back("content-security-policy", "default-src 'self'");
    response.headers.emplace_back("X-Bad", "a\r\nSet-Cookie: stolen=1");
    respond(std::move(response));
  };
  answer = agent.talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(says(answer, "content-security-policy: default-src 'self'"));
  CHECK_FALSE(says(answer, "default-src 'none'"));
  CHECK_FALSE(says(answer, "stolen"));
}

TEST_CASE("requests on one connection are answered in order, also when sent ahead") {
  Loopback agent;
  const std::string answer = agent.talk(
      "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "3\r\n\r\nabc"
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
      "HEAD /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto a = answer.find("GET /a []"), b = answer.find("POST /b [abc]"),
             c = answer.find("POST /c [def]");
  REQUIRE(c != std::string::npos);
  CHECK(a < b);
  CHECK(b < c);
  CHECK(answer.ends_with("\r\n\r\n"));  // HEAD has no body
  CHECK(says(answer, "Content-Length: 11\r\n"));
}

TEST_CASE("what is no request gets a sentence and the end of the connection") {
  net::ServerConfig config;
  config.body_limit = [](const net::HttpRequest& request) -> std::size_t {
    return request.path == "/big" ? 3'000'000 : 0;
  };
  Loopback agent(config);
  int handled = 0;
  agent.on_request = [&](const auto&, const auto& respond) {
    ++handled;
    respond({});
  };
  const struct {
    std::string text;
    const char* status;
  } cases[] = {
      {"hello\r\n\r\n", "HTTP/1.1 400"},
      {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET /./v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET /a/%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET http://evil/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"GET /?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", "HTTP/1.1 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 3000001\r\n\r\n", "HTTP/1.1 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" +
           std::string(5000, 'x'),
       "HTTP/1.1 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n", "HTTP/1.1 431"},
  };
  for (const auto& [text, status] : cases) {
    INFO(text.substr(0, 60));
    const std::string answer = agent.talk(text);
    CHECK(answer.starts_with(status));
    CHECK(says(answer, "Connection: close"));
    CHECK(says(answer, "{\"error\":{\"code\":"));
  }
  CHECK(handled == 0);
  CHECK(says(
      agent.talk(
          "POST /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n" +
          std::string(2'000'000, 'x')),
      "HTTP/1.1 200"));
}

TEST_CASE("an answer may come later, from another thread, and only once") {
  Loopback agent;
  std::optional<std::thread> worker;
  agent.on_request = [&](const net::HttpRequest& request, const net::Responder& respond) {
    worker.emplace([request, respond] {
      net::HttpResponse response;
      response.body = "first";
      respond(response);
      response.body = "second";
      respond(response);
    });
  };
  const std::string answer = agent.talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  worker->join();
  CHECK(says(answer, "first"));
  CHECK_FALSE(says(answer, "second"));
}

TEST_CASE("a forgotten answer is a 500, not a hanging connection") {
  Loopback agent;
  agent.on_request = [](const auto&, const auto&) {};
  CHECK(agent.talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 500"));
}

TEST_CASE("a client that says nothing, or half a header, is let go") {
  net::ServerConfig config;
  config.header_timeout_ms = 20;
  config.idle_timeout_ms = 20;
  Loopback agent(config);
  CHECK(agent.talk("").empty());
  CHECK(agent.talk("GET / HT").empty());
  agent.loop.run_until([&] { return agent.server.counters().connections_open == 0; });
  CHECK(agent.server.counters().connections_accepted == 2);
}

TEST_CASE("above the most connections a new one is closed at once and counted") {
  net::ServerConfig config;
  config.connections_max = 1;
  Loopback agent(config);
  tcp::socket first(agent.loop.context());
  first.connect({asio::ip::address_v4::loopback(), agent.server.port()});
  agent.loop.run_until([&] { return agent.server.counters().connections_open == 1; });
  CHECK(agent.talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n").empty());
  CHECK(agent.server.counters().connections_refused == 1);
}

TEST_CASE("plain HTTP stays on this machine, at both ends") {
  test::Loop loop;
  net::ServerConfig config;
  config.address = "0.0.0.0";
  net::HttpServer open({&loop.context()}, config, nullptr);
  REQUIRE_FALSE(open.start());
  net::ClientRequest request = to(80, "/");
  request.host = "192.0.2.1";
  const auto refused = net::http_request(request);
  REQUIRE_FALSE(refused);
  CHECK(says(refused.error().message(), "plain HTTP is for this machine only"));
}

TEST_CASE("a port in use is said in a sentence") {
  Loopback agent;
  net::ServerConfig config;
  config.port = agent.server.port();
  net::HttpServer second({&agent.loop.context()}, config, nullptr);
  const auto started = second.start();
  REQUIRE_FALSE(started);
  CHECK(says(started.error().message(), "another program has the port"));
}

TEST_CASE("the blocking client gets an answer, and an error within its time") {
  Loopback agent;
  std::thread server([&] { agent.loop.context().run(); });
  auto request = to(agent.server.port(), "/x");
  request.method = "PUT";
  request.body = "{}";
  CHECK(net::http_request(request).value().response.body == "PUT /x [{}]\n");
  request.body_bytes_max = 4;
  auto large = net::http_request(request);
  REQUIRE_FALSE(large);
  CHECK(large.error().is(Errc::too_large));
  request.target = "/x HTTP/1.1\r\nX: y";
  CHECK_FALSE(net::http_request(request));
  agent.loop.context().stop();
  server.join();

  tcp::acceptor silent(agent.loop.context(), {asio::ip::address_v4::loopback(), 0});
  request = to(silent.local_endpoint().port(), "/");
  request.timeout_ms = 30;
  auto late = net::http_request(request);
  REQUIRE_FALSE(late);
  CHECK(late.error().is(Errc::timeout));
}

TEST_CASE("what people typed comes out of an address as they typed it") {
  const std::vector<std::string> segments{"v1", "records", "a/b?c&d=e", "១ ២%2F+#"};
  const std::vector<std::pair<std::string, std::string>> query{
      {"unit", "01-PPT&limit=0"}, {"empty", ""}, {"note", "50 % + ១"}};
  net::HttpRequest request;
  request.target = net::make_target(segments, query);
  REQUIRE(net::parse_target(request));
  CHECK(request.segments == segments);
  CHECK(request.query ==
        std::map<std::string, std::string>{{"unit", "01-PPT&limit=0"}, {"note", "50 % + ១"}});
  CHECK(net::make_target({}) == "/");
  CHECK(net::make_target({"v1", "status"}) == "/v1/status");
}

TEST_CASE("JSON strings in error answers hold any text") {
  CHECK(net::json_string("a\"b\\c\nd\x01") == "\"a\\\"b\\\\c\\nd\\u0001\"");
  CHECK(net::json_string("ស\xff!") == "\"ស\xEF\xBF\xBD!\"");
}

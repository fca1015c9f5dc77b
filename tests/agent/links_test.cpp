// The tablet's real driver over links as they are: half open, cut at any byte, slow, short, or not the hub's.
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "keys/pki.h"
#include "tests/agent/live_tablet.h"
#include "tests/support/tcp_proxy.h"

using namespace fieldpost;
using namespace fieldpost::test;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

bool says(const std::string& sentence, std::string_view part) {
  return sentence.find(part) != std::string::npos;
}

/// One tablet at a hub, with a proxy between.
struct Line {
  Loop loop;
  LiveHub hub;
  LiveTablet tablet;
  TcpProxy proxy{loop.context(), 9};

  explicit Line(std::uint64_t seed) : hub(seed), tablet(loop, "T01", seed + 1, hub.id()) {
    hub.start();
    hub.add_unit(kUnit);
    hub.add_device(tablet.identity().device, tablet.name(), kUnit);
    proxy.set_target(hub.port());
  }
  void dial() { tablet.start(proxy.port(), hub.ca_pem()); }
  void until_in_sync() {
    loop.run_until([&] { return tablet.progress().in_sync && tablet.waiting() == 0; });
  }
  void check(std::uint64_t changes) {
    const auto counts = *hub.reader().counts();
    CHECK(counts.changes == changes);
    CHECK(counts.records == changes);
    CHECK(counts.held + counts.quarantined == 0);
    CHECK(tablet.waiting() == 0);
    CHECK(tablet.digest() == *hub.reader().digest(kUnit));
    CHECK(hub.reader().verify([](std::uint64_t) {}));
  }
};

/// A port on which something else than the hub answers, as often as it is called.
class Stranger {
 public:
  using Answer = std::function<void(tcp::socket)>;
  Stranger(asio::io_context& context, Answer answer)
      : acceptor_(context, {asio::ip::address_v4::loopback(), 0}), answer_(std::move(answer)) {
    accept();
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::size_t calls() const { return calls_; }

 private:
  void accept() {
    acceptor_.async_accept([this](auto failed, tcp::socket socket) {
      if (failed) return;
      ++calls_;
      answer_(std::move(socket));
      accept();
    });
  }
  tcp::acceptor acceptor_;
  Answer answer_;
  std::size_t calls_ = 0;
};

}  // namespace

TEST_CASE("a link that goes silent is noticed by both ends' own timers and is shown as offline") {
  Line line(500);
  line.hub.kill();
  line.hub.silence_ms = 200;
  line.hub.start();
  line.tablet.timeouts.silence_ms = 200;
  line.tablet.timeouts.handshake_timeout_ms = 200;
  line.tablet.record(3);
  line.dial();
  line.until_in_sync();
  CHECK(line.hub.counters().streams_open == 1);

  line.proxy.set_silent(true);
  line.tablet.record(2);  // goes out, and nothing comes back
  CHECK(line.tablet.progress().online);
  line.loop.run_until([&] { return !line.tablet.progress().online; });
  CHECK_FALSE(line.tablet.progress().in_sync);
  CHECK(line.tablet.offline());
  INFO(line.tablet.progress().last_error);
  CHECK(says(line.tablet.progress().last_error, "silent"));
  CHECK(line.tablet.waiting() == 2);
  CHECK(line.tablet.progress().next_attempt);
  line.loop.run_until([&] { return line.hub.counters().streams_open == 0; });

  line.proxy.set_silent(false);
  line.proxy.cut_all();
  line.until_in_sync();
  CHECK(line.tablet.progress().last_error.empty());
  line.check(5);
}

TEST_CASE(
    "a line cut at any byte of a whole session: everything arrives once, and the status stays "
    "true") {
  Line line(510);
  line.tablet.record(3);
  line.dial();
  line.until_in_sync();
  line.tablet.stop();
  std::uint64_t records = 3;
  // How much a session with something to push carries.
  line.proxy.reset_counters();
  line.tablet.record(2);
  records += 2;
  line.dial();
  line.until_in_sync();
  const std::array<std::uint64_t, 2> whole = {line.proxy.bytes_up(), line.proxy.bytes_down()};
  line.tablet.stop();

  constexpr std::uint64_t kCutsEachWay = 60;  // spread over all bytes, another place in each stride
  Dice dice(511);
  for (const Direction direction : {Direction::up, Direction::down}) {
    const std::uint64_t stride = whole[static_cast<int>(direction)] / kCutsEachWay + 1;
    for (std::uint64_t at = 0; at < whole[static_cast<int>(direction)]; at += stride) {
      const std::uint64_t bytes = at + dice.next() % stride;
      INFO((direction == Direction::up ? "up after " : "down after ") << bytes << " bytes");
      line.proxy.cut_after(direction, bytes);
      line.tablet.record(2);
      records += 2;
      line.dial();
      line.loop.run_until([&] {
        const auto& now = line.tablet.progress();
        // Never more than is true: what does not wait is on the hub's disk.
        const std::uint64_t said = records - line.tablet.waiting();
        if (said > line.hub.reader().counts()->changes) FAIL("said to be at the hub, and is not");
        if (now.in_sync && line.tablet.waiting() != 0) FAIL("in sync while something waits");
        return line.tablet.offline() || (now.in_sync && line.tablet.waiting() == 0);
      });
      if (line.tablet.offline()) {
        CHECK_FALSE(line.tablet.progress().in_sync);
        CHECK(line.tablet.progress().next_attempt);
        line.tablet.driver().dial_now();
        line.until_in_sync();
      }
      line.tablet.stop();
    }
  }
  line.dial();
  line.until_in_sync();
  line.check(records);
}

TEST_CASE("2G, 50 kbit/s and 600 ms each way: it syncs, and acknowledgements come in small steps") {
  Line line(520);
  line.proxy.set_rate(50'000 / 8);
  line.proxy.set_delay(std::chrono::milliseconds(600));
  line.tablet.real_time = true;
  line.tablet.record(400);
  line.dial();
  std::set<std::uint64_t> steps;
  line.loop.run_until([&] {
    steps.insert(line.tablet.waiting());
    return line.tablet.progress().in_sync && line.tablet.waiting() == 0;
  });
  CHECK(steps.size() >= 4);
  CHECK(line.tablet.progress().lost_bytes == 0);
  CHECK(line.proxy.connections() == 1);
  line.check(400);
}

TEST_CASE("windows that carry 16 kB at 64 kbit/s: each one moves what is at the hub") {
  Line line(530);
  line.proxy.set_rate(64'000 / 8);
  line.tablet.real_time = true;
  line.tablet.record(1'500);
  line.proxy.cut_after(Direction::up, 16'000);
  line.dial();
  std::size_t windows = 0;
  std::uint64_t before = line.tablet.waiting();
  for (;;) {
    line.loop.run_until([&] {
      const auto& now = line.tablet.progress();  // it waits, or it is done
      return now.next_attempt || (now.in_sync && line.tablet.waiting() == 0);
    });
    if (!line.tablet.progress().next_attempt) break;
    ++windows;
    INFO("window " << windows);
    CHECK(line.tablet.waiting() < before);
    before = line.tablet.waiting();
    line.proxy.cut_after(Direction::up, 16'000);
    line.tablet.driver().dial_now();
  }
  CHECK(windows >= 3);
  line.check(1'500);
}

TEST_CASE(
    "what answers instead of the hub is named, with what to do, and the tablet goes on trying") {
  Line line(540);
  line.tablet.record(1);
  line.tablet.timeouts.handshake_timeout_ms = 200;
  std::vector<tcp::socket> kept;
  std::string found;
  const char* page =
      "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n";
  std::optional<net::HttpsServer> portal;
  std::optional<Stranger> stranger;
  std::uint16_t port = 0;
  std::string ca = line.hub.ca_pem();
  std::string name = "hub.example";
  std::vector<std::string> words;
  SECTION("a login page with its own certificate") {
    const auto authority = *keys::make_ca("Login CA", keys::system_now());
    const auto shown = *keys::issue_server_certificate(
        authority, std::vector<std::string>{"hub.example"}, keys::system_now());
    portal.emplace(
        std::vector<asio::io_context*>{&line.loop.context()}, net::ServerConfig{},
        net::TlsServerConfig{shown.certificate_pem + authority.certificate_pem, shown.key_pem},
        [](const auto&, const auto& respond) { respond({}); }, nullptr);
    REQUIRE(portal->start());
    port = portal->port();
    words = {"captive portal", "Nothing was sent", "open a browser and log in"};
  }
  SECTION("a login page in clear") {
    stranger.emplace(line.loop.context(), [&](tcp::socket socket) {
      kept.push_back(std::move(socket));
      asio::write(kept.back(), asio::buffer(std::string_view(page)));
    });
    port = stranger->port();
    words = {"does not answer with TLS", "captive portal", "Open a browser and log in"};
  }
  SECTION("something that hangs up at once") {
    stranger.emplace(line.loop.context(), [](const tcp::socket&) {});
    port = stranger->port();
    words = {"closed the connection during the TLS handshake", "tried again",
             "ask the hub's operator"};
  }
  SECTION("something that says nothing") {
    stranger.emplace(line.loop.context(),
                     [&](tcp::socket socket) { kept.push_back(std::move(socket)); });
    port = stranger->port();
    words = {"did not finish the TLS handshake", "login page", "tried again"};
  }
  SECTION("the hub, under another name") {
    port = line.hub.port();
    name = "other.example";
    words = {"not for other.example", "Nothing was sent", "ask the hub's operator"};
  }
  SECTION("nothing: the port is closed") {
    tcp::acceptor gone(line.loop.context(), {asio::ip::address_v4::loopback(), 0});
    port = gone.local_endpoint().port();
    words = {"refuses connections", "the hub is not running there", "ask the hub's operator"};
  }
  SECTION("nothing: the name is not known") {
    port = 7443;
    line.tablet.host = "no-such-hub.invalid";
    words = {"no-such-hub.invalid is not known here", "no link", "another network"};
  }
  line.tablet.start(port, ca, name);
  line.loop.run_until([&] { return line.tablet.offline(); });
  const std::string sentence = line.tablet.progress().last_error;
  INFO(sentence);
  for (const std::string& word : words) CHECK(says(sentence, word));
  CHECK(sentence.find('\n') == std::string::npos);
  CHECK(line.tablet.progress().next_attempt);
  // Again by itself, after the wait.
  const auto first = *line.tablet.progress().last_attempt;
  line.loop.run_until([&] { return line.tablet.progress().last_attempt > first; });
  line.loop.run_until([&] { return line.tablet.progress().next_attempt.has_value(); });
  CHECK(line.tablet.waiting() == 1);
  CHECK(line.hub.reader().counts()->changes == 0);
  line.tablet.stop();
  line.loop.poll();
}

// The sync WebSocket over real TLS on 127.0.0.1.
#include <algorithm>
#include <thread>

#include "base/limits.h"
#include "net/message_stream.h"
#include "tests/net/hub_fixture.h"
#include "tests/support/tcp_proxy.h"

using namespace fieldpost;
using test::Ear;
using test::HubFixture;

namespace {
Bytes patterned(std::size_t size, unsigned seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(i * 31 + seed + (i >> 8));
  return bytes;
}
}  // namespace

TEST_CASE("messages come back whole, in order, as separate messages") {
  HubFixture hub;
  auto tablet = hub.connect(hub.target()).value();
  Ear ear;
  tablet->start(ear.handlers());
  std::vector<Bytes> sent;
  for (unsigned i = 0; i < 40; ++i) sent.push_back(patterned(i % 4 == 3 ? 7 : 64 * 1024, i));
  sent.push_back(patterned(limits::kFrameBytesMax, 99));
  sent.push_back({});
  for (const Bytes& message : sent) tablet->send(message);
  hub.loop.run_until([&] { return ear.heard.size() == sent.size() && ear.drained > 0; });
  CHECK(ear.heard == sent);
  CHECK(tablet->queued_bytes() == 0);
  CHECK(hub.server.counters().streams_open == 1);
  tablet->abort();
}

TEST_CASE("both ends compute the same channel binding, and no two connections share one") {
  HubFixture hub;
  auto first = hub.connect(hub.target()).value();
  auto second = hub.connect(hub.target()).value();
  hub.loop.run_until([&] { return hub.streams.size() == 2; });
  CHECK(first->channel_binding() == hub.streams[0]->channel_binding());
  CHECK(second->channel_binding() == hub.streams[1]->channel_binding());
  CHECK(first->channel_binding() != second->channel_binding());
  CHECK_FALSE(first->channel_binding().is_zero());
  first->abort();
  second->abort();
}

TEST_CASE("an orderly close sends what is queued first and says why on both ends") {
  HubFixture hub;
  Ear hub_ear;
  hub.on_stream = [&](const auto& stream) {
    hub.streams.push_back(stream);
    stream->start(hub_ear.handlers());
  };
  auto tablet = hub.connect(hub.target()).value();
  Ear ear;
  tablet->start(ear.handlers());
  tablet->send(patterned(64 * 1024, 1));
  tablet->close(net::CloseCode::normal, "done for today");
  tablet->send(patterned(10, 2));  // too late: ignored
  hub.loop.run_until([&] { return ear.closed && hub_ear.closed; });
  REQUIRE(hub_ear.heard.size() == 1);
  CHECK(hub_ear.heard[0] == patterned(64 * 1024, 1));
  CHECK(hub_ear.closed->is(Errc::closed));
  CHECK(hub_ear.closed->message().find("1000: done for today") != std::string::npos);
  CHECK(ear.closed->is(Errc::closed));
}

TEST_CASE("a stopping hub closes its streams with 1001 and takes no new ones") {
  HubFixture hub;
  auto tablet = hub.connect(hub.target()).value();
  Ear ear;
  tablet->start(ear.handlers());
  hub.server.stop();
  hub.loop.run_until([&] { return ear.closed.has_value(); });
  CHECK(ear.closed->message().find("1001") != std::string::npos);
  CHECK(hub.connect_error(hub.target()).find("refuses connections") != std::string::npos);
}

TEST_CASE("a peer that does not read costs what its owner queued, and nothing after an abort") {
  HubFixture hub;
  Ear hub_ear;
  hub.on_stream = [&](const auto& stream) {
    hub.streams.push_back(stream);
    stream->start(hub_ear.handlers());
  };
  auto tablet = hub.connect(hub.target()).value();  // never started: reads nothing
  hub.loop.run_until([&] { return !hub.streams.empty(); });
  constexpr std::size_t kMessages = 400;
  for (unsigned i = 0; i < kMessages; ++i) hub.streams[0]->send(patterned(64 * 1024, i));
  CHECK(hub.streams[0]->queued_bytes() == kMessages * 64 * 1024);
  hub.loop.poll();  // as much as the kernel takes
  CHECK(hub.streams[0]->queued_bytes() > 0);
  CHECK(hub.streams[0]->queued_bytes() < kMessages * 64 * 1024);
  hub.streams[0]->abort();
  CHECK(hub.streams[0]->queued_bytes() == 0);
  CHECK_FALSE(hub_ear.closed);  // never from inside the call
  hub.loop.run_until([&] { return hub_ear.closed.has_value(); });
  std::weak_ptr<net::MessageStream> gone = hub.streams[0];
  hub.streams.clear();
  hub.loop.run_until([&] { return gone.expired(); });
  CHECK(hub.server.counters().connections_open == 0);
  tablet->abort();
}

TEST_CASE("200 connections open, talk and close without leaving anything behind") {
  HubFixture hub;
  std::vector<std::shared_ptr<net::MessageStream>> tablets;
  std::vector<std::unique_ptr<Ear>> ears;
  std::size_t failed = 0;
  for (int i = 0; i < 200; ++i) {
    ears.push_back(std::make_unique<Ear>());
    net::connect_stream(hub.loop.executor(), hub.target(),
                        [&, ear = ears.back().get()](auto connected) {
                          if (!connected) return void(++failed);
                          (*connected)->start(ear->handlers());
                          (*connected)->send(Bytes{1, 2, 3});
                          tablets.push_back(*connected);
                        });
  }
  auto all = [&](auto what) { return std::all_of(ears.begin(), ears.end(), what); };
  hub.loop.run_until(
      [&] { return failed > 0 || all([](const auto& ear) { return ear->heard.size() == 1; }); });
  REQUIRE(failed == 0);
  CHECK(hub.server.counters().streams_open == 200);
  for (const auto& tablet : tablets) tablet->close(net::CloseCode::normal, "");
  hub.loop.run_until([&] {
    return all([](const auto& ear) { return ear->closed.has_value(); }) &&
           hub.server.counters().connections_open == 0;
  });
  CHECK(hub.server.counters().streams_open == 0);
  std::vector<std::weak_ptr<net::MessageStream>> gone(tablets.begin(), tablets.end());
  gone.insert(gone.end(), hub.streams.begin(), hub.streams.end());
  tablets.clear();
  hub.streams.clear();
  hub.loop.poll();
  CHECK(std::all_of(gone.begin(), gone.end(), [](const auto& one) { return one.expired(); }));
}

TEST_CASE("both ends and the line agree on the bytes, and a quiet connection is cheap") {
  HubFixture hub;
  test::TcpProxy proxy(hub.loop.context(), hub.server.port());
  auto target = hub.target();
  target.port = proxy.port();
  auto tablet = hub.connect(target).value();
  Ear ear;
  tablet->start(ear.handlers());
  tablet->send(patterned(100, 1));
  hub.loop.run_until([&] { return ear.heard.size() == 1; });
  CHECK(tablet->bytes_sent() == proxy.bytes_up());
  CHECK(tablet->bytes_received() == proxy.bytes_down());
  CHECK(hub.streams[0]->bytes_received() == proxy.bytes_up());
  CHECK(hub.streams[0]->bytes_sent() == proxy.bytes_down());
  INFO("bytes " << proxy.bytes_up() << " up, " << proxy.bytes_down() << " down, "
                << proxy.round_trips());
  CHECK(proxy.bytes() < 3'500);
  CHECK(proxy.round_trips() == 3);  // hello; finished and upgrade; message
  tablet->abort();
}

TEST_CASE("a line cut at any byte ends the connection on both ends") {
  for (const std::uint64_t at : {1u, 300u, 900u, 2'000u, 70'000u}) {
    HubFixture hub;
    test::TcpProxy proxy(hub.loop.context(), hub.server.port());
    proxy.cut_after(test::Direction::up, at);
    auto target = hub.target();
    target.port = proxy.port();
    auto connected = hub.connect(target);
    if (connected) {
      Ear ear;
      (*connected)->start(ear.handlers());
      (*connected)->send(patterned(100'000, 3));
      hub.loop.run_until([&] { return ear.closed.has_value(); });
      CHECK(ear.heard.empty());
    }
    CHECK(proxy.bytes_up() == at);
    hub.loop.run_until([&] { return hub.server.counters().connections_open == 0; });
  }
}

TEST_CASE("a link that goes silent is noticed by both ends' own timers") {
  net::ServerConfig config;
  config.stream_idle_timeout_ms = 60;
  HubFixture hub(config);
  Ear hub_ear;
  hub.on_stream = [&](const auto& stream) { stream->start(hub_ear.handlers()); };
  test::TcpProxy proxy(hub.loop.context(), hub.server.port());
  auto target = hub.target();
  target.port = proxy.port();
  target.idle_timeout_ms = 60;
  auto tablet = hub.connect(target).value();
  Ear ear;
  tablet->start(ear.handlers());
  proxy.set_silent(true);
  hub.loop.run_until([&] { return ear.closed && hub_ear.closed; });
  CHECK(ear.closed->is(Errc::timeout));
  CHECK(hub_ear.closed->is(Errc::timeout));
}

TEST_CASE("connections given to several threads all answer") {
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts;
  std::vector<boost::asio::io_context*> pointers;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(std::make_unique<boost::asio::io_context>(1));
    pointers.push_back(contexts.back().get());
  }
  net::HttpsServer server(pointers, {}, test::hub_certificate(), nullptr, [](auto stream, auto) {
    stream->start({[weak = std::weak_ptr(stream)](Bytes&& message) {
                     if (auto live = weak.lock()) live->send(std::move(message));
                   },
                   nullptr, nullptr});
  });
  REQUIRE(server.start());
  std::vector<std::thread> threads;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work;
  for (auto& context : contexts) work.emplace_back(context->get_executor());
  for (auto& context : contexts) threads.emplace_back([&context] { context->run(); });
  test::Loop loop;
  net::ClientTarget target;
  target.host = "127.0.0.1";
  target.port = server.port();
  target.trust = net::trust_ca(test::hub_ca().certificate_pem).value();
  std::vector<std::shared_ptr<net::MessageStream>> tablets;
  std::vector<std::unique_ptr<Ear>> ears;
  for (int i = 0; i < 30; ++i) {
    ears.push_back(std::make_unique<Ear>());
    net::connect_stream(loop.executor(), target, [&, ear = ears.back().get()](auto connected) {
      REQUIRE(connected);
      (*connected)->start(ear->handlers());
      for (unsigned k = 0; k < 20; ++k) (*connected)->send(patterned(10'000, k));
      tablets.push_back(*connected);
    });
  }
  loop.run_until([&] {
    return std::all_of(ears.begin(), ears.end(),
                       [](const auto& ear) { return ear->heard.size() == 20; });
  });
  server.stop();
  loop.run_until([&] {
    return std::all_of(ears.begin(), ears.end(),
                       [](const auto& ear) { return ear->closed.has_value(); });
  });
  CHECK(server.counters().connections_accepted == 30);
  work.clear();
  for (auto& thread : threads) thread.join();
  CHECK(server.counters().connections_open == 0);
}

TEST_CASE("a peer that never reads is cut off, and what was queued for it is let go") {
  net::ServerConfig config;
  config.stream_message_timeout_ms = 300;
  config.stream_close_timeout_ms = 100;
  HubFixture hub(config);
  Ear hub_ear;
  hub.on_stream = [&](const auto& stream) {
    hub.streams.push_back(stream);
    stream->start(hub_ear.handlers());
  };
  auto tablet = hub.connect(hub.target()).value();  // not started: it reads nothing
  hub.loop.run_until([&] { return hub.streams.size() == 1; });
  constexpr int kMessages = 64;  // 16 MiB: more than the sockets' buffers hold
  for (unsigned i = 0; i < kMessages; ++i)
    hub.streams[0]->send(patterned(limits::kFrameBytesMax, i));
  CHECK(hub.streams[0]->queued_bytes() == kMessages * limits::kFrameBytesMax);
  hub.loop.run_until([&] { return hub_ear.closed.has_value(); });
  CHECK(hub_ear.closed->is(Errc::timeout));
  CHECK(hub_ear.closed->detail.find("was not taken in time") != std::string::npos);
  CHECK(hub.streams[0]->queued_bytes() == 0);
  hub.streams.clear();
  hub.loop.run_until([&] { return hub.server.counters().connections_open == 0; });
  tablet->abort();
}

TEST_CASE("a peer that takes its messages is not cut off, however many there are") {
  net::ServerConfig config;
  config.stream_message_timeout_ms = 60'000;
  HubFixture hub(config);
  auto tablet = hub.connect(hub.target()).value();
  Ear ear;
  tablet->start(ear.handlers());
  hub.loop.run_until([&] { return hub.streams.size() == 1; });
  constexpr unsigned kMessages = 64;
  for (unsigned i = 0; i < kMessages; ++i)
    hub.streams[0]->send(patterned(limits::kFrameBytesMax, i));
  hub.loop.run_until([&] { return ear.heard.size() == kMessages; });
  CHECK(ear.heard.back() == patterned(limits::kFrameBytesMax, kMessages - 1));
  CHECK_FALSE(ear.closed);
  tablet->abort();
}

TEST_CASE("above the cap the oldest stranger makes room, and who is known never does") {
  net::ServerConfig config;
  config.strangers_max = 2;
  HubFixture hub(config);
  Ear known_ear;
  Ear oldest_ear;
  Ear newest_ear;
  auto known = hub.connect(hub.target()).value();
  known->start(known_ear.handlers());
  hub.loop.run_until([&] { return hub.streams.size() == 1; });
  hub.streams[0]->known();
  CHECK(hub.server.counters().strangers_open == 0);
  auto oldest = hub.connect(hub.target()).value();
  oldest->start(oldest_ear.handlers());
  auto middle = hub.connect(hub.target()).value();
  auto newest = hub.connect(hub.target()).value();
  newest->start(newest_ear.handlers());
  hub.loop.run_until([&] { return oldest_ear.closed.has_value(); });
  CHECK(hub.server.counters().strangers_open == 2);
  CHECK(hub.server.counters().strangers_dropped == 1);
  const Bytes message = patterned(100, 1);
  known->send(message);
  newest->send(message);
  hub.loop.run_until([&] { return known_ear.heard.size() == 1 && newest_ear.heard.size() == 1; });
  CHECK_FALSE(known_ear.closed);
  known->abort();
  middle->abort();
  newest->abort();
}

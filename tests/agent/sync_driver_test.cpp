// The tablet's real driver against the hub's real sync service: TLS and WebSockets on 127.0.0.1, LMDB on both
// sides. What happens when the hub goes away and comes back, at the worst moments, and when it is not the hub.
#include "keys/pki.h"
#include "tests/agent/live_tablet.h"

using namespace fieldpost;
using namespace fieldpost::test;

TEST_CASE("a record goes up, is acknowledged, and reaches the other connected tablet by itself") {
  Checkpoint place(100);
  place.one.record(20);  // before there was any link
  place.connect();
  place.converge(20);
  const RecordId id = place.one.record(1).front();
  place.loop.run_until([&] { return place.two.records() == 21; });
  place.two.edit(id, "witness", "Meas Sophea");
  place.converge(21);
  CHECK(place.one.store().load(id)->value().record == place.two.store().load(id)->value().record);
  place.check(22, 21);
  CHECK(place.hub.counters().streams_open == 2);
  place.one.stop();
  place.two.stop();
}

TEST_CASE("two tablets that write at the same time both see both") {
  Checkpoint place(110);
  place.connect();
  const RecordId id = place.one.record(1).front();
  place.converge(1);
  // Neither has heard of the other's: nothing moves before the loop runs.
  place.one.edit(id, "witness", "Chan Dara");
  place.two.edit(id, "witness", "Meas Sophea");
  place.one.record(200);
  place.two.record(300);
  place.converge(501);
  CHECK(model::siblings(place.one.store().load(id)->value().record, "witness").size() == 2);
  place.check(503, 501);
}

TEST_CASE(
    "a hub that is stopped and started again is found, and gets what was recorded meanwhile") {
  Checkpoint place(120);
  place.connect();
  const RecordId id = place.one.record(1).front();
  place.converge(1);
  place.stop_hub();
  place.all_offline();
  CHECK_FALSE(place.one.progress().in_sync);
  CHECK(place.one.progress().next_attempt.has_value());
  place.one.record(30);
  place.two.record(40);
  place.one.edit(id, "plate", "2A-1234");
  place.two.edit(id, "witness", "Meas Sophea");
  CHECK(place.one.waiting() == 31);
  place.hub.start();
  place.dial();
  place.converge(71);
  place.check(73, 71);
}

TEST_CASE(
    "a hub that is killed at a commit, and its acknowledgement with it, gets everything once") {
  const bool committed = GENERATE(true, false);
  const int at = GENERATE(1, 2, 4);
  INFO("killed at commit " << at << (committed ? ", which is durable" : ", which is lost"));
  Checkpoint place(200 + static_cast<std::uint64_t>(at) * 2 + (committed ? 1 : 0));
  place.connect();
  place.one.record(1);
  place.converge(1);
  place.hub.kill();
  place.all_offline();

  std::atomic<int> commits{0};
  std::atomic<bool> dead{false};
  const auto die = [&] {
    place.hub.fall_silent();
    dead = true;
    boost::asio::post(place.loop.context(), [] {});  // wakes the loop
  };
  place.hub.before_commit = [&] {
    if (dead) return false;  // a killed process commits nothing more
    const bool now = ++commits == at;
    if (now && !committed) die();
    return !(now && !committed);
  };
  place.hub.after_commit = [&] {
    if (committed && !dead && commits == at) die();
  };
  place.hub.start();
  place.one.record(3'000);
  place.two.record(500);
  place.dial();
  // Small batches: the window is full of pushes when the hub dies.
  while (!dead) {
    place.one.record(5);
    place.two.record(5);
    place.loop.run_until(
        [&] { return dead || (place.one.waiting() == 0 && place.two.waiting() == 0); });
  }
  place.hub.kill();
  place.all_offline();
  CHECK(place.one.waiting() + place.two.waiting() > 0);
  place.hub.before_commit = nullptr;
  place.hub.after_commit = nullptr;
  place.hub.start();
  place.dial();
  // A hub that was killed begins a new epoch: each tablet goes on on a fresh chain.
  std::uint64_t recorded = 0;
  for (LiveTablet* tablet : place.tablets()) {
    for (const storage::OwnActor& own : tablet->store().state().actors) recorded += own.head.value;
  }
  place.converge(recorded);
  place.check(recorded, recorded);
}

TEST_CASE("a hub that is stopped in order while pushes are under way loses and doubles nothing") {
  Checkpoint place(300);
  place.connect();
  place.hub.kill();
  place.all_offline();
  std::atomic<bool> committing{false};
  place.hub.before_commit = [&] {
    if (!committing.exchange(true)) boost::asio::post(place.loop.context(), [] {});
    return true;
  };
  place.hub.start();
  place.one.record(3'000);
  place.two.record(3'000);
  place.dial();
  place.loop.run_until([&] { return committing.load(); });
  place.stop_hub();
  place.all_offline();
  place.hub.before_commit = nullptr;
  place.hub.start();
  place.dial();
  place.converge(6'000);
  place.check(6'000, 6'000);
}

TEST_CASE("a hub whose certificate is not of the pinned authority is told nothing") {
  Checkpoint place(400);
  place.one.record(3);
  const auto other = keys::make_ca("Another authority", place.hub.now());
  REQUIRE(other);
  const auto before = place.one.store().state().welcome_id;
  place.one.start(place.hub.port(), other->certificate_pem);
  place.loop.run_until([&] { return place.one.offline(); });
  INFO(place.one.progress().last_error);
  CHECK(place.one.progress().last_error.find("certificate") != std::string::npos);
  CHECK(place.one.progress().next_attempt.has_value());
  CHECK(place.hub.counters().streams_open == 0);
  CHECK(place.hub.counters().requests == 0);  // not even the upgrade
  CHECK(place.one.waiting() == 3);
  CHECK(place.one.store().state().welcome_id == before);
  CHECK(place.hub.reader().counts()->changes == 0);
  place.one.stop();
  // The same hub, believed: it was the certificate.
  place.one.start(place.hub.port(), place.hub.ca_pem());
  place.two.start(place.hub.port(), place.hub.ca_pem());
  place.converge(3);
  place.check(3, 3);
}

TEST_CASE("a hub of another name is told nothing") {
  Checkpoint place(410);
  place.one.record(3);
  place.one.start(place.hub.port(), place.hub.ca_pem(), "another.example");
  place.loop.run_until([&] { return place.one.offline(); });
  INFO(place.one.progress().last_error);
  CHECK(place.one.progress().last_error.find("another.example") != std::string::npos);
  CHECK(place.hub.counters().requests == 0);
  CHECK(place.one.waiting() == 3);
}

TEST_CASE("a hub with a good certificate and another key hears no hello") {
  Checkpoint place(420);
  place.one.record(3);
  place.one.identity().hub.bytes[0] ^= 1;
  place.one.start(place.hub.port(), place.hub.ca_pem());
  place.loop.run_until([&] { return place.one.offline(); });
  INFO(place.one.progress().last_error);
  CHECK(place.one.progress().last_error.find("not the hub this tablet was enrolled with") !=
        std::string::npos);
  CHECK(place.one.waiting() == 3);
  CHECK(place.hub.reader().counts()->changes == 0);
  CHECK_FALSE((*place.hub.reader().device(place.one.identity().device))->last_contact);
}

// The tablet's real driver against the hub's real sync service: TLS and WebSockets on 127.0.0.1, LMDB on both
// sides. What happens when the hub goes away and comes back, at the worst moments, and when it is not the hub.
#include "agent/io/sync_driver.h"

#include <boost/asio/post.hpp>
#include <future>

#include "agent/store/open_store.h"
#include "keys/pki.h"
#include "sync/recorder.h"
#include "tests/support/catch.h"
#include "tests/support/live_hub.h"
#include "tests/support/loop.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr const char* kUnit = "01-PPT";

/// One tablet: its folder, store and driver. All tablets take turns on the test's loop.
class LiveTablet {
 public:
  LiveTablet(Loop& loop, const std::string& name, std::uint64_t seed, const HubId& hub)
      : loop_(loop), name_(name), dice_(seed), wall_ms_(1'772'349'300'000) {
    identity_.key = crypto::signing_key(random_seed());
    identity_.device = *DeviceId::from(identity_.key.public_key.view());
    identity_.hub = hub;
    identity_.app_version = "test";
    auto opened = agent::open_store({dir_.path()}, random(), true);
    REQUIRE(opened.has_value());
    open_ = *std::move(opened);
    REQUIRE(sync::ensure_actor(store(), hub, identity_.device, random()));
  }

  void start(std::uint16_t port, const std::string& ca_pem,
             const std::string& server_name = "hub.example") {
    agent::SyncTarget target{"127.0.0.1", port, server_name, ca_pem};
    driver_.emplace(
        loop_.context(), loop_.context(), identity_, std::move(target), store(), random(),
        agent::SyncDriver::Clocks{[this] { return now(); }, [] { return sync::DeviceFacts{}; }},
        [this] { ++changes_; });
    REQUIRE(driver_->start());
  }
  void stop() {
    bool done = false;
    driver_->stop([&] { done = true; });
    loop_.run_until([&] { return done; });
    driver_.reset();
    loop_.poll();
  }

  std::vector<RecordId> record(std::size_t count) {
    std::vector<RecordId> ids;
    const RandomSource source = random();
    sync::ChangeBatch batch(store(), sync::change_times(now(), anchor()), source);
    for (std::size_t i = 0; i < count; ++i) {
      std::array<std::uint8_t, 10> entropy{};
      source(entropy);
      ids.push_back(make_record_id(now().wall, entropy));
      add(batch, ids.back(),
          {{"note", "stop " + std::to_string(i) + " of " + name_},
           {"state", std::string("final")}});
    }
    commit(batch);
    return ids;
  }
  void edit(const RecordId& id, std::string path, std::string value) {
    const RandomSource source = random();
    sync::ChangeBatch batch(store(), sync::change_times(now(), anchor()), source);
    add(batch, id, {{std::move(path), std::move(value)}});
    commit(batch);
  }

  storage::AgentStore& store() { return *open_.store; }
  agent::SyncDriver& driver() { return *driver_; }
  const agent::Progress& progress() const { return driver_->progress(); }
  sync::AgentIdentity& identity() { return identity_; }
  const std::string& name() const { return name_; }
  Hash digest() { return *store().digest(kUnit); }
  std::uint64_t records() { return store().counts()->records; }
  std::uint64_t waiting() { return store().state().waiting; }
  bool offline() const { return !progress().online && !progress().last_error.empty(); }

 private:
  RandomSource random() {
    return [this](std::span<std::uint8_t> bytes) {
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice_.next());
    };
  }
  crypto::Seed random_seed() {
    crypto::Seed seed;
    random()(seed.bytes);
    return seed;
  }
  sync::TimeReading now() {
    ++passed_ms_;
    return {Instant{wall_ms_ + static_cast<std::int64_t>(passed_ms_)}, 7, passed_ms_};
  }
  std::optional<sync::HubAnchor> anchor() const {
    return driver_ ? driver_->anchor() : std::nullopt;
  }
  void add(sync::ChangeBatch& batch, const RecordId& id, std::vector<model::FieldValue> edits) {
    sync::EditRequest request;
    request.record = id;
    request.type = "stop";
    request.unit = kUnit;
    request.edits = std::move(edits);
    request.author = "officer-" + name_;
    REQUIRE(batch.add(request).has_value());
  }
  void commit(sync::ChangeBatch& batch) {
    REQUIRE(batch.commit());
    if (driver_) driver_->local_change();
  }

  Loop& loop_;
  std::string name_;
  TempDir dir_;
  Dice dice_;
  std::int64_t wall_ms_;
  std::uint64_t passed_ms_ = 1'000;
  sync::AgentIdentity identity_;
  agent::OpenStore open_;
  std::optional<agent::SyncDriver> driver_;
  std::uint64_t changes_ = 0;
};

/// A hub and two tablets of one checkpoint.
struct Checkpoint {
  Loop loop;
  LiveHub hub;
  LiveTablet one;
  LiveTablet two;

  explicit Checkpoint(std::uint64_t seed)
      : hub(seed), one(loop, "T01", seed + 1, hub.id()), two(loop, "T02", seed + 2, hub.id()) {
    hub.start();
    hub.add_unit(kUnit);
    for (LiveTablet* tablet : tablets())
      hub.add_device(tablet->identity().device, tablet->name(), kUnit);
  }
  std::array<LiveTablet*, 2> tablets() { return {&one, &two}; }

  void connect() {
    for (LiveTablet* tablet : tablets()) tablet->start(hub.port(), hub.ca_pem());
    loop.run_until([&] { return one.progress().in_sync && two.progress().in_sync; });
  }
  /// Until all three hold the same records, and nothing waits.
  void converge(std::uint64_t records) {
    loop.run_until([&] {
      if (one.waiting() + two.waiting() != 0) return false;
      if (one.records() != records || two.records() != records) return false;
      const Hash at_hub = *hub.reader().digest(kUnit);
      return one.digest() == at_hub && two.digest() == at_hub;
    });
  }
  /// The hub is up again: nobody waits for the end of a back-off.
  void dial() {
    for (LiveTablet* tablet : tablets()) tablet->driver().dial_now();
  }
  void all_offline() {
    loop.run_until([&] { return one.offline() && two.offline(); });
  }
  /// As SIGTERM does, while the tablets go on.
  void stop_hub() {
    std::promise<void> stopped;
    auto done = stopped.get_future();
    std::thread stopper([&] {
      hub.stop();
      stopped.set_value();
      boost::asio::post(loop.context(), [] {});  // wakes the loop
    });
    loop.run_until(
        [&] { return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    stopper.join();
  }
  /// Everything is there once, and can be proven.
  void check(std::uint64_t changes, std::uint64_t records) {
    const auto counts = *hub.reader().counts();
    CHECK(counts.changes == changes);
    CHECK(counts.records == records);
    CHECK(counts.held == 0);
    CHECK(counts.quarantined == 0);
    const auto proof = hub.reader().verify([](std::uint64_t) {});
    INFO((proof ? std::string() : proof.error().message()));
    CHECK(proof.has_value());
    for (LiveTablet* tablet : tablets()) {
      INFO(tablet->name());
      CHECK(tablet->waiting() == 0);
      CHECK(tablet->records() == records);
      CHECK(tablet->digest() == *hub.reader().digest(kUnit));
      CHECK(tablet->store().exceptions()->empty());
      CHECK(tablet->store().verify([](std::uint64_t) {}));
    }
  }
};

}  // namespace

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

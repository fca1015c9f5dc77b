// Tablets and a hub of production in the test's own process: TLS and WebSockets on 127.0.0.1, LMDB on both sides.
//
// Thread rule: the test's thread; the hub has threads of its own (tests/support/live_hub.h).
#pragma once

#include <boost/asio/post.hpp>
#include <future>
#include <thread>

#include "agent/io/sync_driver.h"
#include "agent/store/open_store.h"
#include "keys/clock.h"
#include "sync/recorder.h"
#include "tests/support/catch.h"
#include "tests/support/live_hub.h"
#include "tests/support/loop.h"

namespace fieldpost::test {

inline constexpr const char* kUnit = "01-PPT";

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
    agent::SyncTarget target = timeouts;
    target.host = host;
    target.port = port;
    target.server_name = server_name;
    target.ca_pem = ca_pem;
    driver_.emplace(
        loop_.context(), loop_.context(), identity_, std::move(target), store(), random(),
        agent::SyncDriver::Clocks{[this] { return now(); }, [] { return sync::DeviceFacts{}; }},
        [this] { ++changes_; });
    REQUIRE(driver_->start());
  }
  /// For `start`: the time-outs, and where to dial.
  agent::SyncTarget timeouts;
  std::string host = "127.0.0.1";
  /// Reads the machine's monotonic clock instead of counting: for links that have a speed.
  bool real_time = false;

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
    if (real_time) return {Instant{wall_ms_}, 7, keys::monotonic_ms()};
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

}  // namespace fieldpost::test

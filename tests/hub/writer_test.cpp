// The hub's writer over a store in memory: order, grouping, caps, failures, stopping.
#include "hub/io/writer.h"

#include <condition_variable>
#include <future>
#include <thread>

#include "storage/hub_tables.h"
#include "storage/kv_hub_store.h"
#include "storage/memory_kv.h"
#include "tests/support/catch.h"
#include "wire/codec.h"

using namespace fieldpost;
using namespace fieldpost::storage;
using fieldpost::hub::Writer;

namespace {

crypto::SigningKey key(std::uint8_t name) {
  REQUIRE(crypto::init());
  crypto::Seed seed;
  seed.bytes.fill(name);
  return crypto::signing_key(seed);
}

/// What the writer said, in the order in which it said it.
class Heard {
 public:
  void add(std::string what) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(what));
    more_.notify_all();
  }
  std::vector<std::string> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    REQUIRE(more_.wait_for(lock, std::chrono::seconds(20), [&] { return lines_.size() >= count; }));
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<std::string> lines_;
};

/// Keeps the writer busy until it is opened: what is submitted meanwhile shares a commit.
class Gate {
 public:
  explicit Gate(Writer& writer)
      : holder_([this, &writer] {
          writer.run([this](HubStore&) {
            entered_.set_value();
            opened_.get_future().wait();
          });
        }) {
    entered_.get_future().wait();
  }
  ~Gate() {
    opened_.set_value();
    holder_.join();
  }

 private:
  std::promise<void> entered_;
  std::promise<void> opened_;
  std::thread holder_;
};

struct Hub {
  MemoryKv kv{hub_tables::kTableCount};
  std::unique_ptr<HubStore> store;
  crypto::SigningKey device_key = key(2);
  HubId hub = *HubId::from(key(1).public_key.view());
  DeviceId device = *DeviceId::from(device_key.public_key.view());
  Heard heard;
  std::unique_ptr<Writer> writer;

  Hub() {
    const auto codec = [] {
      return std::make_unique<ChecksumCodec>(crypto::SymmetricKey{}, wire::Dictionary::v1());
    };
    store = open_hub_store(kv, codec, {hub, Epoch{}, StartId{}}).value();
    Device entry;
    entry.id = device;
    entry.name = "T01";
    entry.unit = "01-PPT";
    REQUIRE(store->put_device(entry));
    writer = std::make_unique<Writer>(*store, [this](const Writer::FeedEnds& ends) {
      for (const auto& [unit, end] : ends) heard.add("feed " + unit + " " + std::to_string(end));
    });
  }

  /// The first change of a chain of its own, padded to `bytes`.
  IncomingBatch batch(std::uint8_t name, std::size_t bytes = 0) const {
    const ActorId actor{name};
    model::Change change;
    change.record.bytes.fill(name);
    change.dot = {actor, {1}};
    change.type = "stop";
    change.unit = "01-PPT";
    change.edits = {{"note", std::string("n")}};
    change.author = "alice";
    const Bytes frame = *wire::encode_change(change);
    IncomingBatch out;
    out.device = device;
    out.actor = actor;
    out.first = {1};
    out.previous = wire::chain_start(hub, device, actor);
    out.head = wire::chain_next(out.previous, frame);
    out.signature = wire::sign_head(device_key, device, actor, {1}, out.head);
    out.received = Instant{1'000};
    out.granted = {"01-PPT"};
    out.changes.push_back({frame, change.record, {1}, {}, change, std::nullopt, std::nullopt});
    out.changes.back().frame.resize(std::max(bytes, frame.size()));
    return out;
  }
  Status submit(std::uint8_t name, std::size_t bytes = 0) {
    return writer->submit(batch(name, bytes), [this, name](const Result<BatchResult>& result) {
      const bool stored = result && result->kind == BatchResult::Kind::applied;
      heard.add((stored ? "stored " : "failed ") + std::to_string(name));
    });
  }
};

}  // namespace

TEST_CASE("many sessions' batches share a commit; answers come in order, then the feed's news") {
  Hub hub;
  const std::uint64_t before = hub.kv.commits();
  {
    const Gate gate(*hub.writer);
    for (std::uint8_t name = 1; name <= 3; ++name) REQUIRE(hub.submit(name));
  }
  CHECK(hub.heard.wait(4) ==
        std::vector<std::string>{"stored 1", "stored 2", "stored 3", "feed 01-PPT 3"});
  CHECK(hub.kv.commits() == before + 1);
  CHECK(hub.writer->figures().commits == 1);
  CHECK(hub.writer->figures().changes == 3);
  CHECK(hub.writer->figures().mailbox_bytes == 0);
}

TEST_CASE("a full mailbox says busy and takes work again afterwards") {
  Hub hub;
  constexpr std::size_t kFrameBytes = 60'000;
  std::size_t taken = 0;
  {
    const Gate gate(*hub.writer);
    Status last = hub.submit(1, kFrameBytes);
    for (; last; last = hub.submit(1, kFrameBytes)) ++taken;
    CHECK(last.error().is(Errc::store_full));
    CHECK(taken == Writer::kMailboxBytesMax / kFrameBytes);
  }
  hub.heard.wait(taken);
  CHECK(hub.submit(2));
  const auto lines = hub.heard.wait(taken + 2);
  CHECK(std::count(lines.begin(), lines.end(), "stored 2") == 1);
}

TEST_CASE(
    "what is given for later counts in the mailbox: above its bound it is busy, and free again "
    "when done") {
  Hub hub;
  constexpr std::size_t kJobBytes = 5'000'000;
  std::size_t taken = 0;
  {
    const Gate gate(*hub.writer);
    const auto job = [&](HubStore&) { hub.heard.add("done"); };
    Status last = hub.writer->later(job, kJobBytes);
    for (; last; last = hub.writer->later(job, kJobBytes)) ++taken;
    CHECK(last.error().is(Errc::store_full));
    CHECK(taken == Writer::kMailboxBytesMax / kJobBytes);
    CHECK(hub.writer->figures().mailbox_bytes == taken * kJobBytes);
    // Both kinds share the bound.
    Status push = hub.submit(1, 60'000);
    while (push) push = hub.submit(1, 60'000);
    CHECK(push.error().is(Errc::store_full));
  }
  hub.heard.wait(taken);
  hub.writer->settle();
  CHECK(hub.writer->figures().mailbox_bytes == 0);
  CHECK(hub.writer->later([&](HubStore&) { hub.heard.add("done"); }, kJobBytes));
}

TEST_CASE("a store that fails answers everyone, and says so until a commit succeeds") {
  Hub hub;
  hub.kv.set_faults(MemoryFaults::at(hub.kv.commits() + 1, CommitFate::full));
  {
    const Gate gate(*hub.writer);
    REQUIRE(hub.submit(1));
    REQUIRE(hub.submit(2));
  }
  CHECK(hub.heard.wait(2) == std::vector<std::string>{"failed 1", "failed 2"});
  REQUIRE(hub.writer->figures().fault);
  CHECK(hub.writer->figures().fault->is(Errc::store_full));
  REQUIRE(hub.submit(1));
  CHECK(hub.heard.wait(4)[2] == "stored 1");
  CHECK_FALSE(hub.writer->figures().fault);
}

TEST_CASE("a damaged value that nothing rebuilds fails its own batch and not its neighbours'") {
  Hub hub;
  IncomingBatch damaged = hub.batch(2);
  REQUIRE(hub.kv.update([&](KvWrite& write) {
    return write.put(hub_tables::kActors, Packer().actor(damaged.actor).bytes(),
                     as_bytes("bit rot"));
  }));
  {
    const Gate gate(*hub.writer);
    for (std::uint8_t name = 1; name <= 3; ++name) REQUIRE(hub.submit(name));
  }
  const auto lines = hub.heard.wait(4);
  CHECK(std::vector<std::string>(lines.begin(), lines.begin() + 3) ==
        std::vector<std::string>{"stored 1", "failed 2", "stored 3"});
  CHECK(hub.writer->figures().failures == 1);
}

TEST_CASE("stopping finishes the mailbox and the contacts, then takes nothing") {
  Hub hub;
  Device seen = *hub.store->reader()->device(hub.device).value();
  seen.last_contact = Instant{5'000};
  {
    const Gate gate(*hub.writer);
    REQUIRE(hub.submit(1));
    hub.writer->contact(seen);
  }
  hub.writer->stop();
  CHECK(hub.heard.wait(2)[0] == "stored 1");
  CHECK(hub.store->reader()->device(hub.device).value()->last_contact == Instant{5'000});
  const Status refused = hub.submit(2);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is(Errc::closed));
  bool ran = false;
  hub.writer->run([&](HubStore&) { ran = true; });
  CHECK_FALSE(ran);
}

TEST_CASE("what was heard of a device stands in the store once the writer has settled") {
  Hub hub;
  Device seen = hub.store->reader()->device(hub.device).value().value();
  for (std::int64_t ms = 1; ms <= 50; ++ms) {
    seen.last_contact = Instant{ms};
    hub.writer->contact(seen);
    hub.writer->settle();
    REQUIRE(hub.store->reader()->device(hub.device).value()->last_contact == Instant{ms});
  }
  hub.writer->stop();
  hub.writer->settle();  // nothing to wait for any more
}

TEST_CASE("contacts are written although records never stop coming") {
  Hub hub;
  Device seen = *hub.store->reader()->device(hub.device).value();
  seen.last_contact = Instant{5'000};
  hub.writer->contact(seen);
  const auto reader = hub.store->reader();
  bool written = false;
  for (int i = 0; i < 20'000 && !written; ++i) {
    REQUIRE(hub.writer->submit(hub.batch(1), [](const auto&) {}));
    hub.writer->run([](HubStore&) {});
    written = reader->device(hub.device).value()->last_contact == Instant{5'000};
  }
  CHECK(written);
}

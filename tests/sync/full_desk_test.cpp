// More of what a hub lost waits on a tablet than the hub keeps undecided for one device: nothing is lost, nothing
// fills the hub's disk, and it goes on as the operator decides.
#include <set>

#include "storage/hub_staging.h"
#include "storage/hub_tables.h"
#include "tests/sync/checks.h"
#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

using Recovery = storage::HubStore::Recovery;

constexpr std::uint64_t kDesk = 16'000;

void everybody_syncs(SyncWorld& world) {
  for (int round = 0; round < 4; ++round) {
    for (Tablet& tablet : world.tablets()) {
      if (!tablet.link) world.connect(tablet);
    }
    world.settle();
  }
}

/// Text that does not compress.
std::string noise(SyncWorld& world, std::size_t bytes) {
  Bytes random(bytes / 2);
  world.random()(random);
  return to_hex(random);
}

/// A witness that holds what a destroyed author had sent and the hub has lost: more than the desk takes.
struct Lost {
  SyncWorld world;
  Tablet& author;
  Tablet& witness;
  std::set<RecordId> records;

  explicit Lost(std::uint64_t seed)
      : world(seed),
        author(world.add_tablet("T01", "PPT")),
        witness(world.add_tablet("T02", "PPT")) {
    world.set_desk(kDesk);
    everybody_syncs(world);
    const auto backup = world.hub_disks();
    for (int i = 0; i < 40; ++i)
      records.insert(world.record(author, {field("note", noise(world, 1'500))}));
    everybody_syncs(world);
    world.cut(author);
    author.gone = true;
    world.put_back_hub(backup);
    everybody_syncs(world);
  }
  std::vector<storage::StagedState> staged() { return *world.reader("PPT").staged(1'000); }
  std::uint64_t on_the_desk() {
    return *world.reader("PPT").staged_bytes(witness.identity.device, 0);  // counted anew
  }
  void witness_comes() {
    if (witness.link) world.cut(witness);
    everybody_syncs(world);
  }
};

}  // namespace

TEST_CASE(
    "a tablet whose copies fill the desk waits, sends its own, and is asked again as they are "
    "decided") {
  Lost lost(700);
  SyncWorld& world = lost.world;
  const std::size_t first = lost.staged().size();
  CHECK(first > 0);
  CHECK(first < lost.records.size());
  CHECK(lost.on_the_desk() <= kDesk);
  // It was told to nobody that all is well, and the operator is told why.
  const auto device = **world.reader("PPT").device(lost.witness.identity.device);
  CHECK(device.last_error.find("fieldpost-hub recovery") != std::string::npos);
  CHECK_FALSE(lost.witness.in_sync());
  // Nothing of the lost past is forgotten there, and its own work arrives.
  const RecordId own = world.record(lost.witness, {field("note", std::string("goes on"))});
  lost.witness_comes();
  CHECK(world.reader("PPT").record(own)->has_value());
  CHECK(lost.staged().size() == first);  // coming again brings no more, and no less
  for (const RecordId& id : lost.records) CHECK(lost.witness.store->load(id)->has_value());
  // The operator decides, a part at a time.
  std::set<RecordId> joined;
  for (int round = 0; round < 100 && !lost.staged().empty(); ++round) {
    for (const auto& one : lost.staged()) {
      REQUIRE(world.recover("PPT", one.state.id));
      joined.insert(one.state.id);
    }
    CHECK(lost.on_the_desk() == 0);
    lost.witness_comes();
    CHECK(lost.on_the_desk() <= kDesk);
  }
  CHECK(joined == lost.records);
  everybody_syncs(world);
  CHECK(lost.witness.in_sync());
  CHECK(world.hub_digest("PPT") == lost.witness.digest());
  CHECK(world.verify_hub());
}

TEST_CASE(
    "a refused copy makes room, too; and a tablet that stays connected is asked at its next "
    "report") {
  Lost lost(701);
  SyncWorld& world = lost.world;
  std::set<RecordId> refused;
  for (const auto& one : lost.staged()) {
    REQUIRE(world.recover("PPT", one.state.id, Recovery::refuse));
    refused.insert(one.state.id);
  }
  CHECK(lost.on_the_desk() == 0);
  REQUIRE(lost.witness.link);
  world.take(lost.witness, lost.witness.link->agent->on_tick(world.now(), {}));
  everybody_syncs(world);
  std::set<RecordId> next;
  for (const auto& one : lost.staged()) next.insert(one.state.id);
  CHECK_FALSE(next.empty());
  CHECK(lost.on_the_desk() <= kDesk);
}

TEST_CASE("what is erased beside the count does not keep the desk full") {
  Lost lost(702);
  SyncWorld& world = lost.world;
  const std::size_t before = lost.staged().size();
  REQUIRE(before > 0);
  std::vector<Bytes> keys;
  storage::MemoryKv& kv = world.hub_kv(0);
  REQUIRE(kv.view([&](const storage::KvRead& read) {
    return read.scan(storage::hub_tables::kStaged, {}, {}, [&](BytesView key, BytesView) {
      keys.push_back(to_bytes(key));
      return Result<storage::KvRead::Step>(storage::KvRead::Step::more);
    });
  }));
  REQUIRE(kv.update([&](storage::KvWrite& write) -> Status {
    for (const Bytes& key : keys) FP_CHECK_OK(write.erase(storage::hub_tables::kStaged, key));
    return {};
  }));
  lost.witness_comes();
  CHECK_FALSE(lost.staged().empty());
  CHECK(lost.on_the_desk() <= kDesk);
}

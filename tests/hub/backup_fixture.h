// A hub's folder on the disk with records in it, a repository and a recovery key: for the tests of backups.
//
// Thread rule: the test's thread.
#pragma once

#include <fstream>
#include <map>

#include "hub/backup/backup.h"
#include "hub/backup/read.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "wire/codec.h"

namespace fieldpost::hub::test {

namespace backup = hub::backup;

/// The text of a file.
inline std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Every file under a folder with its content, by name.
inline std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] = content(entry.path());
  }
  return files;
}

inline void flip_byte(const fs::path& file, std::size_t at) {
  std::fstream io(file, std::ios::in | std::ios::out | std::ios::binary);
  io.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(io.get() ^ 1);
  io.seekp(static_cast<std::streamoff>(at));
  io.put(byte);
}

/// A device's chain of records in the enforcement store.
class Writing {
 public:
  Writing(storage::HubStore& store, std::uint8_t name) : store_(store), actor_{name} {
    crypto::Seed seed;
    seed.bytes.fill(name);
    key_ = crypto::signing_key(seed);
    storage::Device device;
    device.id = device_ = *DeviceId::from(key_.public_key.view());
    device.name = "T" + std::to_string(name);
    device.unit = "01-PPT";
    REQUIRE(store_.put_device(device));
    chain_ = wire::chain_start(store_.identity().hub, device_, actor_);
  }
  /// New records in one commit.
  void add(std::size_t count) {
    storage::IncomingBatch batch;
    batch.device = device_;
    batch.actor = actor_;
    batch.first = head_.next();
    batch.previous = chain_;
    batch.received = Instant{1'000};
    batch.granted = {"01-PPT"};
    for (std::size_t i = 0; i < count; ++i) {
      model::Change change;
      change.dot = {actor_, head_.next()};
      std::array<std::uint8_t, 10> entropy{};
      crypto::Seed noise;
      noise.bytes = crypto::hash("test", {storage_key(change.dot)}).bytes;
      std::copy_n(noise.bytes.begin(), entropy.size(), entropy.begin());
      change.record =
          make_record_id(Instant{1'000'000 + static_cast<std::int64_t>(head_.value)}, entropy);
      change.type = "stop";
      change.unit = "01-PPT";
      // Text that no compressor makes nothing of.
      change.edits = {{"note", to_hex(noise.view()) + to_base32(change.record.view())}};
      change.author = "NP-2231";
      std::copy_n(noise.bytes.begin(), change.salt.bytes.size(), change.salt.bytes.begin());
      Bytes frame = *wire::encode_change(change);
      chain_ = wire::chain_next(chain_, frame);
      head_ = change.dot.counter;
      batch.changes.push_back(
          {std::move(frame), change.record, head_, {}, change, std::nullopt, std::nullopt});
    }
    batch.head = chain_;
    batch.signature = wire::sign_head(key_, device_, actor_, head_, chain_);
    const auto done = store_.apply({batch});
    REQUIRE(done);
    REQUIRE(done->front().kind == storage::BatchResult::Kind::applied);
  }
  ActorId actor() const { return actor_; }
  Sequence head() const { return head_; }

 private:
  Bytes storage_key(const model::Dot& dot) {
    key_bytes_ = to_bytes(as_bytes(model::to_text(dot)));
    return key_bytes_;
  }
  storage::HubStore& store_;
  ActorId actor_;
  crypto::SigningKey key_;
  DeviceId device_;
  Hash chain_;
  Sequence head_;
  Bytes key_bytes_;
};

struct BackedHub {
  fieldpost::test::TempDir dir;
  fs::path path = dir / "hub";
  fs::path folder = dir / "repository";
  fs::path key_file = dir / "recovery.txt";
  RandomSource random = keys::system_random();
  Keys keys;
  backup::HubBackupKeys backup_keys;
  std::vector<OpenStore> open;

  BackedHub() {
    REQUIRE(crypto::init());
    Settings settings;
    settings.name = "hub.example";
    REQUIRE(init(path, settings, random, keys::system_now()));
    keys = load_keys(path).value();
    open = open_stores(path, keys, random).value();
    for (OpenStore& store : open) {
      const std::string unit = store.name == "health" ? "01-RH1" : "01-PPT";
      REQUIRE(store.store->put_unit({unit, unit, store.name}));
    }
    backup_keys = backup::make_backup_keys(path, key_file, "hub.example", random).value();
    REQUIRE(backup::Repository::make(folder, hub(), "hub.example", backup_keys, random));
  }
  HubId hub() const { return *HubId::from(keys.signing.public_key.view()); }
  storage::HubStore& store() { return *open[0].store; }

  backup::Repository repository() {
    return backup::Repository::open(folder, hub(), backup_keys, random).value();
  }
  backup::Origin origin() {
    backup::Origin origin{path,       hub(), "hub.example", open[0].store->identity().epoch,
                          keys.store, {}};
    for (OpenStore& store : open) origin.sources.push_back({store.name, store.kv.get(), {}});
    return origin;
  }
  Result<backup::Made> make(backup::Order order = {}) {
    order.time = Instant{++clock};
    auto repo = repository();
    return backup::make_backup(repo, origin(), order);
  }
  backup::RecoveryKey recovery_key() const {
    return backup::recovery_from_text(content(key_file)).value();
  }
  /// What checking the newest backup finds.
  backup::Checked check() {
    auto repo = repository();
    backup::Verifier verifier(repo, {});
    return verifier.check(repo.manifest(repo.numbers()->back()).value());
  }
  std::int64_t clock = 1'772'349'300'000;
};

}  // namespace fieldpost::hub::test

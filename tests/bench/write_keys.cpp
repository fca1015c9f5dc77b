// One process against raw LMDB: a record written at the tablet, and a batch merged at the hub.
#include <algorithm>

#include "hub/store/layout.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "schema/document.h"
#include "storage/kv_hub_store.h"
#include "sync/recorder.h"
#include "tests/bench/hub_process.h"
#include "tests/bench/keys.h"
#include "tests/bench/raw_lmdb.h"
#include "tests/bench/tablet.h"
#include "wire/codec.h"

namespace fieldpost::bench {

namespace {

constexpr std::size_t kWritesOfRound = 250;
constexpr std::size_t kHubBatch = 500;  ///< changes of one push
constexpr std::size_t kBatchesOfCommit = 2;

/// Passes everything on, and remembers what was written.
class RecordingKv final : public storage::Kv {
 public:
  explicit RecordingKv(storage::Kv& inner) : inner_(inner) {}
  Status view(const ViewBody& body) const override { return inner_.view(body); }
  Result<storage::KvStats> stats() const override { return inner_.stats(); }
  std::vector<std::vector<RawWrite>> commits;

 private:
  class Write final : public storage::KvWrite {
   public:
    Write(storage::KvWrite& inner, std::vector<RawWrite>& seen) : inner_(inner), seen_(seen) {}
    Result<std::optional<BytesView>> get(storage::TableId table, BytesView key) const override {
      return inner_.get(table, key);
    }
    Status scan(storage::TableId table, BytesView prefix, BytesView from,
                const Visitor& visit) const override {
      return inner_.scan(table, prefix, from, visit);
    }
    Result<std::optional<Bytes>> last_key(storage::TableId table, BytesView prefix) const override {
      return inner_.last_key(table, prefix);
    }
    Result<std::uint64_t> count(storage::TableId table) const override {
      return inner_.count(table);
    }
    Status put(storage::TableId table, BytesView key, BytesView value) override {
      seen_.push_back({table, false, false, to_bytes(key), to_bytes(value)});
      return inner_.put(table, key, value);
    }
    Status append(storage::TableId table, BytesView key, BytesView value) override {
      seen_.push_back({table, false, true, to_bytes(key), to_bytes(value)});
      return inner_.append(table, key, value);
    }
    Status erase(storage::TableId table, BytesView key) override {
      seen_.push_back({table, true, false, to_bytes(key), {}});
      return inner_.erase(table, key);
    }

   private:
    storage::KvWrite& inner_;
    std::vector<RawWrite>& seen_;
  };

  Status commit_update(const UpdateBody& body, storage::UpdateKind kind) override {
    std::vector<RawWrite> seen;
    auto done = inner_.update(
        [&](storage::KvWrite& inner) -> Status {
          seen.clear();
          Write write(inner, seen);
          return body(write);
        },
        kind);
    if (done) commits.push_back(std::move(seen));
    return done;
  }
  storage::Kv& inner_;
};

/// A hub's enforcement store in `directory`, over LMDB, or over LMDB with a recorder between.
struct HubParts {
  HubParts(const std::filesystem::path& directory, bool recording) {
    hub::Settings settings;
    settings.name = "127.0.0.1";
    need(hub::init(directory, settings, keys::system_random(), keys::system_now()));
    keys = need(hub::load_keys(directory));
    // Laid out by the production code, then opened once more with the recorder between.
    need(hub::open_stores(directory, keys, keys::system_random()));
    lmdb = need(storage::LmdbKv::open(hub::store_options(directory, "enforcement")));
    if (recording) recorder = std::make_unique<RecordingKv>(*lmdb);
    storage::Kv& kv = recording ? static_cast<storage::Kv&>(*recorder) : *lmdb;
    id = need(HubId::from(keys.signing.public_key.view()));
    const auto maker = [key = keys.store]() -> std::unique_ptr<storage::ValueCodec> {
      return std::make_unique<storage::ChecksumCodec>(
          key, wire::Dictionary::v1(wire::Dictionary::kStoreLevel));
    };
    store = need(storage::open_hub_store(
        kv, maker,
        {id, random_id<Epoch>(keys::system_random()), random_id<StartId>(keys::system_random())}));
    need(store->put_unit({"01-PPT", "Poipet", "enforcement"}));
  }
  hub::Keys keys;
  HubId id;
  std::unique_ptr<storage::LmdbKv> lmdb;
  std::unique_ptr<RecordingKv> recorder;
  std::unique_ptr<storage::HubStore> store;
};

/// What sessions would hand the writer: decoded and checked, signed by one device.
std::vector<storage::IncomingBatch> incoming(const std::vector<nlohmann::json>& records,
                                             const HubId& hub, HubParts& parts) {
  const auto registry = need(schema::Registry::load(embedded_schemas()));
  const RandomSource random = keys::system_random();
  crypto::Seed seed;
  random(seed.bytes);
  const auto key = crypto::signing_key(seed);
  storage::Device device;
  device.id = need(DeviceId::from(key.public_key.view()));
  device.name = "T07";
  device.unit = "01-PPT";
  need(parts.store->put_device(device));
  const ActorId actor = random_actor(random);
  Hash hash = wire::chain_start(hub, device.id, actor);
  Sequence counter{1};
  std::vector<storage::IncomingBatch> batches;
  for (std::size_t at = 0; at < records.size(); at += kHubBatch) {
    storage::IncomingBatch batch;
    batch.device = device.id;
    batch.actor = actor;
    batch.first = counter;
    batch.previous = hash;
    batch.received = keys::system_now();
    batch.granted = {"01-PPT"};
    for (std::size_t i = at; i < std::min(records.size(), at + kHubBatch); ++i) {
      const auto& document = records[i];
      model::Change change;
      change.record = need(record_id_from_text(document["id"].get<std::string>()));
      change.dot = {actor, counter};
      change.type = document["type"].get<std::string>();
      change.unit = "01-PPT";
      change.author = document["author"].get<std::string>();
      change.schema_version = 1;
      schema::EditOptions options;
      options.author = change.author;
      change.edits =
          need(schema::edits_from_document(registry, change.type, document, nullptr, options));
      change.times.wall = batch.received;
      change.salt = random_id<Salt>(random);
      storage::IncomingChange one;
      one.frame = need(wire::encode_change(change));
      one.record = change.record;
      one.counter = counter;
      hash = wire::chain_next(hash, one.frame);
      one.change = std::move(change);
      batch.changes.push_back(std::move(one));
      counter = counter.next();
    }
    batch.head = hash;
    parts.store->reader()->prepare(batch);
    batches.push_back(std::move(batch));
  }
  return batches;
}

/// Seconds, without the time to lay the batches out.
double apply_all(HubParts& parts, const std::vector<storage::IncomingBatch>& batches) {
  std::vector<std::vector<storage::IncomingBatch>> commits;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (i % kBatchesOfCommit == 0) commits.emplace_back();
    commits.back().push_back(batches[i]);
  }
  double total_s = 0;
  for (const auto& commit : commits) {
    const auto start = Clock::now();
    const auto results = need(parts.store->apply(commit));
    total_s += seconds_since(start);
    for (const auto& result : results) {
      if (result.kind != storage::BatchResult::Kind::applied || !result.exceptions.empty()) {
        throw std::runtime_error("the hub did not merge a batch of the workload");
      }
    }
  }
  return total_s;
}

}  // namespace

void measure_local_write(const Plan& plan, Report& report) {
  HubProcess hub;
  const auto identity = hub.admit("T07", "01-PPT");
  Tablet tablet(identity);
  const test::TempDir raw_directory;
  RawLmdb raw(raw_directory / "raw", 1);
  const std::size_t rounds = std::max<std::size_t>(4, 4 * plan.repeats);
  const auto records = documents(9, kWritesOfRound * rounds, "01-PPT");
  std::vector<double> ours;
  std::vector<double> theirs;
  const ActorId actor = tablet.store().state().current()->actor;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<nlohmann::json> slice(
        records.begin() + static_cast<std::ptrdiff_t>(round * kWritesOfRound),
        records.begin() + static_cast<std::ptrdiff_t>((round + 1) * kWritesOfRound));
    for (const auto& document : slice) {
      const auto start = Clock::now();
      const auto done = need(tablet.desk().create(document, false, {"NP-2231", "en"}));
      ours.push_back(seconds_since(start));
      if (!done.faults.empty())
        throw std::runtime_error("a record was refused: " + done.faults.dump());
    }
    const Sequence first{round * kWritesOfRound + 1};
    for (const auto& entry :
         need(tablet.store().chain_page(actor, first, SIZE_MAX, kWritesOfRound))) {
      RawWrite write;
      write.key =
          to_bytes(need(record_id_from_text(
                            slice[entry.counter.value - first.value]["id"].get<std::string>()))
                       .view());
      write.value = entry.frame;
      const auto start = Clock::now();
      raw.commit({write});
      theirs.push_back(seconds_since(start));
    }
  }
  const auto rate = [](const std::vector<double>& all) {
    double sum = 0;
    for (const double one : all) sum += one;
    return static_cast<double>(all.size()) / sum;
  };
  report.set("local_write_p99_vs_lmdb", percentile(ours, 0.99) / percentile(theirs, 0.99));
  report.set("local_write_rate_vs_lmdb", rate(ours) / rate(theirs));
  report.raw("local_write_per_s", rate(ours));
  report.raw("local_write_p99_ms", 1000 * percentile(ours, 0.99));
  report.raw("lmdb_single_puts_per_s", rate(theirs));
  report.raw("lmdb_single_put_p99_ms", 1000 * percentile(theirs, 0.99));
}

void measure_hub_apply(const Plan& plan, Report& report) {
  const auto records = documents(10, plan.records, "01-PPT");
  std::vector<double> ratios;
  double apply_s = 0;
  double replay_s = 0;
  for (std::size_t i = 0; i < plan.repeats; ++i) {
    const test::TempDir directory;
    HubParts recorded(directory / "recorded", true);
    const auto batches = incoming(records, recorded.id, recorded);
    recorded.recorder->commits.clear();
    apply_all(recorded, batches);
    HubParts timed(directory / "timed", false);
    storage::Device device;
    device.id = batches.front().device;
    device.name = "T07";
    device.unit = "01-PPT";
    need(timed.store->put_device(device));
    const double apply = apply_all(timed, batches);
    RawLmdb raw(directory / "raw", storage::kTablesMax);
    const auto start = Clock::now();
    for (const auto& commit : recorded.recorder->commits) raw.commit(commit);
    const double replay = seconds_since(start);
    ratios.push_back(replay / apply);
    if (apply_s == 0 || apply < apply_s) apply_s = apply;
    if (replay_s == 0 || replay < replay_s) replay_s = replay;
  }
  report.set("hub_apply_vs_lmdb", median(ratios));
  report.raw("hub_apply_records_per_s", static_cast<double>(plan.records) / apply_s);
  report.raw("lmdb_replay_records_per_s", static_cast<double>(plan.records) / replay_s);
}

}  // namespace fieldpost::bench

// The hub's API over stores in memory, as an administrator and as tablets meet it.
//
// Thread rule: the test's thread; answers are waited for.
#pragma once

#include <future>

#include "base/embedded.h"
#include "base/text.h"
#include "hub/api/api.h"
#include "keys/clock.h"
#include "keys/pki.h"
#include "keys/random.h"
#include "storage/hub_tables.h"
#include "storage/kv_hub_store.h"
#include "storage/memory_kv.h"
#include "tests/support/catch.h"

namespace fieldpost::hub::test {

using nlohmann::json;

struct Store {
  storage::MemoryKv kv{storage::hub_tables::kTableCount};
  std::unique_ptr<storage::HubStore> store;
  std::unique_ptr<Writer> writer;
};

struct Hub {
  Keys keys;
  schema::Registry registry;
  Store stores[2];
  Instant now{1'772'349'300'000};
  std::unique_ptr<RetentionService> retention;
  std::unique_ptr<Api> api;

  /// `rules`: which records are due, and when; none without it.
  explicit Hub(const RetentionSettings& rules = {})
      : registry(schema::Registry::load(embedded_schemas()).value()) {
    REQUIRE(crypto::init());
    const auto random = keys::system_random();
    keys.signing = crypto::signing_key(crypto::Seed{});
    keys.admin_token = "a-token-that-nobody-can-guess-at-all";
    keys.ca_pem = keys::make_ca("Test", keys::system_now())->certificate_pem;
    ApiParts parts;
    const auto hub = *HubId::from(keys.signing.public_key.view());
    for (std::size_t i = 0; i < 2; ++i) {
      const auto codec = [] {
        return std::make_unique<storage::ChecksumCodec>(crypto::SymmetricKey{},
                                                        wire::Dictionary::v1());
      };
      stores[i].store =
          storage::open_hub_store(stores[i].kv, codec, {hub, Epoch{}, StartId{}}).value();
      stores[i].writer = std::make_unique<Writer>(*stores[i].store, [](const Writer::FeedEnds&) {});
      parts.stores.push_back(
          {i == 0 ? "enforcement" : "health", stores[i].store.get(), stores[i].writer.get(), {}});
    }
    RetentionParts kept;
    kept.settings = rules;
    kept.stores = parts.stores;
    kept.registry = &registry;
    kept.clock = [this] { return now; };
    retention = std::make_unique<RetentionService>(std::move(kept));
    parts.retention = retention.get();
    parts.registry = &registry;
    parts.keys = &keys;
    parts.settings.name = "hub.example";
    parts.random = random;
    parts.clock = [this] { return now; };
    parts.times = [this] { return sync::TimeReading{now, 7, 1'000}; };
    parts.port = 7443;
    api = std::make_unique<Api>(std::move(parts));
  }

  net::HttpResponse send(const std::string& method, const std::string& target,
                         const std::string& body, const std::string& token) {
    net::HttpRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    if (!token.empty()) request.headers = {{"Authorization", token}};
    REQUIRE(net::parse_target(request));
    const auto answer = std::make_shared<std::promise<net::HttpResponse>>();
    api->handle(std::move(request),
                net::Responder([answer](net::HttpResponse r) { answer->set_value(std::move(r)); }));
    return answer->get_future().get();
  }
  /// As the administrator.
  std::pair<int, json> ask(const std::string& method, const std::string& target,
                           const json& body = nullptr) {
    const auto answer =
        send(method, target, body.is_null() ? "" : body.dump(), "Bearer " + keys.admin_token);
    return {answer.status, json::parse(answer.body, nullptr, false)};
  }
  std::string invite(const std::string& name, const std::string& unit) {
    const auto [status, made] =
        ask("POST", "/v1/invitations", {{"name", name}, {"unit", unit}, {"valid_minutes", 60}});
    REQUIRE(status == 200);
    const std::string code = made["code"];
    return to_hex(
        BytesView(*from_base32(code.substr(code.find('/') + 1))).subspan(Fingerprint::kSize));
  }
  /// As a tablet: no token.
  std::pair<int, json> enrol(const std::string& secret_hex, std::uint8_t device) {
    crypto::Seed seed;
    seed.bytes.fill(device);
    const auto key = crypto::signing_key(seed);
    const Bytes secret = *from_hex(secret_hex);
    const auto signature = crypto::sign(key, "fieldpost.v1.enrol", {secret, key.public_key.view()});
    const json body = {{"secret", secret_hex},
                       {"device", to_hex(key.public_key.view())},
                       {"signature", to_hex(signature.view())}};
    const auto answer = send("POST", "/v1/enrol", body.dump(), "");
    return {answer.status, json::parse(answer.body)};
  }
};

inline std::string code_of(const json& answer) { return answer["error"]["code"]; }

/// A tablet's chain as the hub takes it in: each change is checked as the hub's sessions check it.
class Chain {
 public:
  /// `store`: 0 enforcement, 1 health.
  Chain(Hub& hub, std::uint8_t name, std::string unit = "01-PPT", std::size_t store = 0)
      : type(store == 0 ? "stop" : "visit"),
        hub_(hub),
        unit_(std::move(unit)),
        store_(store),
        actor_{name} {
    crypto::Seed seed;
    seed.bytes.fill(name);
    key_ = crypto::signing_key(seed);
    device_ = *DeviceId::from(key_.public_key.view());
    hash_ = wire::chain_start(hub_.stores[store].store->identity().hub, device_, actor_);
  }

  /// One change, in a commit of its own. `context`: what its author had seen; nothing without it.
  model::Dot write(const RecordId& record, std::vector<model::FieldValue> edits,
                   model::VersionVector context = {}) {
    model::Change change;
    change.record = record;
    change.dot = {actor_, head_.next()};
    change.prev = previous_[record];
    change.type = type;
    change.unit = unit_;
    change.context = std::move(context);
    std::sort(edits.begin(), edits.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    change.edits = std::move(edits);
    change.author = "officer-" + std::to_string(actor_.value);
    change.times.wall = hub_.now;
    change.salt.bytes.fill(static_cast<std::uint8_t>(head_.value));
    const Bytes frame = *wire::encode_change(change);
    storage::IncomingBatch batch;
    batch.device = device_;
    batch.actor = actor_;
    batch.first = change.dot.counter;
    batch.previous = hash_;
    batch.received = hub_.now;
    batch.granted = {unit_};
    head_ = previous_[record] = change.dot.counter;
    hash_ = batch.head = wire::chain_next(hash_, frame);
    batch.signature = wire::sign_head(key_, device_, actor_, head_, hash_);
    std::optional<wire::ChangeException> fault;
    if (const auto found = schema::check_change(hub_.registry, change)) {
      fault = wire::ChangeException{actor_,
                                    head_,
                                    record,
                                    wire::ExceptionKind::quarantined,
                                    found->rule,
                                    found->path,
                                    hub_.registry.message(*found, "en", false)};
    }
    batch.changes.push_back({frame, record, head_, change.prev, change, fault, std::nullopt});
    // Shared: the writer may still be inside set_value() when this call is already gone.
    const auto done = std::make_shared<std::promise<bool>>();
    const auto taken = hub_.stores[store_].writer->submit(
        std::move(batch), [done](const Result<storage::BatchResult>& result) {
          done->set_value(result && result->kind == storage::BatchResult::Kind::applied);
        });
    REQUIRE(taken);
    REQUIRE(done->get_future().get());
    return change.dot;
  }
  /// What the hub has of a record now: the context of who saw it.
  model::VersionVector seen(const RecordId& record) const {
    return (*hub_.stores[store_].store->reader()->record(record))->vv;
  }
  const DeviceId& device() const { return device_; }
  std::string type;  ///< of the records that `write` writes

 private:
  Hub& hub_;
  std::string unit_;
  std::size_t store_;
  ActorId actor_;
  crypto::SigningKey key_;
  DeviceId device_;
  Hash hash_;
  Sequence head_;
  std::map<RecordId, Sequence> previous_;
};

/// Record number `n`: ids in the order of their numbers.
inline RecordId record_id(std::uint8_t n) {
  std::array<std::uint8_t, 10> entropy{};
  entropy.fill(n);
  return make_record_id(Instant{1'772'349'000'000 + n * 1'000}, entropy);
}

inline std::string change_path(const model::Dot& dot) {
  return "/v1/quarantine/" + dot.actor.hex() + "/" + std::to_string(dot.counter.value);
}

}  // namespace fieldpost::hub::test

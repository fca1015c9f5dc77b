// What reaches a tablet's agent beside the wire: requests of forms and scripts, its own files, codes, grants.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/api/guard.h"
#include "agent/api/routes.h"
#include "agent/cli/enrolment_code.h"
#include "agent/health/statement.h"
#include "agent/store/hub_time.h"
#include "agent/store/identity.h"
#include "agent/store/start_mark.h"
#include "base/embedded.h"
#include "base/text.h"
#include "keys/pki.h"
#include "keys/secret_file.h"
#include "storage/kv_agent_store.h"
#include "storage/memory_kv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/http_requests.h"
#include "tests/fuzz/json_mutator.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::fuzz {
namespace {

using namespace agent;
using nlohmann::json;

constexpr std::int64_t kNow = 1'772'349'300'000;

RandomSource counting_random(std::uint8_t first = 1) {
  return [n = std::uint32_t{first}](std::span<std::uint8_t> bytes) mutable {
    for (auto& byte : bytes)
      byte = static_cast<std::uint8_t>((n = n * 1'103'515'245 + 12'345) >> 16);
  };
}

std::shared_ptr<const schema::Registry> registry() {
  static const auto one =
      std::make_shared<const schema::Registry>(*schema::Registry::load(embedded_schemas()));
  return one;
}

template <class Key>
Key seed_of(std::uint8_t byte) {
  Key key;
  key.bytes.fill(byte);
  return key;
}

Recipients recipients() {
  const auto authority = crypto::signing_key(seed_of<crypto::Seed>(9));
  Recipients r;
  r.unit = "01-RH1";
  r.authority = authority.public_key;
  r.authority_box = crypto::box_key_pair(seed_of<crypto::Seed>(10)).public_key;
  r.unit_box = crypto::box_key_pair(seed_of<crypto::Seed>(11)).public_key;
  sign_recipients(authority, r);
  return r;
}

Identity identity(bool health) {
  Identity i;
  i.host = "hub.example";
  i.port = 7443;
  i.server_name = "hub.example";
  i.ca_pem = "-----BEGIN CERTIFICATE-----\n";
  i.hub = seed_of<HubId>(7);
  i.device_seed = seed_of<crypto::Seed>(1);
  i.box_seed = seed_of<crypto::Seed>(2);
  i.device_name = "T07";
  i.unit = health ? "01-RH1" : "01-PPT";
  i.compartment = health ? "health" : "enforcement";
  i.epoch = seed_of<Epoch>(4);
  if (health) i.health = HealthKeys{recipients(), {{1, seed_of<crypto::Seed>(11)}}};
  return i;
}

/// A tablet in memory: production store, desk and routes.
struct Tablet {
  explicit Tablet(const Identity& who, const storage::MemoryKv::Snapshot* disk = nullptr)
      : kv(disk == nullptr ? storage::MemoryKv(storage::kAgentTables)
                           : storage::MemoryKv(storage::kAgentTables, *disk)),
        store(*storage::open_agent_store(kv, codec)) {
    if (disk == nullptr)
      (void)sync::ensure_actor(*store, who.hub, who.device(), counting_random(5), who.epoch);
    Desk::Parts parts;
    parts.identity = &who;
    parts.store = store.get();
    parts.registry = registry();
    parts.random = counting_random(disk == nullptr ? 1 : 77);
    parts.clock = [] { return sync::TimeReading{Instant{kNow}, 7, 1'000'000}; };
    desk = std::make_unique<Desk>(std::move(parts));
    ApiParts api;
    api.desk = desk.get();
    api.status = [this]() -> Result<json> { return json{{"waiting", store->state().waiting}}; };
    api.verify = [this]() -> Result<json> {
      FP_CHECK_OK(store->verify([](std::uint64_t) {}));
      return json{{"good", true}};
    };
    api.damaged = [this]() -> Result<json> {
      FP_TRY(const auto damages, store->damages());
      return json{{"damaged", damages.size()}};
    };
    api.import_places = [](const std::string&, const std::string& csv) -> Result<json> {
      schema::PlaceList places;
      return json{{"problems", places.add_csv(as_bytes(csv)).size()}};
    };
    router = std::make_unique<net::Router>(make_router(std::move(api)));
  }

  net::HttpResponse ask(net::HttpRequest request) const {
    std::vector<net::HttpResponse> answers;
    router->handle(std::move(request), net::Responder([&](net::HttpResponse answer) {
                     answers.push_back(std::move(answer));
                   }));
    require(answers.size() == 1, "a request has one answer");
    return std::move(answers.front());
  }

  storage::MemoryKv kv;
  storage::PlainCodec codec;
  std::unique_ptr<storage::AgentStore> store;
  std::unique_ptr<Desk> desk;
  std::unique_ptr<net::Router> router;
};

json without_own_fields(json document) {
  for (const char* name :
       {"id", "state", "ref_no", "captured_at", "schema_version", "unit", "author"})
    document.erase(name);
  return document;
}

/// One compartment's tablet with a record and a draft, and requests that it takes.
struct Desktop {
  explicit Desktop(bool health) : who(identity(health)) {
    Tablet tablet(who);
    std::vector<json> documents;
    for (json& document : documents_in("data/records/valid")) {
      const bool visit = document["type"] == "visit";
      if (visit == health) documents.push_back(without_own_fields(std::move(document)));
    }
    const auto post = [](std::vector<std::string> segments, json body) {
      return Template{"POST", std::move(segments), {}, std::move(body)};
    };
    const auto get = [](std::vector<std::string> segments,
                        std::vector<std::pair<std::string, std::string>> query = {}) {
      return Template{"GET", std::move(segments), std::move(query), nullptr};
    };
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < documents.size(); ++i) {
      const json body{
          {"document", documents[i]}, {"author", "NP-2231"}, {"draft", i % 5 == 4}, {"lang", "km"}};
      templates.push_back(post({"v1", "records"}, body));
      if (i > 5 && i != 9) continue;
      net::HttpRequest request;
      request.method = "POST";
      request.target = "/v1/records";
      request.body = body.dump();
      (void)net::parse_target(request);
      const json made = json::parse(tablet.ask(std::move(request)).body, nullptr, false);
      if (made.contains("id")) ids.push_back(made["id"]);
    }
    require(!ids.empty(), "the documents of the tests can be recorded");
    for (const std::string& id : ids) {
      templates.push_back(get({"v1", "records", id}, {{"lang", "km"}}));
      templates.push_back(
          post({"v1", "records", id, "edits"}, {{"set", {{"witness", "Chan"}, {"notes", nullptr}}},
                                                {"reason", "found"},
                                                {"author", "NP-1"}}));
      templates.push_back(post(
          {"v1", "records", id, "edits"},
          {{"patch",
            {{"persons", {{{"item_id", "k3x9d2m1"}, {"role", "driver"}}}}, {"notes", "n"}}},
           {"reason", "found"},
           {"author", "NP-1"},
           {"context", {{"under", "0000000000000001"}, {"seen", {{"0000000000000001", 1}}}}}}));
      templates.push_back(
          post({"v1", "records", id, "void"}, {{"reason", "twice"}, {"author", "NP-1"}}));
      templates.push_back(post({"v1", "records", id, "finalise"}, {{"author", "NP-1"}}));
      templates.push_back({"DELETE", {"v1", "records", id}, {}, nullptr});
    }
    json rows = json::array();
    for (std::size_t i = 0; i < std::min<std::size_t>(3, documents.size()); ++i)
      rows.push_back(
          {{"line", i + 2}, {"external_id", "B-" + std::to_string(i)}, {"document", documents[i]}});
    const std::string type = documents.front()["type"];
    templates.push_back(
        post({"v1", "import"}, {{"rows", rows}, {"type", type}, {"author", "NP-1"}}));
    templates.push_back(
        post({"v1", "places"}, {{"name", "mine"}, {"csv", "code,name_km\n01-PPT,x\n"}}));
    templates.push_back(get({"v1", "records"}, {{"type", type},
                                                {"state", "final"},
                                                {"limit", "2"},
                                                {"after", ids[0]},
                                                {"documents", "1"}}));
    templates.push_back(get({"v1", "forms", type, "defaults"}));
    for (const char* path : {"status", "digests", "damaged"})
      templates.push_back(get({"v1", path}));
    for (const char* path : {"verify", "sync"}) templates.push_back(post({"v1", path}, nullptr));
    disk = tablet.kv.snapshot();
  }
  Identity who;
  storage::MemoryKv::Snapshot disk;
  std::vector<Template> templates;
};

void take_agent_api(BytesView bytes) {
  static const Desktop kDesktops[] = {Desktop(false), Desktop(true)};
  Input in(bytes);
  const Desktop& desktop = kDesktops[in.below(2)];
  const Tablet tablet(desktop.who, &desktop.disk);
  for (int requests = 0; requests < 4 && !in.empty(); ++requests) {
    auto request = request_of(desktop.templates, in);
    if (request) require_answer(tablet.ask(*std::move(request)));
  }
  require(tablet.store->verify([](std::uint64_t) {}).has_value(), "what was recorded can be read");
  require(tablet.store->damages()->empty(), "and nothing of it is damaged");
}

std::vector<Bytes> api_seeds() {
  std::vector<Bytes> seeds;
  for (std::uint8_t desktop = 0; desktop < 2; ++desktop) {
    for (std::uint8_t which = 0; which < 70; ++which) seeds.push_back({desktop, which, 0xff, 0, 0});
  }
  return seeds;
}

void take_guard(BytesView bytes) {
  static const ApiGate kGate{7444, "a-token-that-nobody-can-guess"};
  Input in(bytes);
  net::HttpRequest request;
  static const char* const kNames[] = {"Host", "Origin", "Authorization", "host", "AUTHORIZATION"};
  static const char* const kValues[] = {"127.0.0.1:7444",
                                        "localhost:7444",
                                        "http://localhost:7444",
                                        "Bearer a-token-that-nobody-can-guess",
                                        "Bearer ",
                                        "null"};
  while (!in.empty() && request.headers.size() < 8) {
    const char* name = kNames[in.below(5)];
    const std::size_t which = in.below(9);
    request.headers.emplace_back(name, which < 6 ? std::string(kValues[which])
                                                 : std::string(as_text(in.take(in.below(48)))));
  }
  const auto refusal = refuse(request, kGate);
  if (refusal) return require_answer(*refusal);
  require(*request.header("Authorization") == "Bearer " + kGate.token, "only the token opens");
  const std::string& host = *request.header("Host");
  require(host == "127.0.0.1:7444" || host == "localhost:7444" || host == "[::1]:7444",
          "only its own hosts");
}

void take_code(BytesView bytes) {
  const auto code = parse_enrolment_code(as_text(bytes));
  if (!code)
    return require(code.error().is(Errc::invalid_argument), "a code that is none is refused");
  require(code->port > 0 && !code->host.empty() && code->secret.size() == 16, "a code is whole");
}

std::vector<Bytes> code_seeds() {
  const std::string letters = to_base32(Bytes(48, 7));
  return {bytes_of("127.0.0.1:7443/" + letters), bytes_of("[::1]:1/" + letters),
          bytes_of(" hub.example:65535/" + letters.substr(0, 4) + "-" + letters.substr(4) + "\n")};
}

// ---- files of the data folder ----

/// A folder in memory where there is one: files are written thousands of times a second.
const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    static const test::TempDir dir;
    const auto data = dir / "data";
    std::filesystem::create_directories(data);
    std::filesystem::permissions(data, std::filesystem::perms::owner_all);
    return data;
  }();
  return path;
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
  }
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

json identity_json(bool health) {
  static const json kBoth[] = {[] {
                                 (void)save_identity({folder()}, identity(false));
                                 std::ifstream in(DataDirectory{folder()}.identity());
                                 return json::parse(in);
                               }(),
                               [] {
                                 (void)save_identity({folder()}, identity(true));
                                 std::ifstream in(DataDirectory{folder()}.identity());
                                 return json::parse(in);
                               }()};
  return kBoth[health ? 1 : 0];
}

void take_identity(BytesView bytes) {
  Input in(bytes);
  const std::size_t how = in.below(3);
  const json base = how < 2 ? identity_json(how == 1) : json();
  const std::string text = how < 2 ? text_of(bent(base, in)) : std::string(as_text(in.rest()));
  write_file(DataDirectory{folder()}.identity(), text);
  const auto read = load_identity({folder()});
  if (!read) {
    require(!read.error().detail.empty(), "a refusal is a sentence");
    return require(read.error().is(Errc::malformed) || read.error().is(Errc::bad_signature) ||
                       read.error().is(Errc::too_large),
                   "an identity that does not read is malformed");
  }
  require(read->port > 0, "a port is above 0");
}

void take_hub_time(BytesView bytes) {
  const DataDirectory data{folder()};
  write_file(data.hub_time(), as_text(bytes));
  const auto anchor = load_hub_time(data);
  if (anchor) require(anchor->time.at.ms >= 0, "hub time is after 1970");
}

void take_start_mark(BytesView bytes) {
  const DataDirectory data{folder()};
  Input in(bytes);
  const std::uint64_t generation = in.number(1);
  write_file(data.start_mark(), as_text(in.rest()));
  storage::MemoryKv kv(storage::kAgentTables);
  storage::PlainCodec codec;
  const auto store = *storage::open_agent_store(kv, codec);
  const Identity who = identity(false);
  (void)sync::ensure_actor(*store, who.hub, who.device(), counting_random(), who.epoch);
  if (generation > 0) (void)store->begin({generation, {}, {}});
  const auto found = mark_start(data, *store, who.hub, who.device(), Hash{}, counting_random(3));
  require(found.has_value(), "no mark stops a start");
  require(store->state().generation > generation || store->state().generation == generation + 1 ||
              found->put_back,
          "a start is counted");
  require(found->put_back == !found->words.empty(), "what was found is said");
}

// ---- what the health authority signs ----

void take_statement(BytesView bytes) {
  static const json kRecipients = to_json(recipients());
  static const json kGrant =
      to_json(make_grant(crypto::signing_key(seed_of<crypto::Seed>(9)), recipients(),
                         crypto::box_key_pair(seed_of<crypto::Seed>(2)).public_key,
                         seed_of<crypto::Seed>(11), seed_of<crypto::Seed>(12)));
  Input in(bytes);
  const bool grant = in.below(2) == 1;
  const json& base = grant ? kGrant : kRecipients;
  const json document = bent(base, in);
  if (grant) {
    const auto read = grant_from_json(document);
    if (read) return require(to_json(*read) == kGrant, "nobody forges a grant");
    return require(read.error().is(Errc::malformed) || read.error().is(Errc::bad_signature),
                   "it is said why");
  }
  const auto read = recipients_from_json(document);
  if (read) return require(to_json(*read) == kRecipients, "nobody forges recipients");
  require(read.error().is(Errc::malformed) || read.error().is(Errc::bad_signature),
          "it is said why");
}

void take_pem(BytesView bytes) {
  const auto certificate = keys::read_certificate(std::string(as_text(bytes)));
  if (!certificate) require(!certificate.error().detail.empty(), "a refusal is a sentence");
}

std::vector<Bytes> pem_seeds() {
  const auto ca = keys::make_ca("a hub that is not there", Instant{kNow});
  return ca ? std::vector<Bytes>{bytes_of(ca->certificate_pem)} : std::vector<Bytes>{};
}

std::vector<Bytes> bent_seeds(std::uint8_t kinds) {
  std::vector<Bytes> seeds;
  for (std::uint8_t kind = 0; kind < kinds; ++kind) {
    seeds.push_back({kind});
    seeds.push_back({kind, 2, 0, 3, 0, 1, 0, 5, 0, 2, 0, 1, 4});
  }
  return seeds;
}

}  // namespace

std::vector<Target> targets() {
  return {
      {"http_target", take_target, target_seeds, 160},
      {"agent_api", take_agent_api, api_seeds, 192, 16},
      {"agent_api_guard", take_guard,
       [] {
         return std::vector<Bytes>{{0, 0, 2, 3}, {0, 1, 1, 2, 2, 3}};
       },
       96},
      {"enrolment_code", take_code, code_seeds, 128},
      {"agent_identity", take_identity, [] { return bent_seeds(2); }, 128},
      {"hub_time_file", take_hub_time,
       [] {
         return std::vector<Bytes>{
             bytes_of(R"({"hub_ms":1772349300000,"boot":7,"monotonic_ms":12})")};
       },
       96},
      {"start_mark_file", take_start_mark,
       [] {
         return std::vector<Bytes>{bytes_of("\x03{\"starts\":3}"),
                                   bytes_of("\x01{\"starts\":18446744073709551615}")};
       },
       64},
      {"health_statement", take_statement, [] { return bent_seeds(2); }, 96},
      {"certificate_pem", take_pem, pem_seeds, 1024},
  };
}

}  // namespace fieldpost::fuzz

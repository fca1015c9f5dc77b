// What reaches the hub beside the wire: requests to its API, its own files, backups.
#include <filesystem>
#include <fstream>
#include <future>

#include "base/embedded.h"
#include "base/text.h"
#include "hub/api/api.h"
#include "hub/backup/chunk.h"
#include "hub/backup/repository.h"
#include "hub/store/layout.h"
#include "keys/pki.h"
#include "storage/hub_tables.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/http_requests.h"
#include "tests/fuzz/json_mutator.h"
#include "tests/fuzz/small_world.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::fuzz {
namespace {

using namespace hub;
using nlohmann::json;

constexpr std::int64_t kNow = 1'772'349'900'000;

RandomSource counting_random() {
  return [n = std::uint32_t{1}](std::span<std::uint8_t> bytes) mutable {
    for (auto& byte : bytes)
      byte = static_cast<std::uint8_t>((n = n * 1'103'515'245 + 12'345) >> 16);
  };
}

const schema::Registry& registry() {
  static const schema::Registry one = *schema::Registry::load(embedded_schemas());
  return one;
}

struct Base {
  SmallWorld small;
  Keys keys;
  storage::HubIdentity identity;
  std::vector<storage::MemoryKv::Snapshot> disks;
  std::vector<Template> templates;

  Base() {
    keys.signing = small.world.hub_key();
    keys.admin_token = "a-token-that-nobody-can-guess-at-all";
    keys.ca_pem = keys::make_ca("Test", Instant{kNow})->certificate_pem;
    identity = {small.world.hub_id(), Epoch{}, StartId{}};
    for (std::size_t i = 0; i < 2; ++i) disks.push_back(small.world.hub_kv(i).snapshot());
    read_document();
  }

  /// A request for every path and method of the API's own document.
  void read_document() {
    const json document = json::parse(as_text(embedded_api().front().bytes));
    const auto quarantined = small.world.reader("01-PPT").quarantine(1)->front().exception;
    const json samples{{"unit", "01-PPT"},
                       {"code", "09-CYM"},
                       {"id", to_text(small.records[0])},
                       {"name", "T07"},
                       {"actor", quarantined.actor.hex()},
                       {"counter", std::to_string(quarantined.counter.value)},
                       {"limit", "2"},
                       {"after", to_text(small.records[0])},
                       {"compartment", "enforcement"},
                       {"type", "stop"},
                       {"ruling", "accept"},
                       {"decision", "join"},
                       {"path", "witness"},
                       {"note", "asked both"},
                       {"author", "OP-01"},
                       {"valid_minutes", 60},
                       {"full", true},
                       {"value", "Chan Dara"},
                       {"secret", std::string(32, 'a')},
                       {"device", std::string(64, 'b')},
                       {"signature", std::string(128, 'c')}};
    for (const auto& [path, methods] : document["paths"].items()) {
      for (const auto& [method, operation] : methods.items()) {
        Template request;
        for (const char c : method) request.method += static_cast<char>(c - 32);
        for (const std::string_view part : split(std::string_view(path).substr(1), '/')) {
          const bool name = part.starts_with('{');
          const std::string key(name ? part.substr(1, part.size() - 2) : part);
          request.segments.push_back(name ? samples.value(key, "x") : key);
        }
        for (const json& entry : operation.value("parameters", json::array())) {
          std::string name = entry.value("name", "");
          if (name.empty()) {
            const std::string reference = entry["$ref"];
            name = document["components"]["parameters"][reference.substr(reference.rfind('/') + 1)]
                           ["name"];
          }
          if (path.find("{" + name + "}") == std::string::npos)
            request.query.emplace_back(name, samples.value(name, "x"));
        }
        if (operation.contains("requestBody")) {
          request.body = json::object();
          const json& schema = operation["requestBody"]["content"]["application/json"]["schema"];
          for (const auto& [name, property] : schema["properties"].items())
            request.body[name] = samples.value(name, json("x"));
        }
        templates.push_back(request);
        if (path == "/v1/records/{id}/resolve") {  // one of the two values, as a person chooses it
          request.body.erase("value");
          templates.push_back(request);
        }
      }
    }
  }
};

const Base& base() {
  static const Base one;
  return one;
}

/// The hub in memory: production stores, writers and API.
struct Hub {
  struct Store {
    explicit Store(const storage::MemoryKv::Snapshot& disk)
        : kv(storage::hub_tables::kTableCount, disk),
          store(*storage::open_hub_store(
              kv, [] { return std::make_unique<storage::PlainCodec>(); }, base().identity)),
          writer(*store, [](const Writer::FeedEnds&) {}) {}
    storage::MemoryKv kv;
    std::unique_ptr<storage::HubStore> store;
    Writer writer;
  };
  Store enforcement{base().disks[0]};
  Store health{base().disks[1]};
  std::unique_ptr<Api> api;

  Hub() {
    ApiParts parts;
    parts.stores = {{"enforcement", enforcement.store.get(), &enforcement.writer, {"visit"}},
                    {"health", health.store.get(), &health.writer, {}}};
    parts.registry = &registry();
    parts.keys = &base().keys;
    parts.settings.name = "hub.example";
    parts.random = counting_random();
    parts.clock = [] { return Instant{kNow}; };
    parts.times = [] { return sync::TimeReading{Instant{kNow}, 7, 1'000}; };
    parts.port = 7443;
    api = std::make_unique<Api>(std::move(parts));
  }
  net::HttpResponse ask(net::HttpRequest request, bool trusted) const {
    const auto answer = std::make_shared<std::promise<net::HttpResponse>>();
    api->handle(std::move(request),
                net::Responder([answer](net::HttpResponse r) { answer->set_value(std::move(r)); }),
                trusted);
    return answer->get_future().get();
  }
};

void take_hub_api(BytesView bytes) {
  Input in(bytes);
  const Hub hub;
  const auto records = hub.enforcement.store->reader()->counts()->records;
  for (int requests = 0; requests < 5 && !in.empty(); ++requests) {
    auto request = request_of(base().templates, in);
    if (!request) continue;
    const bool trusted = request->path != "/v1/enrol";
    require_answer(hub.ask(*std::move(request), trusted));
  }
  const auto reader = hub.enforcement.store->reader();
  require(reader->counts()->records == records, "no request of an operator makes or ends a record");
  const auto verified = reader->verify([](std::uint64_t) {});
  if (!verified) std::fprintf(stderr, "%s\n", verified.error().message().c_str());
  require(verified.has_value(), "and the store proves itself after it");
}

/// Without the token nothing is answered but what anybody may ask.
void take_hub_stranger(BytesView bytes) {
  static const Hub kHub;
  Input in(bytes);
  auto request = request_of(base().templates, in);
  if (!request) return;
  const std::size_t which = in.below(4);
  if (which == 1) request->headers.emplace_back("Authorization", "Bearer ");
  if (which == 2)
    request->headers.emplace_back("Authorization", std::string(as_text(in.take(in.below(64)))));
  const bool open = request->path == "/healthz" || request->path == "/readyz" ||
                    request->path == "/v1/openapi.json" || request->path == "/v1/enrol";
  const auto answer = kHub.ask(*std::move(request), false);
  require_answer(answer);
  require(open || answer.status == 401, "a stranger is told that a token is needed");
}

std::vector<Bytes> api_seeds() {
  std::vector<Bytes> seeds;
  for (std::size_t which = 0; which < base().templates.size(); ++which)
    seeds.push_back({static_cast<std::uint8_t>(which), 0xff, 0, 0});
  return seeds;
}

// ---- files of the hub's folder ----

const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    static const test::TempDir dir;
    std::filesystem::create_directories(dir / "hub/keys");
    std::filesystem::permissions(dir / "hub/keys", std::filesystem::perms::owner_all);
    return dir / "hub";
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

void take_settings(BytesView bytes) {
  static const json kSettings{
      {"name", "hub.example"},
      {"listen", "0.0.0.0"},
      {"port", 7443},
      {"threads", 2},
      {"log_level", "info"},
      {"backup", {{"directory", "/backup"}, {"every_hours", 6}, {"keep", 28}}}};
  Input in(bytes);
  const bool raw = in.below(3) == 2;
  write_file(folder() / "hub.json",
             raw ? std::string(as_text(in.rest())) : text_of(bent(kSettings, in)));
  const auto settings = load_settings(folder());
  if (!settings) {
    require(!settings.error().detail.empty(), "a refusal is a sentence");
    return require(settings.error().is(Errc::malformed) || settings.error().is(Errc::too_large),
                   "settings that do not read are malformed");
  }
  require(!settings->name.empty() && settings->threads <= 256, "settings are within their bounds");
  if (settings->backup) {
    require(settings->backup->directory.starts_with('/') && settings->backup->keep > 0,
            "so are those of backups");
    require(save_backup_settings(folder(), *settings->backup).has_value(), "they can be written");
    require(load_settings(folder()).has_value(), "and read again");
  }
}

// ---- backups ----

backup::Manifest manifest() {
  backup::Manifest m;
  m.number = 3;
  m.time = Instant{kNow};
  m.hub_name = "hub.example";
  m.files = {{"hub.json", false, Bytes{1, 2}}, {"keys/hub.seed", true, Bytes(32, 4)}};
  backup::StoreCopy store{
      "enforcement", "fieldpost-hub-enforcement", 3, {}, {{ActorId{1}, Sequence{2}}}, 9, {"x"}};
  store.tables.push_back({"records", 2, {{{}, 100}, {{}, 200}}});
  m.stores = {store};
  return m;
}

void take_manifest(BytesView bytes) {
  const auto read = backup::unpack_manifest(bytes);
  if (!read) {
    require(read.error().is(Errc::corrupt) || read.error().is(Errc::unsupported), "it is corrupt");
    return;
  }
  const Bytes again = backup::pack_manifest(*read);
  require(again.size() == bytes.size(), "a manifest has one size");
  require(*backup::unpack_manifest(again) == *read, "a manifest survives");
}

void take_chunk(BytesView bytes) {
  Bytes again;
  backup::Chunker chunker(0, [&](BytesView chunk) -> Status {
    again.insert(again.end(), chunk.begin(), chunk.end());
    return {};
  });
  const auto read = backup::for_each_entry(
      bytes, [&](BytesView key, BytesView value) { return chunker.add(key, value); });
  if (!read)
    return require(read.error().is(Errc::corrupt), "a chunk that does not read is corrupt");
  require(chunker.finish().has_value() && again == to_bytes(bytes), "a chunk has one form");
}

void take_vault(BytesView bytes) {
  static backup::Vault vault(crypto::SymmetricKey{}, counting_random());
  Input in(bytes);
  const bool as_manifest = in.below(2) == 1;
  const std::size_t at = in.number(1);
  const std::uint8_t with = in.byte();
  const Bytes plain = to_bytes(in.rest());
  const auto id = vault.chunk_id(plain);
  Bytes file = as_manifest ? vault.seal_manifest(4, plain) : vault.seal_chunk(id, plain);
  const auto open = [&](BytesView sealed) {
    return as_manifest ? vault.open_manifest(4, sealed) : vault.open_chunk(id, sealed);
  };
  require(*open(file) == plain, "what was sealed opens");
  file[at % file.size()] ^= with;
  require(with == 0 || !open(file), "a changed file does not");
  require(!open(BytesView(file).first(at % file.size())), "nor one that was cut");
  const auto raw = open(plain);
  if (!raw) require(raw.error().is(Errc::corrupt), "nor anything else");
}

void take_recovery_key(BytesView bytes) {
  const auto key = backup::recovery_from_text(as_text(bytes));
  if (!key) return require(key.error().is(Errc::malformed), "a key that is none is malformed");
  require(backup::recovery_from_text(backup::recovery_text(*key)).has_value(),
          "a key survives its text");
}

void take_repository(BytesView bytes) {
  static const backup::HubBackupKeys kKeys{{}, crypto::box_key_pair(crypto::Seed{}).public_key};
  static const std::filesystem::path kFolder = [] {
    const auto path = folder().parent_path() / "repository";
    require(
        backup::Repository::make(path, base().identity.hub, "hub.example", kKeys, counting_random())
            .has_value(),
        "a repository can be made");
    return path;
  }();
  static const json kHead = [] {
    std::ifstream in(kFolder / "repository.json");
    return json::parse(in);
  }();
  Input in(bytes);
  const bool raw = in.below(3) == 2;
  write_file(kFolder / "repository.json",
             raw ? std::string(as_text(in.rest())) : text_of(bent(kHead, in)));
  const auto opened =
      backup::Repository::open(kFolder, base().identity.hub, kKeys, counting_random());
  if (!opened) require(!opened.error().detail.empty(), "a refusal is a sentence");
  const auto recovered =
      backup::Repository::recover(kFolder, backup::RecoveryKey{}, counting_random());
  if (!recovered) require(!recovered.error().detail.empty(), "a refusal is a sentence");
}

std::vector<Bytes> bent_seeds() {
  return {{0}, {0, 2, 0, 3, 0, 1, 0, 5, 0, 2, 0, 1, 4}, {1, 1, 0, 6, 0, 1, 3, 1, 200}};
}

}  // namespace

std::vector<Target> targets() {
  return {
      {"hub_api", take_hub_api, api_seeds, 192, 16},
      {"hub_api_stranger", take_hub_stranger, api_seeds, 128, 16},
      {"hub_settings", take_settings, bent_seeds, 96},
      {"backup_manifest", take_manifest,
       [] { return std::vector<Bytes>{backup::pack_manifest(manifest())}; }, 384, 8, 15},
      {"backup_chunk", take_chunk,
       [] {
         return std::vector<Bytes>{{0, 1, 0, 0, 0, 2, 'k', 'v', 'w', 0, 2, 0, 0, 0, 0, 'k', 'l'}};
       },
       256, 8, 15},
      {"backup_vault", take_vault, bent_seeds, 128},
      {"recovery_key", take_recovery_key,
       [] {
         return std::vector<Bytes>{
             bytes_of("# a key\n" + backup::recovery_text(backup::RecoveryKey{}) + "\n")};
       },
       160, 8, 15},
      {"backup_repository", take_repository, bent_seeds, 96},
  };
}

}  // namespace fieldpost::fuzz

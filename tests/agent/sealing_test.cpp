#include "agent/health/sealing.h"

#include "agent/health/authority.h"
#include "agent/store/identity.h"
#include "base/embedded.h"
#include "keys/random.h"
#include "schema/check.h"
#include "schema/sealed_json.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "wire/codec.h"

using namespace fieldpost;
using nlohmann::json;

namespace {

crypto::Seed seed_of(std::uint8_t byte) {
  crypto::Seed seed;
  seed.bytes.fill(byte);
  return seed;
}

bool contains(BytesView bytes, std::string_view text) {
  return as_text(bytes).find(text) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a grant is opened by its tablet alone, and a changed one by nobody") {
  REQUIRE(crypto::init());
  const test::TempDir dir;
  const auto random = keys::system_random();
  REQUIRE(agent::make_authority(dir / "keys", random));
  CHECK_FALSE(agent::make_authority(dir / "keys", random));  // never overwritten
  const auto tablet = crypto::box_key_pair(seed_of(5));
  CHECK_FALSE(
      agent::admit_device(dir / "keys", "02-MRU1", tablet.public_key, random));  // no unit yet
  REQUIRE(agent::add_unit(dir / "keys", "02-MRU1", random));
  const auto grant = agent::admit_device(dir / "keys", "02-MRU1", tablet.public_key, random);
  REQUIRE(grant);
  json object = agent::to_json(*grant);
  const auto read = agent::grant_from_json(object);
  REQUIRE(read);
  const auto opened = crypto::box_open(tablet, read->unit_key_box);
  REQUIRE(opened);
  CHECK_FALSE(crypto::box_open(crypto::box_key_pair(seed_of(6)), read->unit_key_box));
  object["recipients"]["unit"] = "02-MRU2";
  CHECK_FALSE(agent::grant_from_json(object));
  const auto next = agent::add_unit(dir / "keys", "02-MRU1", random);
  REQUIRE(next);
  CHECK(next->version == 2);
}

TEST_CASE("a fingerprint is compared without regard to dashes and case, and differs by key") {
  const auto a = crypto::signing_key(seed_of(1)).public_key;
  const auto b = crypto::signing_key(seed_of(2)).public_key;
  std::string typed = agent::fingerprint_of(a);
  CHECK(typed.size() == 29);
  typed.erase(std::remove(typed.begin(), typed.end(), '-'), typed.end());
  for (char& c : typed) c = static_cast<char>(std::toupper(c));
  CHECK(agent::same_fingerprint(typed, a));
  CHECK_FALSE(agent::same_fingerprint(typed, b));
  CHECK_FALSE(agent::same_fingerprint("", a));
}

TEST_CASE(
    "a visit's change holds nothing of its content in clear, and opens to unit and authority") {
  REQUIRE(crypto::init());
  const auto registry = schema::Registry::load(embedded_schemas());
  REQUIRE(registry);
  const schema::Form& form = *registry->form("visit");
  const auto unit = crypto::box_key_pair(seed_of(3));
  const auto authority = crypto::box_key_pair(seed_of(4));
  agent::Recipients recipients;
  recipients.unit_box = unit.public_key;
  recipients.authority_box = authority.public_key;

  sync::EditRequest request;
  request.record = make_record_id(Instant{1'773'000'000'000}, {});
  request.edits = {{"client_pseudonym", std::string("7KQ2-M4TX-9ZB3-H0WD")},
                   {"state", std::string("final")},
                   {"visit_month", std::string("2026-03")}};
  request.reason = std::string("withdrawn by the client");
  REQUIRE(agent::seal_request(form, recipients, keys::system_random(), request));
  CHECK(std::holds_alternative<model::Sealed>(request.edits[0].value));
  CHECK(std::holds_alternative<std::string>(request.edits[1].value));
  CHECK(std::holds_alternative<std::string>(request.edits[2].value));
  CHECK(std::holds_alternative<model::Sealed>(request.reason));
  REQUIRE(request.seals.size() == 1);
  CHECK(request.seals[0].boxes.size() == 2);

  model::Change change;
  change.record = request.record;
  change.dot = {ActorId{9}, Sequence{1}};
  change.type = "visit";
  change.unit = "02-MRU1";
  change.author = "MRU-07";
  change.edits = request.edits;
  change.seals = request.seals;
  change.reason = request.reason;
  CHECK_FALSE(schema::check_change(*registry, change));  // the hub's own check finds no fault
  const auto frame = wire::encode_change(change);
  REQUIRE(frame);
  CHECK_FALSE(contains(*frame, "7KQ2"));
  CHECK_FALSE(contains(*frame, "withdrawn"));
  CHECK(contains(*frame, "2026-03"));

  model::Record record = model::empty_record(change.record, "visit", "02-MRU1");
  REQUIRE(model::apply(record, change) == model::Applied::applied);
  const std::vector<crypto::BoxKeyPair> unit_keys{unit};
  const auto shown = schema::to_document(*registry, record, agent::unseal_with(record, unit_keys));
  CHECK(shown.document["client_pseudonym"] == "7KQ2-M4TX-9ZB3-H0WD");
  CHECK(shown.sealed.empty());

  // As exported without keys, and opened by the authority elsewhere.
  const auto closed = schema::to_document(*registry, record);
  json exported = closed.document;
  schema::add_sealed(record, closed.sealed, exported);
  CHECK(exported.dump().find("7KQ2") == std::string::npos);
  json stranger = exported;
  const auto left = schema::open_sealed(stranger, {crypto::box_key_pair(seed_of(8))});
  REQUIRE(left);
  CHECK(*left == 1);
  CHECK(stranger == exported);
  const auto opened = schema::open_sealed(exported, {authority});
  REQUIRE(opened);
  CHECK(*opened == 0);
  CHECK(exported == shown.document);
}

TEST_CASE(
    "no answer of a choice, no number and no cleared field is told by a sealed value's size") {
  REQUIRE(crypto::init());
  const auto registry = schema::Registry::load(embedded_schemas());
  REQUIRE(registry);
  const schema::Form& form = *registry->form("visit");
  agent::Recipients recipients;
  recipients.unit_box = crypto::box_key_pair(seed_of(3)).public_key;
  recipients.authority_box = crypto::box_key_pair(seed_of(4)).public_key;
  std::size_t looked_at = 0;
  for (const schema::Field& field : form.fields()) {
    if (!field.sealed || field.in_repeat) continue;
    std::vector<model::Value> values{model::Null{}};
    for (const std::string& choice : field.choices) values.emplace_back(choice);
    if (field.type == schema::LeafType::boolean) values.insert(values.end(), {true, false});
    if (field.minimum) values.emplace_back(*field.minimum);
    if (field.maximum) values.insert(values.end(), {*field.maximum, *field.maximum / 100});
    if (field.type == schema::LeafType::list || values.size() == 1) continue;
    const std::string path =
        field.container.empty() ? field.name : field.container + "/" + field.name;
    INFO(path);
    std::optional<std::size_t> size;
    for (const model::Value& value : values) {
      sync::EditRequest request;
      request.record = make_record_id(Instant{1'773'000'000'000}, {});
      request.edits = {{path, value}};
      REQUIRE(agent::seal_request(form, recipients, keys::system_random(), request));
      const auto& sealed = std::get<model::Sealed>(request.edits[0].value);
      if (!size) size = sealed.ciphertext.size();
      CHECK(sealed.ciphertext.size() == *size);
    }
    ++looked_at;
  }
  CHECK(looked_at > 15);
}

TEST_CASE("a sealed value moved to another record or field does not open") {
  json document{{"id", "01950f3a-1001-7a4c-9b1e-5c2d8e7f0001"}};
  const auto authority = crypto::box_key_pair(seed_of(4));
  const auto registry = schema::Registry::load(embedded_schemas());
  REQUIRE(registry);
  agent::Recipients recipients;
  recipients.unit_box = crypto::box_key_pair(seed_of(3)).public_key;
  recipients.authority_box = authority.public_key;
  sync::EditRequest request;
  request.record = *record_id_from_text("01950f3a-1001-7a4c-9b1e-5c2d8e7f0001");
  request.edits = {{"sex", std::string("male")}};
  REQUIRE(
      agent::seal_request(*registry->form("visit"), recipients, keys::system_random(), request));
  model::Record record = model::empty_record(request.record, "visit", "02-MRU1");
  record.vv.add({ActorId{9}, Sequence{1}});
  record.groups.push_back({{ActorId{9}, Sequence{1}}, {}, request.seals, request.edits});
  schema::add_sealed(record, {"sex"}, document);
  json moved = document;
  moved["age_band"] = moved["sex"];
  moved.erase("sex");
  CHECK_FALSE(schema::open_sealed(moved, {authority}));
  json other = document;
  other["id"] = "01950f3a-1001-7a4c-9b1e-5c2d8e7f0002";
  CHECK_FALSE(schema::open_sealed(other, {authority}));
  CHECK(schema::open_sealed(document, {authority}));
}

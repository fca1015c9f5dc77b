// The golden vectors in schemas/vectors and the examples of schemas/wire-v1.md are what this codec
// reads and writes.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "crypto/crypto.h"
#include "tests/support/catch.h"
#include "tests/wire/golden.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

using namespace fieldpost;
using test::Json;

namespace {

const std::filesystem::path kSchemas = std::filesystem::path(FIELDPOST_SOURCE_DIR) / "schemas";

Json load(const std::string& name) {
  std::ifstream in(kSchemas / "vectors" / (name + ".json"));
  REQUIRE(in.good());
  return Json::parse(in);
}

/// By value: a range-for over a part of a temporary would read freed memory.
Json vectors_of(const std::string& name) {
  const auto file = load(name);
  REQUIRE(file.at("vectors").size() > 1);
  return file.at("vectors");
}

Bytes bytes_of(const Json& vector, const char* key = "hex") {
  return *from_hex(vector.at(key).get<std::string>());
}

ActorId actor_of(const Json& meaning) {
  return {std::stoull(meaning.at("actor").get<std::string>(), nullptr, 16)};
}

Status decode_as(const std::string& what, BytesView bytes) {
  if (what == "message") FP_CHECK_OK(wire::decode_message(bytes));
  if (what == "change") FP_CHECK_OK(wire::decode_change(ActorId{1}, bytes));
  if (what == "record") FP_CHECK_OK(wire::decode_record(bytes));
  if (what == "frame") FP_CHECK_OK(wire::Compressor(wire::Dictionary::v1()).decode_frame(bytes));
  return {};
}

}  // namespace

TEST_CASE("the vector files hold what the fixed inputs give") {
  REQUIRE(crypto::init());
  for (const auto& [name, content] : test::golden_vectors()) {
    if (name == "frames") continue;  // zstd's output may vary by version
    INFO(name);
    CHECK(load(name).dump() == content.dump());
  }
}

TEST_CASE("every good change vector decodes to its meaning and encodes to its bytes") {
  for (const auto& vector : vectors_of("changes")) {
    INFO(vector["name"]);
    const auto change = wire::decode_change(actor_of(vector["meaning"]), bytes_of(vector));
    REQUIRE(change.has_value());
    CHECK(test::meaning(*change) == vector["meaning"]);
    CHECK(*wire::encode_change(*change) == bytes_of(vector));
  }
}

TEST_CASE("every good record vector decodes to its meaning and encodes to its bytes") {
  for (const auto& vector : vectors_of("records")) {
    INFO(vector["name"]);
    const auto record = wire::decode_record(bytes_of(vector));
    REQUIRE(record.has_value());
    CHECK(test::meaning(*record) == vector["meaning"]);
    CHECK(*wire::encode_record(*record) == bytes_of(vector));
    CHECK(wire::state_digest(bytes_of(vector)).hex() == vector["digest"].get<std::string>());
  }
}

TEST_CASE("every good message vector decodes to its meaning and encodes to its bytes") {
  std::set<std::size_t> kinds;
  for (const auto& vector : vectors_of("messages")) {
    INFO(vector["name"]);
    const auto decoded = wire::decode_message(bytes_of(vector));
    REQUIRE(decoded.has_value());
    CHECK(test::meaning(decoded->message) == vector["meaning"]);
    auto again = wire::encode_message(decoded->message);
    if (!decoded->signed_body.empty()) {
      std::copy(decoded->signature.bytes.begin(), decoded->signature.bytes.end(), again.end() - 64);
    }
    CHECK(again == bytes_of(vector));
    kinds.insert(decoded->message.index());
  }
  CHECK(kinds.size() == std::variant_size_v<wire::Message>);
}

TEST_CASE("hello and welcome verify for their connection and for no other") {
  REQUIRE(crypto::init());
  const auto vectors = vectors_of("messages");
  const auto challenge =
      std::get<wire::Challenge>(wire::decode_message(bytes_of(vectors[0]))->message);
  const auto hello = *wire::decode_message(bytes_of(vectors[1]));
  const auto welcome = *wire::decode_message(bytes_of(vectors[2]));
  const auto binding = *wire::ChannelBinding::from(
      *from_hex(load("signatures")["inputs"]["channel_binding"].get<std::string>()));
  const auto& sent = std::get<wire::Hello>(hello.message);
  CHECK(wire::verify_hello(hello, challenge, binding));
  CHECK(wire::verify_welcome(welcome, challenge, sent, binding));

  auto other_challenge = challenge;
  other_challenge.nonce.bytes[0] ^= 1;
  auto other_epoch = challenge;
  other_epoch.epoch.bytes[0] ^= 1;
  auto other_hello = sent;
  other_hello.agent_nonce.bytes[0] ^= 1;
  CHECK_FALSE(wire::verify_hello(hello, other_challenge, binding));
  CHECK_FALSE(wire::verify_hello(hello, other_epoch, binding));
  CHECK_FALSE(wire::verify_hello(hello, challenge, {}));
  CHECK_FALSE(wire::verify_hello(welcome, challenge, binding));
  CHECK_FALSE(wire::verify_welcome(welcome, other_epoch, sent, binding));
  CHECK_FALSE(wire::verify_welcome(welcome, challenge, other_hello, binding));
  CHECK_FALSE(wire::verify_welcome(welcome, challenge, sent, {}));
  auto changed = hello;
  changed.signed_body.back() ^= 1;
  CHECK_FALSE(wire::verify_hello(changed, challenge, binding));
}

TEST_CASE("chain hashes and signatures are those of the vectors") {
  REQUIRE(crypto::init());
  const auto file = load("signatures");
  const auto& chain = file["chain"];
  const auto hub = *HubId::from(*from_hex(file["inputs"]["hub"].get<std::string>()));
  const auto device = *DeviceId::from(*from_hex(file["inputs"]["device"].get<std::string>()));
  const auto actor = actor_of(file["inputs"]);
  const auto h0 = wire::chain_start(hub, device, actor);
  CHECK(h0.hex() == chain["h0"].get<std::string>());
  const auto h1 = wire::chain_next(h0, bytes_of(chain, "change_1"));
  CHECK(h1.hex() == chain["h1"].get<std::string>());
  const auto h2 = wire::chain_next(h1, bytes_of(chain, "change_2"));
  CHECK(h2.hex() == chain["h2"].get<std::string>());
  const auto signature = *crypto::Signature::from(bytes_of(chain, "head_signature_at_2"));
  CHECK(wire::verify_head(device, actor, {2}, h2, signature));
  CHECK_FALSE(wire::verify_head(device, actor, {1}, h2, signature));
  CHECK_FALSE(wire::verify_head(device, actor, {2}, h1, signature));
  CHECK_FALSE(wire::verify_head(device, {actor.value + 1}, {2}, h2, signature));

  const auto vectors = vectors_of("messages");
  const auto gap = std::get<wire::Gap>(wire::decode_message(bytes_of(vectors[17]))->message);
  CHECK(wire::verify_gap(device, gap));
  const auto order =
      std::get<wire::Welcome>(wire::decode_message(bytes_of(vectors[2]))->message).orders.at(0);
  CHECK(wire::verify_order(hub, device, order));
  auto moved = order;
  moved.kind = "loc";
  moved.body.insert(moved.body.begin(), 'k');
  CHECK_FALSE(wire::verify_order(hub, device, moved));
}

TEST_CASE("sealed values open with the keys of the vectors, and in their own place only") {
  REQUIRE(crypto::init());
  const auto file = load("seals");
  const auto sealed_change = test::golden_sealed_change();
  const auto record = *record_id_from_text(file["record"].get<std::string>());
  const auto seal = *SealId::from(bytes_of(file, "seal"));
  for (const auto& recipient : file["recipients"]) {
    crypto::Seed seed;
    const auto bytes = bytes_of(recipient, "seed");
    std::copy(bytes.begin(), bytes.end(), seed.bytes.begin());
    const auto pair = crypto::box_key_pair(seed);
    CHECK(pair.public_key.hex() == recipient["public_key"].get<std::string>());
    CHECK(crypto::key_id(pair.public_key).hex() == recipient["key_id"].get<std::string>());
    const auto key = wire::open_seal(sealed_change.seals[0], pair);
    REQUIRE(key.has_value());
    CHECK(to_hex(key->view()) == file["content_key"].get<std::string>());
    for (const auto& value : file["values"]) {
      const auto path = value["path"].get<std::string>();
      const model::Sealed sealed{seal, bytes_of(value, "ciphertext")};
      const auto plain = wire::open_value(*key, record, path, sealed);
      REQUIRE(plain.has_value());
      CHECK(test::meaning(*plain) == value["plain"]);
      CHECK_FALSE(wire::open_value(*key, record, path + "x", sealed));
      CHECK_FALSE(wire::open_value(*key, RecordId{}, path, sealed));
      CHECK_FALSE(wire::open_value(*key, record, path, {SealId{}, sealed.ciphertext}));
    }
  }
}

TEST_CASE("every good frame vector holds its message") {
  wire::Compressor compressor(wire::Dictionary::v1());
  for (const auto& vector : vectors_of("frames")) {
    INFO(vector["name"]);
    const auto message = compressor.decode_frame(bytes_of(vector));
    REQUIRE(message.has_value());
    CHECK(*message == bytes_of(vector, "message"));
  }
}

TEST_CASE("every hostile vector is refused with its error") {
  const auto vectors = vectors_of("hostile");
  CHECK(vectors.size() >= 40);
  for (const auto& vector : vectors) {
    INFO(vector["name"]);
    const auto status = decode_as(vector["what"], bytes_of(vector));
    REQUIRE_FALSE(status.has_value());
    INFO(status.error().message());
    Errc expected = Errc::malformed;
    if (vector["error"] == "too_large") expected = Errc::too_large;
    if (vector["error"] == "unsupported") expected = Errc::unsupported;
    CHECK(status.error().is(expected));
    CHECK(status.error().detail.find(vector["says"].get<std::string>()) != std::string::npos);
  }
}

TEST_CASE("every example in wire-v1.md is a golden vector") {
  std::map<std::string, std::string> golden;
  for (const auto* name : {"changes", "records", "messages", "frames"}) {
    for (const auto& vector : vectors_of(name)) golden[vector["name"]] = vector["hex"];
  }
  std::ifstream in(kSchemas / "wire-v1.md");
  REQUIRE(in.good());
  std::size_t examples = 0;
  std::string name;
  std::string hex;
  for (std::string line; std::getline(in, line);) {
    if (name.empty()) {
      if (line.rfind("```hex ", 0) == 0) name = line.substr(7);
      continue;
    }
    if (line != "```") {
      std::istringstream parts(line.substr(0, line.find('#')));
      for (std::string part; parts >> part;) hex += part;
      continue;
    }
    INFO(name);
    REQUIRE(golden.contains(name));
    CHECK(golden[name] == hex);
    ++examples;
    name.clear();
    hex.clear();
  }
  CHECK(name.empty());
  CHECK(examples >= 8);
}

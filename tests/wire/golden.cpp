#include "tests/wire/golden.h"

#include <algorithm>

#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

namespace fieldpost::test {
namespace {

constexpr ActorId kActor{0x1122334455667788};
constexpr ActorId kOther{0x99aabbccddeeff00};
constexpr std::int64_t kNoon = 1772366400000;  // 2026-03-01T12:00:00Z

/// N bytes: first, first + 1, …
template <class Id>
Id counting(std::uint8_t first) {
  Id id;
  for (auto& byte : id.bytes) byte = first++;
  return id;
}

crypto::Seed seed(std::uint8_t byte) {
  crypto::Seed seed;
  seed.bytes.fill(byte);
  return seed;
}

crypto::SymmetricKey content_key() {
  crypto::SymmetricKey key;
  key.bytes.fill(0x77);
  return key;
}

RecordId record_id() {
  return make_record_id({kNoon - 60000},
                        {0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13});
}

crypto::SigningKey device_key() { return crypto::signing_key(seed(1)); }
crypto::SigningKey hub_key() { return crypto::signing_key(seed(2)); }
DeviceId device() { return {device_key().public_key.bytes}; }
HubId hub() { return {hub_key().public_key.bytes}; }

wire::Challenge challenge() { return {1, counting<Nonce>(0x40), hub(), counting<Epoch>(0x60)}; }
wire::ChannelBinding binding() { return counting<wire::ChannelBinding>(0x80); }

wire::AgentStatus status() {
  wire::AgentStatus s;
  s.waiting = 7;
  s.oldest_waiting = Instant{kNoon - 3600000};
  s.storage_free_bytes = 12000000000;
  s.battery_percent = 81;
  s.wall = {kNoon};
  s.estimated_now = Instant{kNoon + 250};
  s.app_version = "0.1.0";
  return s;
}

wire::Hello hello() {
  wire::Hello m;
  m.device = device();
  m.agent_nonce = counting<Nonce>(0xa0);
  m.actors = {{kActor, {2}, counting<Hash>(0x11)}};
  m.cursors = {{"01-PPT", Bytes{1, 2, 3}}, {"09-CYM", {}}};
  m.schema_digest = counting<Hash>(0x22);
  m.welcome_id = 12;
  m.unsettled = {{kActor, {1}}};
  m.status = status();
  return m;
}

wire::ChangeException exception() {
  return {kActor,
          {2},
          record_id(),
          wire::ExceptionKind::quarantined,
          "enum",
          "direction",
          "not one of entry, exit, internal"};
}

wire::Welcome welcome() {
  wire::Welcome m;
  m.id = 13;
  m.hub_time = {kNoon + 300};
  m.start = counting<StartId>(0x33);
  m.window_pushes = 16;
  m.window_bytes = 2097152;
  m.verdicts = {{kActor, wire::VerdictKind::known, {2}, counting<Hash>(0x11), {1}}};
  m.grants = {{"01-PPT"}, {"09-CYM"}};
  m.exceptions = {exception()};
  wire::Order order{1, "lock", Bytes{0x80}, {}};
  wire::sign_order(hub_key(), hub(), device(), order);
  m.orders = {order};
  m.schemas = {{"stop", 2, to_bytes(as_bytes("{\"type\":\"object\"}"))}};
  m.compartment = "enforcement";
  return m;
}

model::Change second_change() {
  auto c = golden_change();
  c.dot.counter = {2};
  c.prev = {1};
  c.context = *model::VersionVector::from_entries({{kActor, {1}}});
  c.edits = {{"direction", std::string("exit")}, {"state", std::string("amended")}};
  c.reason = std::string("ទិសដៅខុស");
  c.times = {{kNoon + 60000}, 77, 120000, std::nullopt};
  c.salt = counting<Salt>(0xd0);
  return c;
}

wire::Push push() {
  wire::Push m{kActor,
               {1},
               {*wire::encode_change(golden_change()), *wire::encode_change(second_change())},
               {},
               {}};
  m.head = wire::chain_start(hub(), device(), kActor);
  for (const auto& change : m.changes) m.head = wire::chain_next(m.head, change);
  m.signature = wire::sign_head(device_key(), device(), kActor, {2}, m.head);
  return m;
}

Json good(std::string name, std::string what, BytesView bytes, Json meaning) {
  return {{"name", std::move(name)},
          {"kind", "good"},
          {"what", std::move(what)},
          {"hex", to_hex(bytes)},
          {"meaning", std::move(meaning)}};
}

Json file(std::string about, Json vectors) {
  return {{"about", std::move(about)}, {"vectors", std::move(vectors)}};
}

Json change_file() {
  auto all = Json::array();
  const auto add = [&](const char* name, const model::Change& c) {
    all.push_back(good(name, "change", *wire::encode_change(c), meaning(c)));
  };
  add("change-create", golden_change());
  add("change-amend", second_change());
  add("change-sealed", golden_sealed_change());
  auto restamped = second_change();
  restamped.dot = {kOther, {1}};
  restamped.prev = {0};
  restamped.origin = model::Origin{{kActor, {2}}, counting<Hash>(0x55)};
  restamped.edits.clear();
  add("change-restamped-without-edits", restamped);
  auto extremes = golden_change();
  extremes.dot = {ActorId{UINT64_MAX}, Sequence{UINT64_MAX}};
  extremes.prev = {UINT64_MAX - 1};
  extremes.times = {{INT64_MIN}, UINT64_MAX, UINT64_MAX, model::HubTime{{INT64_MAX}, 0}};
  extremes.edits.clear();
  for (const std::int64_t n :
       {INT64_MIN,       INT64_C(-2147483649), INT64_C(-2147483648), INT64_C(-32769),
        INT64_C(-32768), INT64_C(-129),        INT64_C(-128),        INT64_C(-33),
        INT64_C(-32),    INT64_C(-1),          INT64_C(0),           INT64_C(127),
        INT64_C(128),    INT64_C(255),         INT64_C(256),         INT64_C(65535),
        INT64_C(65536),  INT64_C(4294967295),  INT64_C(4294967296),  INT64_MAX}) {
    extremes.edits.push_back({"n" + std::to_string(100 + extremes.edits.size()), n});
  }
  add("change-extreme-numbers", extremes);
  return file("Change frames. `meaning.actor` comes from the chain, not from these bytes.", all);
}

Json record_file() {
  auto all = Json::array();
  const auto add = [&](const char* name, const model::Record& r) {
    const auto bytes = *wire::encode_record(r);
    auto vector = good(name, "record", bytes, meaning(r));
    vector["digest"] = wire::state_digest(bytes).hex();
    all.push_back(std::move(vector));
  };
  add("record-siblings", golden_record());
  add("record-empty", model::empty_record(record_id(), "stop", "01-PPT"));
  auto sealed = model::empty_record(record_id(), "visit", "MU-03");
  model::apply(sealed, golden_sealed_change());
  add("record-sealed", sealed);
  return file("Record states: canonical, strict; `digest` is hash(\"fieldpost.v1.state\", bytes).",
              all);
}

Json message_file() {
  auto all = Json::array();
  for (const auto& message : golden_messages()) {
    auto bytes = wire::encode_message(message);
    if (const auto* h = std::get_if<wire::Hello>(&message)) {
      bytes = wire::encode_hello(*h, challenge(), binding(), device_key());
    } else if (const auto* w = std::get_if<wire::Welcome>(&message)) {
      bytes = wire::encode_welcome(*w, challenge(), hello(), binding(), hub_key());
    }
    all.push_back(good("message-" + std::string(wire::message_name(message)), "message", bytes,
                       meaning(message)));
  }
  auto alarmed = status();
  alarmed.alarm = "Room is short: 31 MiB are left.";
  const wire::Message report = wire::StatusReport{alarmed};
  all.push_back(
      good("message-status-with-alarm", "message", wire::encode_message(report), meaning(report)));
  const wire::Message erasing{wire::Deliver{"01-PPT", Bytes{1, 2, 5}, {}, true, {record_id()}}};
  all.push_back(good("message-deliver-with-erased", "message", wire::encode_message(erasing),
                     meaning(erasing)));
  return file("One of every message. Hello and welcome are signed as in signatures.json.", all);
}

Json signature_file() {
  const auto p = push();
  const auto h0 = wire::chain_start(hub(), device(), kActor);
  const auto h1 = wire::chain_next(h0, p.changes[0]);
  wire::Gap gap{kActor, {3}, {9}, counting<Hash>(0x66), {}};
  wire::sign_gap(device_key(), device(), gap);
  wire::Order order = welcome().orders[0];
  Json inputs{{"device_seed", to_hex(seed(1).view())}, {"device", device().hex()},
              {"hub_seed", to_hex(seed(2).view())},    {"hub", hub().hex()},
              {"epoch", challenge().epoch.hex()},      {"nonce", challenge().nonce.hex()},
              {"channel_binding", binding().hex()},    {"actor", kActor.hex()}};
  Json chain{{"h0", h0.hex()},
             {"change_1", to_hex(p.changes[0])},
             {"change_1_hash", wire::change_hash(p.changes[0]).hex()},
             {"h1", h1.hex()},
             {"change_2", to_hex(p.changes[1])},
             {"h2", p.head.hex()},
             {"head_signature_at_2", p.signature.hex()}};
  Json others{{"gap_from_3_to_9_hash", gap.hash.hex()},
              {"gap_signature", gap.signature.hex()},
              {"order_id", order.id},
              {"order_kind", order.kind},
              {"order_body", to_hex(order.body)},
              {"order_signature", order.signature.hex()}};
  return {{"about", "Hash chain and signatures, with the keys of fixed seeds (32 equal bytes)."},
          {"inputs", inputs},
          {"chain", chain},
          {"others", others}};
}

Json seal_file() {
  const auto authority = crypto::box_key_pair(seed(3));
  const auto unit = crypto::box_key_pair(seed(4));
  const auto change = golden_sealed_change();
  auto values = Json::array();
  const auto add = [&](std::string_view path, const model::Value& plain, std::size_t room = 0) {
    const auto sealed =
        *wire::seal_value(content_key(), change.seals[0].id, change.record, path, plain, room);
    values.push_back({{"path", path},
                      {"plain", meaning(plain)},
                      {"room", room},
                      {"ciphertext", to_hex(sealed.ciphertext)}});
  };
  add("primary_drug", std::string("meth_crystal"));
  add("days_used_last_30", std::int64_t{12}, 1);
  add("sex", std::string("male"), 8);
  add("position/lat", std::int64_t{135'000'000}, 5);
  add("living_status", model::Null{}, 12);
  add("interventions", model::List{std::string("brief"), std::int64_t{2}});
  add("hiv_tested", true);
  add("next_visit", model::Null{});
  add("notes", std::string(30, 'x'));
  add("notes", std::string(31, 'x'));
  add(wire::kReasonPath, std::string("corrected"));
  return {{"about", "Sealed values and key boxes, with fixed keys: never use a content key twice."},
          {"content_key", to_hex(content_key().view())},
          {"seal", change.seals[0].id.hex()},
          {"record", to_text(change.record)},
          {"recipients",
           {{{"seed", to_hex(seed(3).view())},
             {"public_key", authority.public_key.hex()},
             {"key_id", crypto::key_id(authority.public_key).hex()}},
            {{"seed", to_hex(seed(4).view())},
             {"public_key", unit.public_key.hex()},
             {"key_id", crypto::key_id(unit.public_key).hex()}}}},
          {"ephemeral_seed", to_hex(seed(5).view())},
          {"ephemeral", meaning(change)["seals"][0]["ephemeral"]},
          {"boxes", meaning(change)["seals"][0]["boxes"]},
          {"values", values}};
}

Json frame_file() {
  const auto message = wire::encode_message(push());
  Bytes raw{0};
  raw.insert(raw.end(), message.begin(), message.end());
  // Written by zstd 1.5.4 without a dictionary; another version may write other bytes, and reads these.
  wire::Compressor plain(wire::Dictionary::none(3));
  Bytes zstd{1};
  const auto compressed = plain.compress(message);
  zstd.insert(zstd.end(), compressed.begin(), compressed.end());
  auto all = Json::array();
  all.push_back({{"name", "frame-raw"},
                 {"kind", "good"},
                 {"what", "frame"},
                 {"hex", to_hex(raw)},
                 {"message", to_hex(message)}});
  all.push_back({{"name", "frame-zstd-without-dictionary"},
                 {"kind", "good"},
                 {"what", "frame"},
                 {"hex", to_hex(zstd)},
                 {"message", to_hex(message)}});
  return file("Frames: checked by decoding; compressed bytes may differ between zstd versions.",
              all);
}

}  // namespace

model::Change golden_change() {
  model::Change c;
  c.record = record_id();
  c.dot = {kActor, {1}};
  c.type = "stop";
  c.unit = "01-PPT";
  c.author = "P-4417";
  c.schema_version = 1;
  c.welcome = 12;
  c.times = {{kNoon}, 77, 60000, model::HubTime{{kNoon - 59000}, 1000}};
  c.edits = {{"checkpoint_code", std::string("01-PPT")},
             {"direction", std::string("entry")},
             {"more_than_outer_clothing", false},
             {"persons/k3x9d2m1/name_km", std::string("សុខ សុភា")},
             {"position/lat", std::int64_t{13661234}},
             {"searched_at", model::Null{}},
             {"state", std::string("final")},
             {"tags", model::List{std::string("night"), std::int64_t{-7}}}};
  c.salt = counting<Salt>(0xc0);
  return c;
}

model::Change golden_sealed_change() {
  model::Change c;
  c.record = record_id();
  c.dot = {kActor, {3}};
  c.type = "visit";
  c.unit = "MU-03";
  c.author = "N-12";
  c.times = {{kNoon}, 77, 60000, std::nullopt};
  const auto id = counting<SealId>(0xe0);
  const std::vector<crypto::PublicKey> recipients = {crypto::box_key_pair(seed(3)).public_key,
                                                     crypto::box_key_pair(seed(4)).public_key};
  c.seals = {*wire::make_seal(id, content_key(), seed(5), recipients)};
  c.edits = {{"primary_drug", *wire::seal_value(content_key(), id, c.record, "primary_drug",
                                                std::string("meth_crystal"))},
             {"state", std::string("final")}};
  c.reason =
      *wire::seal_value(content_key(), id, c.record, wire::kReasonPath, std::string("corrected"));
  c.salt = counting<Salt>(0xf0);
  return c;
}

model::Record golden_record() {
  auto r = model::empty_record(record_id(), "stop", "01-PPT");
  model::apply(r, golden_change());
  model::apply(r, second_change());
  auto concurrent = second_change();
  concurrent.dot = {kOther, {5}};
  concurrent.prev = {0};
  concurrent.author = "P-2093";
  concurrent.edits = {{"direction", std::string("internal")}};
  concurrent.origin = model::Origin{{kActor, {2}}, counting<Hash>(0x55)};
  model::apply(r, concurrent);
  return r;
}

std::vector<wire::Message> golden_messages() {
  const auto state = *wire::encode_record(golden_record());
  wire::Gap gap{kActor, {3}, {9}, counting<Hash>(0x66), {}};
  wire::sign_gap(device_key(), device(), gap);
  return {challenge(),
          hello(),
          welcome(),
          push(),
          wire::Ack{kActor, {2}, {exception()}},
          wire::Confirm{{{kActor, {2}, wire::ExceptionKind::quarantined}}},
          wire::Rewind{kActor, {1}, counting<Hash>(0x11)},
          wire::Deliver{"01-PPT", Bytes{1, 2, 4}, {state}, true, {}},
          wire::Got{"01-PPT", Bytes{1, 2, 4}},
          wire::StateChunk{"01-PPT", record_id(), wire::state_digest(state), state.size(), 0,
                           Bytes(state.begin(), state.begin() + 64)},
          wire::StatusReport{status()},
          wire::Ping{9},
          wire::Pong{9, Instant{kNoon + 500}},
          wire::Bye{"the tablet is shutting down"},
          wire::ErrorMessage{wire::ErrorCode::busy, "too many connections; try again", 5000},
          wire::HashQuery{kActor, {{1}, {128}, {70000}}},
          wire::HashReply{
              kActor, {{kActor, {1}, counting<Hash>(0x11)}, {kActor, {128}, counting<Hash>(0x12)}}},
          gap,
          wire::AttachOffer{counting<Hash>(0x70), record_id(), "01-PPT", 300000},
          wire::AttachOffset{counting<Hash>(0x70), 131072, false},
          wire::AttachChunk{counting<Hash>(0x70), 131072, Bytes{0xff, 0xd8, 0xff}},
          wire::AttachFetch{counting<Hash>(0x70), 0},
          wire::Recover{"01-PPT", {record_id()}},
          wire::Recovered{
              "01-PPT", {{record_id(), golden_record().vv, 0x0102030405060708}}, {state}, true}};
}

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::malformed:
      return "malformed";
    case Errc::too_large:
      return "too_large";
    case Errc::unsupported:
      return "unsupported";
    default:
      return "other";
  }
}

std::map<std::string, Json> golden_vectors() {
  auto hostile = Json::array();
  for (const auto& h : hostile_vectors()) {
    hostile.push_back({{"name", h.name},
                       {"kind", "hostile"},
                       {"what", h.what},
                       {"hex", to_hex(h.bytes)},
                       {"error", errc_name(h.error)},
                       {"says", h.says}});
  }
  return {{"changes", change_file()},
          {"records", record_file()},
          {"messages", message_file()},
          {"signatures", signature_file()},
          {"seals", seal_file()},
          {"frames", frame_file()},
          {"hostile", file("Bytes that must be refused, with the kind of error; `says` is this "
                           "implementation's text.",
                           hostile)}};
}

}  // namespace fieldpost::test

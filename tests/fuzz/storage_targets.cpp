// What a disk gives back: the packed values of both stores' tables, and the codecs around them.
#include "crypto/crypto.h"
#include "storage/agent_state_codec.h"
#include "storage/hub_tables.h"
#include "storage/hub_values.h"
#include "storage/value_codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/golden.h"
#include "wire/codec.h"

namespace fieldpost::fuzz {
namespace {

using namespace storage;
using namespace storage::hub_tables;

void require_stored_refusal(const Error& error) {
  require_plain(error);
  require(error.is(Errc::corrupt) || error.is(Errc::unsupported) || error.is(Errc::malformed) ||
              error.is(Errc::too_large),
          "what does not read is corrupt or of another version");
}

/// What reads is written in one form, and that form reads as the same.
template <class Unpack, class Pack>
void take_packed(BytesView bytes, const Unpack& unpack, const Pack& pack) {
  const auto value = unpack(bytes);
  if (!value) return require_stored_refusal(value.error());
  const Bytes once = pack(*value);
  const auto again = unpack(once);
  require(again.has_value(), "what was packed unpacks");
  require(pack(*again) == once, "packing is a fixed point");
}

template <class Unpack, class Pack>
Target packed_target(const char* name, Unpack unpack, Pack pack, std::vector<Bytes> seeds) {
  return {name, [unpack, pack](BytesView bytes) { take_packed(bytes, unpack, pack); },
          [seeds = std::move(seeds)] { return seeds; }, 384};
}

// ---- seeds ----

template <class Id>
Id filled(std::uint8_t byte) {
  Id id;
  id.bytes.fill(byte);
  return id;
}

StoredAgentState agent_state() {
  StoredAgentState stored;
  stored.records = 3;
  AgentState& s = stored.state;
  s.actors.push_back(
      {ActorId{5}, Sequence{9}, filled<Hash>(1), Sequence{7}, Sequence{6}, true, true, true});
  s.actors.push_back(
      {ActorId{6}, Sequence{2}, filled<Hash>(2), Sequence{1}, {}, false, false, false});
  s.cursors = {{"01-PPT", Bytes{1, 2, 3}}};
  s.again = {"01-PPT"};
  s.grants = {{"01-PPT"}, {"09-CYM"}};
  s.compartment = "enforcement";
  s.epoch = filled<Epoch>(4);
  s.last_sync = Instant{1'772'349'300'000};
  s.claimed = model::Dot{ActorId{5}, Sequence{8}};
  return stored;
}

wire::ChangeException exception() {
  return {ActorId{5},  Sequence{2}, filled<RecordId>(7), wire::ExceptionKind::held, "enum",
          "direction", "waits"};
}

Device device() {
  Device d;
  d.id = filled<DeviceId>(3);
  d.name = "T07";
  d.unit = "01-PPT";
  d.former = {{"09-CYM", 4}};
  d.announced = {{ActorId{9}, 3}};
  d.lost = {{2, 5}};
  d.last_contact = Instant{1'772'349'300'000};
  for (const auto& message : test::golden_messages()) {
    if (const auto* report = std::get_if<wire::StatusReport>(&message)) d.status = report->status;
  }
  return d;
}

// ---- codecs ----

/// An authenticated value may be as large as it says, up to the codec's limit.
constexpr std::size_t kCodecMb = (kValueBytesMax >> 20) + 1;

const crypto::SymmetricKey& store_key() {
  static const crypto::SymmetricKey key;
  return key;
}

RandomSource counting_random() {
  return [n = std::uint8_t{0}](std::span<std::uint8_t> bytes) mutable {
    for (auto& byte : bytes) byte = n++;
  };
}

void take_any(ValueCodec& codec, BytesView bytes, std::size_t head_bytes) {
  const Bytes key{1, 2, 3};
  const auto plain = codec.decode(kRecords, key, bytes, head_bytes);
  if (!plain) return require_stored_refusal(plain.error());
  require(plain->size() <= kValueBytesMax, "no value is above its limit");
}

/// Bytes as they are; and as what stands, authenticated, behind a true seal or checksum.
void take_stored(ValueCodec& codec, BytesView bytes) {
  Input in(bytes);
  const std::uint8_t how = in.byte();
  const std::size_t head_bytes = how & 8;
  const BytesView rest = in.rest();
  if ((how & 1) == 0) return take_any(codec, rest, head_bytes);
  const std::uint8_t form = (how >> 1) & 3;
  PackedValue packed{form, to_bytes(rest), {}};
  packed.digest = crypto::hash("fieldpost.v1.stored-value", {BytesView(&form, 1), rest});
  Bytes stored;
  codec.place(kRecords, Bytes{1, 2, 3}, Bytes(head_bytes, 9), packed, stored);
  take_any(codec, stored, head_bytes);
}

std::vector<Bytes> stored_seeds(ValueCodec& codec) {
  std::vector<Bytes> seeds;
  const Bytes key{1, 2, 3};
  for (const Bytes& plain : {Bytes(40, 'a'), *wire::encode_record(test::golden_record())}) {
    Bytes seed{0};
    const Bytes stored = codec.encode(kRecords, key, plain);
    seed.insert(seed.end(), stored.begin(), stored.end());
    seeds.push_back(std::move(seed));
    const PackedValue packed = codec.pack(plain);
    Bytes trusted{static_cast<std::uint8_t>(1 | packed.form << 1)};
    trusted.insert(trusted.end(), packed.bytes.begin(), packed.bytes.end());
    seeds.push_back(std::move(trusted));
  }
  return seeds;
}

SealingCodec& sealing() {
  static SealingCodec codec(store_key(), wire::Dictionary::v1(wire::Dictionary::kStoreLevel),
                            counting_random());
  return codec;
}
ChecksumCodec& checksums() {
  static ChecksumCodec codec(store_key(), wire::Dictionary::v1(wire::Dictionary::kStoreLevel));
  return codec;
}

/// A hub's record or log entry whose checksum is right.
void take_hub_value(BytesView bytes) {
  Input in(bytes);
  const bool log = in.below(2) == 1;
  const BytesView plain = in.rest();
  PlainCodec codec;
  const RecordId id = test::golden_record().id;
  Bytes stored;
  if (log) {
    const Bytes key = dot_key(ActorId{1}, Sequence{2});
    codec.place(kLog, key, {}, codec.pack(plain), stored);
    const auto entry = decode_log_entry(codec, key, stored);
    if (!entry) return require_stored_refusal(entry.error());
    return require(encode_log_entry(codec, key, entry->received, entry->frame) == stored,
                   "a log entry has one form");
  }
  codec.place(kRecords, id.view(), Bytes(8, 3), codec.pack(plain), stored);
  const auto record = decode_stored_record(codec, id, stored);
  if (!record) return require_stored_refusal(record.error());
  require(*encode_stored_record(codec, record->record, record->position) == stored,
          "a stored record has one form");
}

std::vector<Bytes> hub_value_seeds() {
  Bytes record{0};
  const Bytes state = *wire::encode_record(test::golden_record());
  record.insert(record.end(), state.begin(), state.end());
  Bytes log{1, 0, 0, 0, 0, 0, 0, 0, 9};
  const Bytes frame = *wire::encode_change(test::golden_change());
  log.insert(log.end(), frame.begin(), frame.end());
  return {record, log};
}

}  // namespace

std::vector<Target> targets() {
  std::vector<Target> all;
  all.push_back(
      packed_target("agent_state", unpack_state, pack_state, {pack_state(agent_state())}));
  all.push_back(
      packed_target("exception", unpack_exception, pack_exception, {pack_exception(exception())}));
  all.push_back(packed_target("hub_actor", unpack_actor, pack_actor,
                              {pack_actor({filled<DeviceId>(1), {4}, filled<Hash>(2), 3, 1})}));
  all.push_back(packed_target("hub_batch", unpack_batch, pack_batch, {pack_batch({})}));
  all.push_back(packed_target("hub_exception", unpack_stored_exception, pack_stored_exception,
                              {pack_stored_exception({true, {}, {}, exception()})}));
  all.push_back(
      packed_target("hub_backed_up", unpack_backed_up, pack_backed_up, {pack_backed_up({7})}));
  all.push_back(packed_target("hub_unit", unpack_unit, pack_unit,
                              {pack_unit({"01-PPT", "Poipet", "enforcement"})}));
  all.push_back(packed_target("hub_device", unpack_device, pack_device,
                              {pack_device(device()), pack_device({})}));
  all.push_back(packed_target("hub_invitation",
                              [](BytesView bytes) { return unpack_invitation(Hash{}, bytes); },
                              pack_invitation, {pack_invitation({{}, "T07", "01-PPT", {5}, {}})}));
  all.push_back({"sealing_codec", [](BytesView b) { take_stored(sealing(), b); },
                 [] { return stored_seeds(sealing()); }, 512, kCodecMb});
  all.push_back({"checksum_codec", [](BytesView b) { take_stored(checksums(), b); },
                 [] { return stored_seeds(checksums()); }, 512, kCodecMb});
  all.push_back({"hub_value", take_hub_value, hub_value_seeds});
  for (Target& target : all) target.derived = 15;
  return all;
}

}  // namespace fieldpost::fuzz

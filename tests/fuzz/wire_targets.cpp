// What arrives from a peer: messages of every kind, changes, record states, frames, sealed values.
#include "base/ids.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/golden.h"
#include "tests/wire/random_values.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"
#include "wire/value_codec.h"

namespace fieldpost::fuzz {
namespace {

constexpr std::size_t kKinds = std::variant_size_v<wire::Message>;
constexpr std::size_t kSignatureBytes = 64;

void take_message(BytesView bytes) {
  const auto decoded = wire::decode_message(bytes);
  if (!decoded) return require_refusal(decoded.error());
  const Bytes again = wire::encode_message(decoded->message);
  require(again.size() <= bytes.size(), "a message has one form; only extensions are dropped");
  const auto back = wire::decode_message(again);
  require(back.has_value(), "what was encoded decodes");
  require(back->message == decoded->message, "a message survives the wire");
  require(wire::encode_message(back->message) == again, "encoding is a fixed point");
  require(!wire::message_name(decoded->message).empty(), "every message has a name");
}

bool is_signed(std::size_t kind) { return kind == 1 || kind == 2; }

/// The message of this kind with these bytes as its body.
Bytes with_body(std::size_t kind, BytesView body) {
  wire::Writer out(body.size() + 80);
  out.array(is_signed(kind) ? 3 : 2);
  out.unsigned_integer(kind + 1);
  if (is_signed(kind)) {
    out.blob(body);
    out.blob(Bytes(kSignatureBytes, 0));
    return std::move(out).take();
  }
  Bytes bytes = std::move(out).take();
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

/// The other way: the body of an encoded message.
Bytes body_of(std::size_t kind, BytesView message) {
  wire::Reader in(message);
  in.array(3);
  in.unsigned_integer();
  return is_signed(kind) ? to_bytes(in.blob(message.size()))
                         : to_bytes(message.subspan(message.size() - in.left()));
}

/// Small random messages of one kind, and the golden one.
std::vector<wire::Message> messages_of(std::size_t kind) {
  std::vector<wire::Message> found;
  for (wire::Message& golden : test::golden_messages()) {
    if (golden.index() == kind) found.push_back(std::move(golden));
  }
  test::Random random(kind + 1);
  for (int tries = 0; tries < 4000 && found.size() < 12; ++tries) {
    wire::Message message = random.message();
    if (message.index() == kind && wire::encode_message(message).size() <= 2000)
      found.push_back(std::move(message));
  }
  return found;
}

template <std::size_t... I>
std::vector<std::string> names_of(std::index_sequence<I...>) {
  return {std::string(wire::message_name(std::variant_alternative_t<I, wire::Message>{}))...};
}

Target message_target(std::size_t kind) {
  static const auto kNames = names_of(std::make_index_sequence<kKinds>{});
  return {"message_" + kNames[kind],
          [kind](BytesView body) { take_message(with_body(kind, body)); },
          [kind] {
            std::vector<Bytes> seeds;
            for (const auto& message : messages_of(kind))
              seeds.push_back(body_of(kind, wire::encode_message(message)));
            return seeds;
          }};
}

std::vector<Bytes> every_message() {
  std::vector<Bytes> seeds;
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    seeds.push_back(wire::encode_message(messages_of(kind).front()));
  for (const auto& hostile : test::hostile_vectors()) {
    if (hostile.what == "message" && hostile.bytes.size() <= 512) seeds.push_back(hostile.bytes);
  }
  return seeds;
}

std::vector<Bytes> hostile(std::string_view what) {
  std::vector<Bytes> seeds;
  for (const auto& vector : test::hostile_vectors()) {
    if (vector.what == what && vector.bytes.size() <= 512) seeds.push_back(vector.bytes);
  }
  return seeds;
}

// ---- changes and states ----

void take_change(BytesView bytes) {
  const auto frame = wire::decode_change_frame(bytes);
  const auto decoded = wire::decode_change(ActorId{1}, bytes);
  if (!frame) {
    require_refusal(frame.error());
    return require(!decoded, "a change has a frame");
  }
  if (!decoded) return require_refusal(decoded.error());
  require(frame->record == decoded->record && frame->counter == decoded->dot.counter &&
              frame->prev == decoded->prev,
          "the frame and the change name the same");
  const auto again = wire::encode_change(*decoded);
  require(again.has_value() && again->size() <= bytes.size(), "what decodes encodes, as short");
  require(*wire::decode_change(ActorId{1}, *again) == *decoded, "a change survives the wire");
}

std::vector<Bytes> change_seeds() {
  auto seeds = hostile("change");
  seeds.push_back(*wire::encode_change(test::golden_change()));
  seeds.push_back(*wire::encode_change(test::golden_sealed_change()));
  test::Random random(7);
  while (seeds.size() < 80) {
    auto bytes = *wire::encode_change(random.change());
    if (bytes.size() <= 1500) seeds.push_back(std::move(bytes));
  }
  return seeds;
}

void take_record(BytesView bytes) {
  const auto decoded = wire::decode_record(bytes);
  if (!decoded) return require_refusal(decoded.error());
  const auto again = wire::encode_record(*decoded);
  require(again.has_value() && as_text(*again) == as_text(bytes), "a state has one form");
}

std::vector<Bytes> record_seeds() {
  auto seeds = hostile("record");
  seeds.push_back(*wire::encode_record(test::golden_record()));
  test::Random random(9);
  while (seeds.size() < 60) {
    auto bytes = *wire::encode_record(random.record());
    if (bytes.size() <= 1500) seeds.push_back(std::move(bytes));
  }
  return seeds;
}

// ---- values ----

void take_value(BytesView bytes) {
  wire::Reader skipping(bytes);
  skipping.skip(limits::kNestingMax);
  if (!skipping.ok()) require_refusal(skipping.error());

  wire::Reader in(bytes);
  model::Value value;
  std::optional<std::uint64_t> seal;
  wire::get_value(in, value, seal);
  if (!in.ok()) return require_refusal(in.error());
  if (seal) return;
  wire::Writer out;
  wire::put_value(out, value, {});
  require(as_text(out.view()) == as_text(bytes.first(bytes.size() - in.left())),
          "a value has one form");
}

void take_fields(BytesView bytes) {
  wire::Reader in(bytes);
  std::vector<model::FieldValue> fields;
  std::vector<model::Seal> seals;
  std::vector<wire::SealUse> uses;
  wire::get_fields(in, fields, uses);
  const std::size_t fields_end = bytes.size() - in.left();
  wire::get_seals(in, seals);
  wire::resolve_seals(in, uses, seals);
  if (!in.ok()) return require_refusal(in.error());
  wire::Writer out;
  wire::put_fields(out, fields, seals);
  require(as_text(out.view()) == as_text(bytes.first(fields_end)), "fields have one form");
}

std::vector<Bytes> value_seeds() {
  std::vector<Bytes> seeds;
  for (const auto& field : test::golden_change().edits) {
    wire::Writer out;
    wire::put_value(out, field.value, {});
    seeds.push_back(std::move(out).take());
  }
  return seeds;
}

std::vector<Bytes> field_seeds() {
  std::vector<Bytes> seeds;
  for (const auto& change : {test::golden_change(), test::golden_sealed_change()}) {
    wire::Writer out;
    wire::put_fields(out, change.edits, change.seals);
    wire::put_seals(out, change.seals);
    seeds.push_back(std::move(out).take());
  }
  return seeds;
}

void take_vector(BytesView bytes) {
  wire::Reader in(bytes);
  model::VersionVector vv;
  wire::get_vector(in, vv);
  if (!in.ok()) return require_refusal(in.error());
  wire::Writer out;
  wire::put_vector(out, vv);
  require(as_text(out.view()) == as_text(bytes.first(bytes.size() - in.left())),
          "a vector has one form");
  require(vv.compare(vv) == std::partial_ordering::equivalent, "a vector equals itself");
}

std::vector<Bytes> vector_seeds() {
  std::vector<Bytes> seeds;
  for (const std::uint64_t step : {1U, 1000U}) {
    std::vector<model::VersionVector::Entry> entries;
    for (std::uint64_t i = 1; i <= 5; ++i) entries.push_back({ActorId{i * step}, Sequence{i}});
    wire::Writer out;
    wire::put_vector(out, *model::VersionVector::from_entries(std::move(entries)));
    seeds.push_back(std::move(out).take());
  }
  return seeds;
}

// ---- frames ----

wire::Compressor& compressor() {
  static wire::Compressor one(wire::Dictionary::v1());
  return one;
}

void take_frame(BytesView bytes) {
  const auto message = compressor().decode_frame(bytes);
  if (!message) return require_refusal(message.error());
  require(message->size() <= limits::kMessageBytesMax, "no message is above its limit");
  const Bytes again = compressor().encode_frame(*message);
  require(*compressor().decode_frame(again) == *message, "a message survives its frame");
  take_message(*message);
}

std::vector<Bytes> frame_seeds() {
  auto seeds = hostile("frame");
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    seeds.push_back(compressor().encode_frame(wire::encode_message(messages_of(kind).front())));
  return seeds;
}

/// Much from little: a pattern repeated up to 4 MiB, compressed as production does, with some bytes
/// of the compressed form changed.
void take_bomb(BytesView bytes) {
  Input in(bytes);
  const std::size_t limit = std::size_t{1} << in.below(23);
  const std::size_t size = in.number(3) % (std::size_t{4} << 20);
  const bool with_dictionary = in.below(2) == 0;
  const std::size_t damages = in.below(3);
  std::vector<std::pair<std::size_t, std::uint8_t>> changes;
  for (std::size_t i = 0; i < damages; ++i) {
    const auto at = static_cast<std::size_t>(in.number(2));
    changes.emplace_back(at, in.byte());
  }
  const BytesView pattern = in.rest();
  Bytes plain(size);
  for (std::size_t i = 0; i < size && !pattern.empty(); ++i) plain[i] = pattern[i % pattern.size()];
  static wire::Compressor without(wire::Dictionary::none());
  Bytes packed = (with_dictionary ? compressor() : without).compress(plain);
  for (const auto& [at, with] : changes) packed[at % packed.size()] ^= with;
  const auto opened = compressor().decompress(packed, limit);
  if (!opened) {
    require_refusal(opened.error());
    return require(damages > 0 || size > limit, "what fits and is sound opens");
  }
  require(opened->size() <= limit, "nothing opens to more than the caller's limit");
  require(damages > 0 || *opened == plain, "what was compressed comes back");
}

std::vector<Bytes> bomb_seeds() {
  return {*from_hex("10040000000061"), *from_hex("140fffff00000061626364"),
          *from_hex("16100000000161"), *from_hex("0c00100001020004ff00100161626300")};
}

// ---- sealed values ----

const crypto::SymmetricKey& content_key() {
  static const crypto::SymmetricKey key = [] {
    crypto::SymmetricKey made;
    made.bytes.fill(0x77);
    return made;
  }();
  return key;
}

/// The input is what an authority's key holder might have sealed by another program: it opens, and what is
/// inside is checked like anything else (schemas/wire-v1.md, "Sealed values").
void take_sealed_plain(BytesView plain) {
  constexpr std::string_view kPath = "notes";
  const RecordId record = test::golden_change().record;
  const SealId seal;
  const auto digest = crypto::hash("fieldpost.v1.seal-nonce", {as_bytes(kPath)});
  crypto::AeadNonce nonce;
  std::copy_n(digest.bytes.begin(), crypto::kAeadNonceBytes, nonce.bytes.begin());
  Bytes data = bytes_of("fieldpost.v1.seal");
  data.push_back(0);
  for (const BytesView part : {seal.view(), record.view(), as_bytes(kPath)})
    data.insert(data.end(), part.begin(), part.end());
  const model::Sealed sealed{seal, crypto::aead_seal(content_key(), nonce, data, plain)};
  const auto value = wire::open_value(content_key(), record, kPath, sealed);
  if (!value) return require_refusal(value.error());
  const auto again = wire::seal_value(content_key(), seal, record, kPath, *value);
  require(again.has_value(), "what was sealed can be sealed");
  require(*wire::open_value(content_key(), record, kPath, *again) == *value,
          "a value survives its seal");
}

std::vector<Bytes> sealed_seeds() {
  std::vector<Bytes> seeds;
  for (Bytes& value : value_seeds()) {
    value.resize(wire::padded_size(value.size(), 1));
    seeds.push_back(std::move(value));
  }
  return seeds;
}

void take_boxes(BytesView bytes) {
  static const auto pair = crypto::box_key_pair(crypto::Seed{});
  Input in(bytes);
  model::Seal seal;
  for (std::size_t boxes = in.below(4); boxes > 0; --boxes) {
    const bool mine = in.below(2) == 0;
    const auto size = in.below(128);
    seal.boxes.push_back(
        {mine ? crypto::key_id(pair.public_key) : KeyId{}, to_bytes(in.take(size))});
  }
  const auto key = wire::open_seal(seal, pair);
  require(!key, "nobody guesses a box");
  require_plain(key.error());
}

std::vector<Bytes> box_seeds() {
  static const auto pair = crypto::box_key_pair(crypto::Seed{});
  const Bytes box = crypto::box_seal(crypto::Seed{}, pair.public_key, Bytes(31, 1));
  Bytes seed{1, 0, static_cast<std::uint8_t>(box.size())};
  seed.insert(seed.end(), box.begin(), box.end());
  return {seed};
}

}  // namespace

// ---- texts that people and programs type (text_targets.cpp) ----
void take_text_form(BytesView bytes);
std::vector<Bytes> text_form_seeds();

std::vector<Target> targets() {
  std::vector<Target> all;
  all.push_back({"message", take_message, every_message});
  for (std::size_t kind = 0; kind < kKinds; ++kind) all.push_back(message_target(kind));
  all.push_back({"change", take_change, change_seeds});
  all.push_back({"record_state", take_record, record_seeds});
  all.push_back({"value", take_value, value_seeds, 256});
  all.push_back({"fields", take_fields, field_seeds, 384});
  all.push_back({"version_vector", take_vector, vector_seeds, 128});
  all.push_back({"frame", take_frame, frame_seeds});
  all.push_back({"frame_bomb", take_bomb, bomb_seeds, 128});
  all.push_back({"sealed_plain", take_sealed_plain, sealed_seeds, 256});
  all.push_back({"seal_boxes", take_boxes, box_seeds, 256});
  all.push_back({"text_forms", take_text_form, text_form_seeds, 96});
  for (Target& target : all) {
    const bool slow =
        target.name == "frame_bomb" || target.name == "seal_boxes" || target.name == "frame";
    target.derived = slow ? 0 : 15;
  }
  return all;
}

}  // namespace fieldpost::fuzz

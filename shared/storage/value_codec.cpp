#include "storage/value_codec.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace fieldpost::storage {
namespace {

constexpr std::string_view kSealTag("fieldpost.v1.value\0", 19);
constexpr std::string_view kChecksumTag("fieldpost.v1.stored\0", 20);
constexpr std::string_view kValueTag = "fieldpost.v1.stored-value";
constexpr std::size_t kChecksumBytes = 16;

// The first byte: format version in the high half, form in the low.
constexpr std::uint8_t kRaw = 0x10;
constexpr std::uint8_t kCompressed = 0x11;

PackedValue raw(BytesView plain) {
  if (plain.size() > kValueBytesMax) std::abort();
  return {kRaw, to_bytes(plain), {}};
}

/// Small values, and sealed ones of the health compartment, do not compress: they stay as they are.
PackedValue pack_with(wire::Compressor& compressor, BytesView plain) {
  constexpr std::size_t kWorthTrying = 32;
  if (plain.size() >= kWorthTrying && plain.size() <= kValueBytesMax) {
    Bytes compressed = compressor.compress(plain);
    if (compressed.size() < plain.size()) return {kCompressed, std::move(compressed), {}};
  }
  return raw(plain);
}

std::string place_of(TableId table, BytesView key) {
  return "the value of key " + to_hex(key) + " in table " + std::to_string(table);
}

Error corrupt(TableId table, BytesView key) {
  return fail(Errc::corrupt, place_of(table, key) + " is not what was written there");
}

Status check_form(TableId table, BytesView key, BytesView stored, std::size_t bytes_min) {
  if (stored.size() < bytes_min) return corrupt(table, key);
  if (stored[0] == kRaw || stored[0] == kCompressed) return {};
  // A newer version and a flipped bit look alike; the store's format version tells newer programs.
  return fail(Errc::corrupt,
              place_of(table, key) + " has an unknown form (" + to_hex(stored.first(1)) + ")");
}

Result<Bytes> unpack(wire::Compressor& compressor, TableId table, BytesView key,
                     BytesView compressed) {
  auto plain = compressor.decompress(compressed, kValueBytesMax);
  if (plain) return plain;
  if (plain.error().is(Errc::unsupported)) {
    return fail(Errc::unsupported, place_of(table, key) + ": " + plain.error().detail);
  }
  return fail(Errc::corrupt,
              place_of(table, key) + " does not decompress: " + plain.error().detail);
}

}  // namespace

// ---- sealing ----

SealingCodec::SealingCodec(const crypto::SymmetricKey& key,
                           std::shared_ptr<const wire::Dictionary> dictionary, RandomSource random)
    : key_(key), compressor_(std::move(dictionary)), random_(std::move(random)) {}

BytesView SealingCodec::associated(TableId table, std::uint8_t form, BytesView head,
                                   BytesView key) {
  associated_.assign(kSealTag.begin(), kSealTag.end());
  associated_.push_back(table);
  associated_.push_back(form);
  associated_.insert(associated_.end(), head.begin(), head.end());
  associated_.insert(associated_.end(), key.begin(), key.end());
  return associated_;
}

PackedValue SealingCodec::pack(BytesView plain) { return pack_with(compressor_, plain); }

PackedValue SealingCodec::pack_raw(BytesView plain) { return raw(plain); }

void SealingCodec::place(TableId table, BytesView key, BytesView head, const PackedValue& packed,
                         Bytes& stored) {
  const auto nonce = random_id<crypto::AeadNonce>(random_);
  const Bytes sealed =
      crypto::aead_seal(key_, nonce, associated(table, packed.form, head, key), packed.bytes);
  stored.clear();
  stored.reserve(kHeadAt + head.size() + nonce.bytes.size() + sealed.size());
  stored.push_back(packed.form);
  stored.insert(stored.end(), head.begin(), head.end());
  stored.insert(stored.end(), nonce.bytes.begin(), nonce.bytes.end());
  stored.insert(stored.end(), sealed.begin(), sealed.end());
}

Result<Bytes> SealingCodec::decode(TableId table, BytesView key, BytesView stored,
                                   std::size_t head_bytes) {
  const std::size_t nonce_at = kHeadAt + head_bytes;
  const std::size_t value_at = nonce_at + crypto::kAeadNonceBytes;
  FP_CHECK_OK(check_form(table, key, stored, value_at + crypto::kAeadTagBytes));
  FP_TRY(const auto nonce,
         crypto::AeadNonce::from(stored.subspan(nonce_at, crypto::kAeadNonceBytes)));
  const BytesView head = stored.subspan(kHeadAt, head_bytes);
  auto value = crypto::aead_open(key_, nonce, associated(table, stored[0], head, key),
                                 stored.subspan(value_at));
  if (!value) return corrupt(table, key);
  if (stored[0] == kRaw) return value;
  return unpack(compressor_, table, key, *value);
}

// ---- checksums ----

ChecksumCodec::ChecksumCodec(const crypto::SymmetricKey& key,
                             std::shared_ptr<const wire::Dictionary> dictionary)
    : key_(key), compressor_(std::move(dictionary)) {}

namespace {

Hash value_digest(std::uint8_t form, BytesView value) {
  return crypto::hash(kValueTag, {BytesView(&form, 1), value});
}

}  // namespace

Hash ChecksumCodec::checksum(TableId table, BytesView key, BytesView head,
                             const Hash& digest) const {
  const std::array<std::uint8_t, 3> place{table, static_cast<std::uint8_t>(key.size() & 0xff),
                                          static_cast<std::uint8_t>(key.size() >> 8)};
  return crypto::keyed_hash(key_, {as_bytes(kChecksumTag), place, key, head, digest.view()});
}

namespace {

PackedValue with_digest(PackedValue packed) {
  packed.digest = value_digest(packed.form, packed.bytes);
  return packed;
}

}  // namespace

PackedValue ChecksumCodec::pack(BytesView plain) {
  return with_digest(pack_with(compressor_, plain));
}

PackedValue ChecksumCodec::pack_raw(BytesView plain) { return with_digest(raw(plain)); }

void ChecksumCodec::place(TableId table, BytesView key, BytesView head, const PackedValue& packed,
                          Bytes& stored) {
  stored.clear();
  stored.reserve(kHeadAt + head.size() + packed.bytes.size() + kChecksumBytes);
  stored.push_back(packed.form);
  stored.insert(stored.end(), head.begin(), head.end());
  stored.insert(stored.end(), packed.bytes.begin(), packed.bytes.end());
  const Hash sum = checksum(table, key, head, packed.digest);
  stored.insert(stored.end(), sum.bytes.begin(), sum.bytes.begin() + kChecksumBytes);
}

Result<Bytes> ChecksumCodec::decode(TableId table, BytesView key, BytesView stored,
                                    std::size_t head_bytes) {
  FP_CHECK_OK(check_form(table, key, stored, kHeadAt + head_bytes + kChecksumBytes));
  const BytesView checked = stored.first(stored.size() - kChecksumBytes);
  const BytesView value = checked.subspan(kHeadAt + head_bytes);
  const Hash sum =
      checksum(table, key, stored.subspan(kHeadAt, head_bytes), value_digest(stored[0], value));
  if (!std::equal(sum.bytes.begin(), sum.bytes.begin() + kChecksumBytes,
                  stored.end() - kChecksumBytes)) {
    return corrupt(table, key);
  }
  if (stored[0] == kRaw) return to_bytes(value);
  return unpack(compressor_, table, key, value);
}

BytesView ChecksumCodec::essence(BytesView stored) const { return stored.last(kChecksumBytes); }

// ---- plain ----

void PlainCodec::place(TableId, BytesView, BytesView head, const PackedValue& packed,
                       Bytes& stored) {
  stored.assign(1, packed.form);
  stored.insert(stored.end(), head.begin(), head.end());
  stored.insert(stored.end(), packed.bytes.begin(), packed.bytes.end());
}

Result<Bytes> PlainCodec::decode(TableId table, BytesView key, BytesView stored,
                                 std::size_t head_bytes) {
  if (stored.size() < kHeadAt + head_bytes) return corrupt(table, key);
  return to_bytes(stored.subspan(kHeadAt + head_bytes));
}

}  // namespace fieldpost::storage

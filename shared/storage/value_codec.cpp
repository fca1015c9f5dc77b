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
constexpr std::size_t kChecksumBytes = 16;

// The first byte: format version in the high half, form in the low.
constexpr std::uint8_t kRaw = 0x10;
constexpr std::uint8_t kCompressed = 0x11;

struct Packed {
  std::uint8_t form;
  Bytes compressed;  ///< empty when raw
};

/// Small values, and sealed ones of the health compartment, do not compress: they stay as they are.
Packed pack(wire::Compressor& compressor, BytesView plain) {
  if (plain.size() > kValueBytesMax) std::abort();
  constexpr std::size_t kWorthTrying = 32;
  if (plain.size() >= kWorthTrying) {
    Bytes compressed = compressor.compress(plain);
    if (compressed.size() < plain.size()) return {kCompressed, std::move(compressed)};
  }
  return {kRaw, {}};
}

std::string place(TableId table, BytesView key) {
  return "the value of key " + to_hex(key) + " in table " + std::to_string(table);
}

Error corrupt(TableId table, BytesView key) {
  return fail(Errc::corrupt, place(table, key) + " is not what was written there");
}

Status check_form(TableId table, BytesView key, BytesView stored, std::size_t bytes_min) {
  if (stored.size() < bytes_min) return corrupt(table, key);
  if (stored[0] == kRaw || stored[0] == kCompressed) return {};
  // A newer version and a flipped bit look alike; the store's format version tells newer programs.
  return fail(Errc::corrupt,
              place(table, key) + " has an unknown form (" + to_hex(stored.first(1)) + ")");
}

Result<Bytes> unpack(wire::Compressor& compressor, TableId table, BytesView key,
                     BytesView compressed) {
  auto plain = compressor.decompress(compressed, kValueBytesMax);
  if (plain) return plain;
  if (plain.error().is(Errc::unsupported)) {
    return fail(Errc::unsupported, place(table, key) + ": " + plain.error().detail);
  }
  return fail(Errc::corrupt, place(table, key) + " does not decompress: " + plain.error().detail);
}

}  // namespace

// ---- sealing ----

SealingCodec::SealingCodec(const crypto::SymmetricKey& key,
                           std::shared_ptr<const wire::Dictionary> dictionary, RandomSource random)
    : key_(key), compressor_(std::move(dictionary)), random_(std::move(random)) {}

BytesView SealingCodec::associated(TableId table, std::uint8_t form, BytesView key) {
  associated_.assign(kSealTag.begin(), kSealTag.end());
  associated_.push_back(table);
  associated_.push_back(form);
  associated_.insert(associated_.end(), key.begin(), key.end());
  return associated_;
}

Bytes SealingCodec::encode(TableId table, BytesView key, BytesView plain) {
  const Packed packed = pack(compressor_, plain);
  const BytesView value = packed.form == kRaw ? plain : BytesView(packed.compressed);
  const auto nonce = random_id<crypto::AeadNonce>(random_);
  const Bytes sealed = crypto::aead_seal(key_, nonce, associated(table, packed.form, key), value);
  Bytes stored;
  stored.reserve(1 + nonce.bytes.size() + sealed.size());
  stored.push_back(packed.form);
  stored.insert(stored.end(), nonce.bytes.begin(), nonce.bytes.end());
  stored.insert(stored.end(), sealed.begin(), sealed.end());
  return stored;
}

Result<Bytes> SealingCodec::decode(TableId table, BytesView key, BytesView stored) {
  constexpr std::size_t kHeaderBytes = 1 + crypto::kAeadNonceBytes;
  FP_CHECK_OK(check_form(table, key, stored, kHeaderBytes + crypto::kAeadTagBytes));
  FP_TRY(const auto nonce, crypto::AeadNonce::from(stored.subspan(1, crypto::kAeadNonceBytes)));
  auto value = crypto::aead_open(key_, nonce, associated(table, stored[0], key),
                                 stored.subspan(kHeaderBytes));
  if (!value) return corrupt(table, key);
  if (stored[0] == kRaw) return value;
  return unpack(compressor_, table, key, *value);
}

// ---- checksums ----

ChecksumCodec::ChecksumCodec(const crypto::SymmetricKey& key,
                             std::shared_ptr<const wire::Dictionary> dictionary)
    : key_(key), compressor_(std::move(dictionary)) {}

Hash ChecksumCodec::checksum(TableId table, BytesView key, BytesView value) const {
  const std::array<std::uint8_t, 3> head{table, static_cast<std::uint8_t>(key.size() & 0xff),
                                         static_cast<std::uint8_t>(key.size() >> 8)};
  return crypto::keyed_hash(key_, {as_bytes(kChecksumTag), head, key, value});
}

Bytes ChecksumCodec::encode(TableId table, BytesView key, BytesView plain) {
  const Packed packed = pack(compressor_, plain);
  const BytesView value = packed.form == kRaw ? plain : BytesView(packed.compressed);
  Bytes stored;
  stored.reserve(1 + value.size() + kChecksumBytes);
  stored.push_back(packed.form);
  stored.insert(stored.end(), value.begin(), value.end());
  const Hash sum = checksum(table, key, stored);
  stored.insert(stored.end(), sum.bytes.begin(), sum.bytes.begin() + kChecksumBytes);
  return stored;
}

Result<Bytes> ChecksumCodec::decode(TableId table, BytesView key, BytesView stored) {
  FP_CHECK_OK(check_form(table, key, stored, 1 + kChecksumBytes));
  const BytesView value = stored.first(stored.size() - kChecksumBytes);
  const Hash sum = checksum(table, key, value);
  if (!std::equal(sum.bytes.begin(), sum.bytes.begin() + kChecksumBytes,
                  stored.end() - kChecksumBytes)) {
    return corrupt(table, key);
  }
  if (stored[0] == kRaw) return to_bytes(value.subspan(1));
  return unpack(compressor_, table, key, value.subspan(1));
}

}  // namespace fieldpost::storage

#include "wire/seal.h"

#include <algorithm>

#include "base/limits.h"
#include "model/check.h"
#include "wire/value_codec.h"

namespace fieldpost::wire {
namespace {

constexpr std::string_view kSealTag = "fieldpost.v1.seal";
constexpr std::string_view kNonceTag = "fieldpost.v1.seal-nonce";
constexpr std::size_t kSmallStep = 8;
constexpr std::size_t kTextClassMin = 32;
constexpr std::size_t kSmallClassMax = 64;
constexpr std::size_t kLargeStep = 1024;

crypto::AeadNonce nonce_of(std::string_view path) {
  const auto hash = crypto::hash(kNonceTag, {as_bytes(path)});
  crypto::AeadNonce nonce;
  std::copy_n(hash.bytes.begin(), crypto::kAeadNonceBytes, nonce.bytes.begin());
  return nonce;
}

Bytes associated_data(const SealId& seal, const RecordId& record, std::string_view path) {
  Bytes data = to_bytes(as_bytes(kSealTag));
  data.push_back(0);
  data.insert(data.end(), seal.bytes.begin(), seal.bytes.end());
  data.insert(data.end(), record.bytes.begin(), record.bytes.end());
  data.insert(data.end(), path.begin(), path.end());
  return data;
}

}  // namespace

std::size_t padded_size(std::size_t size, std::size_t room) {
  if (room != 0 && std::max(size, room) <= kSmallClassMax)
    return (std::max(size, room) + kSmallStep - 1) / kSmallStep * kSmallStep;
  size = std::max(size, room);
  std::size_t padded = kTextClassMin;
  while (padded < size && padded < kLargeStep) padded *= 2;
  if (padded >= size) return padded;
  return (size + kLargeStep - 1) / kLargeStep * kLargeStep;
}

std::size_t plain_size(const model::Value& value) {
  if (std::holds_alternative<model::Sealed>(value)) return 0;
  Writer out;
  put_value(out, value, {});
  return std::move(out).take().size();
}

Result<model::Sealed> seal_value(const crypto::SymmetricKey& content_key, const SealId& seal,
                                 const RecordId& record, std::string_view path,
                                 const model::Value& value, std::size_t room) {
  if (std::holds_alternative<model::Sealed>(value)) {
    return fail(Errc::invalid_argument, std::string(path) + ": the value is sealed already");
  }
  FP_CHECK_OK(model::check_value(path, value));
  Writer out;
  put_value(out, value, {});
  auto plain = std::move(out).take();
  const auto padded = padded_size(plain.size(), room);
  if (padded + crypto::kAeadTagBytes > limits::kCiphertextBytesMax) {
    return fail(Errc::too_large, std::string(path) + ": too large to be sealed");
  }
  plain.resize(padded);
  return model::Sealed{seal, crypto::aead_seal(content_key, nonce_of(path),
                                               associated_data(seal, record, path), plain)};
}

Result<model::Value> open_value(const crypto::SymmetricKey& content_key, const RecordId& record,
                                std::string_view path, const model::Sealed& sealed) {
  FP_TRY(const auto plain,
         crypto::aead_open(content_key, nonce_of(path), associated_data(sealed.seal, record, path),
                           sealed.ciphertext));
  Reader in(plain);
  model::Value value;
  std::optional<std::uint64_t> seal_index;
  get_value(in, value, seal_index);
  if (!in.ok()) return in.error();
  if (seal_index) return fail(Errc::malformed, "a sealed value inside a sealed value");
  const auto used = plain.size() - in.left();
  const auto is_zero = [](std::uint8_t byte) { return byte == 0; };
  if (padded_size(plain.size(), 1) != plain.size() ||
      !std::all_of(plain.begin() + static_cast<std::ptrdiff_t>(used), plain.end(), is_zero)) {
    return fail(Errc::malformed, "the padding is not what it must be");
  }
  return value;
}

Result<model::Seal> make_seal(const SealId& id, const crypto::SymmetricKey& content_key,
                              const crypto::Seed& ephemeral,
                              std::span<const crypto::PublicKey> recipients) {
  if (recipients.empty() || recipients.size() > limits::kBoxesMax) {
    return fail(Errc::invalid_argument,
                "a seal needs 1–" + std::to_string(limits::kBoxesMax) + " recipients");
  }
  model::Seal seal{id, {}};
  for (const auto& recipient : recipients) {
    seal.boxes.push_back(
        {crypto::key_id(recipient), crypto::box_seal(ephemeral, recipient, content_key.view())});
  }
  const auto by_recipient = [](const model::KeyBox& a, const model::KeyBox& b) {
    return a.recipient < b.recipient;
  };
  const auto same = [](const model::KeyBox& a, const model::KeyBox& b) {
    return a.recipient == b.recipient;
  };
  std::sort(seal.boxes.begin(), seal.boxes.end(), by_recipient);
  if (std::adjacent_find(seal.boxes.begin(), seal.boxes.end(), same) != seal.boxes.end()) {
    return fail(Errc::invalid_argument, "a seal names one recipient twice");
  }
  return seal;
}

Result<crypto::SymmetricKey> open_seal(const model::Seal& seal,
                                       const crypto::BoxKeyPair& recipient) {
  const auto id = crypto::key_id(recipient.public_key);
  for (const auto& box : seal.boxes) {
    if (box.recipient != id) continue;
    FP_TRY(const auto plain, crypto::box_open(recipient, box.box));
    crypto::SymmetricKey key;
    if (plain.size() != key.bytes.size())
      return fail(Errc::malformed, "a content key must have 32 bytes");
    std::copy(plain.begin(), plain.end(), key.bytes.begin());
    return key;
  }
  return fail(Errc::not_found, "no key box of this seal is for this key");
}

}  // namespace fieldpost::wire

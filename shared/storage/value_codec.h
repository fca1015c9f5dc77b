// How values stand in a store: compressed, then sealed (a tablet) or checksummed (a hub).
//
// Thread rule: one object per thread.
// Invariants:
//   1. A stored value decodes only under the table and key it was encoded for, and with the same key;
//      anything else is `corrupt`, naming table and key, never wrong bytes.
//   2. The first byte says format version and form, and is authenticated with the rest.
//   3. Nonces are random: 24 bytes, so that 2^64 values may share one key.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/random_source.h"
#include "crypto/crypto.h"
#include "storage/kv.h"
#include "wire/frame.h"

namespace fieldpost::storage {

/// No value is larger before compression; encode aborts above it (records and changes are checked
/// against the far smaller limits of base/limits.h before they come here).
inline constexpr std::size_t kValueBytesMax = std::size_t{64} << 20;

class ValueCodec {
 public:
  virtual ~ValueCodec() = default;
  virtual Bytes encode(TableId table, BytesView key, BytesView plain) = 0;
  /// Errors: `corrupt`; `unsupported` when it was compressed with a dictionary this program lacks.
  virtual Result<Bytes> decode(TableId table, BytesView key, BytesView stored) = 0;
};

/// For a tablet: form ‖ nonce (24) ‖ XChaCha20-Poly1305 of the value, whose associated data are
/// "fieldpost.v1.value" ‖ 0x00 ‖ table ‖ form ‖ key.
class SealingCodec final : public ValueCodec {
 public:
  SealingCodec(const crypto::SymmetricKey& key, std::shared_ptr<const wire::Dictionary> dictionary,
               RandomSource random);
  Bytes encode(TableId table, BytesView key, BytesView plain) override;
  Result<Bytes> decode(TableId table, BytesView key, BytesView stored) override;

 private:
  BytesView associated(TableId table, std::uint8_t form, BytesView key);

  crypto::SymmetricKey key_;
  wire::Compressor compressor_;
  RandomSource random_;
  Bytes associated_;  ///< reused from call to call
};

/// For a hub: form ‖ value ‖ checksum (16), the checksum being the first 16 bytes of keyed
/// BLAKE2b-256 over "fieldpost.v1.stored" ‖ 0x00 ‖ table ‖ size of key (2, little-endian) ‖ key ‖
/// form ‖ value. It finds bit rot and misplaced values; the key is not meant as a secret from the hub.
class ChecksumCodec final : public ValueCodec {
 public:
  ChecksumCodec(const crypto::SymmetricKey& key,
                std::shared_ptr<const wire::Dictionary> dictionary);
  Bytes encode(TableId table, BytesView key, BytesView plain) override;
  Result<Bytes> decode(TableId table, BytesView key, BytesView stored) override;

 private:
  Hash checksum(TableId table, BytesView key, BytesView value) const;

  crypto::SymmetricKey key_;
  wire::Compressor compressor_;
};

/// For tests: bytes as they are.
class PlainCodec final : public ValueCodec {
 public:
  Bytes encode(TableId, BytesView, BytesView plain) override { return to_bytes(plain); }
  Result<Bytes> decode(TableId, BytesView, BytesView stored) override { return to_bytes(stored); }
};

}  // namespace fieldpost::storage

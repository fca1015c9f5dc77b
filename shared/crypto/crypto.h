// Hash, sign, verify and seal: pure functions over libsodium. Keys, nonces and randomness are parameters.
//
// Thread rule: free functions without state, after `init()` once at program start.
// Invariants:
//   1. Every hash and signature input begins with a tag that names its use (domain separation);
//      a keyed hash has none: its key must have one use.
//   2. Secret keys live in SecretBytes, wiped on destruction.
// Source: libsodium's documentation of the primitives named at each function.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"

namespace fieldpost::crypto {

/// Must be called once before anything else. Errors: `unsupported` when libsodium cannot start.
Status init();

/// N secret bytes, wiped when destroyed; copies are explicit members of who holds them.
template <std::size_t N>
struct SecretBytes {
  std::array<std::uint8_t, N> bytes{};
  SecretBytes() = default;
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  ~SecretBytes();
  BytesView view() const { return bytes; }
};
extern template struct SecretBytes<32>;
extern template struct SecretBytes<64>;

using Seed = SecretBytes<32>;  ///< an Ed25519 or X25519 seed
using SymmetricKey = SecretBytes<32>;
using SharedSecret = SecretBytes<32>;

// ---- hashing: BLAKE2b-256 (crypto_generichash) ----

/// BLAKE2b-256(tag ‖ 0x00 ‖ parts…). The parts are not length-prefixed: all but the last must be of
/// fixed size for the tag.
Hash hash(std::string_view tag, std::initializer_list<BytesView> parts);
/// BLAKE2b-256 keyed with `key`, over the parts; the first 16 bytes are a checksum of stored values.
Hash keyed_hash(const SymmetricKey& key, std::initializer_list<BytesView> parts);

/// A running BLAKE2b-256 for long inputs such as a store's digest.
class Hasher {
 public:
  explicit Hasher(std::string_view tag);
  void update(BytesView part);
  Hash finish();

 private:
  alignas(64) std::array<std::uint8_t, 384> state_;
};

// ---- signatures: Ed25519 (crypto_sign_detached) ----

using Signature = ByteId<64, struct SignatureTag>;
using PublicKey = ByteId<32, struct PublicKeyTag>;

struct SigningKey {
  SecretBytes<64> secret;
  PublicKey public_key;
};

SigningKey signing_key(const Seed& seed);
/// Plain Ed25519 (RFC 8032, not pre-hashed) over tag ‖ 0x00 ‖ parts….
Signature sign(const SigningKey& key, std::string_view tag, std::initializer_list<BytesView> parts);
[[nodiscard]] bool verify(const PublicKey& key, const Signature& signature, std::string_view tag,
                          std::initializer_list<BytesView> parts);

// ---- authenticated encryption: XChaCha20-Poly1305-IETF ----

inline constexpr std::size_t kAeadNonceBytes = 24;
inline constexpr std::size_t kAeadTagBytes = 16;
using AeadNonce = ByteId<kAeadNonceBytes, struct AeadNonceTag>;

/// Ciphertext with its tag appended: plain.size() + 16 bytes.
Bytes aead_seal(const SymmetricKey& key, const AeadNonce& nonce, BytesView associated,
                BytesView plain);
/// Errors: `bad_signature` when key, nonce, associated data or ciphertext differ from what was sealed.
Result<Bytes> aead_open(const SymmetricKey& key, const AeadNonce& nonce, BytesView associated,
                        BytesView sealed);

// ---- sealing a key to a recipient: X25519 + XSalsa20-Poly1305 (crypto_box_easy) ----

struct BoxKeyPair {
  SecretBytes<32> secret;
  PublicKey public_key;
};
BoxKeyPair box_key_pair(const Seed& seed);
/// First 8 bytes of hash("fieldpost.v1.key-id", public key).
KeyId key_id(const PublicKey& key);

/// ephemeral public key (32) ‖ box of `plain`; nonce = first 24 bytes of
/// hash("fieldpost.v1.box-nonce", ephemeral public ‖ recipient). One fresh ephemeral seed per box.
Bytes box_seal(const Seed& ephemeral, const PublicKey& recipient, BytesView plain);
/// Errors: `bad_signature` when the box was not made for this key or was changed; `malformed` size.
Result<Bytes> box_open(const BoxKeyPair& recipient, BytesView box);

/// True in constant time when equal in size and content.
[[nodiscard]] bool equal_secret(BytesView a, BytesView b);

}  // namespace fieldpost::crypto

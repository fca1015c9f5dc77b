#include "crypto/crypto.h"

#include <cstdlib>
#include <new>
#include <sodium.h>

namespace fieldpost::crypto {

static_assert(sizeof(crypto_generichash_state) <= 384);
static_assert(crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_BYTES == 64);
static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == kAeadNonceBytes);
static_assert(crypto_box_NONCEBYTES == 24 && crypto_box_SECRETKEYBYTES == 32);

namespace {

constexpr std::uint8_t kZero = 0;

/// libsodium's in-memory primitives fail only on broken arguments: a broken invariant of ours.
void require(int status) {
  if (status != 0) std::abort();
}

void begin(crypto_generichash_state& state, std::string_view tag) {
  require(crypto_generichash_init(&state, nullptr, 0, 32));
  crypto_generichash_update(&state, as_bytes(tag).data(), tag.size());
  crypto_generichash_update(&state, &kZero, 1);
}

/// tag ‖ 0x00 ‖ parts, as one string: Ed25519 hashes its message twice and so needs it whole.
Bytes tagged(std::string_view tag, std::initializer_list<BytesView> parts) {
  Bytes message(as_bytes(tag).begin(), as_bytes(tag).end());
  message.push_back(0);
  for (BytesView part : parts) message.insert(message.end(), part.begin(), part.end());
  return message;
}

Bytes box_nonce(BytesView ephemeral_public, const PublicKey& recipient) {
  const Hash full = hash("fieldpost.v1.box-nonce", {ephemeral_public, recipient.view()});
  return {full.bytes.begin(), full.bytes.begin() + crypto_box_NONCEBYTES};
}

}  // namespace

Status init() {
  if (sodium_init() < 0) return fail(Errc::unsupported, "libsodium could not start");
  return {};
}

template <std::size_t N>
SecretBytes<N>::~SecretBytes() {
  sodium_memzero(bytes.data(), bytes.size());
}
template struct SecretBytes<32>;
template struct SecretBytes<64>;

Hash hash(std::string_view tag, std::initializer_list<BytesView> parts) {
  crypto_generichash_state state;
  begin(state, tag);
  for (BytesView part : parts) crypto_generichash_update(&state, part.data(), part.size());
  Hash out;
  require(crypto_generichash_final(&state, out.bytes.data(), out.bytes.size()));
  return out;
}

Hash keyed_hash(const SymmetricKey& key, std::initializer_list<BytesView> parts) {
  crypto_generichash_state state;
  require(crypto_generichash_init(&state, key.bytes.data(), key.bytes.size(), 32));
  for (BytesView part : parts) crypto_generichash_update(&state, part.data(), part.size());
  Hash out;
  require(crypto_generichash_final(&state, out.bytes.data(), out.bytes.size()));
  return out;
}

Hasher::Hasher(std::string_view tag) {
  auto* state = new (state_.data()) crypto_generichash_state;
  begin(*state, tag);
}

void Hasher::update(BytesView part) {
  auto* state = reinterpret_cast<crypto_generichash_state*>(state_.data());
  crypto_generichash_update(state, part.data(), part.size());
}

Hash Hasher::finish() {
  auto* state = reinterpret_cast<crypto_generichash_state*>(state_.data());
  Hash out;
  require(crypto_generichash_final(state, out.bytes.data(), out.bytes.size()));
  return out;
}

SigningKey signing_key(const Seed& seed) {
  SigningKey key;
  require(crypto_sign_seed_keypair(key.public_key.bytes.data(), key.secret.bytes.data(),
                                   seed.bytes.data()));
  return key;
}

Signature sign(const SigningKey& key, std::string_view tag,
               std::initializer_list<BytesView> parts) {
  const Bytes message = tagged(tag, parts);
  Signature signature;
  require(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                               key.secret.bytes.data()));
  return signature;
}

bool verify(const PublicKey& key, const Signature& signature, std::string_view tag,
            std::initializer_list<BytesView> parts) {
  const Bytes message = tagged(tag, parts);
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                     key.bytes.data()) == 0;
}

Bytes aead_seal(const SymmetricKey& key, const AeadNonce& nonce, BytesView associated,
                BytesView plain) {
  Bytes sealed(plain.size() + kAeadTagBytes);
  require(crypto_aead_xchacha20poly1305_ietf_encrypt(
      sealed.data(), nullptr, plain.data(), plain.size(), associated.data(), associated.size(),
      nullptr, nonce.bytes.data(), key.bytes.data()));
  return sealed;
}

Result<Bytes> aead_open(const SymmetricKey& key, const AeadNonce& nonce, BytesView associated,
                        BytesView sealed) {
  if (sealed.size() < kAeadTagBytes) return fail(Errc::bad_signature, "sealed bytes are cut short");
  Bytes plain(sealed.size() - kAeadTagBytes);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          plain.data(), nullptr, nullptr, sealed.data(), sealed.size(), associated.data(),
          associated.size(), nonce.bytes.data(), key.bytes.data()) != 0) {
    return fail(Errc::bad_signature, "sealed bytes do not open: changed, moved, or another key");
  }
  return plain;
}

BoxKeyPair box_key_pair(const Seed& seed) {
  BoxKeyPair pair;
  require(crypto_box_seed_keypair(pair.public_key.bytes.data(), pair.secret.bytes.data(),
                                  seed.bytes.data()));
  return pair;
}

KeyId key_id(const PublicKey& key) {
  const Hash full = hash("fieldpost.v1.key-id", {key.view()});
  KeyId id;
  std::memcpy(id.bytes.data(), full.bytes.data(), id.bytes.size());
  return id;
}

Bytes box_seal(const Seed& ephemeral, const PublicKey& recipient, BytesView plain) {
  const BoxKeyPair pair = box_key_pair(ephemeral);
  const Bytes nonce = box_nonce(pair.public_key.view(), recipient);
  Bytes box(32 + crypto_box_MACBYTES + plain.size());
  std::memcpy(box.data(), pair.public_key.bytes.data(), 32);
  require(crypto_box_easy(box.data() + 32, plain.data(), plain.size(), nonce.data(),
                          recipient.bytes.data(), pair.secret.bytes.data()));
  return box;
}

Result<Bytes> box_open(const BoxKeyPair& recipient, BytesView box) {
  if (box.size() < 32 + crypto_box_MACBYTES) return fail(Errc::malformed, "key box is cut short");
  const BytesView ephemeral = box.first(32);
  const Bytes nonce = box_nonce(ephemeral, recipient.public_key);
  Bytes plain(box.size() - 32 - crypto_box_MACBYTES);
  if (crypto_box_open_easy(plain.data(), box.data() + 32, box.size() - 32, nonce.data(),
                           ephemeral.data(), recipient.secret.bytes.data()) != 0) {
    return fail(Errc::bad_signature, "key box does not open: changed, or made for another key");
  }
  return plain;
}

bool equal_secret(BytesView a, BytesView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace fieldpost::crypto

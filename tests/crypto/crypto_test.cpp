// Known answers from public standards and other implementations, and that every change of any byte is noticed.
#include "crypto/crypto.h"

#include "tests/support/catch.h"

namespace fieldpost::crypto {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }

template <class Secret>
Secret secret(std::string_view text) {
  Secret out;
  const Bytes bytes = hex(text);
  REQUIRE(bytes.size() == out.bytes.size());
  std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  return out;
}

Bytes counting(std::size_t n) {
  Bytes bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

struct Started {
  Started() { REQUIRE(init()); }
};

TEST_CASE_METHOD(Started, "starting twice is harmless") { CHECK(init()); }

// ---- hashing ----

TEST_CASE_METHOD(Started, "hash is BLAKE2b-256 over tag, zero byte and parts") {
  // Expected values: Python's hashlib.blake2b(digest_size=32), the BLAKE2 authors' reference code.
  CHECK(hash("", {}).hex() == "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314");
  CHECK(hash("", {BytesView(counting(256)).subspan(1)}).hex() ==
        "39a7eb9fedc19aabc83425c6755dd90e6f9d0c804964a1f4aaeea3b9fb599835");
  CHECK(hash("fieldpost.test", {as_bytes("abc")}).hex() ==
        "de03ebcce650f627ff1bcc3c4bc306c7a5917015ad4975769bc377ebcde28edd");
}

TEST_CASE_METHOD(Started, "a keyed hash is keyed BLAKE2b-256 over the parts alone") {
  const auto key = secret<SymmetricKey>(to_hex(counting(32)));
  CHECK(keyed_hash(key, {}).hex() ==
        "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d");
  CHECK(keyed_hash(key, {counting(255)}).hex() ==
        "f60f5c4a575c43db6c93608515866ea998e04b35792f5a92b27aa5880cd6721e");
  CHECK(keyed_hash(SymmetricKey{}, {counting(255)}) != keyed_hash(key, {counting(255)}));
}

TEST_CASE_METHOD(Started, "a running hash equals the hash of the whole, however it is cut") {
  const Bytes bytes = counting(256);
  for (std::size_t cut : {0U, 1U, 127U, 128U, 129U, 256U}) {
    Hasher hasher("fieldpost.test");
    hasher.update(BytesView(bytes).first(cut));
    hasher.update(BytesView(bytes).subspan(cut));
    CHECK(hasher.finish() == hash("fieldpost.test", {bytes}));
  }
}

TEST_CASE_METHOD(Started, "a tag separates uses") {
  CHECK(hash("fieldpost.a", {as_bytes("x")}) != hash("fieldpost.b", {as_bytes("x")}));
  CHECK(hash("fieldpost.a", {as_bytes("x")}) != hash("fieldpost.", {as_bytes("ax")}));
}

// ---- signatures ----

struct SignatureRow {
  std::string_view seed;
  std::string_view public_key;
  std::string_view signature;  ///< of "fieldpost.test" 00 "abc"
};

// Seeds and public keys: RFC 8032 section 7.1 (TEST 1, 2, 3 and 1024). Our signatures are over a tag,
// a zero byte and the parts, so the RFC's messages cannot be signed; Ed25519 is deterministic, and the
// signatures are OpenSSL 3's over the same bytes with the RFC's keys.
constexpr SignatureRow kSignatures[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     "0b4e629d2f25cc94ed7df236e0231311f1b874dac271404b353ab0b9f2f480f8"
     "2aa0a5470b1f524c81a6b208b7e5628f93292e09030af24b68a94edbcdde8d00"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     "c172b1214f9d44db08696e11c130c0bec51bf1c73a535d20fc0af2e433ed46b6"
     "26d7a316d9863b679e9442c4b0753eaa51cd644d0357403ff3ae4fcbea28f70a"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
     "bfa0a5dc3789b04c11657964a787b2dea78fa0602236f8af0e1afd73cbe11a44"
     "da8f98c9684fe3c4c3235f7c3ade0cdd0d564a7f390c43404d57da3167fe9a01"},
    {"f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
     "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
     "d6cbfe5e872a4f0073bf0e0e14ee2c470e7dc761a28dbbaaf4cf5fc03d280ded"
     "e10872464405d35a2b66081bf69c9f5734c462454c1b4a88c4bb55356fa20f0a"},
};

TEST_CASE_METHOD(Started, "keys and signatures are Ed25519") {
  for (const SignatureRow& row : kSignatures) {
    const SigningKey key = signing_key(secret<Seed>(row.seed));
    CHECK(key.public_key.hex() == row.public_key);
    const Signature signature = sign(key, "fieldpost.test", {as_bytes("ab"), as_bytes("c")});
    CHECK(signature.hex() == row.signature);
    CHECK(verify(key.public_key, signature, "fieldpost.test", {as_bytes("abc")}));
  }
}

TEST_CASE_METHOD(Started,
                 "a signature fails when any bit of it, of the message or of the key changes") {
  const SigningKey key = signing_key(secret<Seed>(kSignatures[0].seed));
  const Bytes message = counting(40);
  const Signature signature = sign(key, "fieldpost.test", {message});
  REQUIRE(verify(key.public_key, signature, "fieldpost.test", {message}));
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
    Signature bad = signature;
    bad.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK_FALSE(verify(key.public_key, bad, "fieldpost.test", {message}));
  }
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    Bytes bad = message;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK_FALSE(verify(key.public_key, signature, "fieldpost.test", {bad}));
  }
  for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
    PublicKey bad = key.public_key;
    bad.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK_FALSE(verify(bad, signature, "fieldpost.test", {message}));
  }
  CHECK_FALSE(verify(key.public_key, signature, "fieldpost.tesT", {message}));
  CHECK_FALSE(verify(key.public_key, signature, "fieldpost.test", {message, counting(1)}));
}

TEST_CASE_METHOD(Started, "a signature by the neutral key is refused") {
  // A public key of small order would let one signature fit many messages.
  PublicKey neutral;
  neutral.bytes[0] = 1;
  Signature signature;
  signature.bytes[0] = 1;
  CHECK_FALSE(verify(neutral, signature, "fieldpost.test", {as_bytes("anything")}));
}

// ---- authenticated encryption ----

struct Aead {
  SymmetricKey key;
  AeadNonce nonce;
  Bytes associated;
  Bytes plain;
  Bytes sealed;
};

/// Source: draft-irtf-cfrg-xchacha-03, appendix A.3.1.
Aead draft_vector() {
  Aead v;
  v.key = secret<SymmetricKey>("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  v.nonce = *AeadNonce::from(hex("404142434445464748494a4b4c4d4e4f5051525354555657"));
  v.associated = hex("50515253c0c1c2c3c4c5c6c7");
  v.plain = to_bytes(as_bytes(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it."));
  v.sealed =
      hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
          "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
          "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
          "21f9664c97637da9768812f615c68b13b52e"
          "c0875924c1c7987947deafd8780acf49");
  return v;
}

TEST_CASE_METHOD(Started, "sealing is XChaCha20-Poly1305 as in the draft's vector") {
  const Aead v = draft_vector();
  CHECK(aead_seal(v.key, v.nonce, v.associated, v.plain) == v.sealed);
  REQUIRE(aead_open(v.key, v.nonce, v.associated, v.sealed));
  CHECK(*aead_open(v.key, v.nonce, v.associated, v.sealed) == v.plain);
}

TEST_CASE_METHOD(Started, "nothing at all can be sealed, too") {
  const Aead v = draft_vector();
  const Bytes sealed = aead_seal(v.key, v.nonce, {}, {});
  CHECK(sealed.size() == kAeadTagBytes);
  REQUIRE(aead_open(v.key, v.nonce, {}, sealed));
  CHECK(aead_open(v.key, v.nonce, {}, sealed)->empty());
  CHECK_FALSE(aead_open(v.key, v.nonce, v.associated, sealed));
}

TEST_CASE_METHOD(Started, "a sealed value does not open when any bit of anything changes") {
  const Aead v = draft_vector();
  const auto refused = [&](const Aead& bad) {
    const auto opened = aead_open(bad.key, bad.nonce, bad.associated, bad.sealed);
    return !opened && opened.error().is(Errc::bad_signature);
  };
  const auto each_bit = [&](auto member) {
    std::size_t taken = 0;
    Aead bad = v;
    auto& bytes = member(bad);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      if (!refused(bad)) ++taken;
      bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    }
    return taken;
  };
  CHECK(each_bit([](Aead& a) -> auto& { return a.sealed; }) == 0);
  CHECK(each_bit([](Aead& a) -> auto& { return a.associated; }) == 0);
  CHECK(each_bit([](Aead& a) -> auto& { return a.nonce.bytes; }) == 0);
  CHECK(each_bit([](Aead& a) -> auto& { return a.key.bytes; }) == 0);
}

TEST_CASE_METHOD(Started, "sealed bytes that are cut short or longer do not open") {
  const Aead v = draft_vector();
  for (std::size_t size = 0; size < v.sealed.size(); ++size) {
    CHECK_FALSE(aead_open(v.key, v.nonce, v.associated, BytesView(v.sealed).first(size)));
  }
  Bytes longer = v.sealed;
  longer.push_back(0);
  CHECK_FALSE(aead_open(v.key, v.nonce, v.associated, longer));
}

// ---- key boxes ----

TEST_CASE_METHOD(Started, "a key pair is X25519 from the hash of its seed") {
  // Secret: first half of SHA-512(seed); public: OpenSSL 3's X25519 of that secret (RFC 7748).
  const BoxKeyPair pair = box_key_pair(secret<Seed>(to_hex(counting(32))));
  CHECK(to_hex(pair.secret.view()) ==
        "3d94eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6f");
  CHECK(pair.public_key.hex() ==
        "4701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01");
}

TEST_CASE_METHOD(Started, "a key box opens for its recipient only, and only unchanged") {
  const BoxKeyPair alice = box_key_pair(secret<Seed>(std::string(64, '1')));
  const BoxKeyPair bob = box_key_pair(secret<Seed>(std::string(64, '2')));
  const auto ephemeral = secret<Seed>(std::string(64, '3'));
  const Bytes content_key = counting(32);
  const Bytes box = box_seal(ephemeral, alice.public_key, content_key);
  CHECK(box.size() == 80);
  CHECK(box == box_seal(ephemeral, alice.public_key, content_key));
  REQUIRE(box_open(alice, box));
  CHECK(*box_open(alice, box) == content_key);
  REQUIRE_FALSE(box_open(bob, box));
  CHECK(box_open(bob, box).error().is(Errc::bad_signature));

  std::size_t taken = 0;
  for (std::size_t bit = 0; bit < box.size() * 8; ++bit) {
    Bytes bad = box;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    if (box_open(alice, bad)) ++taken;
  }
  CHECK(taken == 0);
  for (std::size_t size = 0; size < box.size(); ++size) {
    CHECK_FALSE(box_open(alice, BytesView(box).first(size)));
  }
  CHECK(box_open(alice, BytesView(box).first(47)).error().is(Errc::malformed));
}

TEST_CASE_METHOD(Started, "a key id is the front of the tagged hash of the public key") {
  const BoxKeyPair alice = box_key_pair(secret<Seed>(std::string(64, '1')));
  const Hash full = hash("fieldpost.v1.key-id", {alice.public_key.view()});
  CHECK(key_id(alice.public_key).hex() == full.hex().substr(0, 16));
}

TEST_CASE_METHOD(Started, "secrets compare by size and content") {
  CHECK(equal_secret(counting(32), counting(32)));
  CHECK(equal_secret({}, {}));
  CHECK_FALSE(equal_secret(counting(32), counting(31)));
  Bytes other = counting(32);
  other.back() ^= 1;
  CHECK_FALSE(equal_secret(counting(32), other));
}

TEST_CASE_METHOD(Started, "secret bytes are wiped when they die") {
  alignas(Seed) std::uint8_t place[sizeof(Seed)];
  auto* seed = new (place) Seed;
  seed->bytes.fill(0xA5);
  seed->~SecretBytes();
  // Read through volatile: what the compiler may assume about a dead object must not hide the bytes.
  const volatile std::uint8_t* bytes = place;
  int left = 0;
  for (std::size_t i = 0; i < sizeof(Seed); ++i) left += bytes[i] == 0xA5;
  CHECK(left == 0);
}

}  // namespace
}  // namespace fieldpost::crypto

// Values come back as they were, or not at all.
#include "storage/value_codec.h"

#include <memory>
#include <string>

#include "tests/support/catch.h"

using namespace fieldpost;
using namespace fieldpost::storage;

namespace {

constexpr TableId kStops = 3;

crypto::SymmetricKey key_of(std::uint8_t fill) {
  crypto::SymmetricKey key;
  key.bytes.fill(fill);
  return key;
}

/// Counts up, so that a run can be repeated and no nonce comes twice.
RandomSource counting() {
  return [n = std::uint8_t{0}](std::span<std::uint8_t> bytes) mutable {
    for (auto& byte : bytes) byte = ++n;
  };
}

enum class Kind { sealing, checksum };

std::unique_ptr<ValueCodec> make(Kind kind, std::uint8_t key = 7) {
  static const bool ready = crypto::init().has_value();
  REQUIRE(ready);
  static const auto dictionary = wire::Dictionary::v1();
  if (kind == Kind::sealing)
    return std::make_unique<SealingCodec>(key_of(key), dictionary, counting());
  return std::make_unique<ChecksumCodec>(key_of(key), dictionary);
}

Kind any_kind() { return GENERATE(Kind::sealing, Kind::checksum); }

Bytes text(std::string_view value) { return to_bytes(as_bytes(value)); }

const std::string kRecord =
    R"({"type":"stop","unit":"PNH-01","plate":"2A-1234","note":"ឈប់ពិនិត្យ","outcome":"released","persons":2})";

void check_corrupt(const Result<Bytes>& decoded, BytesView key) {
  REQUIRE(!decoded.has_value());
  CHECK(decoded.error().is(Errc::corrupt));
  CHECK_THAT(decoded.error().detail, Catch::Contains(to_hex(key)) && Catch::Contains("table 3"));
}

}  // namespace

TEST_CASE("Values of every size come back") {
  const auto codec = make(any_kind());
  const Bytes key = text("k");
  for (const std::size_t size : {0, 1, 31, 32, 33, 1000, 100 * 1024, 5 * 1024 * 1024}) {
    INFO(size);
    Bytes plain(size);
    std::uint32_t state = 1;
    for (auto& byte : plain)
      byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 28);
    const auto back = codec->decode(kStops, key, codec->encode(kStops, key, plain));
    REQUIRE(back.has_value());
    CHECK((*back == plain));
  }
  const auto back = codec->decode(kStops, key, codec->encode(kStops, key, as_bytes(kRecord)));
  REQUIRE(back.has_value());
  CHECK(as_text(*back) == kRecord);
}

TEST_CASE("What repeats is stored smaller, what does not is stored at a fixed cost") {
  const Kind kind = any_kind();
  const auto codec = make(kind);
  const std::size_t cost = kind == Kind::sealing ? 41 : 17;
  const Bytes key = text("k");
  CHECK(codec->encode(kStops, key, as_bytes(std::string(4000, 'x'))).size() < 100);
  Bytes noise(500);
  std::uint32_t state = 1;
  for (auto& byte : noise)
    byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  CHECK(codec->encode(kStops, key, noise).size() == noise.size() + cost);
  CHECK(codec->encode(kStops, key, {}).size() == cost);
}

TEST_CASE("A flipped bit anywhere is found, and table and key are named") {
  const auto codec = make(any_kind());
  const Bytes key = text("stop-1");
  const std::string plain = GENERATE(std::string("short"), kRecord);
  const Bytes stored = codec->encode(kStops, key, as_bytes(plain));
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    INFO("bit " << bit);
    Bytes damaged = stored;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    check_corrupt(codec->decode(kStops, key, damaged), key);
  }
}

TEST_CASE("A value cut short or drawn out is found") {
  const auto codec = make(any_kind());
  const Bytes key = text("stop-1");
  const Bytes stored = codec->encode(kStops, key, as_bytes(kRecord));
  for (std::size_t size = 0; size < stored.size(); ++size) {
    INFO(size);
    check_corrupt(codec->decode(kStops, key, BytesView(stored).first(size)), key);
  }
  Bytes longer = stored;
  longer.push_back(0);
  check_corrupt(codec->decode(kStops, key, longer), key);
}

TEST_CASE("A value moved to another key or table is found") {
  const auto codec = make(any_kind());
  const Bytes key = text("stop-1");
  const Bytes stored = codec->encode(kStops, key, as_bytes(kRecord));
  const std::vector<std::string> others{"stop-2", "stop-", "stop-11", ""};
  for (const std::string& other : others)
    check_corrupt(codec->decode(kStops, as_bytes(other), stored), as_bytes(other));
  const auto moved = codec->decode(kStops + 1, key, stored);
  REQUIRE(!moved.has_value());
  CHECK(moved.error().is(Errc::corrupt));
  CHECK(codec->decode(kStops, key, stored).has_value());
}

TEST_CASE("The wrong store key opens nothing") {
  const Kind kind = any_kind();
  const Bytes key = text("stop-1");
  const Bytes stored = make(kind, 7)->encode(kStops, key, as_bytes(kRecord));
  check_corrupt(make(kind, 8)->decode(kStops, key, stored), key);
  CHECK(make(kind, 7)->decode(kStops, key, stored).has_value());
}

TEST_CASE("Sealing hides the value, and hides that two values are equal") {
  const auto codec = make(Kind::sealing);
  const Bytes key = text("stop-1");
  const Bytes first = codec->encode(kStops, key, as_bytes("2A-1234"));
  const Bytes second = codec->encode(kStops, key, as_bytes("2A-1234"));
  CHECK((first != second));
  CHECK(as_text(first).find("2A-1234") == std::string_view::npos);
}

TEST_CASE("A head stands in clear, comes with the value and is as safe as it") {
  const auto codec = make(any_kind());
  const Bytes key = text("stop-1");
  const Bytes head = text("position");
  const std::string plain = GENERATE(std::string("short"), kRecord);
  Bytes stored{0xEE};  // replaced, whatever was in it
  codec->place(kStops, key, head, codec->pack(as_bytes(plain)), stored);
  CHECK(as_text(BytesView(stored).subspan(ValueCodec::kHeadAt, head.size())) == "position");
  const auto back = codec->decode(kStops, key, stored, head.size());
  REQUIRE(back.has_value());
  CHECK(as_text(*back) == plain);
  for (std::size_t byte = 0; byte < stored.size(); ++byte) {
    INFO(byte);
    Bytes damaged = stored;
    damaged[byte] ^= 1;
    check_corrupt(codec->decode(kStops, key, damaged, head.size()), key);
  }
  for (std::size_t size = 0; size < stored.size(); ++size)
    check_corrupt(codec->decode(kStops, key, BytesView(stored).first(size), head.size()), key);
}

TEST_CASE("The plain codec changes nothing") {
  PlainCodec codec;
  const auto back = codec.decode(kStops, text("k"), codec.encode(kStops, text("k"), text("v")));
  REQUIRE(back.has_value());
  CHECK((*back == text("v")));
}

// Hexadecimal and base32: what the encoders write, what the decoders take and refuse.
#include "base/bytes.h"

#include "tests/support/catch.h"

namespace fieldpost {
namespace {

Bytes text_bytes(std::string_view text) { return to_bytes(as_bytes(text)); }

struct Pair {
  std::string_view plain;
  std::string_view encoded;
};

TEST_CASE("hexadecimal is lower case and reads back") {
  // Source: RFC 4648 section 10, in lower case.
  for (const Pair& row : {Pair{"", ""}, {"f", "66"}, {"fo", "666f"}, {"foobar", "666f6f626172"}}) {
    CHECK(to_hex(as_bytes(row.plain)) == row.encoded);
    REQUIRE(from_hex(row.encoded));
    CHECK(*from_hex(row.encoded) == text_bytes(row.plain));
  }
  Bytes all(256);
  for (int i = 0; i < 256; ++i) all[i] = static_cast<std::uint8_t>(i);
  CHECK(*from_hex(to_hex(all)) == all);
}

TEST_CASE("hexadecimal takes either case") {
  CHECK(*from_hex("DeadBEEF") == *from_hex("deadbeef"));
}

TEST_CASE("hexadecimal refuses an odd length and any other character") {
  for (std::string_view text :
       {"a", "abc", "0g", "g0", " 0", "0x", "0\n", "-1", "\xE1\x9F", "zz"}) {
    INFO(text);
    REQUIRE_FALSE(from_hex(text));
    CHECK(from_hex(text).error().is(Errc::malformed));
  }
}

TEST_CASE("base32 is Crockford's alphabet, lower case, without padding") {
  // RFC 4648 section 10 has the same bits under another alphabet: MY = 12,24 = "cr", and so on.
  const Pair rows[] = {{"", ""},
                       {"f", "cr"},
                       {"fo", "csqg"},
                       {"foo", "csqpy"},
                       {"foob", "csqpyrg"},
                       {"fooba", "csqpyrk1"},
                       {"foobar", "csqpyrk1e8"}};
  for (const Pair& row : rows) {
    INFO(row.plain);
    CHECK(to_base32(as_bytes(row.plain)) == row.encoded);
    REQUIRE(from_base32(row.encoded));
    CHECK(*from_base32(row.encoded) == text_bytes(row.plain));
  }
}

TEST_CASE("base32 reads back every length and every byte") {
  Bytes bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(*from_base32(to_base32(bytes)) == bytes);
    bytes.push_back(static_cast<std::uint8_t>(i * 37));
  }
}

TEST_CASE("base32 forgives what people do when they read a code aloud") {
  const Bytes expected = *from_base32("011000csqpyrk1e8");
  CHECK(*from_base32("OiLo00-CSQP YRKI-E8") == expected);
  CHECK(*from_base32("oIlO00 csqpyrkle8") == expected);
}

TEST_CASE("base32 refuses a code that is mistyped or cut short") {
  for (std::string_view text :
       {"u", "cu", "c!", "cr=", "c", "cs", "csqpyrk1e", "crr", "000", "c\xC3\xA9"}) {
    INFO(text);
    REQUIRE_FALSE(from_base32(text));
    CHECK(from_base32(text).error().is(Errc::malformed));
  }
}

}  // namespace
}  // namespace fieldpost

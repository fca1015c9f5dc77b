// Names: UUIDv7 record ids, actors, sizes.
#include "base/ids.h"

#include <limits>

#include "tests/support/catch.h"

namespace fieldpost {
namespace {

constexpr std::array<std::uint8_t, 10> kOnes = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

TEST_CASE("a record id is a UUIDv7 with the time in front") {
  // Source: RFC 9562 appendix A.6, 2022-02-22T14:22:22-05:00.
  const Instant when{0x017F22E279B0};
  CHECK(to_text(when) == "2022-02-22T19:22:22.000Z");
  const RecordId id =
      make_record_id(when, {0xFC, 0xC3, 0x98, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F});
  CHECK(to_text(id) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST_CASE("version and variant of a record id do not depend on the random bytes") {
  CHECK(to_text(make_record_id({0}, {})) == "00000000-0000-7000-8000-000000000000");
  CHECK(to_text(make_record_id({0}, kOnes)) == "00000000-0000-7fff-bfff-ffffffffffff");
}

TEST_CASE("a record id can be made with any clock") {
  const std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  for (std::int64_t ms : {std::int64_t{-1}, std::int64_t{0}, kMax, kMin}) {
    const std::string text = to_text(make_record_id({ms}, kOnes));
    CHECK(text[14] == '7');
    CHECK(text[19] == 'b');
    CHECK(to_text(*record_id_from_text(text)) == text);
  }
}

TEST_CASE("record ids made later sort later") {
  CHECK(make_record_id({1'000}, kOnes) < make_record_id({1'001}, {}));
}

TEST_CASE("a record id reads in either case and writes in lower case") {
  const auto id = record_id_from_text("017F22E2-79B0-7CC3-98C4-DC0C0C07398F");
  REQUIRE(id);
  CHECK(to_text(*id) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST_CASE("a text that is not a record id is refused") {
  for (std::string_view text :
       {"", "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
        "017f22e279b0-7cc3-98c4-dc0c0c07398f-", "017f22e2 79b0 7cc3 98c4 dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "017f22e2-79b0-7cc3-98c4--c0c0c073980",
        "{17f22e2-79b0-7cc3-98c4-dc0c0c07398f"}) {
    INFO(text);
    REQUIRE_FALSE(record_id_from_text(text));
    CHECK(record_id_from_text(text).error().is(Errc::malformed));
  }
}

TEST_CASE("an id takes exactly its own number of bytes") {
  CHECK(KeyId::from(Bytes(8, 7)));
  CHECK_FALSE(KeyId::from(Bytes(7, 7)));
  CHECK_FALSE(KeyId::from(Bytes(9, 7)));
  CHECK(KeyId::from(Bytes(9, 7)).error().detail == "expected 8 bytes, found 9");
  CHECK(KeyId{}.is_zero());
  CHECK_FALSE(KeyId::from(Bytes(8, 7))->is_zero());
}

TEST_CASE("an actor is written with sixteen digits") {
  CHECK(ActorId{1}.hex() == "0000000000000001");
  CHECK(ActorId{0xA1B2C3D4E5F60718}.hex() == "a1b2c3d4e5f60718");
  CHECK(ActorId{std::numeric_limits<std::uint64_t>::max()}.hex() == "ffffffffffffffff");
  CHECK(*actor_from_text("a1b2c3d4e5f60718") == ActorId{0xA1B2C3D4E5F60718});
  for (const char* bad : {"", "1", "a1b2c3d4e5f6071", "a1b2c3d4e5f6071x", "a1b2c3d4e5f607180"})
    CHECK_FALSE(actor_from_text(bad));
}

}  // namespace
}  // namespace fieldpost

// What a tablet keeps of the hub's clock, and what it may conclude from it.
#include "agent/store/hub_time.h"

#include "keys/secret_file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;

namespace {

constexpr std::int64_t kNoon = 1'772'349'300'000;

sync::HubAnchor heard(std::int64_t at_ms, std::uint64_t boot = 7) {
  return {{Instant{at_ms}, 5'000}, boot};
}

}  // namespace

TEST_CASE("the hub's time is kept as it was heard last, not as it was latest") {
  const test::TempDir dir;
  const agent::DataDirectory data{dir.path()};
  CHECK_FALSE(agent::load_hub_time(data));
  REQUIRE(agent::save_hub_time(data, heard(kNoon + 1'000'000)));
  REQUIRE(agent::save_hub_time(data, heard(kNoon, 9)));
  const auto found = agent::load_hub_time(data);
  REQUIRE(found);
  CHECK(found->time.at == Instant{kNoon});
  CHECK(found->time.monotonic_ms == 5'000);
  CHECK(found->boot == 9);
}

TEST_CASE("a file of hub time that is damaged says nothing, and costs no start") {
  const test::TempDir dir;
  const agent::DataDirectory data{dir.path()};
  for (const char* text :
       {"", "{", "[]", "7", R"({"hub_ms": 1})", R"({"hub_ms": -1, "boot": 1, "monotonic_ms": 1})",
        R"({"hub_ms": "x", "boot": 1, "monotonic_ms": 1})",
        R"({"hub_ms": 18446744073709551615, "boot": 1, "monotonic_ms": 1})",
        R"({"hub_ms": 1e300, "boot": 1, "monotonic_ms": 1})"}) {
    INFO(text);
    REQUIRE(keys::write_file_atomically(data.hub_time(), as_bytes(std::string_view(text)), 0600));
    CHECK_FALSE(agent::load_hub_time(data));
  }
}

TEST_CASE("hub time goes on in the boot in which it was learned, and is a bound in any other") {
  const auto at = [](std::uint64_t boot, std::uint64_t monotonic_ms) {
    // Whatever the wall clock says.
    return sync::hub_time_at_least(heard(kNoon), {Instant{0}, boot, monotonic_ms}).ms;
  };
  CHECK(at(7, 5'000) == kNoon);
  CHECK(at(7, 65'000) == kNoon + 60'000);
  CHECK(at(8, 65'000) == kNoon);
  CHECK(at(7, 4'999) == kNoon);  // a machine put back to an earlier moment
}

TEST_CASE("a hub's word is not kept past the end of the certificate it came with") {
  CHECK(sync::up_to(heard(kNoon), std::nullopt).time.at == Instant{kNoon});
  CHECK(sync::up_to(heard(kNoon), Instant{kNoon + 1}).time.at == Instant{kNoon});
  CHECK(sync::up_to(heard(kNoon), Instant{kNoon - 1}).time.at == Instant{kNoon - 1});
}

// Times as text: the epoch, bad clocks, leap years, the ends of what fits.
#include <limits>

#include "base/ids.h"
#include "tests/support/catch.h"

namespace fieldpost {
namespace {

struct Row {
  std::int64_t ms;
  std::string_view text;
};

TEST_CASE("an instant is written in RFC 3339 and reads back") {
  const Row rows[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {1, "1970-01-01T00:00:00.001Z"},
      {946'684'800'000, "2000-01-01T00:00:00.000Z"},
      {951'782'400'000, "2000-02-29T00:00:00.000Z"},
      {1'709'164'800'000, "2024-02-29T00:00:00.000Z"},
      {1'709'251'200'000, "2024-03-01T00:00:00.000Z"},
      {2'085'978'496'000, "2036-02-07T06:28:16.000Z"},  // NTP era 0 ends
      {2'147'483'648'000, "2038-01-19T03:14:08.000Z"},  // 32-bit time_t ends
      {4'107'542'400'000, "2100-03-01T00:00:00.000Z"},  // 2100 is no leap year
      {4'107'456'000'000, "2100-02-28T00:00:00.000Z"},
      {253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
      {-62'135'596'800'000, "0001-01-01T00:00:00.000Z"},
      {-62'167'219'200'000, "0000-01-01T00:00:00.000Z"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(to_text(Instant{row.ms}) == row.text);
    REQUIRE(instant_from_text(row.text));
    CHECK(instant_from_text(row.text)->ms == row.ms);
  }
}

TEST_CASE("any 64-bit instant gives a text") {
  // A hostile or broken clock must not crash what prints it. Years outside 0–9999 do not read back.
  CHECK(to_text(Instant{std::numeric_limits<std::int64_t>::max()}) ==
        "292278994-08-17T07:12:55.807Z");
  CHECK(to_text(Instant{std::numeric_limits<std::int64_t>::min()}) ==
        "-292275055-05-16T16:47:04.192Z");
  CHECK(to_text(Instant{253'402'300'800'000}) == "10000-01-01T00:00:00.000Z");
  CHECK_FALSE(instant_from_text("10000-01-01T00:00:00.000Z"));
}

TEST_CASE("every day of four centuries survives the way to text and back") {
  constexpr std::int64_t kDayMs = 86'400'000;
  std::int64_t wrong = 0;
  for (std::int64_t day = -25'567; day < -25'567 + 146'097; ++day) {  // from 1900-01-01
    const Instant noonish{day * kDayMs + 43'210'987};
    const auto back = instant_from_text(to_text(noonish));
    if (!back || *back != noonish) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("local offsets, missing seconds and fractions are understood") {
  const Row rows[] = {
      {1'772'349'300'000, "2026-03-01T07:15:00Z"},
      {1'772'349'300'000, "2026-03-01T14:15:00+07:00"},
      {1'772'349'300'000, "2026-03-01T14:15+07:00"},
      {1'772'349'300'000, "2026-03-01t03:45:00-03:30"},
      {1'772'349'300'000, "2026-03-01 07:15:00.0Z"},
      {1'772'349'300'500, "2026-03-01T07:15:00.5Z"},
      {1'772'349'300'050, "2026-03-01T07:15:00.05Z"},
      {1'772'349'300'999, "2026-03-01T07:15:00.999999999Z"},
      {1'772'323'200'000, "2026-03-01T23:59:00+23:59"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    REQUIRE(instant_from_text(row.text));
    CHECK(instant_from_text(row.text)->ms == row.ms);
  }
}

TEST_CASE("a leap second is the second after it") {
  CHECK(instant_from_text("2016-12-31T23:59:60Z")->ms ==
        instant_from_text("2017-01-01T00:00:00Z")->ms);
}

TEST_CASE("a text that is not a time is refused, naming what is wrong") {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", "the date is not YYYY-MM-DD"},
      {"2026", "the date is not YYYY-MM-DD"},
      {"26-03-01T07:15:00Z", "the date is not YYYY-MM-DD"},
      {"2026-00-01T07:15:00Z", "month 0"},
      {"2026-13-01T07:15:00Z", "month 13"},
      {"2026-02-29T07:15:00Z", "day 29 of month 2"},
      {"2100-02-29T07:15:00Z", "day 29 of month 2"},
      {"2026-04-31T07:15:00Z", "day 31 of month 4"},
      {"2026-03-00T07:15:00Z", "day 0 of month 3"},
      {"2026-03-01", "the time of day is missing"},
      {"2026-03-01T7:15:00Z", "the time of day is not HH:MM"},
      {"2026-03-01T24:00:00Z", "the time of day is past 23:59:59"},
      {"2026-03-01T23:60:00Z", "the time of day is past 23:59:59"},
      {"2026-03-01T23:59:61Z", "the time of day is past 23:59:59"},
      {"2026-03-01T07:15:0Z", "the seconds are not SS"},
      {"2026-03-01T07:15:00.Z", "the fraction of a second"},
      {"2026-03-01T07:15:00", "it must end in Z or an offset"},
      {"2026-03-01T07:15:00+7:00", "it must end in Z or an offset"},
      {"2026-03-01T07:15:00+0700", "it must end in Z or an offset"},
      {"2026-03-01T07:15:00+24:00", "it must end in Z or an offset"},
      {"2026-03-01T07:15:00+07:60", "it must end in Z or an offset"},
      {"2026-03-01T07:15:00Z ", "it must end in Z or an offset"},
      {"2026-03-01T07:15:00.1234567890Z", "it must end in Z or an offset"},
      {"២០២៦-03-01T07:15:00Z", "the date is not YYYY-MM-DD"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    const auto result = instant_from_text(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().is(Errc::malformed));
    CHECK(result.error().detail.find(reason) != std::string::npos);
  }
}

}  // namespace
}  // namespace fieldpost

#include "schema/pattern.h"

#include <regex>

#include "schema/calendar.h"
#include "tests/support/catch.h"

using namespace fieldpost;
using namespace fieldpost::schema;

TEST_CASE("our patterns match what std::regex matches") {
  const char* const patterns[] = {
      "^([A-Z]{2}|unknown)$",
      "^[0-9]{2}-[A-Z0-9]{2,8}$",
      "^[0-9]{2}-[A-Z0-9]{2,8}-[A-Z0-9]{1,8}-[0-9]{4}-[0-9]{5,9}(-[A-Z0-9]{1,4})?$",
      "^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3,6}$",
      "^[0-9]{4}-(0[1-9]|1[0-2])$",
      R"(^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?(Z|[+-][0-9]{2}:[0-9]{2})$)",
      "^[A-Za-z0-9][A-Za-z0-9._/-]{0,31}$",
      "^[a-z]{1,20}/[a-z0-9.+-]{1,60}$",
      "^a{0,3}a{2}b?$"};
  const char* const texts[] = {"",
                               "KH",
                               "unknown",
                               "unknow",
                               "kh",
                               "KHM",
                               "01-PPT",
                               "01-P",
                               "01-PPT-T07-2026-00042",
                               "01-PPT-T07-2026-00042-B",
                               "01-PPT-T07-2026-00042-",
                               "7KQ2-M4TX-9ZB3-H0WD",
                               "7KQ2-M4TX-9ZB3",
                               "2026-13",
                               "2026-12",
                               "2026-03-14T07:12:00+07:00",
                               "2026-03-14T07:12Z",
                               "2026-03-14T07:12:00.123Z",
                               "2026-03-14T07:12:00.1234Z",
                               "2026-03-14T07:12",
                               "NP-2231",
                               ".x",
                               "image/svg+xml",
                               "image/",
                               "aa",
                               "aaaaa",
                               "aaaaaa",
                               "aaab",
                               "ខ",
                               "KH\n"};
  for (const char* pattern : patterns) {
    const auto ours = Pattern::compile(pattern);
    REQUIRE(ours);
    const std::regex theirs(pattern);
    for (const char* text : texts) {
      CAPTURE(pattern, text);
      CHECK(ours->matches(text) == std::regex_match(text, theirs));
    }
  }
}

TEST_CASE("a pattern knows its length when all that matches has one") {
  const auto length = [](const char* source) { return Pattern::compile(source)->fixed_length(); };
  CHECK(length("^[0-9]{4}-[0-9]{2}-[0-9]{2}$") == 10);
  CHECK(length("^$") == 0);
  CHECK_FALSE(length("^(ab){2}c$").has_value());  // groups are not looked into
  CHECK_FALSE(length("^[0-9]{1,2}$").has_value());
  CHECK_FALSE(length("^ab?$").has_value());
  CHECK_FALSE(length("^(ab|cd)$").has_value());
}

TEST_CASE("patterns outside the subset are refused") {
  for (const char* bad : {"abc",         "^abc",    "^a*$",   "^a+$",
                          "^.$",         "^\\d$",   "^[^a]$", "^a{2,1}$",
                          "^a{2$",       "^(a$",    "^a)$",   "^[a$",
                          "^a{1,2000}$", "^(?:a)$", "^a|b$",  "^((((((a))))))$",
                          "^\\$",        "",        "$^",     "^((a{1,9}){1000}){1000}$"}) {
    CAPTURE(bad);
    CHECK_FALSE(Pattern::compile(bad));
  }
}

TEST_CASE("a hostile text ends the search, not the program") {
  const auto pattern = Pattern::compile("^([a-z]{0,30}[a-z]{0,30}){1,20}!$");
  REQUIRE(pattern);
  CHECK_FALSE(pattern->matches(std::string(10'000, 'a')));
}

TEST_CASE("dates and instants exist in the calendar or not at all") {
  CHECK(days_of_date("1970-01-01") == 0);
  CHECK(days_of_date("2024-02-29").has_value());
  CHECK_FALSE(days_of_date("2026-02-29").has_value());
  CHECK_FALSE(days_of_date("0000-01-01").has_value());
  CHECK_FALSE(days_of_date("2026-1-01").has_value());
  CHECK(parse_instant("2026-03-14T07:00+07:00")->ms ==
        parse_instant("2026-03-14T00:00:00.000Z")->ms);
  CHECK(parse_instant("2026-03-14T01:00+07:00")->days == days_of_date("2026-03-14"));
  CHECK(parse_instant("2026-03-14T00:00:00.5Z")->ms - parse_instant("2026-03-14T00:00Z")->ms ==
        500);
  for (const char* bad : {"2026-03-14", "2026-03-14T24:00Z", "2026-03-14T23:60Z",
                          "2026-03-14T23:59:60Z", "2026-03-14T07:00", "2026-03-14T07:00+15:00",
                          "2026-03-14T07:00:00.Z", "2026-03-14T07:00:00.1234Z", "2026-03-14T07:00z",
                          "2026-02-30T07:00Z", "2026-03-14T07:00+07", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_instant(bad).has_value());
  }
  CHECK(instant_text(Instant{0}, 420) == "1970-01-01T07:00:00+07:00");
  CHECK(instant_text(Instant{1}, -330) == "1969-12-31T18:30:00.001-05:30");
  CHECK(instant_text(Instant{0}, 0) == "1970-01-01T00:00:00Z");
}

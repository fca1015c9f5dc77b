// UTF-8, Khmer digits and the small text helpers.
#include "base/text.h"

#include <limits>

#include "tests/support/catch.h"

namespace fieldpost {
namespace {

using std::string_view_literals::operator""sv;

TEST_CASE("text that is UTF-8 is taken") {
  const std::pair<std::string_view, std::size_t> rows[] = {
      {""sv, 0},
      {"Poipet"sv, 6},
      {"\0"sv, 1},
      {"\x7F"sv, 1},
      {"\xC2\x80"sv, 1},          // U+0080, the first of two bytes
      {"\xDF\xBF"sv, 1},          // U+07FF
      {"\xE0\xA0\x80"sv, 1},      // U+0800
      {"\xED\x9F\xBF"sv, 1},      // U+D7FF, the last before the surrogates
      {"\xEE\x80\x80"sv, 1},      // U+E000
      {"\xEF\xBF\xBF"sv, 1},      // U+FFFF
      {"\xF0\x90\x80\x80"sv, 1},  // U+10000
      {"\xF4\x8F\xBF\xBF"sv, 1},  // U+10FFFF
      {"ច្រកប៉ោយប៉ែត"sv, 12},
  };
  for (const auto& [text, count] : rows) {
    INFO(text);
    CHECK(is_utf8(text));
    CHECK(first_invalid_utf8(text) == std::string_view::npos);
    CHECK(code_points(text) == count);
  }
}

TEST_CASE("bytes that are not UTF-8 are refused at the first wrong byte") {
  const std::pair<std::string_view, std::size_t> rows[] = {
      {"\x80"sv, 0},  // a continuation alone
      {"ab\xBF"sv, 2},
      {"\xC0\x80"sv, 0},          // overlong NUL
      {"\xC1\xBF"sv, 0},          // overlong
      {"\xE0\x9F\xBF"sv, 0},      // overlong
      {"\xF0\x8F\xBF\xBF"sv, 0},  // overlong
      {"\xED\xA0\x80"sv, 0},      // U+D800, a surrogate
      {"\xED\xBF\xBF"sv, 0},      // U+DFFF
      {"\xF4\x90\x80\x80"sv, 0},  // U+110000
      {"\xF5\x80\x80\x80"sv, 0},
      {"\xFF"sv, 0},
      {"\xC2"sv, 0},  // cut short
      {"ok \xE1\x9F"sv, 3},
      {"\xF0\x90\x80"sv, 0},
      {"\xE1\x9F\x41"sv, 0},
      {"\xC2\x41"sv, 0},
      {"ខ\xE1"sv, 3},
  };
  for (const auto& [text, at] : rows) {
    CHECK_FALSE(is_utf8(text));
    CHECK(first_invalid_utf8(text) == at);
  }
}

TEST_CASE("Khmer digits become ASCII and everything else stays") {
  CHECK(ascii_digits("០១២៣៤៥៦៧៨៩") == "0123456789");
  CHECK(ascii_digits("ភ្នំពេញ ២A-១២៣៤") == "ភ្នំពេញ 2A-1234");
  CHECK(ascii_digits("0a9") == "0a9");
  CHECK(ascii_digits("").empty());
  CHECK(ascii_digits("\xE1\x9F\x9F\xE1\x9F\xAA") == "\xE1\x9F\x9F\xE1\x9F\xAA");  // the neighbours
  CHECK(ascii_digits("\xE1\x9F") == "\xE1\x9F");                                  // cut short
}

TEST_CASE("white space, also the invisible kind, goes from both ends only") {
  CHECK(trimmed(" \t\r\n\v\f2A-1234\n") == "2A-1234");
  CHECK(trimmed("\xEF\xBB\xBFid") == "id");
  CHECK(trimmed("\xE2\x80\x8B ចាន់ \xC2\xA0\xE2\x80\x8B") == "ចាន់");
  CHECK(trimmed("a b") == "a b");
  CHECK(trimmed(" \xE2\x80\x8B ").empty());
  CHECK(trimmed("").empty());
  CHECK(trimmed("à") == "à");  // C3 A0 ends like U+00A0 but is not
}

TEST_CASE("whole numbers read in either script") {
  const std::pair<std::string_view, std::int64_t> rows[] = {
      {"0", 0},
      {"-0", 0},
      {"42", 42},
      {"-42", -42},
      {"៤២", 42},
      {"-៤២", -42},
      {" ១2 ", 12},
      {"007", 7},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()}};
  for (const auto& [text, value] : rows) {
    INFO(text);
    REQUIRE(integer_from_text(text));
    CHECK(*integer_from_text(text) == value);
  }
}

TEST_CASE("what is not a whole number is refused") {
  for (std::string_view text :
       {"", " ", "-", "+1", "1.0", "1,000", "12g", "0x10", "1e3", "--1", "1 2",
        "9223372036854775808", "-9223372036854775809", "១២.៥", "½"}) {
    INFO(text);
    REQUIRE_FALSE(integer_from_text(text));
    CHECK(integer_from_text(text).error().is(Errc::malformed));
  }
}

TEST_CASE("split keeps empty parts") {
  using Parts = std::vector<std::string_view>;
  CHECK(split("a/b", '/') == Parts{"a", "b"});
  CHECK(split("", '/') == Parts{""});
  CHECK(split("/a//", '/') == Parts{"", "a", "", ""});
}

}  // namespace
}  // namespace fieldpost

// Errors as values: what they say, and that the macros hand them on.
#include "base/result.h"

#include "tests/support/catch.h"

namespace fieldpost {
namespace {

Result<int> parse(bool good) {
  if (!good) return fail(Errc::malformed, "line 3");
  return 7;
}

Result<std::string> twice(bool good) {
  FP_TRY(const int value, parse(good));
  FP_TRY(const int again, parse(good));
  return std::to_string(value + again);
}

Status only_checks(bool good) {
  FP_CHECK_OK(parse(good));
  return {};
}

TEST_CASE("an error says what and where") {
  CHECK(fail(Errc::malformed, "line 3").message() == "malformed: line 3");
  CHECK(fail(Errc::locked, "").message() == "in use by another process");
  CHECK(fail(Errc::locked, "").is(Errc::locked));
  CHECK_FALSE(fail(Errc::locked, "").is(Errc::io));
}

TEST_CASE("every error code has its own words") {
  for (int code = 1; code <= static_cast<int>(Errc::expired); ++code) {
    const std::string words = make_error_code(static_cast<Errc>(code)).message();
    INFO(code);
    CHECK(words.find("unknown") == std::string::npos);
    CHECK_FALSE(words.empty());
  }
  CHECK(make_error_code(static_cast<Errc>(999)).message() == "unknown error 999");
}

TEST_CASE("a failure reaches the caller unchanged, a value is bound") {
  CHECK(*twice(true) == "14");
  CHECK(twice(false).error().message() == "malformed: line 3");
  CHECK(only_checks(true));
  CHECK(only_checks(false).error().is(Errc::malformed));
}

}  // namespace
}  // namespace fieldpost

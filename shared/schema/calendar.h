// Dates and instants as the forms write them, exactly (schemas/README.md, x-kind).
//
// Thread rule: free functions; neither allocate nor throw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace fieldpost::schema {

/// Days since 1970-01-01 of "YYYY-MM-DD" in the Gregorian calendar, year 1 to 9999.
std::optional<std::int64_t> days_of_date(std::string_view text);

struct ParsedInstant {
  std::int64_t ms = 0;    ///< since 1970-01-01T00:00Z
  std::int64_t days = 0;  ///< the day it was written with, in its own offset
};

/// RFC 3339 with seconds optional; second 60 and offsets beyond 14:59 are refused.
std::optional<ParsedInstant> parse_instant(std::string_view text);

/// "2026-03-14T07:05:00+07:00" of an instant, in the offset given.
std::string instant_text(Instant at, int offset_minutes);
/// "+07:00", or "Z" for 0.
std::string offset_text(int offset_minutes);
std::string date_text(std::int64_t days);

}  // namespace fieldpost::schema

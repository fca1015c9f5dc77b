#include "base/ids.h"

#include <cstdio>
#include <limits>

#include "base/text.h"

namespace fieldpost {

namespace {

constexpr std::int64_t kDayMs = 86'400'000;

// Days since 1970-01-01 from a proleptic Gregorian date, and back.
// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
std::int64_t days_from_civil(std::int64_t y, unsigned m, unsigned d) {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto yoe = static_cast<unsigned>(y - era * 400);
  const unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + static_cast<std::int64_t>(doe) - 719468;
}

struct Civil {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

Civil civil_from_days(std::int64_t z) {
  z += 719468;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const auto doe = static_cast<unsigned>(z - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const unsigned day = doy - (153 * mp + 2) / 5 + 1;
  const unsigned month = mp < 10 ? mp + 3 : mp - 9;
  return {static_cast<std::int64_t>(yoe) + era * 400 + (month <= 2), month, day};
}

unsigned days_in_month(std::int64_t year, unsigned month) {
  constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

/// Reads exactly `width` digits at `position`, advancing it.
bool digits(std::string_view text, std::size_t& position, std::size_t width, unsigned& out) {
  if (position + width > text.size()) return false;
  out = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const char c = text[position + i];
    if (c < '0' || c > '9') return false;
    out = out * 10 + static_cast<unsigned>(c - '0');
  }
  position += width;
  return true;
}

bool expect(std::string_view text, std::size_t& position, char c) {
  if (position >= text.size() || text[position] != c) return false;
  ++position;
  return true;
}

/// Reads ".123" (1–9 digits) as milliseconds, cut, not rounded.
bool fraction(std::string_view text, std::size_t& position, unsigned& ms) {
  ms = 0;
  if (position >= text.size() || text[position] != '.') return true;
  ++position;
  std::size_t count = 0;
  while (position < text.size() && text[position] >= '0' && text[position] <= '9' && count < 9) {
    if (count < 3) ms = ms * 10 + static_cast<unsigned>(text[position] - '0');
    ++position;
    ++count;
  }
  for (std::size_t i = count; i < 3; ++i) ms *= 10;
  return count > 0;
}

bool zone(std::string_view text, std::size_t& position, std::int64_t& offset_ms) {
  offset_ms = 0;
  if (position >= text.size()) return false;
  const char sign = text[position++];
  if (sign == 'Z') return true;
  if (sign != '+' && sign != '-') return false;
  unsigned hours = 0;
  unsigned minutes = 0;
  if (!digits(text, position, 2, hours) || !expect(text, position, ':') ||
      !digits(text, position, 2, minutes) || hours > 23 || minutes > 59) {
    return false;
  }
  offset_ms = (static_cast<std::int64_t>(hours) * 60 + minutes) * 60'000 * (sign == '-' ? -1 : 1);
  return true;
}

}  // namespace

std::string ActorId::hex() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

Result<ActorId> actor_from_text(std::string_view hex) {
  FP_TRY(const Bytes bytes, from_hex(hex));
  ActorId actor;
  if (bytes.size() != sizeof actor.value)
    return fail(Errc::malformed, "an actor has 16 hexadecimal digits");
  for (const std::uint8_t byte : bytes) actor.value = actor.value << 8 | byte;
  return actor;
}

std::string to_text(const RecordId& id) {
  const std::string hex = id.hex();
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

Result<RecordId> record_id_from_text(std::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
      text[23] != '-') {
    return fail(Errc::malformed,
                "a record id has the form 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b (36 characters)");
  }
  std::string hex;
  for (char c : text) {
    if (c != '-') hex.push_back(c);
  }
  FP_TRY(const Bytes bytes, from_hex(hex));
  return RecordId::from(bytes);
}

RecordId make_record_id(Instant now, const std::array<std::uint8_t, 10>& random) {
  RecordId id;
  const auto ms = static_cast<std::uint64_t>(now.ms);
  for (int i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  std::memcpy(id.bytes.data() + 6, random.data(), random.size());
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (id.bytes[6] & 0x0F));
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3F));
  return id;
}

std::string to_text(Instant instant) {
  std::int64_t days = instant.ms / kDayMs;
  std::int64_t rest = instant.ms % kDayMs;
  if (rest < 0) {
    rest += kDayMs;
    --days;
  }
  const Civil date = civil_from_days(days);
  char text[64];
  std::snprintf(text, sizeof text, "%04lld-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<long long>(date.year), date.month, date.day,
                static_cast<int>(rest / 3'600'000), static_cast<int>(rest / 60'000 % 60),
                static_cast<int>(rest / 1000 % 60), static_cast<int>(rest % 1000));
  return text;
}

Result<Instant> instant_from_text(std::string_view text) {
  std::size_t at = 0;
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  std::int64_t offset_ms = 0;
  const auto bad = [&](std::string_view what) {
    return fail(Errc::malformed, "not a time: " + std::string(what) +
                                     " (expected for example 2026-03-01T07:15:00Z)");
  };
  if (!digits(text, at, 4, year) || !expect(text, at, '-') || !digits(text, at, 2, month) ||
      !expect(text, at, '-') || !digits(text, at, 2, day)) {
    return bad("the date is not YYYY-MM-DD");
  }
  if (month < 1 || month > 12) return bad("month " + std::to_string(month));
  if (day < 1 || day > days_in_month(year, month)) {
    return bad("day " + std::to_string(day) + " of month " + std::to_string(month));
  }
  if (!expect(text, at, 'T') && !expect(text, at, 't') && !expect(text, at, ' ')) {
    return bad("the time of day is missing");
  }
  if (!digits(text, at, 2, hour) || !expect(text, at, ':') || !digits(text, at, 2, minute)) {
    return bad("the time of day is not HH:MM");
  }
  if (at < text.size() && text[at] == ':') {
    ++at;
    if (!digits(text, at, 2, second)) return bad("the seconds are not SS");
    if (!fraction(text, at, ms)) return bad("the fraction of a second");
  }
  if (hour > 23 || minute > 59 || second > 60) return bad("the time of day is past 23:59:59");
  if (!zone(text, at, offset_ms) || at != text.size()) {
    return bad("it must end in Z or an offset such as +07:00");
  }
  const std::int64_t days = days_from_civil(year, month, day);
  return Instant{days * kDayMs +
                 ((static_cast<std::int64_t>(hour) * 60 + minute) * 60 + second) * 1000 + ms -
                 offset_ms};
}

}  // namespace fieldpost

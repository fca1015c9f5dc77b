#include "schema/calendar.h"

#include <cstdio>

namespace fieldpost::schema {

namespace {

/// Exactly `count` ASCII digits at `at`, or -1.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool is_at(std::string_view text, std::size_t at, char c) {
  return at < text.size() && text[at] == c;
}

int days_in_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
std::int64_t days_from_civil(std::int64_t y, int m, int d) {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t yoe = y - era * 400;
  const std::int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/// The offset's minutes at `at`, which must end the text.
std::optional<int> offset_at(std::string_view text, std::size_t at) {
  if (at + 1 == text.size() && text[at] == 'Z') return 0;
  if (at + 6 != text.size() || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':') {
    return std::nullopt;
  }
  const int hours = digits(text, at + 1, 2);
  const int minutes = digits(text, at + 4, 2);
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) return std::nullopt;
  return (hours * 60 + minutes) * (text[at] == '-' ? -1 : 1);
}

}  // namespace

std::optional<std::int64_t> days_of_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) {
    return std::nullopt;
  }
  return days_from_civil(year, month, day);
}

std::optional<ParsedInstant> parse_instant(std::string_view text) {
  if (text.size() < 17 || text[10] != 'T' || text[13] != ':') return std::nullopt;
  const auto days = days_of_date(text.substr(0, 10));
  const int hour = digits(text, 11, 2);
  const int minute = digits(text, 14, 2);
  if (!days || hour < 0 || hour > 23 || minute < 0 || minute > 59) return std::nullopt;
  std::size_t at = 16;
  int second = 0;
  int ms = 0;
  if (is_at(text, at, ':')) {
    second = digits(text, at + 1, 2);
    if (second < 0 || second > 59) return std::nullopt;
    at += 3;
    if (is_at(text, at, '.')) {
      int scale = 100;
      for (++at; scale > 0 && at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
        ms += (text[at] - '0') * scale;
        scale /= 10;
      }
      if (scale == 100) return std::nullopt;
    }
  }
  const auto offset = offset_at(text, at);
  if (!offset) return std::nullopt;
  const std::int64_t minutes = *days * 1440 + hour * 60 + minute - *offset;
  return ParsedInstant{(minutes * 60 + second) * 1000 + ms, *days};
}

std::string date_text(std::int64_t days) {
  return to_text(Instant{days * 86'400'000}).substr(0, 10);
}

std::string offset_text(int offset_minutes) {
  if (offset_minutes == 0) return "Z";
  const int minutes = offset_minutes < 0 ? -offset_minutes : offset_minutes;
  char text[16];
  std::snprintf(text, sizeof text, "%c%02d:%02d", offset_minutes < 0 ? '-' : '+',
                minutes / 60 % 100, minutes % 60);
  return text;
}

std::string instant_text(Instant at, int offset_minutes) {
  // to_text is total and gives "2026-03-01T07:15:00.000Z"; the milliseconds are kept when there are any.
  std::string text = to_text(Instant{at.ms + std::int64_t{offset_minutes} * 60'000});
  if (text.size() < 5) return text;
  text.pop_back();
  if (text.ends_with(".000")) text.resize(text.size() - 4);
  return text + offset_text(offset_minutes);
}

}  // namespace fieldpost::schema

#include "schema/words.h"

#include <algorithm>

#include "schema/calendar.h"

namespace fieldpost::schema {

std::string shortened(std::string_view text) {
  constexpr std::size_t kShownBytesMax = 80;
  if (text.size() <= kShownBytesMax) return std::string(text);
  std::size_t end = kShownBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

std::optional<bool> yes_or_no(std::string_view text) {
  constexpr std::string_view kYes[] = {"yes", "true", "1", "បាទ", "ចាស", "បាទ/ចាស"};
  constexpr std::string_view kNo[] = {"no", "false", "0", "ទេ"};
  const std::string word = ascii_lower(text);
  if (std::find(std::begin(kYes), std::end(kYes), word) != std::end(kYes)) return true;
  if (std::find(std::begin(kNo), std::end(kNo), word) != std::end(kNo)) return false;
  return std::nullopt;
}

std::string with_offset(std::string text, int offset_minutes) {
  const auto shaped = [&](std::size_t from, std::string_view extra) {
    return text.find_first_not_of("0123456789" + std::string(extra), from) == std::string::npos;
  };
  if (text.size() < 16 || text[4] != '-' || text[7] != '-' ||
      text.substr(0, 10).find_first_not_of("0123456789-") != std::string::npos) {
    return text;
  }
  // One or more spaces between date and time stand for the T. The day may still be no real one: that
  // is then reported as such, and not as a wrong form.
  if (text[10] == ' ')
    text = text.substr(0, 10) + "T" + text.substr(text.find_first_not_of(' ', 10));
  const bool bare = text.size() >= 16 && text[10] == 'T' && text[13] == ':' && shaped(11, ":.");
  return bare ? text + offset_text(offset_minutes) : text;
}

}  // namespace fieldpost::schema

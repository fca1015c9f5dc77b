#include "base/text.h"

#include <charconv>
#include <cstring>

namespace fieldpost {

namespace {

/// Length of the valid sequence at `text[i]`, or 0.
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const auto at = [&](std::size_t k) { return static_cast<std::uint8_t>(text[k]); };
  const auto continuation = [&](std::size_t k, std::uint8_t low = 0x80, std::uint8_t high = 0xBF) {
    return k < text.size() && at(k) >= low && at(k) <= high;
  };
  const std::uint8_t lead = at(i);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continuation(i + 1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const std::uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;   // no overlong forms
    const std::uint8_t high = lead == 0xED ? 0x9F : 0xBF;  // no surrogates
    return continuation(i + 1, low, high) && continuation(i + 2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const std::uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;  // nothing above U+10FFFF
    return continuation(i + 1, low, high) && continuation(i + 2) && continuation(i + 3) ? 4 : 0;
  }
  return 0;
}

constexpr std::string_view kSpaces[] = {" ",  "\t",       "\r",           "\n",          "\v",
                                        "\f", "\xC2\xA0", "\xE2\x80\x8B", "\xEF\xBB\xBF"};

}  // namespace

std::size_t first_invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    // Most text is ASCII: eight bytes at a time while it is.
    if (i + 8 <= text.size()) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, 8);
      if ((word & 0x8080808080808080U) == 0) {
        i += 8;
        continue;
      }
    }
    const std::size_t length = sequence_length(text, i);
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

bool is_utf8(std::string_view text) { return first_invalid_utf8(text) == std::string_view::npos; }

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (char c : text) {
    if ((static_cast<std::uint8_t>(c) & 0xC0) != 0x80) ++count;
  }
  return count;
}

std::string ascii_digits(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    // U+17E0–U+17E9 is E1 9F A0 – E1 9F A9.
    if (i + 2 < text.size() && text[i] == '\xE1' && text[i + 1] == '\x9F') {
      const auto last = static_cast<std::uint8_t>(text[i + 2]);
      if (last >= 0xA0 && last <= 0xA9) {
        out.push_back(static_cast<char>('0' + (last - 0xA0)));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (std::string_view space : kSpaces) {
      if (text.starts_with(space)) {
        text.remove_prefix(space.size());
        moved = true;
      }
      if (text.ends_with(space)) {
        text.remove_suffix(space.size());
        moved = true;
      }
    }
  }
  return text;
}

Result<std::int64_t> integer_from_text(std::string_view text) {
  const std::string ascii = ascii_digits(trimmed(text));
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(ascii.data(), ascii.data() + ascii.size(), value);
  if (error == std::errc::result_out_of_range) {
    return fail(Errc::malformed, "the number is out of range");
  }
  if (error != std::errc{} || end != ascii.data() + ascii.size()) {
    return fail(Errc::malformed, "not a whole number");
  }
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) break;
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace fieldpost

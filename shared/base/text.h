// Text: UTF-8 validity, Khmer digits, small helpers that every program needs.
//
// Thread rule: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fieldpost {

/// Strict UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF). Source: RFC 3629.
bool is_utf8(std::string_view text);

/// Byte offset of the first byte that is not UTF-8, or npos.
std::size_t first_invalid_utf8(std::string_view text);

/// Number of code points; `text` must be UTF-8.
std::size_t code_points(std::string_view text);

/// Khmer digits ០–៩ (U+17E0–U+17E9) become 0–9; everything else stays.
std::string ascii_digits(std::string_view text);

/// Without ASCII white space, U+00A0, U+200B and U+FEFF at both ends.
std::string_view trimmed(std::string_view text);

/// A decimal integer, whole text, ASCII or Khmer digits, optional '-'.
/// Errors: `malformed`.
Result<std::int64_t> integer_from_text(std::string_view text);

std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace fieldpost

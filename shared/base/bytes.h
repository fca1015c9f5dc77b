// Byte strings and their text forms.
//
// Thread rule: free functions and plain values; safe from any thread.
// Invariants:
//   1. Text decoders accept exactly what the encoders produce (plus upper/lower case where said).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fieldpost {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;

/// The bytes of a text, without copying. The view lives as long as the text.
inline BytesView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The text of some bytes, without copying. Says nothing about UTF-8 (see base/text.h).
inline std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(BytesView view) { return {view.begin(), view.end()}; }

/// Lower-case hexadecimal.
std::string to_hex(BytesView bytes);

/// Errors: `malformed` for an odd length or a character that is not hexadecimal (either case).
Result<Bytes> from_hex(std::string_view text);

/// Crockford base32, lower case, no padding (5 bits a character, most significant first).
/// Source: https://www.crockford.com/base32.html
std::string to_base32(BytesView bytes);

/// Case-insensitive; 'o' reads as 0, 'i' and 'l' as 1; '-' and ' ' are skipped.
/// Errors: `malformed` for any other character or for non-zero left-over bits.
Result<Bytes> from_base32(std::string_view text);

}  // namespace fieldpost

// Words that people type and forms do not say: yes and no, times without an offset.
//
// Thread rule: free functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fieldpost::schema {

/// yes true 1 បាទ ចាស បាទ/ចាស, no false 0 ទេ, in any case.
std::optional<bool> yes_or_no(std::string_view text);

/// "2026-03-14 07:05" and "2026-03-14T07:05" get the offset; anything else stays as it is.
std::string with_offset(std::string text, int offset_minutes);

/// A value as a message shows it: at most 80 bytes, cut between characters and marked.
std::string shortened(std::string_view text);

std::string ascii_lower(std::string_view text);

}  // namespace fieldpost::schema

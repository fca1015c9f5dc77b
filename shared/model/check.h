// The checks that changes and records share.
//
// Thread rule: free functions.
#pragma once

#include "model/record.h"

namespace fieldpost::model {

/// Of a seal as it is kept: an ephemeral public key, then an authenticator (16) and the content key (32).
inline constexpr std::size_t kEphemeralBytes = 32;
inline constexpr std::size_t kKeyBoxBytes = kEphemeralBytes + 48;

Status check_name(std::string_view what, std::string_view text);
Status check_value(std::string_view path, const Value& value);
/// Sorted by path, unique, valid paths and values, within limits.
Status check_fields(const std::vector<FieldValue>& fields);
/// Sorted, unique, complete and each used. `reason` may be nullptr.
Status check_seals(const std::vector<Seal>& seals, const std::vector<FieldValue>& fields,
                   const Value* reason);

}  // namespace fieldpost::model

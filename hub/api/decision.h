// What every decision of an operator carries: who, why, when.
//
// Thread rule: free functions.
#pragma once

#include "hub/api/api.h"

namespace fieldpost::hub {

/// "author" of a body; a default without it. Errors: `invalid_argument`.
Result<std::string> author_of(const nlohmann::json& body);
/// "note" of a body. Errors: `invalid_argument`.
Result<std::string> note_of(const nlohmann::json& body, bool required);
model::ChangeTimes times_of(const sync::TimeReading& now);

}  // namespace fieldpost::hub

// Documents given to a command as a file or on standard input.
//
// Thread rule: the command's only thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace fieldpost::agent {

/// "-" is standard input. Errors: `invalid_argument` naming the file; `io`, `not_found`.
Result<nlohmann::json> read_json_input(const std::string& file);

}  // namespace fieldpost::agent

// Looks at a hub's surroundings and says what an operator should change.
//
// Thread rule: main's thread.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace fieldpost::hub {

/// Prints a line per finding. Returns the number of things to mend. Errors: no hub there.
Result<int> doctor(const std::filesystem::path& directory);

}  // namespace fieldpost::hub

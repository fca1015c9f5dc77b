// The health authority's keys on its own machine, and what it does with them.
//
// Thread rule: free functions over a folder; one process at a time.
// Invariants:
//   1. Private keys stand in files of mode 0600 and leave the folder only sealed to a device.
//   2. A unit's key has a version; older versions are kept, so that older visits stay readable.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/health/statement.h"
#include "base/random_source.h"

namespace fieldpost::agent {

struct Authority {
  crypto::SigningKey signing;
  crypto::BoxKeyPair box;
};

/// Errors: `already_exists`; `io`.
Result<Authority> make_authority(const std::filesystem::path& folder, const RandomSource& random);
/// Errors: `not_found`, `malformed`, those of secret files.
Result<Authority> load_authority(const std::filesystem::path& folder);

/// A new key of the unit: version 1, or one more than the newest.
Result<Recipients> add_unit(const std::filesystem::path& folder, const std::string& unit,
                            const RandomSource& random);
/// The newest key of the unit, for one device.
Result<Grant> admit_device(const std::filesystem::path& folder, const std::string& unit,
                           const crypto::PublicKey& device_box, const RandomSource& random);

}  // namespace fieldpost::agent

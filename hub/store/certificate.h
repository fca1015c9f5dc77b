// The hub's TLS certificate and how it is renewed: a new key and certificate from the hub's own authority.
//
// Thread rule: free functions over files.
// Invariants:
//   1. Whenever a renewal is cut off, the folder holds one whole pair: the old one, or the new one after
//      finish_renewal, which every loading of the keys calls first.
//   2. Tablets trust the authority, which stays: they notice nothing of a renewal.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace fieldpost::hub {

/// What the certificate of a hub of this name names.
std::vector<std::string> certificate_names(const std::string& hub_name);

struct Renewed {
  Instant old_end;
  Instant new_end;
};
/// Replaces server.key and server.pem in the folder of keys. Errors: those of reading the keys and of the
/// authority; `invalid_argument` when the clock is earlier than the present certificate's start, and `expired` when
/// the authority has ended.
Result<Renewed> renew_certificate(const std::filesystem::path& keys,
                                  std::span<const std::string> names, Instant now, int days);
/// Ends a renewal that was cut off between its two files. Errors: `io`.
Status finish_renewal(const std::filesystem::path& keys);

}  // namespace fieldpost::hub

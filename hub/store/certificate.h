// The hub's TLS certificate and how it is renewed: a new key and certificate from the hub's own authority.
//
// Thread rule: free functions over files.
// Invariants:
//   1. Whenever a renewal is cut off, the folder holds one whole pair: the old one, or the new one after
//      finish_renewal, which every loading of the keys calls first.
//   2. Tablets trust the authority, which stays: they notice nothing of a renewal.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "keys/pki.h"

namespace fieldpost::hub {

/// What the certificate of a hub of this name names.
std::vector<std::string> certificate_names(const std::string& hub_name);

struct Renewal {
  Instant now;
  std::optional<int>
      days;  ///< from `now`; without it 365, or as long as the present one if that ends later
  bool clock_is_right =
      false;  ///< the operator's word: `now` is true although the present one begins later
};
struct Renewed {
  Instant old_end;
  Instant new_end;
};
/// Replaces server.key and server.pem in the folder of keys. The new one never ends before the present one: a tablet
/// that has heard a later hub time meanwhile would take it for expired. Errors: those of reading the keys and of the
/// authority; `invalid_argument` when the present one begins after `now` and nobody said that the clock is right, or
/// when `days` would end before it; `expired` when the authority has ended.
Result<Renewed> renew_certificate(const std::filesystem::path& keys,
                                  std::span<const std::string> names, const Renewal& renewal);
/// What is wrong with the dates of a certificate now and what to do, in a sentence; nothing when they hold. `name` is
/// what people call it.
std::optional<std::string> date_fault(const std::string& name, const keys::CertificateInfo& info,
                                      Instant now);
/// Ends a renewal that was cut off between its two files. Errors: `io`.
Status finish_renewal(const std::filesystem::path& keys);

}  // namespace fieldpost::hub

// The hub's own small certificate authority: EC P-256, over OpenSSL 3.
//
// Thread rule: free functions.
// Invariants:
//   1. A CA has path length 0 and signs only; a server certificate is for serverAuth only and names its hosts in the SAN.
//   2. Certificates stay small (no policies, no URLs): both travel in every handshake.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace fieldpost::keys {

struct KeyAndCertificate {
  std::string key_pem;  ///< PKCS#8, secret
  std::string certificate_pem;
};

/// Self-signed, valid 10 years from a day before `now` (tablets' clocks are off).
Result<KeyAndCertificate> make_ca(std::string_view common_name, Instant now);

/// `names`: host names and IP addresses, at least one; the first becomes the subject. Valid `days` from a day before `now`, and
/// not beyond the CA. Errors: `invalid_argument` for a name that is neither; `malformed` for the CA.
Result<KeyAndCertificate> issue_server_certificate(const KeyAndCertificate& ca,
                                                   std::span<const std::string> names, Instant now,
                                                   int days = 365);

struct CertificateInfo {
  std::string subject;             ///< common name
  std::string issuer;              ///< common name
  std::vector<std::string> names;  ///< of the SAN, as text
  Instant not_before;
  Instant not_after;
  bool ca = false;
  Fingerprint fingerprint;
};

/// The first certificate of the PEM. Errors: `malformed`.
Result<CertificateInfo> read_certificate(std::string_view pem);

/// Whether the key belongs to the first certificate. Errors: `malformed`, `invalid_argument` with the reason.
Status check_key_pair(const KeyAndCertificate& pair);

}  // namespace fieldpost::keys

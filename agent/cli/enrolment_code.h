// The code with which a tablet joins a hub, as the hub's operator hands it out.
//
// Thread rule: plain value, pure function.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"

namespace fieldpost::agent {

struct EnrolmentCode {
  std::string host;
  std::uint16_t port = 0;
  Fingerprint ca;  ///< of the hub's certificate authority: a tablet trusts nothing else
  Bytes secret;    ///< 16 bytes, for one use
};

/// HOST:PORT/LETTERS, the letters in either case with any dashes and spaces; [HOST] for an IPv6 address.
/// Errors: `invalid_argument`, saying what is wrong with it.
Result<EnrolmentCode> parse_enrolment_code(std::string_view text);

}  // namespace fieldpost::agent

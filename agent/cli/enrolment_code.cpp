#include "agent/cli/enrolment_code.h"

#include <algorithm>

#include "base/text.h"

namespace fieldpost::agent {

namespace {

constexpr std::size_t kFingerprintBytes = 32;
constexpr std::size_t kSecretBytes = 16;

}  // namespace

Result<EnrolmentCode> parse_enrolment_code(std::string_view text) {
  const auto wrong = [](const std::string& why) {
    return fail(Errc::invalid_argument,
                "this is no enrolment code (" + why +
                    "): type it as the hub's operator gave it, HOST:PORT/LETTERS");
  };
  const std::string_view bare = trimmed(text);
  const std::size_t slash = bare.find('/');
  if (slash == std::string_view::npos) return wrong("there is no '/' in it");
  const std::string_view address = bare.substr(0, slash);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return wrong("HOST:PORT must stand before the '/'");
  const auto port = integer_from_text(address.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return wrong("the port is not a number from 1 to 65535");
  const auto bytes = from_base32(bare.substr(slash + 1));
  if (!bytes || bytes->size() != kFingerprintBytes + kSecretBytes) {
    return wrong("its letters are mistyped or not complete");
  }
  EnrolmentCode code;
  code.host = std::string(address.substr(0, colon));
  if (code.host.size() > 2 && code.host.front() == '[')
    code.host = code.host.substr(1, code.host.size() - 2);
  code.port = static_cast<std::uint16_t>(*port);
  std::copy_n(bytes->begin(), kFingerprintBytes, code.ca.bytes.begin());
  code.secret.assign(bytes->begin() + kFingerprintBytes, bytes->end());
  return code;
}

}  // namespace fieldpost::agent

// What libFuzzer calls: the target that FIELDPOST_FUZZ_TARGET names.
#include <cstdlib>

#include "base/text.h"
#include "crypto/crypto.h"
#include "tests/fuzz/fuzz.h"

namespace fieldpost::fuzz {

void require_plain(const Error& error) {
  require(error.code.category() == fieldpost_category(), "an error has a code of this project");
  require(!error.detail.empty(), "an error says what is wrong");
  require(error.detail.size() <= 1024, "an error is a short sentence");
  require(is_utf8(error.detail), "an error is UTF-8");
}

void require_refusal(const Error& error) {
  require_plain(error);
  require(error.is(Errc::malformed) || error.is(Errc::too_large) || error.is(Errc::unsupported),
          "what does not decode is malformed, too large or unsupported");
}

}  // namespace fieldpost::fuzz

namespace {

const fieldpost::fuzz::Target& chosen() {
  static const fieldpost::fuzz::Target target = [] {
    if (!fieldpost::crypto::init()) std::abort();
    const char* name = std::getenv("FIELDPOST_FUZZ_TARGET");
    for (auto& candidate : fieldpost::fuzz::targets()) {
      if (name != nullptr && candidate.name == name) return candidate;
    }
    std::fprintf(stderr, "FIELDPOST_FUZZ_TARGET must name one of:");
    for (const auto& candidate : fieldpost::fuzz::targets())
      std::fprintf(stderr, " %s", candidate.name.c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }();
  return target;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& target = chosen();
  target.run({data, size});
  return 0;
}

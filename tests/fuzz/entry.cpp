// What libFuzzer calls: the target that FIELDPOST_FUZZ_TARGET names.
#include <cstdlib>
#include <memory>

#include "base/text.h"
#include "crypto/crypto.h"
#include "tests/fuzz/fuzz.h"

namespace fieldpost::fuzz {

namespace {

/// splitmix64, seeded with the input (FNV-1a): the same input is always run with the same others.
class Dice {
 public:
  explicit Dice(BytesView input) {
    for (const std::uint8_t byte : input) state_ = (state_ ^ byte) * 0x100000001b3ULL;
  }
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

/// One small damage. `out` has room for one byte more than the input; answers how many are used.
std::size_t damage(BytesView input, std::uint64_t dice, std::uint8_t* out) {
  static constexpr std::uint8_t kTelling[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0x90, 0x91, 0xa0, 0xa1,
                                              0xc0, 0xc2, 0xc3, 0xc4, 0xca, 0xcc, 0xcd, 0xce, 0xcf,
                                              0xd0, 0xd3, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xff};
  const std::size_t size = input.size();
  const std::size_t at = static_cast<std::size_t>(dice >> 16) % size;
  const auto byte = static_cast<std::uint8_t>(dice >> 8);
  const std::uint8_t telling = kTelling[byte % std::size(kTelling)];
  std::copy(input.begin(), input.end(), out);
  switch (dice & 7) {
    case 0:
      return at;  // cut
    case 1:
      out[at] ^= static_cast<std::uint8_t>(1U << (byte & 7));
      return size;
    case 2:
      out[at] = telling;
      return size;
    case 3:
      out[at] = static_cast<std::uint8_t>(out[at] + (byte & 1 ? 1 : 0xff));
      return size;
    case 4:
      std::copy(input.begin() + static_cast<std::ptrdiff_t>(at) + 1, input.end(), out + at);
      return size - 1;
    case 5:
      std::copy(input.begin() + static_cast<std::ptrdiff_t>(at), input.end(), out + at + 1);
      out[at] = (byte & 0x40) != 0 ? telling : byte;
      return size + 1;
    case 6:
      out[at] = byte;
      return size;
    default:
      std::swap(out[at], out[byte % size]);
      return size;
  }
}

}  // namespace

void run(const Target& target, BytesView input) {
  const auto exactly = [&](BytesView bytes) {
    const auto own = std::make_unique<std::uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), own.get());
    target.run({own.get(), bytes.size()});
  };
  exactly(input);
  if (input.empty()) return;
  Dice dice(input);
  Bytes changed(input.size() + 1);
  for (std::size_t i = 0; i < target.derived; ++i) {
    const std::size_t size = damage(input, dice.next(), changed.data());
    exactly(BytesView(changed).first(size));
  }
}

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
  fieldpost::fuzz::run(target, {data, size});
  return 0;
}

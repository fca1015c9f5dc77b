#include "keys/random.h"

#include <sodium.h>

namespace fieldpost::keys {

RandomSource system_random() {
  return [](std::span<std::uint8_t> bytes) { randombytes_buf(bytes.data(), bytes.size()); };
}

}  // namespace fieldpost::keys

#include "keys/clock.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>

#include "base/text.h"
#include "crypto/crypto.h"
#include "keys/secret_file.h"

namespace fieldpost::keys {

Instant system_now() {
  using namespace std::chrono;
  return {duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
}

std::uint64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

Result<std::uint64_t> boot_id() {
  FP_TRY(const Bytes text, read_file("/proc/sys/kernel/random/boot_id", 256));
  const Hash hash = crypto::hash("fieldpost.v1.boot-id", {as_bytes(trimmed(as_text(text)))});
  std::uint64_t id = 0;
  std::memcpy(&id, hash.bytes.data(), sizeof id);
  return std::max<std::uint64_t>(id, 1);
}

}  // namespace fieldpost::keys

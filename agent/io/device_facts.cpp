#include "agent/io/device_facts.h"

#include <sys/statvfs.h>

#include "base/text.h"
#include "keys/secret_file.h"

namespace fieldpost::agent {

namespace {

std::optional<std::string> small_file(const std::filesystem::path& path) {
  const auto bytes = keys::read_file(path, 4096);
  if (!bytes) return std::nullopt;
  return std::string(trimmed(as_text(*bytes)));
}

std::optional<std::uint32_t> battery_percent() {
  std::error_code failed;
  for (const auto& supply :
       std::filesystem::directory_iterator("/sys/class/power_supply", failed)) {
    if (small_file(supply.path() / "type") != "Battery") continue;
    const auto text = small_file(supply.path() / "capacity");
    const auto percent = integer_from_text(text.value_or(""));
    if (percent && *percent >= 0 && *percent <= 100) return static_cast<std::uint32_t>(*percent);
  }
  return std::nullopt;
}

}  // namespace

sync::DeviceFacts read_device_facts(const std::filesystem::path& data) {
  sync::DeviceFacts facts;
  struct statvfs volume {};
  if (::statvfs(data.c_str(), &volume) == 0) {
    facts.storage_free_bytes = static_cast<std::uint64_t>(volume.f_bavail) * volume.f_frsize;
  }
  facts.battery_percent = battery_percent();
  return facts;
}

}  // namespace fieldpost::agent

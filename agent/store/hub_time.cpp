#include "agent/store/hub_time.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "keys/secret_file.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kFileBytesMax = 4096;

}  // namespace

std::optional<sync::HubAnchor> load_hub_time(const DataDirectory& data) {
  const auto bytes = keys::read_file(data.hub_time(), kFileBytesMax);
  if (!bytes) return std::nullopt;
  const json file = json::parse(as_text(*bytes), nullptr, false);
  for (const char* name : {"hub_ms", "boot", "monotonic_ms"}) {
    if (!file.is_object() || !file.contains(name) || !file[name].is_number_unsigned())
      return std::nullopt;
  }
  const auto hub_ms = file["hub_ms"].get<std::uint64_t>();
  if (hub_ms > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return sync::HubAnchor{
      {Instant{static_cast<std::int64_t>(hub_ms)}, file["monotonic_ms"].get<std::uint64_t>()},
      file["boot"].get<std::uint64_t>()};
}

Status save_hub_time(const DataDirectory& data, const sync::HubAnchor& anchor) {
  const json file{
      {"hub_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(0, anchor.time.at.ms))},
      {"boot", anchor.boot},
      {"monotonic_ms", anchor.time.monotonic_ms}};
  return keys::write_file_atomically(data.hub_time(), as_bytes(file.dump() + "\n"), 0600);
}

}  // namespace fieldpost::agent

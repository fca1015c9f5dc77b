#include "hub/store/connections.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/resource.h>

namespace fieldpost::hub {

namespace {

struct Member {
  const char* name;
  std::uint32_t ConnectionSettings::*value;
  std::uint32_t least;
  std::uint32_t most;
};

constexpr std::uint32_t kTimerLeast = 100;
constexpr std::uint32_t kTimerMost = 3'600'000;
constexpr Member kMembers[] = {
    {"connections_max", &ConnectionSettings::connections_max, 64, 65'536},
    {"strangers_max", &ConnectionSettings::strangers_max, 16, 65'536},
    {"handshake_ms", &ConnectionSettings::handshake_ms, kTimerLeast, kTimerMost},
    {"header_ms", &ConnectionSettings::header_ms, kTimerLeast, kTimerMost},
    {"body_ms", &ConnectionSettings::body_ms, kTimerLeast, kTimerMost},
    {"idle_ms", &ConnectionSettings::idle_ms, kTimerLeast, kTimerMost},
    {"greeting_ms", &ConnectionSettings::greeting_ms, kTimerLeast, kTimerMost},
    {"silence_ms", &ConnectionSettings::silence_ms, kTimerLeast, kTimerMost},
    {"message_ms", &ConnectionSettings::message_ms, kTimerLeast, kTimerMost},
    {"close_ms", &ConnectionSettings::close_ms, kTimerLeast, kTimerMost},
};

}  // namespace

Result<ConnectionSettings> connection_settings(const nlohmann::json& object) {
  ConnectionSettings settings;
  for (const auto& [key, value] : object.items()) {
    const auto member = std::find_if(std::begin(kMembers), std::end(kMembers),
                                     [&](const Member& one) { return key == one.name; });
    if (member == std::end(kMembers))
      return fail(Errc::malformed, "member \"" + key + "\" of \"connections\" is unknown");
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < member->least ||
        value.get<std::uint64_t>() > member->most) {
      return fail(Errc::malformed,
                  "member \"" + key + "\" of \"connections\" must be a whole number from " +
                      std::to_string(member->least) + " to " + std::to_string(member->most));
    }
    settings.*(member->value) = value.get<std::uint32_t>();
  }
  if (settings.strangers_max >= settings.connections_max) {
    return fail(Errc::malformed,
                "in \"connections\", \"strangers_max\" must be below \"connections_max\", or "
                "strangers could take every place");
  }
  return settings;
}

ConnectionSettings fit_to_open_files(ConnectionSettings wanted, std::uint32_t beside) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  const rlim_t needed = rlim_t{wanted.connections_max} + beside;
  if (files.rlim_cur < needed) {
    rlimit more = files;
    more.rlim_cur = std::min(needed, files.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) files = more;
  }
  if (files.rlim_cur >= needed) return wanted;
  const auto left = static_cast<std::uint32_t>(
      files.rlim_cur > rlim_t{2} * beside ? files.rlim_cur - beside : files.rlim_cur / 2);
  wanted.connections_max = left;
  // Half of what there is stays for those who are known.
  wanted.strangers_max = std::min(wanted.strangers_max, left / 2);
  return wanted;
}

}  // namespace fieldpost::hub

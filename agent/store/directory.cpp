#include "agent/store/directory.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "keys/secret_file.h"

namespace fieldpost::agent {

std::filesystem::path default_data_path() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0') {
    return std::filesystem::path(data) / "fieldpost-agent";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : ".") / ".local/share/fieldpost-agent";
}

Result<std::string> api_token(const DataDirectory& data, const RandomSource& random) {
  auto found = keys::read_secret_file(data.token());
  if (found) return std::string(trimmed(as_text(*found)));
  if (!found.error().is(Errc::not_found)) return std::move(found).error();
  std::array<std::uint8_t, 32> bytes{};
  random(bytes);
  std::string token = to_base32(bytes);
  FP_CHECK_OK(keys::write_secret_file(data.token(), as_bytes(token + "\n")));
  return token;
}

Status write_run_file(const DataDirectory& data, const RunningDaemon& daemon) {
  const nlohmann::json json{{"address", "127.0.0.1:" + std::to_string(daemon.port)},
                            {"port", daemon.port},
                            {"pid", daemon.pid}};
  return keys::write_secret_file(data.run(), as_bytes(json.dump(2) + "\n"));
}

std::optional<RunningDaemon> read_run_file(const DataDirectory& data) {
  const auto bytes = keys::read_file(data.run(), keys::kSecretFileBytesMax);
  if (!bytes) return std::nullopt;
  const auto json = nlohmann::json::parse(as_text(*bytes), nullptr, false);
  if (!json.is_object() || !json.contains("port") || !json["port"].is_number_unsigned())
    return std::nullopt;
  RunningDaemon daemon;
  daemon.port = json["port"].get<std::uint16_t>();
  if (json.contains("pid") && json["pid"].is_number_integer())
    daemon.pid = json["pid"].get<std::int64_t>();
  return daemon;
}

void remove_run_file(const DataDirectory& data) {
  std::error_code ignored;
  std::filesystem::remove(data.run(), ignored);
}

}  // namespace fieldpost::agent

// The commands about backups that need no hub's API: keys, setting up, checking, restoring.
//
// Thread rule: main's thread. They say on standard error how far they are; what they found goes to the caller.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "hub/store/layout.h"

namespace fieldpost::hub {

/// Makes the recovery key. {"recovery_key", "file"}
Result<nlohmann::json> backup_key(const fs::path& directory, const fs::path& out);
/// Makes the repository and writes it into hub.json. {"directory", "every_hours", "keep", "recovery_key",
/// "same_volume", "running"}
Result<nlohmann::json> backup_setup(const fs::path& directory, const BackupSettings& backup);

struct BackupCheck {
  std::string from;    ///< a repository, with `key`; empty: the hub's own
  std::string key;     ///< file of the recovery key
  std::string number;  ///< empty: the newest
  bool all = false;
};
/// Reads backups whole. {"verified", "backups": [{"number", "time", "entries", "faults", "damaged"}]}
Result<nlohmann::json> backup_verify(const fs::path& directory, const BackupCheck& what);

struct Restoring {
  std::string from;
  std::string key;
  std::string number = "latest";
};
/// Makes `directory` a hub again. {"number", "time", "hub", "entries", "damaged", "directory", …}
Result<nlohmann::json> restore_hub(const fs::path& directory, const Restoring& what);

/// For doctor: what is to be mended about backups, in sentences; and what is well.
struct BackupHealth {
  std::vector<std::string> mend;
  std::vector<std::string> good;
};
BackupHealth backup_health(const fs::path& directory, const Settings& settings, Instant now);

void print_backup_key(const nlohmann::json& answer);
void print_backup_setup(const nlohmann::json& answer);
void print_backup_made(const nlohmann::json& answer);
void print_backups(const nlohmann::json& answer);
void print_backup_verify(const nlohmann::json& answer);
void print_restored(const nlohmann::json& answer);
/// The line of `status`.
std::string backup_line(const nlohmann::json& backup);

}  // namespace fieldpost::hub

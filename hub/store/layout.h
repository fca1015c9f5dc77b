// The hub's data directory: which file is what, how it is made and opened.
//
// Thread rule: start-up only.
// Invariants:
//   1. Everything secret is mode 0600 in a folder of mode 0700; opening refuses anything wider.
//   2. `init` never overwrites: an existing hub is refused.
//
//   hub.json           name, listen address, port (edit it by hand; defaults are written out)
//   keys/hub.seed      the hub's Ed25519 seed: its public key is the hub's id
//   keys/store.key     key of the stores' checksums
//   keys/ca.pem, ca.key, server.pem, server.key
//   keys/admin.token   what the command line and scripts show to the API
//   enforcement/ health/   one LMDB environment each
//   run.json           address and pid of the hub that runs; locked by it, so that one left behind by a
//                      hub that was killed is told from a living one, whoever has its pid now
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random_source.h"
#include "hub/retention/settings.h"
#include "hub/store/connections.h"
#include "storage/kv_hub_store.h"
#include "storage/lmdb/lmdb_kv.h"
#include "storage/value_codec.h"

namespace fieldpost::hub {

namespace fs = std::filesystem;

/// Where and when backups are made: the member "backup" of hub.json.
struct BackupSettings {
  std::string directory;     ///< absolute: of the repository
  unsigned every_hours = 6;  ///< 1 to 8760
  unsigned keep = 28;        ///< 1 to 10000: so many backups stay
};

struct Settings {
  std::string name;  ///< host name in the certificate and in enrolment codes
  std::string listen = "0.0.0.0";
  std::uint16_t port = 7443;
  unsigned threads = 0;  ///< 0: one per core
  std::string log_level = "info";
  std::optional<BackupSettings> backup;
  ConnectionSettings connections;
  RetentionSettings retention;
};

struct Keys {
  crypto::SigningKey signing;
  crypto::SymmetricKey store;
  std::string ca_pem;
  std::string server_pem;  ///< followed by the CA's
  std::string server_key_pem;
  std::string admin_token;
};

struct OpenStore {
  std::string name;
  std::unique_ptr<storage::LmdbKv> kv;
  std::unique_ptr<storage::HubStore> store;
};

/// Errors: `already_exists`, `invalid_argument`, `io`.
Status init(const fs::path& directory, const Settings& settings, const RandomSource& random,
            Instant now);
/// Errors: `not_found` with the command that makes a hub; `malformed` naming file and member.
Result<Settings> load_settings(const fs::path& directory);
/// Errors: `invalid_argument`, naming the member and its range.
Status check_backup_settings(const BackupSettings& backup);
/// Puts the member "backup" into hub.json; the other members stay as they are. Errors: `invalid_argument`.
Status save_backup_settings(const fs::path& directory, const BackupSettings& backup);
Result<Keys> load_keys(const fs::path& directory);
/// Of the store `name` ("enforcement" or "health"): its place, tables and format.
storage::LmdbOptions store_options(const fs::path& directory, const std::string& name);
/// How values stand in the stores.
std::unique_ptr<storage::ValueCodec> store_codec(const crypto::SymmetricKey& key);
inline constexpr const char* kStoreNames[] = {"enforcement", "health"};
/// Opens both stores. Serving, the epoch goes on only if both stopped cleanly and nobody asked for a new one.
/// Errors: `locked` when a hub runs here.
Result<std::vector<OpenStore>> open_stores(const fs::path& directory, const Keys& keys,
                                           const RandomSource& random,
                                           storage::Opening opening = storage::Opening::serving,
                                           bool new_epoch = false);

/// Where a running hub listens, or nothing.
struct Running {
  std::string address = "127.0.0.1";  ///< to connect to from this machine
  std::uint16_t port = 0;
  int pid = 0;
};
std::optional<Running> running(const fs::path& directory);
/// The address under which this machine reaches a hub that listens on `listen`.
std::string local_address(const std::string& listen);

/// run.json while it lives; held by the running hub.
class RunFile {
 public:
  static Result<RunFile> write(const fs::path& directory, const Running& running);
  RunFile(RunFile&& other) noexcept;
  RunFile& operator=(RunFile&&) = delete;
  ~RunFile();

 private:
  RunFile(fs::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  fs::path path_;
  int descriptor_ = -1;
};

}  // namespace fieldpost::hub

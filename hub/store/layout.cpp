#include "hub/store/layout.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "hub/store/certificate.h"
#include "keys/pki.h"
#include "keys/secret_file.h"
#include "storage/hub_tables.h"
#include "storage/kv_hub_store.h"

namespace fieldpost::hub {

namespace {

using nlohmann::json;

constexpr std::array kTables = {"meta",      "records",   "log",       "feed",        "feed_ends",
                                "actors",    "batches",   "by_record", "held",        "exceptions",
                                "conflicts", "units",     "devices",   "invitations", "starts",
                                "staged",    "recovered", "backed_up", "damaged",     "gaps",
                                "erased",    "holds",     "ledger"};
static_assert(kTables.size() == storage::hub_tables::kTableCount,
              "one name for each of hub_tables.h");
/// 4: tables for erased records, legal holds and the ledger of both.
/// 3: tables for a hub's starts, for recovery and for what the disk damaged.
/// 2: a record's position stands before its packed state.
constexpr std::uint32_t kFormatVersion = 4;
constexpr std::size_t kSettingsBytesMax = 64 * 1024;
/// `init` writes 52; below this a token is a truncated file and no secret.
constexpr std::size_t kTokenBytesMin = 32;
const std::vector<std::string> kLogLevels = {"trace",   "debug", "info",     "warn",
                                             "warning", "error", "critical", "off"};

fs::path keys_of(const fs::path& directory) { return directory / "keys"; }

/// What is wrong with them, or nothing.
std::optional<std::string> fault_of(const BackupSettings& backup) {
  if (!backup.directory.starts_with('/')) return "\"directory\" must be an absolute path";
  if (backup.every_hours < 1 || backup.every_hours > 8760)
    return "\"every_hours\" must be from 1 to 8760";
  if (backup.keep < 1 || backup.keep > 10'000) return "\"keep\" must be from 1 to 10000";
  return std::nullopt;
}

Result<BackupSettings> backup_settings(const json& object) {
  BackupSettings backup;
  for (const auto& [key, value] : object.items()) {
    const bool number = value.is_number_unsigned() && value.get<std::uint64_t>() <= UINT32_MAX;
    if (key == "directory" && value.is_string())
      backup.directory = value;
    else if (key == "every_hours" && number)
      backup.every_hours = value;
    else if (key == "keep" && number)
      backup.keep = value;
    else
      return fail(Errc::malformed, "member \"" + key + "\" of \"backup\" is unknown or no number");
  }
  if (const auto fault = fault_of(backup)) return fail(Errc::malformed, "in \"backup\", " + *fault);
  return backup;
}

Status write_keys(const fs::path& keys, const Settings& settings, const RandomSource& random,
                  Instant now) {
  const auto seed = random_id<Nonce>(random);
  const auto store = random_id<Nonce>(random);
  const auto token = random_id<Nonce>(random);
  FP_CHECK_OK(keys::write_secret_file(keys / "hub.seed", seed.view()));
  FP_CHECK_OK(keys::write_secret_file(keys / "store.key", store.view()));
  FP_CHECK_OK(keys::write_secret_file(keys / "admin.token", as_bytes(to_base32(token.view()))));
  FP_TRY(const keys::KeyAndCertificate ca, keys::make_ca("Fieldpost hub " + settings.name, now));
  const auto names = certificate_names(settings.name);
  FP_TRY(const keys::KeyAndCertificate server, keys::issue_server_certificate(ca, names, now));
  FP_CHECK_OK(keys::write_secret_file(keys / "ca.key", as_bytes(ca.key_pem)));
  FP_CHECK_OK(keys::write_file_atomically(keys / "ca.pem", as_bytes(ca.certificate_pem)));
  FP_CHECK_OK(keys::write_secret_file(keys / "server.key", as_bytes(server.key_pem)));
  return keys::write_file_atomically(keys / "server.pem", as_bytes(server.certificate_pem));
}

Result<std::string> text_of(const fs::path& path, bool secret) {
  FP_TRY(const Bytes bytes,
         secret ? keys::read_secret_file(path) : keys::read_file(path, kSettingsBytesMax));
  return std::string(as_text(bytes));
}

Result<Nonce> key_of(const fs::path& path) {
  FP_TRY(const Bytes bytes, keys::read_secret_file(path));
  const auto key = Nonce::from(bytes);
  if (!key)
    return fail(Errc::malformed,
                path.string() + ": " + key.error().detail + "; restore it from a backup");
  return *key;
}

}  // namespace

storage::LmdbOptions store_options(const fs::path& directory, const std::string& name) {
  storage::LmdbOptions options;
  options.directory = directory / name;
  options.tables.assign(kTables.begin(), kTables.end());
  options.format_name = "fieldpost-hub-" + name;
  options.format_version = kFormatVersion;
  options.steps = {{2, {}}, {3, {}}};
  return options;
}

namespace {

/// An `init` that was cut off may be given again; one over a hub that only lost its hub.json would end that hub: no
/// tablet knows other keys, and no store opens with them. Errors: `already_exists`; the stores'.
Status check_unused(const fs::path& directory) {
  const auto used = [&] {
    return fail(
        Errc::already_exists,
        directory.string() +
            " holds a hub's keys and records and no hub.json; nothing was changed. Write "
            "hub.json again, at least {\"name\": \"HOST\"}, with \"port\" and \"backup\" as "
            "they were, or restore a backup into a new folder");
  };
  std::error_code unreadable;
  if (fs::exists(keys_of(directory) / "backup.key", unreadable)) return used();
  for (const char* name : kStoreNames) {
    if (!fs::exists(directory / name, unreadable)) continue;
    storage::LmdbOptions options = store_options(directory, name);
    options.create = true;
    FP_TRY(const auto kv, storage::LmdbKv::open(options));
    std::uint64_t noted = 0;
    FP_CHECK_OK(kv->view([&](const storage::KvRead& read) -> Status {
      FP_TRY(noted, read.count(storage::hub_tables::kMeta));
      return {};
    }));
    if (noted > 0) return used();
  }
  return {};
}

}  // namespace

Status init(const fs::path& directory, const Settings& settings, const RandomSource& random,
            Instant now) {
  if (settings.name.empty() || settings.name.size() > 253 ||
      settings.name.find_first_of(" /\t\n") != std::string::npos) {
    return fail(Errc::invalid_argument,
                "--name must be the host name or IP address under which tablets reach the hub");
  }
  std::error_code unreadable;
  if (fs::exists(directory / "hub.json", unreadable)) {
    return fail(Errc::already_exists,
                directory.string() + " already holds a hub; choose another --data directory");
  }
  FP_CHECK_OK(check_unused(directory));
  FP_CHECK_OK(keys::make_private_directory(directory));
  FP_CHECK_OK(keys::make_private_directory(keys_of(directory)));
  FP_CHECK_OK(write_keys(keys_of(directory), settings, random, now));
  FP_TRY(const Keys made, load_keys(directory));
  for (const char* name : kStoreNames) {
    storage::LmdbOptions options = store_options(directory, name);
    options.create = true;
    FP_TRY(const auto kv, storage::LmdbKv::open(options));
    (void)kv;
  }
  const json text = {{"name", settings.name},
                     {"listen", settings.listen},
                     {"port", settings.port},
                     {"threads", settings.threads},
                     {"log_level", settings.log_level}};
  // Last: a directory with hub.json is a whole hub.
  return keys::write_file_atomically(directory / "hub.json", as_bytes(text.dump(2) + "\n"), 0600);
}

Result<Settings> load_settings(const fs::path& directory) {
  const fs::path path = directory / "hub.json";
  auto text = text_of(path, false);
  if (!text && !text.error().is(Errc::not_found)) return text.error();
  std::error_code unreadable;
  if (!text && fs::exists(keys_of(directory) / "hub.seed", unreadable)) {
    return fail(
        Errc::not_found,
        path.string() +
            " is missing, and the hub's keys are there: write it again, at least {\"name\": "
            "\"HOST\"}; if `fieldpost-hub init` was cut off, give it again");
  }
  if (!text) {
    return fail(Errc::not_found, "no hub in " + directory.string() +
                                     "; make one with: fieldpost-hub init --name HOST --data " +
                                     directory.string());
  }
  const json parsed = json::parse(*text, nullptr, false);
  const auto bad = [&](const std::string& what) {
    return fail(Errc::malformed, path.string() + ": " + what);
  };
  if (!parsed.is_object()) return bad("not a JSON object; correct it or restore it from a backup");
  Settings settings;
  for (const auto& [key, value] : parsed.items()) {
    const bool number = value.is_number_unsigned();
    if (key == "name" && value.is_string())
      settings.name = value;
    else if (key == "listen" && value.is_string())
      settings.listen = value;
    else if (key == "log_level" && value.is_string() &&
             std::find(kLogLevels.begin(), kLogLevels.end(), value.get<std::string>()) !=
                 kLogLevels.end())
      settings.log_level = value;
    else if (key == "port" && number && value.get<std::uint64_t>() < 65536)
      settings.port = value;
    else if (key == "backup" && value.is_object()) {
      auto backup = backup_settings(value);
      if (!backup) return bad(backup.error().detail);
      settings.backup = *std::move(backup);
    } else if (key == "connections" && value.is_object()) {
      auto connections = connection_settings(value);
      if (!connections) return bad(connections.error().detail);
      settings.connections = *connections;
    } else if (key == "retention" && value.is_object()) {
      auto retention = retention_settings(value);
      if (!retention) return bad(retention.error().detail);
      settings.retention = *std::move(retention);
    } else if (key == "threads" && number && value.get<std::uint64_t>() <= 256)
      settings.threads = value;
    else
      return bad("member \"" + key + "\" is unknown or has a value out of range");
  }
  if (settings.name.empty()) return bad("member \"name\" is missing");
  return settings;
}

Status check_backup_settings(const BackupSettings& backup) {
  if (const auto fault = fault_of(backup)) return fail(Errc::invalid_argument, *fault);
  return {};
}

Status save_backup_settings(const fs::path& directory, const BackupSettings& backup) {
  FP_CHECK_OK(check_backup_settings(backup));
  FP_CHECK_OK(load_settings(directory));
  const fs::path path = directory / "hub.json";
  FP_TRY(const std::string text, text_of(path, false));
  json settings = json::parse(text, nullptr, false);
  settings["backup"] = {
      {"directory", backup.directory}, {"every_hours", backup.every_hours}, {"keep", backup.keep}};
  return keys::write_file_atomically(path, as_bytes(settings.dump(2) + "\n"), 0600);
}

Result<Keys> load_keys(const fs::path& directory) {
  const fs::path folder = keys_of(directory);
  Keys out;
  struct stat info {};
  if (::stat(folder.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return fail(Errc::unauthorised, folder.string() + " is open to others: `chmod 700 " +
                                        folder.string() + "`, and consider its keys as known");
  }
  FP_TRY(const Nonce seed, key_of(folder / "hub.seed"));
  crypto::Seed secret;
  secret.bytes = seed.bytes;
  out.signing = crypto::signing_key(secret);
  FP_TRY(const Nonce store, key_of(folder / "store.key"));
  out.store.bytes = store.bytes;
  FP_CHECK_OK(finish_renewal(folder));
  FP_TRY(out.ca_pem, text_of(folder / "ca.pem", false));
  FP_TRY(const std::string server, text_of(folder / "server.pem", false));
  for (const auto& [name, pem] : {std::pair<const char*, const std::string*>{"ca.pem", &out.ca_pem},
                                  {"server.pem", &server}}) {
    if (!keys::read_certificate(*pem))
      return fail(Errc::malformed,
                  (folder / name).string() + " is damaged; restore it from a backup");
  }
  out.server_pem = server + out.ca_pem;
  FP_TRY(out.server_key_pem, text_of(folder / "server.key", true));
  FP_TRY(const std::string token, text_of(folder / "admin.token", true));
  out.admin_token = std::string(trimmed(token));  // an editor adds a line's end
  if (out.admin_token.size() < kTokenBytesMin) {
    return fail(Errc::malformed,
                (folder / "admin.token").string() + " holds no token of at least " +
                    std::to_string(kTokenBytesMin) + " characters; restore it from a backup");
  }
  return out;
}

std::unique_ptr<storage::ValueCodec> store_codec(const crypto::SymmetricKey& key) {
  return std::make_unique<storage::ChecksumCodec>(
      key, wire::Dictionary::v1(wire::Dictionary::kStoreLevel));
}

Result<std::vector<OpenStore>> open_stores(const fs::path& directory, const Keys& keys,
                                           const RandomSource& random, storage::Opening opening,
                                           bool new_epoch) {
  std::vector<OpenStore> stores;
  // A hub speaks with one epoch: it goes on only if every store says the same one.
  std::optional<Epoch> kept;
  bool clean = !new_epoch;
  for (const char* name : kStoreNames) {
    OpenStore open;
    open.name = name;
    FP_TRY(open.kv, storage::LmdbKv::open(store_options(directory, name)));
    FP_TRY(const auto epoch, storage::clean_epoch(*open.kv));
    clean = clean && epoch && (!kept || *kept == *epoch);
    kept = epoch;
    stores.push_back(std::move(open));
  }
  FP_TRY(const HubId hub, HubId::from(keys.signing.public_key.view()));
  const storage::HubIdentity identity{hub, clean ? *kept : random_id<Epoch>(random),
                                      random_id<StartId>(random)};
  const auto maker = [key = keys.store] { return store_codec(key); };
  for (OpenStore& open : stores) {
    FP_TRY(open.store, storage::open_hub_store(*open.kv, maker, identity, opening));
  }
  return stores;
}

std::string local_address(const std::string& listen) {
  if (listen == "0.0.0.0") return "127.0.0.1";
  if (listen == "::") return "::1";
  return listen;
}

std::optional<Running> running(const fs::path& directory) {
  const fs::path path = directory / "run.json";
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  // A hub that was killed leaves its file behind, but not its lock.
  const bool alive = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  if (!alive) return std::nullopt;
  const auto text = keys::read_file(path, kSettingsBytesMax);
  if (!text) return std::nullopt;
  const json parsed = json::parse(as_text(*text), nullptr, false);
  const auto number = [&](const char* name) {
    return parsed.is_object() && parsed.contains(name) && parsed[name].is_number_unsigned();
  };
  if (!number("port") || !number("pid")) return std::nullopt;
  Running found;
  found.port = parsed["port"];
  found.pid = parsed["pid"];
  if (parsed.contains("address") && parsed["address"].is_string())
    found.address = parsed["address"];
  return found;
}

Result<RunFile> RunFile::write(const fs::path& directory, const Running& running) {
  const fs::path path = directory / "run.json";
  const fs::path fresh = directory / ".run.json.new";
  const std::string text =
      json{{"address", running.address}, {"port", running.port}, {"pid", running.pid}}.dump();
  RunFile file(path, ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  // Locked before it gets its name: nobody sees it without its lock.
  const bool written =
      file.descriptor_ >= 0 && ::flock(file.descriptor_, LOCK_EX | LOCK_NB) == 0 &&
      ::write(file.descriptor_, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::rename(fresh.c_str(), path.c_str()) == 0;
  if (!written)
    return fail(Errc::io, "cannot write " + path.string() + ": " + std::strerror(errno));
  return file;
}

RunFile::RunFile(RunFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

RunFile::~RunFile() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

}  // namespace fieldpost::hub

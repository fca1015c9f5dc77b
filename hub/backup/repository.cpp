#include "hub/backup/repository.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "storage/value_codec.h"

namespace fieldpost::hub::backup {

using nlohmann::json;

namespace {

constexpr const char* kHeadFile = "repository.json";
constexpr const char* kWhat = "fieldpost-backup";
constexpr unsigned kVersion = 1;
constexpr std::size_t kHeadBytesMax = 64 * 1024;
constexpr std::size_t kFileBytesMax = storage::kValueBytesMax + (std::size_t{4} << 20);
constexpr std::size_t kManifestBytesMax = std::size_t{256} << 20;

Error named(Error error, const fs::path& file) {
  error.detail = file.string() + " " + error.detail;
  return error;
}

std::string readme(const std::string& hub_name, const std::string& recovery) {
  return "Sealed backups of the Fieldpost hub " + hub_name +
         ".\n\nNothing here can be read without the recovery key " + recovery +
         ", which is kept in a safe. To make the\nhub again from it, on any machine with "
         "fieldpost-hub:\n\n  fieldpost-hub restore --from THIS_FOLDER --key RECOVERY_KEY_FILE "
         "--data NEW_FOLDER\n\nDo not change or rename anything. Copies of the whole folder are "
         "as good as the folder.\n";
}

Result<std::vector<fs::path>> listed(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) found.push_back(at->path());
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Errc::io, folder.string() + " cannot be read: " + error.message());
  return found;
}

bool temporary(const fs::path& path) { return path.filename().string().starts_with('.'); }

std::optional<ChunkId> id_of_file(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.size() != 2 * ChunkId::kSize) return std::nullopt;
  const auto bytes = from_hex(name);
  if (!bytes || to_hex(*bytes) != name) return std::nullopt;
  return *ChunkId::from(*bytes);
}

template <class Id>
Result<Id> id_member(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return fail(Errc::malformed, name);
  FP_TRY(const Bytes bytes, from_hex(found->get<std::string>()));
  return Id::from(bytes);
}

}  // namespace

// ---- making and opening ----

namespace {

bool inside(const fs::path& path, const fs::path& folder) {
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

std::string why() { return std::error_code(errno, std::generic_category()).message(); }

}  // namespace

Status check_place(const fs::path& hub_directory, const fs::path& folder) {
  std::error_code ignored;
  const fs::path hub = fs::weakly_canonical(hub_directory, ignored);
  const fs::path here = fs::weakly_canonical(folder, ignored);
  if (inside(here, hub))
    return fail(Errc::invalid_argument,
                folder.string() + " lies inside the hub's own folder (" + hub_directory.string() +
                    "): what takes that takes the backups; name a folder on another disk");
  if (inside(hub, here))
    return fail(Errc::invalid_argument, "the hub's own folder (" + hub_directory.string() +
                                            ") lies inside " + folder.string() +
                                            ": name a folder on another disk");
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) {
    const fs::path parent = here.parent_path();
    if (errno != ENOENT) return fail(Errc::io, folder.string() + " cannot be looked at: " + why());
    if (!fs::is_directory(parent, ignored))
      return fail(Errc::io, "there is no folder " + parent.string() +
                                ": is its disk mounted? Make it first, or name another");
    if (::access(parent.c_str(), W_OK | X_OK) != 0)
      return fail(Errc::io, "this program may not make a folder in " + parent.string() + ": " +
                                why() + "; give it to the hub's user, or name another");
    return {};
  }
  if (!S_ISDIR(info.st_mode))
    return fail(Errc::invalid_argument, folder.string() + " is a file: name a folder");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Errc::unauthorised, folder.string() +
                                        " may be written by others, who could delete backups: "
                                        "`chmod 700 " +
                                        folder.string() + "`");
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0)
    return fail(Errc::io, "this program may not write in " + folder.string() + ": " + why() +
                              "; give it to the hub's user, or name another");
  return {};
}

Status Repository::make(const fs::path& folder, const HubId& hub, const std::string& hub_name,
                        const HubBackupKeys& keys, const RandomSource& random) {
  std::error_code ignored;
  if (fs::exists(folder / kHeadFile, ignored)) {
    FP_CHECK_OK(open(folder, hub, keys, random));
    return {};
  }
  FP_TRY(const auto there, listed(folder));
  // What a new file system brings along is nobody's.
  const bool foreign = std::any_of(there.begin(), there.end(), [](const fs::path& path) {
    return path.filename() != "lost+found" && !temporary(path);
  });
  if (foreign)
    return fail(Errc::invalid_argument,
                folder.string() + " holds other files: name an empty or a new folder");
  for (const fs::path& part : {folder, folder / "chunks", folder / "backups"}) {
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      return fail(Errc::io, "cannot make the folder " + part.string() + ": " +
                                std::error_code(errno, std::generic_category()).message());
  }
  crypto::Seed ephemeral;
  random(ephemeral.bytes);
  const Bytes box = crypto::box_seal(ephemeral, keys.recovery, keys.data.view());
  const json head = {{"what", kWhat},
                     {"version", kVersion},
                     {"hub", hub.hex()},
                     {"hub_name", hub_name},
                     {"recovery_key", keys.recovery.hex()},
                     {"data_key_box", to_hex(box)}};
  FP_CHECK_OK(keys::write_file_atomically(
      folder / "README.txt", as_bytes(readme(hub_name, recovery_name(keys.recovery))), 0600));
  // Last: a folder with this file is a whole repository.
  return keys::write_file_atomically(folder / kHeadFile, as_bytes(head.dump(2) + "\n"), 0600);
}

Result<RepositoryHead> Repository::read_head(const fs::path& folder) {
  const fs::path path = folder / kHeadFile;
  const auto text = keys::read_file(path, kHeadBytesMax);
  if (!text && text.error().is(Errc::not_found)) {
    std::error_code ignored;
    const auto there = listed(folder);
    if (!fs::exists(folder, ignored) || (there && there->empty())) {
      return fail(Errc::not_found, folder.string() +
                                       " holds no backup repository: is its disk connected and "
                                       "mounted? To begin a new one: fieldpost-hub backup setup");
    }
    return fail(Errc::invalid_argument, folder.string() +
                                            " is not a backup repository (it has no " + kHeadFile +
                                            "): name the right folder");
  }
  if (!text) return text.error();
  const json parsed = json::parse(as_text(*text), nullptr, false);
  const bool ours = parsed.is_object() && parsed.contains("what") && parsed["what"] == kWhat &&
                    parsed.contains("version") && parsed["version"].is_number_unsigned();
  if (!ours)
    return fail(Errc::invalid_argument, path.string() + " does not describe a backup repository");
  if (parsed["version"] != kVersion)
    return fail(Errc::unsupported, path.string() +
                                       " is of a newer version than this program knows; install "
                                       "that one");
  RepositoryHead head;
  const auto hub = id_member<HubId>(parsed, "hub");
  const auto recovery = id_member<crypto::PublicKey>(parsed, "recovery_key");
  const bool texts = parsed.contains("data_key_box") && parsed["data_key_box"].is_string() &&
                     parsed.contains("hub_name") && parsed["hub_name"].is_string();
  const auto box = texts ? from_hex(parsed["data_key_box"].get<std::string>())
                         : Result<Bytes>(fail(Errc::malformed, "data_key_box"));
  if (!hub || !recovery || !box)
    return fail(Errc::corrupt,
                path.string() + " is damaged; put it back from a copy of the repository");
  return RepositoryHead{*hub, parsed["hub_name"].get<std::string>(), *recovery, *box};
}

Result<Repository> Repository::open(const fs::path& folder, const HubId& hub,
                                    const HubBackupKeys& keys, RandomSource random) {
  FP_TRY(RepositoryHead head, read_head(folder));
  if (head.hub != hub) {
    return fail(Errc::conflict, folder.string() + " holds the backups of another hub (" +
                                    head.hub_name + "): name another folder");
  }
  if (head.recovery != keys.recovery) {
    return fail(Errc::conflict, folder.string() + " was begun for the recovery key " +
                                    recovery_name(head.recovery) + ", this hub has " +
                                    recovery_name(keys.recovery) + ": begin a new folder");
  }
  Repository repository(folder, std::move(head));
  repository.vault_ = std::make_unique<Vault>(keys.data, std::move(random));
  return repository;
}

Result<Repository> Repository::recover(const fs::path& folder, const RecoveryKey& key,
                                       RandomSource random) {
  FP_TRY(RepositoryHead head, read_head(folder));
  const crypto::BoxKeyPair pair = crypto::box_key_pair(key.seed);
  const auto data = crypto::box_open(pair, head.data_key_box);
  crypto::SymmetricKey data_key;
  if (pair.public_key != head.recovery) {
    return fail(Errc::unauthorised, "this is the recovery key " + recovery_name(pair.public_key) +
                                        "; the backups in " + folder.string() + " open with " +
                                        recovery_name(head.recovery));
  }
  if (!data || data->size() != data_key.bytes.size())
    return fail(Errc::corrupt, (folder / kHeadFile).string() +
                                   " is damaged; put it back from a copy of the repository");
  std::copy(data->begin(), data->end(), data_key.bytes.begin());
  Repository repository(folder, std::move(head));
  repository.vault_ = std::make_unique<Vault>(data_key, std::move(random));
  return repository;
}

Result<storage::StoreLock> Repository::lock() const {
  return storage::StoreLock::take(folder_ / "lock");
}

Result<std::optional<storage::StoreLock>> Repository::lock_if_writable() const {
  std::optional<storage::StoreLock> held;
  if (::access(folder_.c_str(), W_OK) != 0) return held;
  FP_TRY(storage::StoreLock lock, lock());
  held.emplace(std::move(lock));
  return held;
}

fs::path Repository::chunk_file(const ChunkId& id) const {
  const std::string name = id.hex();
  return folder_ / "chunks" / name.substr(0, 2) / name;
}

fs::path Repository::manifest_file(std::uint64_t number) const {
  return folder_ / "backups" / std::to_string(number);
}

// ---- backups ----

Result<std::vector<std::uint64_t>> Repository::numbers() const {
  FP_TRY(const auto files, listed(folder_ / "backups"));
  std::vector<std::uint64_t> numbers;
  numbers.reserve(files.size());
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    const auto number = integer_from_text(name);
    if (number && *number > 0 && std::to_string(*number) == name)
      numbers.push_back(static_cast<std::uint64_t>(*number));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<Manifest> Repository::manifest(std::uint64_t number) {
  const fs::path file = manifest_file(number);
  FP_TRY(const Bytes sealed, keys::read_file(file, kManifestBytesMax));
  auto plain = vault_->open_manifest(number, sealed);
  if (!plain) return named(plain.error(), file);
  auto manifest = unpack_manifest(*plain);
  if (!manifest) return named(manifest.error(), file);
  if (manifest->number != number)
    return fail(Errc::corrupt, file.string() + " has another backup's number");
  return manifest;
}

Status Repository::commit(const Manifest& manifest) {
  FP_TRY(const auto folders, listed(folder_ / "chunks"));
  for (const fs::path& folder : folders) FP_CHECK_OK(keys::sync_folder(folder));
  FP_CHECK_OK(keys::sync_folder(folder_ / "chunks"));
  const fs::path path = manifest_file(manifest.number);
  FP_TRY(keys::AtomicFile file, keys::AtomicFile::create(path, 0600));
  FP_CHECK_OK(file.write(vault_->seal_manifest(manifest.number, pack_manifest(manifest))));
  FP_CHECK_OK(file.sync());
  FP_TRY(const Bytes back, file.read_back());
  const auto plain = vault_->open_manifest(manifest.number, back);
  const auto read = plain ? unpack_manifest(*plain) : Result<Manifest>(plain.error());
  if (!read || !(*read == manifest))
    return fail(Errc::corrupt, path.string() +
                                   " came back from the disk otherwise than it was written: do "
                                   "not trust this disk, name a folder on another");
  return file.commit_new();
}

Status Repository::remove(std::uint64_t number) {
  const fs::path file = manifest_file(number);
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    return fail(Errc::io, "cannot remove " + file.string() + ": " +
                              std::error_code(errno, std::generic_category()).message());
  return keys::sync_folder(folder_ / "backups");
}

// ---- chunks ----

Result<Inventory> Repository::inventory() const {
  Inventory found;
  FP_TRY(const auto folders, listed(folder_ / "chunks"));
  for (const fs::path& folder : folders) {
    FP_TRY(const auto files, listed(folder));
    for (const fs::path& file : files) {
      const auto id = id_of_file(file);
      struct stat info {};
      if (!id || ::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      found[*id] = static_cast<std::uint32_t>(info.st_size);
    }
  }
  return found;
}

Result<Bytes> Repository::chunk(const ChunkId& id) {
  const fs::path file = chunk_file(id);
  auto sealed = keys::read_file(file, kFileBytesMax);
  if (!sealed && sealed.error().is(Errc::not_found))
    return fail(Errc::not_found, file.string() + " is missing");
  if (!sealed) return sealed.error();
  auto plain = vault_->open_chunk(id, *sealed);
  if (!plain) return named(plain.error(), file);
  return plain;
}

Status Repository::set_aside(const ChunkId& id) {
  const fs::path aside = folder_ / "damaged";
  const bool made = ::mkdir(aside.c_str(), 0700) == 0 || errno == EEXIST;
  if (!made ||
      (::rename(chunk_file(id).c_str(), (aside / id.hex()).c_str()) != 0 && errno != ENOENT)) {
    return fail(Errc::io, "cannot set aside " + chunk_file(id).string() + ": " +
                              std::error_code(errno, std::generic_category()).message());
  }
  return keys::sync_folder(chunk_file(id).parent_path());
}

Result<std::size_t> Repository::sweep(const Inventory& there,
                                      const std::function<bool(const ChunkId&)>& wanted) {
  std::size_t removed = 0;
  for (const auto& [id, bytes] : there) {
    if (!wanted(id) && ::unlink(chunk_file(id).c_str()) == 0) ++removed;
  }
  FP_TRY(auto folders, listed(folder_ / "chunks"));
  folders.push_back(folder_ / "backups");
  for (const fs::path& folder : folders) {
    FP_TRY(const auto files, listed(folder));
    for (const fs::path& file : files) {
      if (temporary(file)) ::unlink(file.c_str());
    }
  }
  return removed;
}

// ---- writing ----

Result<std::uint32_t> ChunkWriter::add(const ChunkId& id, BytesView plain, std::size_t tag) {
  const fs::path path = repository_.chunk_file(id);
  ::mkdir(path.parent_path().c_str(), 0700);  // if it is not there yet
  FP_TRY(keys::AtomicFile file, keys::AtomicFile::create(path, 0600));
  const Bytes sealed = repository_.vault().seal_chunk(id, plain);
  FP_CHECK_OK(file.write(sealed));
  file.begin_sync();
  batch_.push_back({id, tag, std::move(file)});
  if (batch_.size() >= kFilesOfBatch) FP_CHECK_OK(flush());
  return static_cast<std::uint32_t>(sealed.size());
}

Status ChunkWriter::flush() {
  for (const Written& written : batch_) written.file.wait_content();
  for (const Written& written : batch_) FP_CHECK_OK(written.file.sync());
  for (const Written& written : batch_) {
    FP_TRY(const Bytes back, written.file.read_back());
    const auto plain = repository_.vault().open_chunk(written.id, back);
    if (!plain)
      return fail(Errc::corrupt,
                  repository_.chunk_file(written.id).string() +
                      " came back from the disk otherwise than it was written: do not trust this "
                      "disk, name a folder on another");
    FP_CHECK_OK(examine_(written.tag, *plain));
  }
  for (Written& written : batch_) FP_CHECK_OK(written.file.name());
  batch_.clear();
  return {};
}

}  // namespace fieldpost::hub::backup

#include "hub/backup/read.h"

#include <algorithm>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/backup/chunk.h"
#include "hub/backup/ledger.h"
#include "hub/store/layout.h"
#include "storage/hub_backup.h"
#include "storage/kv_tables.h"

namespace fieldpost::hub::backup {

namespace {

constexpr std::size_t kNamedMax = 10;
constexpr std::string_view kKeysFolder = "keys/";

Result<crypto::SymmetricKey> store_key_of(const Manifest& manifest) {
  const auto file = std::find_if(manifest.files.begin(), manifest.files.end(),
                                 [](const FileCopy& one) { return one.path == "keys/store.key"; });
  crypto::SymmetricKey key;
  if (file == manifest.files.end() || file->content.size() != key.bytes.size())
    return fail(Errc::corrupt, "the backup holds no keys/store.key");
  std::copy(file->content.begin(), file->content.end(), key.bytes.begin());
  return key;
}

Result<std::unique_ptr<storage::ValueCodec>> codec_of(const Manifest& manifest) {
  FP_TRY(const crypto::SymmetricKey key, store_key_of(manifest));
  return store_codec(key);
}

/// The number that this program gives a table of the backup.
Result<storage::TableId> table_id(const StoreCopy& store, const std::string& name) {
  const auto tables = store_options({}, store.name).tables;
  const auto found = std::find(tables.begin(), tables.end(), name);
  if (found == tables.end())
    return fail(Errc::unsupported, "table " + name + " of the " + store.name +
                                       " store is unknown to this version; install the newer one");
  return static_cast<storage::TableId>(found - tables.begin());
}

Status check_format(const StoreCopy& store) {
  const storage::LmdbOptions known = store_options({}, store.name);
  // An older one is read as it is when nothing but tables has come since.
  const auto only_tables = [&] {
    return std::all_of(known.steps.begin(), known.steps.end(),
                       [&](const storage::FormatStep& step) {
                         return step.from < store.format_version || !step.body;
                       });
  };
  const bool known_version = store.format_version == known.format_version ||
                             (store.format_version < known.format_version &&
                              store.format_version >= known.steps.front().from && only_tables());
  if (store.format_name == known.format_name && known_version) return {};
  return fail(Errc::unsupported,
              "the " + store.name + " store of this backup has format " +
                  std::to_string(store.format_version) + ", this program has format " +
                  std::to_string(known.format_version) + ": restore with the version that made it");
}

bool ascends(BytesView before, BytesView after) {
  return std::lexicographical_compare(before.begin(), before.end(), after.begin(), after.end());
}

void note(std::vector<std::string>& list, std::string what) {
  if (list.size() < kNamedMax && std::find(list.begin(), list.end(), what) == list.end())
    list.push_back(std::move(what));
}

}  // namespace

// ---- verifying ----

const Verifier::Summary& Verifier::summary(const ChunkId& id, storage::TableId table,
                                           storage::ValueCodec& codec) {
  const auto [at, fresh] = seen_.try_emplace({table, id});
  Summary& summary = at->second;
  if (!fresh) return summary;
  const auto plain = repository_.chunk(id);
  if (!plain) {
    summary.fault = plain.error().detail;
    return summary;
  }
  const auto read = for_each_entry(*plain, [&](BytesView key, BytesView value) -> Status {
    if (summary.entries++ == 0)
      summary.first = to_bytes(key);
    else if (!ascends(summary.last, key))
      return fail(Errc::corrupt, "its keys do not ascend");
    summary.last = to_bytes(key);
    const auto sound = storage::check_hub_entry(codec, table, key, value);
    if (!sound) note(summary.damaged, sound.error().detail);
    return {};
  });
  if (!read) summary.fault = repository_.chunk_file(id).string() + ": " + read.error().detail;
  bytes_ += plain->size();
  if (progress_) progress_(bytes_);
  return summary;
}

Checked Verifier::check(const Manifest& manifest) {
  Checked checked;
  const auto codec = codec_of(manifest);
  if (!codec) {
    checked.faults.push_back(codec.error().detail);
    return checked;
  }
  for (const StoreCopy& store : manifest.stores) {
    if (auto format = check_format(store); !format) note(checked.faults, format.error().detail);
    for (const TableCopy& table : store.tables) {
      const std::string place = "table " + table.name + " of the " + store.name + " store";
      const auto id = table_id(store, table.name);
      if (!id) {
        note(checked.faults, id.error().detail);
        continue;
      }
      Bytes last;
      std::uint64_t entries = 0;
      bool whole = true;
      for (const ChunkRef& chunk : table.chunks) {
        const Summary& found = summary(chunk.id, *id, **codec);
        ++checked.chunks;
        entries += found.entries;
        if (!found.fault.empty()) note(checked.faults, found.fault);
        whole = whole && found.fault.empty();
        if (whole && !last.empty() && !ascends(last, found.first))
          note(checked.faults, place + ": the chunks do not follow each other");
        last = found.last;
        for (const std::string& value : found.damaged)
          note(checked.damaged, store.name + ": " + value);
      }
      if (whole && entries != table.entries)
        note(checked.faults, place + " has " + std::to_string(entries) + " entries, not " +
                                 std::to_string(table.entries));
      checked.entries += entries;
    }
  }
  return checked;
}

// ---- restoring ----

namespace {

/// A folder under another name until it is whole.
class Workplace {
 public:
  static Result<Workplace> make(const fs::path& directory) {
    std::error_code error;
    const fs::path wanted = fs::absolute(directory).lexically_normal();
    const fs::path target = wanted.has_filename() ? wanted : wanted.parent_path();
    const auto there = fs::symlink_status(target, error);
    if (fs::exists(there) && !(fs::is_directory(there) && fs::is_empty(target, error)))
      return fail(Errc::already_exists,
                  target.string() + " is there already and is left as it is; name a new folder");
    fs::create_directories(target.parent_path(), error);
    std::string name =
        (target.parent_path() / ("." + target.filename().string() + ".restoring-XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr)  // mode 0700
      return fail(Errc::io, "cannot make a folder in " + target.parent_path().string() + ": " +
                                std::strerror(errno));
    return Workplace(target, name);
  }
  Workplace(Workplace&& other) noexcept
      : target_(std::move(other.target_)), path_(std::exchange(other.path_, {})) {}
  Workplace& operator=(Workplace&&) = delete;
  ~Workplace() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }
  /// Everything in it is on the disk.
  Status finish() {
    FP_CHECK_OK(keys::sync_folder(path_));
    if (::rename(path_.c_str(), target_.c_str()) != 0)
      return fail(Errc::io, "cannot name " + target_.string() + ": " + std::strerror(errno));
    path_.clear();
    return keys::sync_folder(target_.parent_path());
  }

 private:
  Workplace(fs::path target, fs::path path) : target_(std::move(target)), path_(std::move(path)) {}
  fs::path target_;
  fs::path path_;
};

Status write_file(const fs::path& folder, const FileCopy& file) {
  return keys::write_file_atomically(folder / file.path, file.content, file.secret ? 0600 : 0644);
}

/// keys/NAME, and hub.json, which is written last.
bool belongs(const FileCopy& file) {
  if (file.path == "hub.json") return true;
  if (!file.path.starts_with(kKeysFolder)) return false;
  const std::string name = file.path.substr(kKeysFolder.size());
  return !name.empty() && !name.starts_with('.') && name.find('/') == std::string::npos;
}

struct Loading {
  Repository& repository;
  storage::ValueCodec& codec;
  const Progress& progress;
  Restored& restored;
  crypto::SymmetricKey key;
  std::uint64_t bytes = 0;

  Status store(const StoreCopy& copy, const fs::path& folder, const Epoch& epoch, Instant time) {
    FP_CHECK_OK(check_format(copy));
    storage::LmdbOptions options = store_options(folder, copy.name);
    options.create = true;
    options.map_bytes_initial = std::uint64_t{4} << 30;  // a commit of 32 MiB never meets its end
    FP_TRY(const auto kv, storage::LmdbKv::open(options));
    storage::TableLoader loader(*kv);
    for (const TableCopy& table : copy.tables) {
      FP_TRY(const storage::TableId id, table_id(copy, table.name));
      std::uint64_t entries = 0;
      for (const ChunkRef& chunk : table.chunks) {
        FP_TRY(const Bytes plain, repository.chunk(chunk.id));
        FP_CHECK_OK(for_each_entry(plain, [&](BytesView key, BytesView value) -> Status {
          const auto sound = storage::check_hub_entry(codec, id, key, value);
          if (!sound) note(restored.damaged, copy.name + ": " + sound.error().detail);
          ++entries;
          bytes += key.size() + value.size();
          return loader.add(id, key, value);
        }));
        if (progress) progress(bytes);
      }
      if (entries != table.entries)
        return fail(Errc::corrupt, "table " + table.name + " of the " + copy.name + " store has " +
                                       std::to_string(entries) + " entries, not " +
                                       std::to_string(table.entries) +
                                       "; restore another backup (--backup)");
      restored.entries += entries;
    }
    FP_CHECK_OK(loader.finish());
    FP_CHECK_OK(storage::mark_restored(*kv, epoch, time));
    return catch_up(copy.name, *kv, epoch, time);
  }

  /// What was erased or put on hold since the backup.
  Status catch_up(const std::string& name, storage::LmdbKv& kv, const Epoch& epoch, Instant time) {
    const auto maker = [this] { return store_codec(key); };
    FP_TRY(const auto opened,
           storage::open_hub_store(kv, maker, {repository.head().hub, epoch, StartId{}},
                                   storage::Opening::looking));
    const auto reader = opened->reader();
    const LedgerStore store{
        name,
        reader.get(),
        [&](const std::function<void(storage::HubStore&)>& body) { body(*opened); },
        {}};
    FP_TRY(const Carried carried, carry_ledger(repository, {store}, time, false));
    restored.erased_again += carried.taken.erased;
    restored.holds_again += carried.taken.holds;
    for (const std::string& fault : carried.faults) note(restored.ledger_faults, fault);
    return {};
  }
};

}  // namespace

Result<Restored> restore(Repository& repository, const Manifest& manifest,
                         const fs::path& directory, const RandomSource& random,
                         const Progress& progress) {
  FP_TRY(Workplace place, Workplace::make(directory));
  FP_CHECK_OK(keys::make_private_directory(place.path() / "keys"));
  const FileCopy* settings = nullptr;
  for (const FileCopy& file : manifest.files) {
    if (!belongs(file)) return fail(Errc::corrupt, "the backup holds a file \"" + file.path + "\"");
    if (file.path == "hub.json")
      settings = &file;
    else
      FP_CHECK_OK(write_file(place.path(), file));
  }
  if (settings == nullptr) return fail(Errc::corrupt, "the backup holds no hub.json");
  Restored restored;
  restored.number = manifest.number;
  restored.time = manifest.time;
  restored.hub_name = manifest.hub_name;
  FP_TRY(const auto codec, codec_of(manifest));
  const auto epoch = random_id<Epoch>(random);
  FP_TRY(const crypto::SymmetricKey key, store_key_of(manifest));
  Loading loading{repository, *codec, progress, restored, key, 0};
  for (const char* name : kStoreNames) {
    const auto copy = std::find_if(manifest.stores.begin(), manifest.stores.end(),
                                   [&](const StoreCopy& one) { return one.name == name; });
    if (copy == manifest.stores.end())
      return fail(Errc::corrupt, std::string("the backup holds no ") + name + " store");
    FP_CHECK_OK(loading.store(*copy, place.path(), epoch, manifest.time));
  }
  FP_CHECK_OK(write_file(place.path(), *settings));
  FP_CHECK_OK(load_settings(place.path()));
  FP_CHECK_OK(load_keys(place.path()));
  FP_CHECK_OK(place.finish());
  return restored;
}

}  // namespace fieldpost::hub::backup

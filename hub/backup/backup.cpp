#include "hub/backup/backup.h"

#include <algorithm>
#include <sys/stat.h>
#include <unordered_set>

#include "hub/backup/chunk.h"
#include "storage/hub_backup.h"
#include "storage/hub_tables.h"
#include "storage/kv_tables.h"

namespace fieldpost::hub::backup {

namespace {

using ChunkSet = std::unordered_set<ChunkId, ByteIdHash>;

/// Damaged values named in a manifest; more do not help whoever has to look into it.
constexpr std::size_t kDamagedNamed = 10;
constexpr std::size_t kSmallFileBytesMax = 64 * 1024;

Result<std::vector<FileCopy>> small_files(const fs::path& directory) {
  std::vector<FileCopy> files;
  std::vector<std::string> names = {"hub.json"};
  std::error_code error;
  fs::directory_iterator at(directory / "keys", error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with('.') && at->is_regular_file()) names.push_back("keys/" + name);
  }
  if (error)
    return fail(Errc::io, (directory / "keys").string() + " cannot be read: " + error.message());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const fs::path path = directory / name;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
      return fail(Errc::not_found, path.string() + " is missing");
    FP_TRY(Bytes content, keys::read_file(path, kSmallFileBytesMax));
    files.push_back({name, (info.st_mode & 077) == 0, std::move(content)});
  }
  return files;
}

/// One run.
class Run {
 public:
  Run(Repository& repository, const Origin& origin, const Order& order)
      : repository_(repository),
        origin_(origin),
        order_(order),
        codec_(store_codec(origin.store_key)),
        writer_(repository,
                [this](std::size_t tag, BytesView plain) { return examine(tag, plain); }) {}

  Result<Made> make() {
    FP_TRY(const auto before, repository_.numbers());
    FP_TRY(there_, repository_.inventory());
    FP_CHECK_OK(learn(before));
    if (order_.full) FP_CHECK_OK(read_all_again());
    manifest_.number = before.empty() ? 1 : before.back() + 1;
    manifest_.time = order_.time;
    manifest_.hub = origin_.hub;
    manifest_.hub_name = origin_.hub_name;
    manifest_.epoch = origin_.epoch;
    FP_TRY(manifest_.files, small_files(origin_.directory));
    for (const Source& source : origin_.sources) {
      if (source.make_room) FP_CHECK_OK(source.make_room());
      FP_CHECK_OK(copy(source));
    }
    FP_CHECK_OK(writer_.flush());
    FP_CHECK_OK(repository_.commit(manifest_));
    made_.number = manifest_.number;
    made_.time = manifest_.time;
    made_.entries = manifest_.entries();
    made_.plain_bytes = manifest_.plain_bytes();
    for (const StoreCopy& store : manifest_.stores)
      made_.damaged.insert(made_.damaged.end(), store.damaged.begin(), store.damaged.end());
    FP_CHECK_OK(tidy());
    return made_;
  }

 private:
  bool stopped() const { return order_.stopped && order_.stopped(); }

  /// The sizes that chunks must have: one that has another is written anew.
  Status learn(const std::vector<std::uint64_t>& numbers) {
    for (const std::uint64_t number : numbers) {
      const auto manifest = repository_.manifest(number);
      if (!manifest) continue;  // list_backups says so
      for (const StoreCopy& store : manifest->stores) {
        for (const TableCopy& table : store.tables) {
          for (const ChunkRef& chunk : table.chunks) {
            const auto found = there_.find(chunk.id);
            if (found == there_.end() || found->second == chunk.file_bytes) continue;
            // Written anew by another version it may have another size and be sound.
            if (!repository_.chunk(chunk.id)) damaged_file(chunk.id);
          }
        }
      }
    }
    return {};
  }

  void damaged_file(const ChunkId& id) {
    there_.erase(id);
    damaged_files_.insert(id);
  }

  Status read_all_again() {
    ChunkSet bad;
    for (const auto& [id, bytes] : there_) {
      if (stopped()) return fail(Errc::closed, "the hub is stopping; the backup was not made");
      if (!repository_.chunk(id)) bad.insert(id);
    }
    for (const ChunkId& id : bad) damaged_file(id);
    return {};
  }

  Status copy(const Source& source) {
    const storage::LmdbOptions format = store_options({}, source.name);
    StoreCopy& store = manifest_.stores.emplace_back();
    store.name = source.name;
    store.format_name = format.format_name;
    store.format_version = format.format_version;
    for (const std::string& name : format.tables) store.tables.push_back({name, 0, {}});
    storage::TableId table = 0;
    Chunker chunker(repository_.vault().boundary_seed(),
                    [&](BytesView chunk) { return put(store, table, chunk); });
    FP_CHECK_OK(
        storage::walk_tables(*source.kv, static_cast<storage::TableId>(store.tables.size()),
                             [&](storage::TableId at, BytesView key, BytesView value) -> Status {
                               if (at != table) FP_CHECK_OK(chunker.finish());
                               table = at;
                               ++store.tables[table].entries;
                               store.plain_bytes += key.size() + value.size();
                               FP_TRY(const auto head, storage::head_in(table, key, value));
                               if (head) store.heads.push_back(*head);
                               return chunker.add(key, value);
                             }));
    return chunker.finish();
  }

  Status put(StoreCopy& store, storage::TableId table, BytesView chunk) {
    if (stopped()) return fail(Errc::closed, "the hub is stopping; the backup was not made");
    const ChunkId id = repository_.vault().chunk_id(chunk);
    ++made_.chunks;
    auto found = there_.find(id);
    if (found == there_.end()) {
      const std::size_t tag = (manifest_.stores.size() - 1) << 8 | table;
      FP_TRY(const std::uint32_t bytes, writer_.add(id, chunk, tag));
      found = there_.emplace(id, bytes).first;
      ++made_.chunks_written;
      made_.bytes_written += bytes;
      if (damaged_files_.erase(id) != 0)
        made_.repaired.push_back(repository_.chunk_file(id).string());
    }
    store.tables[table].chunks.push_back({id, found->second});
    return {};
  }

  /// What came back from the disk: does the hub's own value in it decode? One that does not is copied as it is.
  Status examine(std::size_t tag, BytesView plain) {
    StoreCopy& store = manifest_.stores[tag >> 8];
    const auto table = static_cast<storage::TableId>(tag & 0xff);
    return for_each_entry(plain, [&](BytesView key, BytesView value) -> Status {
      const auto sound = storage::check_hub_entry(*codec_, table, key, value);
      if (!sound && store.damaged.size() < kDamagedNamed)
        store.damaged.push_back(store.name + ": " + sound.error().detail);
      return {};
    });
  }

  /// Removes what `keep` no longer covers.
  Status tidy() {
    // Damaged files that the stores could not give back: what rests on them is not counted any more.
    for (const ChunkId& id : damaged_files_) {
      FP_CHECK_OK(repository_.set_aside(id));
      made_.lost.push_back(repository_.chunk_file(id).string());
    }
    FP_TRY(const auto backups, list_backups(repository_));
    std::size_t kept = 0;
    std::uint64_t oldest_kept = manifest_.number;
    for (auto at = backups.rbegin(); at != backups.rend() && kept < order_.keep; ++at) {
      if (!at->restorable()) continue;
      ++kept;
      oldest_kept = at->number;
    }
    bool all_read = true;
    Inventory wanted;
    for (const Listed& one : backups) {
      if (!one.manifest) {
        all_read = false;
        continue;
      }
      if (kept == order_.keep && one.number < oldest_kept) {
        FP_CHECK_OK(repository_.remove(one.number));
        made_.removed.push_back(one.number);
        continue;
      }
      for (const StoreCopy& store : one.manifest->stores) {
        for (const TableCopy& table : store.tables) {
          for (const ChunkRef& chunk : table.chunks) wanted.emplace(chunk.id, chunk.file_bytes);
        }
      }
    }
    // A list that cannot be read may name any chunk.
    if (!all_read) return {};
    FP_CHECK_OK(repository_.sweep(there_, [&](const ChunkId& id) { return wanted.contains(id); }));
    return {};
  }

  Repository& repository_;
  const Origin& origin_;
  const Order& order_;
  std::unique_ptr<storage::ValueCodec> codec_;
  ChunkWriter writer_;
  Inventory there_;
  ChunkSet damaged_files_;
  Manifest manifest_;
  Made made_;
};

std::string why_not(Repository& repository, const Manifest& manifest, const Inventory& there,
                    std::uint64_t& file_bytes) {
  std::size_t missing = 0;
  std::string first;
  ChunkSet seen;
  for (const StoreCopy& store : manifest.stores) {
    for (const TableCopy& table : store.tables) {
      for (const ChunkRef& chunk : table.chunks) {
        if (!seen.insert(chunk.id).second) continue;
        const auto found = there.find(chunk.id);
        if (found != there.end()) file_bytes += found->second;
        if (found != there.end() && found->second == chunk.file_bytes) continue;
        const auto read = repository.chunk(chunk.id);
        if (!read && missing++ == 0) first = read.error().detail;
      }
    }
  }
  if (missing > 1) first += " (and " + std::to_string(missing - 1) + " more files)";
  return first;
}

}  // namespace

Result<Made> make_backup(Repository& repository, const Origin& origin, const Order& order) {
  return Run(repository, origin, order).make();
}

Result<std::vector<Listed>> list_backups(Repository& repository) {
  FP_TRY(const auto numbers, repository.numbers());
  FP_TRY(const Inventory there, repository.inventory());
  std::vector<Listed> all;
  all.reserve(numbers.size());
  for (const std::uint64_t number : numbers) {
    Listed one;
    one.number = number;
    auto manifest = repository.manifest(number);
    // Removed since it was listed: a backup that is being made took it for too old.
    if (!manifest && manifest.error().is(Errc::not_found)) continue;
    if (manifest) {
      one.fault = why_not(repository, *manifest, there, one.file_bytes);
      one.manifest = *std::move(manifest);
    } else {
      one.fault = manifest.error().detail;
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::optional<std::map<std::string, storage::ActorHeads>> watermark(
    const std::vector<Listed>& backups) {
  const auto oldest = std::find_if(backups.begin(), backups.end(),
                                   [](const Listed& one) { return one.restorable(); });
  if (oldest == backups.end()) return std::nullopt;
  std::map<std::string, storage::ActorHeads> heads;
  for (const StoreCopy& store : oldest->manifest->stores) heads[store.name] = store.heads;
  return heads;
}

}  // namespace fieldpost::hub::backup

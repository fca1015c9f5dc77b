#include "hub/backup/manifest.h"

#include "storage/pack.h"

namespace fieldpost::hub::backup {

using storage::Packer;
using storage::Unpacker;

namespace {

constexpr std::uint8_t kManifestVersion = 1;

/// The number of things of at least `bytes_each` that follow. What a list can hold is checked before it is made.
std::size_t count_of(Unpacker& in, std::size_t bytes_each, std::size_t left) {
  const std::uint64_t count = in.u64();
  if (in.failed() || count > left / bytes_each) {
    in.raw(SIZE_MAX);  // fails it
    return 0;
  }
  return static_cast<std::size_t>(count);
}

TableCopy unpack_table(Unpacker& in, std::size_t left) {
  TableCopy table;
  table.name = in.text();
  table.entries = in.u64();
  const std::size_t chunks = count_of(in, ChunkId::kSize + 8, left);
  table.chunks.reserve(chunks);
  for (std::size_t i = 0; i < chunks; ++i) {
    ChunkRef chunk;
    chunk.id = in.id<ChunkId>();
    chunk.file_bytes = static_cast<std::uint32_t>(in.u64());
    table.chunks.push_back(chunk);
  }
  return table;
}

StoreCopy unpack_store(Unpacker& in, std::size_t left) {
  StoreCopy store;
  store.name = in.text();
  store.format_name = in.text();
  store.format_version = static_cast<std::uint32_t>(in.u64());
  const std::size_t tables = count_of(in, 24, left);
  for (std::size_t i = 0; i < tables && !in.failed(); ++i)
    store.tables.push_back(unpack_table(in, left));
  const std::size_t heads = count_of(in, 16, left);
  store.heads.reserve(heads);
  for (std::size_t i = 0; i < heads; ++i) {
    const ActorId actor = in.actor();
    store.heads.emplace_back(actor, in.seq());
  }
  store.plain_bytes = in.u64();
  const std::size_t damaged = count_of(in, 8, left);
  for (std::size_t i = 0; i < damaged && !in.failed(); ++i) store.damaged.push_back(in.text());
  return store;
}

}  // namespace

std::uint64_t Manifest::entries() const {
  std::uint64_t sum = 0;
  for (const StoreCopy& store : stores) {
    for (const TableCopy& table : store.tables) sum += table.entries;
  }
  return sum;
}

std::uint64_t Manifest::plain_bytes() const {
  std::uint64_t sum = 0;
  for (const StoreCopy& store : stores) sum += store.plain_bytes;
  return sum;
}

Bytes pack_manifest(const Manifest& manifest) {
  Packer out;
  out.u8(kManifestVersion).u64(manifest.number).i64(manifest.time.ms).id(manifest.hub);
  out.text(manifest.hub_name).id(manifest.epoch);
  out.u64(manifest.files.size());
  for (const FileCopy& file : manifest.files)
    out.text(file.path).u8(file.secret ? 1 : 0).blob(file.content);
  out.u64(manifest.stores.size());
  for (const StoreCopy& store : manifest.stores) {
    out.text(store.name).text(store.format_name).u64(store.format_version);
    out.u64(store.tables.size());
    for (const TableCopy& table : store.tables) {
      out.text(table.name).u64(table.entries).u64(table.chunks.size());
      for (const ChunkRef& chunk : table.chunks) out.id(chunk.id).u64(chunk.file_bytes);
    }
    out.u64(store.heads.size());
    for (const auto& [actor, head] : store.heads) out.actor(actor).seq(head);
    out.u64(store.plain_bytes).u64(store.damaged.size());
    for (const std::string& place : store.damaged) out.text(place);
  }
  return out.take();
}

Result<Manifest> unpack_manifest(BytesView bytes) {
  const std::size_t left = bytes.size();
  Unpacker in(bytes);
  if (in.u8() != kManifestVersion)
    return fail(Errc::unsupported,
                "was written by a newer version of this program; install that one");
  Manifest manifest;
  manifest.number = in.u64();
  manifest.time = Instant{in.i64()};
  manifest.hub = in.id<HubId>();
  manifest.hub_name = in.text();
  manifest.epoch = in.id<Epoch>();
  const std::size_t files = count_of(in, 17, left);
  for (std::size_t i = 0; i < files && !in.failed(); ++i) {
    FileCopy file;
    file.path = in.text();
    file.secret = in.u8() != 0;
    file.content = to_bytes(in.blob());
    manifest.files.push_back(std::move(file));
  }
  const std::size_t stores = count_of(in, 24, left);
  for (std::size_t i = 0; i < stores && !in.failed(); ++i)
    manifest.stores.push_back(unpack_store(in, left));
  FP_CHECK_OK(in.finish("the manifest"));
  return manifest;
}

}  // namespace fieldpost::hub::backup

#include "hub/backup/chunk.h"

#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::hub::backup {

namespace {

constexpr std::size_t kSizesBytes = 6;

/// FNV-1a and a last mixing (MurmurHash3's): boundaries need even spread, not secrecy.
std::uint64_t mixed(std::uint64_t seed, BytesView key) {
  std::uint64_t hash = seed ^ 0xcbf29ce484222325ULL;
  for (const std::uint8_t byte : key) hash = (hash ^ byte) * 0x100000001b3ULL;
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ hash >> 33;
}

void put_size(Bytes& out, std::size_t size, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(size >> shift));
}

std::size_t size_at(BytesView bytes, std::size_t at, std::size_t count) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i) size = size << 8 | bytes[at + i];
  return size;
}

}  // namespace

bool Chunker::ends_here(BytesView key, std::size_t entry_bytes) const {
  if (chunk_.size() < kChunkBytesMin) return false;
  // Large entries end a chunk more often: the mean is one of bytes, not of entries.
  static_assert(kChunkBytesSpread == std::size_t{1} << 16);
  return mixed(seed_, key) >> 16 < std::uint64_t{entry_bytes} << 32;
}

Status Chunker::add(BytesView key, BytesView value) {
  const std::size_t entry_bytes = kSizesBytes + key.size() + value.size();
  if (!chunk_.empty() && chunk_.size() + entry_bytes > kChunkBytesMax) FP_CHECK_OK(finish());
  put_size(chunk_, key.size(), 2);
  put_size(chunk_, value.size(), 4);
  chunk_.insert(chunk_.end(), key.begin(), key.end());
  chunk_.insert(chunk_.end(), value.begin(), value.end());
  return ends_here(key, entry_bytes) ? finish() : Status{};
}

Status Chunker::finish() {
  if (chunk_.empty()) return {};
  FP_CHECK_OK(sink_(chunk_));
  chunk_.clear();
  return {};
}

Status for_each_entry(BytesView chunk,
                      const std::function<Status(BytesView key, BytesView value)>& visit) {
  while (!chunk.empty()) {
    if (chunk.size() < kSizesBytes) return fail(Errc::corrupt, "a chunk ends within an entry");
    const std::size_t key_bytes = size_at(chunk, 0, 2);
    const std::size_t value_bytes = size_at(chunk, 2, 4);
    if (key_bytes == 0 || key_bytes > storage::kKeyBytesMax ||
        chunk.size() - kSizesBytes < key_bytes + value_bytes) {
      return fail(Errc::corrupt, "a chunk holds an entry of an impossible size");
    }
    FP_CHECK_OK(visit(chunk.subspan(kSizesBytes, key_bytes),
                      chunk.subspan(kSizesBytes + key_bytes, value_bytes)));
    chunk = chunk.subspan(kSizesBytes + key_bytes + value_bytes);
  }
  return {};
}

}  // namespace fieldpost::hub::backup

// How a table's entries are cut into chunks, and read out of them again.
//
// Thread rule: a Chunker belongs to one thread; the rest are free functions.
// Invariants:
//   1. The same entries, in the same order, give the same chunks, whatever stood in the store before.
//   2. A boundary is decided by the entries about it alone, so that an entry that comes, goes or changes moves
//      no boundary but the next ones: after a chunk or two all is as before. That makes a backup incremental.
//   3. A chunk is at most kChunkBytesMax, unless one entry alone is larger.
//
//   chunk = entry*      entry = size of key (2) ‖ size of value (4) ‖ key ‖ value, sizes big-endian
#pragma once

#include <functional>

#include "base/bytes.h"

namespace fieldpost::hub::backup {

/// Below it a file is mostly overhead for the disk; above, one changed entry costs too much.
inline constexpr std::size_t kChunkBytesMin = 64 * 1024;
inline constexpr std::size_t kChunkBytesMax = 256 * 1024;
/// After the least, a boundary comes after so many bytes in the mean.
inline constexpr std::size_t kChunkBytesSpread = 64 * 1024;
static_assert(kChunkBytesMin + kChunkBytesSpread < kChunkBytesMax);

class Chunker {
 public:
  using Sink = std::function<Status(BytesView chunk)>;

  /// `seed`: part of where boundaries fall, so that sizes tell a stranger less.
  Chunker(std::uint64_t seed, Sink sink) : seed_(seed), sink_(std::move(sink)) {}
  /// Errors: those of the sink.
  Status add(BytesView key, BytesView value);
  /// The table ends: what is left is a chunk, too.
  Status finish();

 private:
  bool ends_here(BytesView key, std::size_t entry_bytes) const;

  std::uint64_t seed_;
  Sink sink_;
  Bytes chunk_;
};

/// Visits the entries of a chunk. Errors: `corrupt` when it is not entries from end to end; the visitor's.
Status for_each_entry(BytesView chunk,
                      const std::function<Status(BytesView key, BytesView value)>& visit);

}  // namespace fieldpost::hub::backup

// Frames: one WebSocket message = one codec byte and a message, raw or zstd with the v1 dictionary.
// The same compression, without the framing, serves the stores' values.
//
// Thread rule: a Compressor belongs to one thread at a time.
// Invariants:
//   1. The decompressed size is read from the zstd header and checked before allocation; a frame
//      without it, or with another dictionary id, is refused. A frame that names no dictionary is
//      plain zstd: what was written before the dictionary was trained stays readable.
//   2. Nothing decompresses to more than the caller's limit.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/limits.h"

namespace fieldpost::wire {

/// The dictionary compiled into the program (schemas/dictionaries/wire-v1.dict).
BytesView dictionary_v1();

/// Digested dictionary, shared read-only by many compressors (thread-safe once made).
class Dictionary {
 public:
  static constexpr int kNetworkLevel = 3;
  /// For single values of a store: 4 % larger than level 3, a third less time, and a table of 32 KiB
  /// instead of 384, which stays in the cache beside everything else that a commit touches.
  static constexpr int kStoreLevel = 1;
  /// One for all that ask for either of these levels, thread-safe: a dozen would crowd the cache.
  static std::shared_ptr<const Dictionary> v1(int level = kNetworkLevel);
  /// Plain zstd: writes frames that name no dictionary, and reads only those.
  static std::shared_ptr<const Dictionary> none(int level = kNetworkLevel);
  ~Dictionary();
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Dictionary(std::unique_ptr<Impl> impl);
  static std::shared_ptr<const Dictionary> of(BytesView bytes, int level);
  std::unique_ptr<Impl> impl_;
};

class Compressor {
 public:
  explicit Compressor(std::shared_ptr<const Dictionary> dictionary);
  ~Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;

  /// A zstd frame with content size and dictionary id, without checksum (the caller authenticates).
  Bytes compress(BytesView plain);
  /// Errors: `malformed`, `too_large` (more than `limit` bytes), `unsupported` dictionary.
  Result<Bytes> decompress(BytesView compressed, std::size_t limit);

  /// Codec byte 0 (raw) or 1 (zstd), whichever is smaller.
  Bytes encode_frame(BytesView message);
  /// Errors: as decompress, with limits::kFrameBytesMax and kMessageBytesMax.
  Result<Bytes> decode_frame(BytesView frame);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost::wire

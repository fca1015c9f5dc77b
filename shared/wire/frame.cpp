#include "wire/frame.h"

#include <cstring>
#include <zstd.h>

#include "base/embedded.h"

namespace fieldpost::wire {
namespace {

constexpr std::uint8_t kCodecRaw = 0;
constexpr std::uint8_t kCodecZstd = 1;
constexpr std::string_view kDictionaryName = "wire-v1.dict";
/// 1 MiB, the largest message: keeps a context's tables and window small.
constexpr int kWindowLogMax = 20;

template <class T, std::size_t (*Free)(T*)>
struct FreeWith {
  void operator()(T* pointer) const { Free(pointer); }
};
using CompressContext = std::unique_ptr<ZSTD_CCtx, FreeWith<ZSTD_CCtx, ZSTD_freeCCtx>>;
using DecompressContext = std::unique_ptr<ZSTD_DCtx, FreeWith<ZSTD_DCtx, ZSTD_freeDCtx>>;
using CompressDictionary = std::unique_ptr<ZSTD_CDict, FreeWith<ZSTD_CDict, ZSTD_freeCDict>>;
using DecompressDictionary = std::unique_ptr<ZSTD_DDict, FreeWith<ZSTD_DDict, ZSTD_freeDDict>>;

bool is_zstd(BytesView bytes) {
  constexpr std::uint8_t kMagic[] = {0x28, 0xb5, 0x2f, 0xfd};
  return bytes.size() >= sizeof(kMagic) && std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) == 0;
}

}  // namespace

BytesView dictionary_v1() {
  for (const auto& file : embedded_dictionaries()) {
    if (file.name == kDictionaryName) return file.bytes;
  }
  return {};
}

struct Dictionary::Impl {
  int level = kNetworkLevel;
  unsigned id = 0;
  CompressDictionary compress;  ///< null while there is no dictionary
  DecompressDictionary decompress;
};

Dictionary::Dictionary(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dictionary::~Dictionary() = default;

std::shared_ptr<const Dictionary> Dictionary::v1(int level) {
  if (level == kNetworkLevel) {
    static const auto network = of(dictionary_v1(), kNetworkLevel);
    return network;
  }
  if (level == kStoreLevel) {
    static const auto store = of(dictionary_v1(), kStoreLevel);
    return store;
  }
  return of(dictionary_v1(), level);
}

std::shared_ptr<const Dictionary> Dictionary::none(int level) { return of({}, level); }

std::shared_ptr<const Dictionary> Dictionary::of(BytesView bytes, int level) {
  auto impl = std::make_unique<Impl>();
  impl->level = level;
  if (!bytes.empty()) {
    impl->id = ZSTD_getDictID_fromDict(bytes.data(), bytes.size());
    impl->compress.reset(ZSTD_createCDict(bytes.data(), bytes.size(), level));
    impl->decompress.reset(ZSTD_createDDict(bytes.data(), bytes.size()));
    if (!impl->compress || !impl->decompress) throw std::bad_alloc();
  }
  return std::shared_ptr<const Dictionary>(new Dictionary(std::move(impl)));
}

struct Compressor::Impl {
  std::shared_ptr<const Dictionary> dictionary;
  CompressContext compress;  ///< made when first used
  DecompressContext decompress;
  Bytes scratch;

  ZSTD_CCtx* compress_context() {
    if (compress) return compress.get();
    compress.reset(ZSTD_createCCtx());
    if (!compress) throw std::bad_alloc();
    auto* context = compress.get();
    const auto& shared = dictionary->impl();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, shared.level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, kWindowLogMax);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0);
    ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 1);
    if (shared.compress) ZSTD_CCtx_refCDict(context, shared.compress.get());
    return context;
  }

  ZSTD_DCtx* decompress_context() {
    if (decompress) return decompress.get();
    decompress.reset(ZSTD_createDCtx());
    if (!decompress) throw std::bad_alloc();
    return decompress.get();
  }

  /// Appends the zstd frame of `plain` to `out`.
  void append(Bytes& out, BytesView plain) {
    const auto start = out.size();
    out.resize(start + ZSTD_compressBound(plain.size()));
    const auto size = ZSTD_compress2(compress_context(), out.data() + start, out.size() - start,
                                     plain.data(), plain.size());
    // The bound rules out a small buffer; what remains is memory.
    if (ZSTD_isError(size)) throw std::bad_alloc();
    out.resize(start + size);
  }
};

Compressor::Compressor(std::shared_ptr<const Dictionary> dictionary)
    : impl_(std::make_unique<Impl>()) {
  impl_->dictionary = std::move(dictionary);
}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

Bytes Compressor::compress(BytesView plain) {
  impl_->scratch.clear();
  impl_->append(impl_->scratch, plain);
  Bytes out(impl_->scratch.begin(), impl_->scratch.end());
  return out;
}

Result<Bytes> Compressor::decompress(BytesView compressed, std::size_t limit) {
  if (!is_zstd(compressed)) return fail(Errc::malformed, "not a zstd frame");
  const auto content = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR) {
    return fail(Errc::malformed, "a zstd frame without its content size");
  }
  if (content > limit) {
    return fail(Errc::too_large, "decompresses to " + std::to_string(content) + " bytes; at most " +
                                     std::to_string(limit));
  }
  const auto& shared = impl_->dictionary->impl();
  const auto id = ZSTD_getDictID_fromFrame(compressed.data(), compressed.size());
  if (id != 0 && (id != shared.id || !shared.decompress)) {
    return fail(Errc::unsupported, "compressed with dictionary " + std::to_string(id) +
                                       ", known is " + std::to_string(shared.id));
  }
  const auto frame_size = ZSTD_findFrameCompressedSize(compressed.data(), compressed.size());
  if (ZSTD_isError(frame_size) || frame_size != compressed.size()) {
    return fail(Errc::malformed, "not exactly one zstd frame");
  }
  Bytes out(static_cast<std::size_t>(content));
  auto* context = impl_->decompress_context();
  const auto size =
      id == 0 ? ZSTD_decompressDCtx(context, out.data(), out.size(), compressed.data(),
                                    compressed.size())
              : ZSTD_decompress_usingDDict(context, out.data(), out.size(), compressed.data(),
                                           compressed.size(), shared.decompress.get());
  if (ZSTD_isError(size) || size != out.size())
    return fail(Errc::malformed, "the zstd frame is damaged");
  return out;
}

Bytes Compressor::encode_frame(BytesView message) {
  auto& scratch = impl_->scratch;
  scratch.assign(1, kCodecZstd);
  impl_->append(scratch, message);
  if (scratch.size() < message.size() + 1) {
    Bytes out(scratch.begin(), scratch.end());
    return out;
  }
  Bytes out;
  out.reserve(message.size() + 1);
  out.push_back(kCodecRaw);
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

Result<Bytes> Compressor::decode_frame(BytesView frame) {
  if (frame.size() > limits::kFrameBytesMax) {
    return fail(Errc::too_large,
                "a frame over " + std::to_string(limits::kFrameBytesMax) + " bytes");
  }
  if (frame.empty()) return fail(Errc::malformed, "an empty frame");
  const auto rest = frame.subspan(1);
  if (frame[0] == kCodecRaw) return to_bytes(rest);
  if (frame[0] == kCodecZstd) return decompress(rest, limits::kMessageBytesMax);
  return fail(Errc::unsupported, "frame codec " + std::to_string(frame[0]) + " is not known to v1");
}

}  // namespace fieldpost::wire

#include "tests/crash/subject.h"

#include "crypto/crypto.h"

namespace fieldpost::crash {

namespace {

std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

}  // namespace

// Mixed first: the stream of one number must not be that of the next one, a step later.
Chance::Chance(std::uint64_t number) : state_(mixed(number + 1)) {}

std::uint64_t Chance::next() { return mixed(state_ += 0x9E3779B97F4A7C15u); }

void Chance::fill(std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(next() >> 56);
}

Result<Picture> picture_of(const storage::LmdbKv& kv, std::size_t tables) {
  crypto::Hasher hasher("fieldpost.v1.test-picture");
  const auto add = [&](BytesView bytes) {
    std::array<std::uint8_t, 8> size{};
    for (std::size_t i = 0; i < size.size(); ++i)
      size[i] = static_cast<std::uint8_t>(bytes.size() >> (8 * i));
    hasher.update(size);
    hasher.update(bytes);
  };
  FP_CHECK_OK(kv.view([&](const storage::KvRead& read) -> Status {
    for (std::size_t table = 0; table < tables; ++table) {
      const auto id = static_cast<storage::TableId>(table);
      std::uint64_t rows = 0;
      FP_CHECK_OK(read.scan(id, {}, {}, [&](BytesView key, BytesView value) {
        add(key);
        add(value);
        ++rows;
        return Result<storage::KvRead::Step>(storage::KvRead::Step::more);
      }));
      FP_TRY(const std::uint64_t counted, read.count(id));
      if (counted != rows)
        return fail(Errc::corrupt, "table " + std::to_string(table) + " says it has " +
                                       std::to_string(counted) + " rows and has " +
                                       std::to_string(rows));
      add(as_bytes(std::to_string(rows)));
    }
    return {};
  }));
  return hasher.finish();
}

Result<std::vector<Picture>> pictures_of(const std::vector<storage::LmdbOptions>& stores) {
  std::vector<Picture> pictures;
  for (const storage::LmdbOptions& options : stores) {
    FP_TRY(const auto kv, storage::LmdbKv::open(options));
    FP_TRY(const Picture picture, picture_of(*kv, options.tables.size()));
    pictures.push_back(picture);
  }
  return pictures;
}

}  // namespace fieldpost::crash

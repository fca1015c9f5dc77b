#include "wire/pack.h"

#include <cstdlib>
#include <msgpack/pack.hpp>

namespace fieldpost::wire {
namespace {

/// What msgpack-c's packer writes into.
struct Sink {
  Bytes& bytes;
  void write(const char* data, std::size_t size) {
    const auto* from = reinterpret_cast<const std::uint8_t*>(data);
    bytes.insert(bytes.end(), from, from + size);
  }
};

class Packer {
 public:
  explicit Packer(Bytes& bytes) : sink_{bytes}, packer_(sink_) {}
  msgpack::packer<Sink>* operator->() { return &packer_; }

 private:
  Sink sink_;
  msgpack::packer<Sink> packer_;
};

constexpr std::uint8_t kFixMap = 0x80;
constexpr std::size_t kFixMapEntriesMax = 15;

}  // namespace

void Writer::nil() { Packer(bytes_)->pack_nil(); }

void Writer::boolean(bool value) {
  Packer packer(bytes_);
  value ? packer->pack_true() : packer->pack_false();
}

void Writer::unsigned_integer(std::uint64_t value) {
  if (value < 0x80) {
    bytes_.push_back(static_cast<std::uint8_t>(value));
    return;
  }
  Packer(bytes_)->pack_uint64(value);
}

void Writer::integer(std::int64_t value) { Packer(bytes_)->pack_int64(value); }

void Writer::text(std::string_view value) {
  Packer packer(bytes_);
  packer->pack_str(static_cast<std::uint32_t>(value.size()));
  packer->pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
}

void Writer::blob(BytesView value) {
  Packer packer(bytes_);
  packer->pack_bin(static_cast<std::uint32_t>(value.size()));
  packer->pack_bin_body(reinterpret_cast<const char*>(value.data()),
                        static_cast<std::uint32_t>(value.size()));
}

void Writer::array(std::size_t size) {
  Packer(bytes_)->pack_array(static_cast<std::uint32_t>(size));
}

void Writer::map(std::size_t size) { Packer(bytes_)->pack_map(static_cast<std::uint32_t>(size)); }

std::size_t Writer::open_map() {
  bytes_.push_back(kFixMap);
  return bytes_.size() - 1;
}

void Writer::close_map(std::size_t opened_at, std::size_t entries) {
  if (entries > kFixMapEntriesMax) std::abort();
  bytes_[opened_at] = static_cast<std::uint8_t>(kFixMap | entries);
}

}  // namespace fieldpost::wire

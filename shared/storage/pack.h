// Fixed big-endian packing for keys and small internal values of the stores. Not a wire format.
//
// Thread rule: plain values.
// Invariants:
//   1. Keys built here order as their parts order.
//   2. A Reader never reads past its end; once it fails it stays failed, and `finish` reports it.
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace fieldpost::storage {

class Packer {
 public:
  Packer& u8(std::uint8_t v) {
    bytes_.push_back(v);
    return *this;
  }
  Packer& u64(std::uint64_t v) {
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<std::uint8_t>(v >> shift));
    return *this;
  }
  Packer& i64(std::int64_t v) { return u64(static_cast<std::uint64_t>(v)); }
  Packer& raw(BytesView v) {
    bytes_.insert(bytes_.end(), v.begin(), v.end());
    return *this;
  }
  /// Length-prefixed.
  Packer& blob(BytesView v) { return u64(v.size()).raw(v); }
  Packer& text(std::string_view v) { return blob(as_bytes(v)); }
  template <std::size_t N, class Tag>
  Packer& id(const ByteId<N, Tag>& v) {
    return raw(v.view());
  }
  Packer& actor(ActorId v) { return u64(v.value); }
  Packer& seq(Sequence v) { return u64(v.value); }

  const Bytes& bytes() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(BytesView bytes) : rest_(bytes) {}

  std::uint8_t u8() {
    const BytesView v = raw(1);
    return v.empty() ? 0 : v[0];
  }
  std::uint64_t u64() {
    std::uint64_t out = 0;
    for (std::uint8_t byte : raw(8)) out = out << 8 | byte;
    return out;
  }
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  BytesView raw(std::size_t size) {
    if (size > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const BytesView out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  BytesView blob() { return raw(u64()); }
  std::string text() { return std::string(as_text(blob())); }
  template <class Id>
  Id id() {
    Id out;
    const BytesView v = raw(Id::kSize);
    if (!v.empty()) std::memcpy(out.bytes.data(), v.data(), Id::kSize);
    return out;
  }
  ActorId actor() { return {u64()}; }
  Sequence seq() { return {u64()}; }
  BytesView rest() {
    const BytesView out = rest_;
    rest_ = {};
    return out;
  }
  std::size_t left() const { return rest_.size(); }
  bool failed() const { return failed_; }
  /// Errors: `corrupt` when something was missing or is left over.
  Status finish(std::string_view what) const {
    if (failed_ || !rest_.empty()) {
      return fail(Errc::corrupt, std::string(what) + ": stored value has an unexpected size");
    }
    return {};
  }

 private:
  BytesView rest_;
  bool failed_ = false;
};

/// Whether a key can begin with a record's id. No store writes a shorter one where it does; a disk may cut it.
inline bool names_record(BytesView key) { return key.size() >= RecordId::kSize; }

/// The record that a key begins with. Errors: `corrupt` when it is too short for that.
inline Result<RecordId> record_of_key(BytesView key) {
  if (names_record(key)) return RecordId::from(key.first(RecordId::kSize));
  return fail(Errc::corrupt, "a key that names no record: " + to_hex(key));
}

}  // namespace fieldpost::storage

// A cursor over untrusted msgpack that accepts the canonical form only.
//
// Thread rule: a Reader belongs to one thread.
// Invariants:
//   1. The first failure sticks: every later read returns an empty value and changes nothing, so a
//      caller may read on and look at ok() once, before it believes anything.
//   2. A length is compared with its limit (`too_large`) and with the bytes that are left
//      (`malformed`) before it is returned; nothing is allocated here.
//   3. Floats, extensions, longer forms than needed and invalid UTF-8 are `malformed`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fieldpost::wire {

class Reader {
 public:
  explicit Reader(BytesView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return failure_ == nullptr; }
  /// Keeps the first failure only. `what` never quotes a payload.
  void fail(Errc code, std::string_view what);
  /// Puts a name or an index in front of the place of the failure, if there is one.
  void within(std::string_view name) {
    if (!ok()) name_place(name);
  }
  void within(std::size_t index) {
    if (!ok()) name_place("[" + std::to_string(index) + "]");
  }
  /// Only when !ok().
  Error error() const;

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  /// The next byte without moving; 0xc1 (never used by msgpack) at the end.
  std::uint8_t peek() const { return at_ == end_ ? 0xc1 : *at_; }

  void nil();
  bool boolean();
  std::uint64_t unsigned_integer(std::uint64_t max = UINT64_MAX) {
    const auto byte = next();
    const auto value = byte < 0x80 ? byte : long_integer(byte);
    if (value <= max) return value;
    fail(Errc::malformed, "number is out of range");
    return 0;
  }
  std::int64_t integer();
  std::string_view text(std::size_t max_bytes);
  /// Text whose grammar the caller checks, ASCII only: not checked for UTF-8 here.
  std::string_view unchecked_text(std::size_t max_bytes);
  BytesView blob(std::size_t max_bytes);
  /// Exactly `size` bytes.
  BytesView blob_of(std::size_t size);
  std::size_t array(std::size_t max_items);
  void array_of(std::size_t size);
  std::size_t map(std::size_t max_entries);
  /// Passes over one value of any allowed kind, checking it as strictly.
  void skip(std::size_t depth_left);
  /// `malformed` when bytes are left.
  void finish();

 private:
  struct Failure {
    Errc code;
    std::string place;
    std::string what;
  };

  void name_place(std::string_view name);
  std::uint8_t next() {
    if (at_ == end_) {
      fail_truncated();
      return 0xc1;
    }
    return *at_++;
  }
  void fail_truncated();
  std::uint64_t long_integer(std::uint8_t byte);
  std::uint64_t long_text_size(std::uint8_t byte);
  std::uint64_t big_endian(std::size_t bytes);
  /// A length in `bytes` bytes that would not have fitted the next shorter form.
  std::uint64_t length(std::size_t bytes, std::uint64_t least);
  std::size_t checked(std::uint64_t count, std::size_t max, std::size_t bytes_each);
  BytesView take(std::uint64_t size, std::size_t max) {
    const auto count =
        size <= max && size <= left() ? static_cast<std::size_t>(size) : checked(size, max, 1);
    const BytesView view(at_, count);
    at_ += count;
    return view;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::unique_ptr<Failure> failure_;
};

}  // namespace fieldpost::wire

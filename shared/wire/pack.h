// Writes canonical msgpack: the shortest form of every number and length.
//
// Thread rule: a Writer belongs to one thread.
// Invariants:
//   1. Only nil, bool, integers, str, bin, array and map are ever written; no float, no extension.
//   2. A body map has at most 15 entries, so its header is one byte, filled in when it is closed.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace fieldpost::wire {

class Writer {
 public:
  explicit Writer(std::size_t expected_bytes = 256) { bytes_.reserve(expected_bytes); }

  void nil();
  void boolean(bool value);
  void unsigned_integer(std::uint64_t value);
  void integer(std::int64_t value);
  void text(std::string_view value);
  void blob(BytesView value);
  void array(std::size_t size);
  void map(std::size_t size);

  /// Starts a map whose size is not known yet; returns what `close_map` needs.
  std::size_t open_map();
  /// Aborts above 15 entries: the layouts of this protocol never have so many.
  void close_map(std::size_t opened_at, std::size_t entries);

  std::size_t size() const { return bytes_.size(); }
  BytesView view() const { return bytes_; }
  Bytes take() && { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace fieldpost::wire

// Bodies: maps with small ascending integer keys. Each body is described once, by a function template
// `describe(io, body)`; BodyWriter and BodyReader run the same description in the two directions.
//
// Thread rule: plain objects of one thread.
// Invariants:
//   1. Keys ascend strictly. Keys 0–63 belong to v1: an unknown one is refused. Keys from 64 on are
//      room for later: checked for form, passed over, and not kept.
//   2. What is optional is left out when absent, empty, zero or false, and refused when it is there
//      with that value: every body has exactly one encoding.
//   3. Items of lists are positional arrays of a fixed size.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/ids.h"
#include "base/limits.h"
#include "wire/pack.h"
#include "wire/reader.h"
#include "wire/value_codec.h"

namespace fieldpost::wire {

inline constexpr std::uint64_t kFirstExtensionKey = 64;
inline constexpr std::size_t kBodyEntriesMax = 64;

/// The largest value of each enumeration on the wire; the smallest is EnumRange::kLeast.
template <class T>
struct EnumRange;

/// A bound on the bytes of a text: least, most.
struct TextBound {
  std::size_t least = 0;
  std::size_t most = 0;
};

// ---- numbers of every kind ----

inline void put_number(Writer& out, std::uint64_t value) { out.unsigned_integer(value); }
inline void put_number(Writer& out, std::uint32_t value) { out.unsigned_integer(value); }
inline void put_number(Writer& out, ActorId value) { out.unsigned_integer(value.value); }
inline void put_number(Writer& out, Sequence value) { out.unsigned_integer(value.value); }
inline void put_number(Writer& out, Instant value) { out.integer(value.ms); }
template <class T>
  requires std::is_enum_v<T>
void put_number(Writer& out, T value) {
  out.unsigned_integer(static_cast<std::uint64_t>(value));
}

inline void get_number(Reader& in, std::uint64_t& value) { value = in.unsigned_integer(); }
inline void get_number(Reader& in, std::uint32_t& value) {
  value = static_cast<std::uint32_t>(in.unsigned_integer(UINT32_MAX));
}
inline void get_number(Reader& in, ActorId& value) {
  value.value = in.unsigned_integer();
  if (in.ok() && value.value == 0) in.fail(Errc::malformed, "actor 0");
}
inline void get_number(Reader& in, Sequence& value) { value.value = in.unsigned_integer(); }
inline void get_number(Reader& in, Instant& value) { value.ms = in.integer(); }
template <class T>
  requires std::is_enum_v<T>
void get_number(Reader& in, T& value) {
  const auto number = in.unsigned_integer();
  if (!in.ok()) return;
  if (number < EnumRange<T>::kLeast || number > EnumRange<T>::kMost) {
    return in.fail(Errc::malformed, "unknown kind " + std::to_string(number));
  }
  value = static_cast<T>(number);
}

class BodyWriter {
 public:
  template <class T>
  using Of = const T;

  explicit BodyWriter(Writer& out) : out_(out), opened_at_(out.open_map()) {}
  void finish() { out_.close_map(opened_at_, entries_); }

  /// Rules over the whole body are the reader's business.
  void check(bool, std::string_view, std::string_view) {}

  // Entries of this map.
  template <class T>
  void number(int key, std::string_view, const T& value) {
    open(key);
    put_number(out_, value);
  }
  template <class T>
  void nonzero(int key, std::string_view name, const T& value) {
    if (value != T{}) number(key, name, value);
  }
  template <class T>
  void maybe(int key, std::string_view name, const std::optional<T>& value) {
    if (value) number(key, name, *value);
  }
  void flag(int key, std::string_view, bool value) {
    if (!value) return;
    open(key);
    out_.boolean(true);
  }
  void text(int key, std::string_view, const std::string& value, TextBound bound) {
    if (bound.least == 0 && value.empty()) return;
    open(key);
    out_.text(value);
  }
  void blob(int key, std::string_view, const Bytes& value, std::size_t) {
    if (value.empty()) return;
    open(key);
    out_.blob(value);
  }
  template <std::size_t N, class Tag>
  void id(int key, std::string_view, const ByteId<N, Tag>& value) {
    open(key);
    out_.blob(value.view());
  }
  template <class T>
  void list(int key, std::string_view, const std::vector<T>& values, std::size_t) {
    if (values.empty()) return;
    open(key);
    out_.array(values.size());
    for (const auto& value : values) describe_item(*this, value);
  }
  template <class T>
  void group(int key, std::string_view, const T& value) {
    open(key);
    BodyWriter inner(out_);
    describe(inner, value);
    inner.finish();
  }

  // Positions of an item.
  void item(std::size_t size) { out_.array(size); }
  template <class T>
  void number(std::string_view, const T& value) {
    put_number(out_, value);
  }
  void vector(std::string_view, const model::VersionVector& value) { put_vector(out_, value); }
  void text(std::string_view, const std::string& value, TextBound) { out_.text(value); }
  void blob(std::string_view, const Bytes& value, std::size_t) { out_.blob(value); }
  template <std::size_t N, class Tag>
  void id(std::string_view, const ByteId<N, Tag>& value) {
    out_.blob(value.view());
  }

 private:
  void open(int key) {
    out_.unsigned_integer(static_cast<std::uint64_t>(key));
    ++entries_;
  }

  Writer& out_;
  std::size_t opened_at_;
  std::size_t entries_ = 0;
};

class BodyReader {
 public:
  template <class T>
  using Of = T;

  /// `strict`: extension keys are refused too (record states, whose bytes are canonical).
  explicit BodyReader(Reader& in, bool strict = false)
      : in_(in), strict_(strict), left_(in.map(kBodyEntriesMax)) {
    advance();
  }

  Reader& in() { return in_; }

  void finish() {
    while (in_.ok() && has_key_) {
      if (strict_ || key_ < kFirstExtensionKey) {
        return in_.fail(Errc::malformed, "unknown key " + std::to_string(key_));
      }
      in_.skip(limits::kNestingMax - 2);
      advance();
    }
  }

  void check(bool holds, std::string_view name, std::string_view what) {
    if (holds || !in_.ok()) return;
    in_.fail(Errc::malformed, what);
    in_.within(name);
  }

  /// True when the next entry is `key`; the caller reads its value and calls `done`.
  bool has(int key) const {
    return in_.ok() && has_key_ && key_ == static_cast<std::uint64_t>(key);
  }
  bool require(int key, std::string_view name) {
    if (has(key)) return true;
    in_.fail(Errc::malformed, "missing");
    in_.within(name);
    return false;
  }
  void done(std::string_view name) {
    in_.within(name);
    advance();
  }
  void refuse_default(bool is_default) {
    if (is_default) in_.fail(Errc::malformed, "must be left out when it is empty, zero or false");
  }

  // Entries of this map.
  template <class T>
  void number(int key, std::string_view name, T& value) {
    if (!require(key, name)) return;
    get_number(in_, value);
    done(name);
  }
  template <class T>
  void nonzero(int key, std::string_view name, T& value) {
    if (!has(key)) return;
    get_number(in_, value);
    refuse_default(value == T{});
    done(name);
  }
  template <class T>
  void maybe(int key, std::string_view name, std::optional<T>& value) {
    if (!has(key)) return;
    get_number(in_, value.emplace());
    done(name);
  }
  void flag(int key, std::string_view name, bool& value) {
    if (!has(key)) return;
    value = in_.boolean();
    refuse_default(!value);
    done(name);
  }
  void text(int key, std::string_view name, std::string& value, TextBound bound) {
    if (bound.least == 0 && !has(key)) return;
    if (!require(key, name)) return;
    value = in_.text(bound.most);
    if (in_.ok() && bound.least == 0) refuse_default(value.empty());
    if (in_.ok() && value.size() < bound.least) in_.fail(Errc::malformed, "text is too short");
    done(name);
  }
  void blob(int key, std::string_view name, Bytes& value, std::size_t max) {
    if (!has(key)) return;
    value = to_bytes(in_.blob(max));
    refuse_default(value.empty());
    done(name);
  }
  template <std::size_t N, class Tag>
  void id(int key, std::string_view name, ByteId<N, Tag>& value) {
    if (!require(key, name)) return;
    get_id(value);
    done(name);
  }
  template <class T>
  void list(int key, std::string_view name, std::vector<T>& values, std::size_t max) {
    if (!has(key)) return;
    const auto count = in_.array(max);
    refuse_default(in_.ok() && count == 0);
    values.reserve(count);
    for (std::size_t i = 0; i < count && in_.ok(); ++i) {
      describe_item(*this, values.emplace_back());
      in_.within(i);
    }
    done(name);
  }
  template <class T>
  void group(int key, std::string_view name, T& value) {
    if (!require(key, name)) return;
    BodyReader inner(in_, strict_);
    describe(inner, value);
    inner.finish();
    done(name);
  }

  // Positions of an item.
  void item(std::size_t size) { in_.array_of(size); }
  template <class T>
  void number(std::string_view name, T& value) {
    get_number(in_, value);
    in_.within(name);
  }
  void vector(std::string_view name, model::VersionVector& value) {
    get_vector(in_, value);
    in_.within(name);
  }
  void text(std::string_view name, std::string& value, TextBound bound) {
    value = in_.text(bound.most);
    if (in_.ok() && value.size() < bound.least) in_.fail(Errc::malformed, "text is too short");
    in_.within(name);
  }
  void blob(std::string_view name, Bytes& value, std::size_t max) {
    value = to_bytes(in_.blob(max));
    in_.within(name);
  }
  template <std::size_t N, class Tag>
  void id(std::string_view name, ByteId<N, Tag>& value) {
    get_id(value);
    in_.within(name);
  }

 private:
  template <std::size_t N, class Tag>
  void get_id(ByteId<N, Tag>& value) {
    const auto view = in_.blob_of(N);
    if (in_.ok()) std::memcpy(value.bytes.data(), view.data(), N);
  }

  void advance() {
    has_key_ = in_.ok() && left_ > 0;
    if (!has_key_) return;
    --left_;
    const auto previous = key_;
    key_ = in_.unsigned_integer();
    if (in_.ok() && any_ && key_ <= previous) in_.fail(Errc::malformed, "keys do not ascend");
    any_ = true;
  }

  Reader& in_;
  bool strict_;
  std::size_t left_;
  std::uint64_t key_ = 0;
  bool has_key_ = false;
  bool any_ = false;
};

}  // namespace fieldpost::wire

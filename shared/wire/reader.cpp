#include "wire/reader.h"

#include "base/text.h"

namespace fieldpost::wire {
namespace {

constexpr std::string_view kNotCanonical = "longer form than needed";
constexpr std::string_view kTruncated = "ends too early";

}  // namespace

void Reader::fail(Errc code, std::string_view what) {
  if (!ok()) return;
  failure_ = std::make_unique<Failure>(Failure{code, {}, std::string(what)});
  at_ = end_;
}

void Reader::name_place(std::string_view name) {
  auto& place = failure_->place;
  const bool dot = !place.empty() && place.front() != '[';
  place = std::string(name) + (dot ? "." : "") + place;
}

Error Reader::error() const {
  if (failure_->place.empty()) return {failure_->code, failure_->what};
  return {failure_->code, failure_->place + ": " + failure_->what};
}

void Reader::fail_truncated() { fail(Errc::malformed, kTruncated); }

std::uint64_t Reader::big_endian(std::size_t bytes) {
  if (left() < bytes) {
    fail(Errc::malformed, kTruncated);
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | *at_++;
  return value;
}

std::uint64_t Reader::length(std::size_t bytes, std::uint64_t least) {
  const auto value = big_endian(bytes);
  if (ok() && value < least) fail(Errc::malformed, kNotCanonical);
  return ok() ? value : 0;
}

std::size_t Reader::checked(std::uint64_t count, std::size_t max, std::size_t bytes_each) {
  if (count > max) {
    fail(Errc::too_large,
         std::to_string(count) + " where at most " + std::to_string(max) + " are allowed");
    return 0;
  }
  if (count > left() / bytes_each) {
    fail(Errc::malformed, kTruncated);
    return 0;
  }
  return static_cast<std::size_t>(count);
}

void Reader::nil() {
  if (next() != 0xc0) fail(Errc::malformed, "expected nil");
}

bool Reader::boolean() {
  const auto byte = next();
  if (byte != 0xc2 && byte != 0xc3) fail(Errc::malformed, "expected true or false");
  return byte == 0xc3;
}

std::uint64_t Reader::long_integer(std::uint8_t byte) {
  if (byte == 0xcc) return length(1, 0x80);
  if (byte == 0xcd) return length(2, 0x100);
  if (byte == 0xce) return length(4, 0x10000);
  if (byte == 0xcf) return length(8, 0x100000000);
  const bool negative = byte >= 0xe0 || (byte >= 0xd0 && byte <= 0xd3);
  fail(Errc::malformed, negative ? "number is negative" : "expected a number");
  return 0;
}

std::int64_t Reader::integer() {
  const auto byte = peek();
  if (byte >= 0xe0) {
    ++at_;
    return static_cast<std::int8_t>(byte);
  }
  if (byte < 0xd0 || byte > 0xd3) return static_cast<std::int64_t>(unsigned_integer(INT64_MAX));
  ++at_;
  const std::size_t width = std::size_t{1} << (byte - 0xd0);
  const auto raw = big_endian(width);
  // Sign-extend, then ask whether the next shorter form would have held it.
  const auto shift = 64 - 8 * width;
  // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): width is 1, 2, 4 or 8
  const auto value = static_cast<std::int64_t>(raw << shift) >> shift;
  constexpr std::int64_t kShorterHolds[] = {-32, INT8_MIN, INT16_MIN, INT32_MIN};
  if (ok() && value >= kShorterHolds[byte - 0xd0]) fail(Errc::malformed, kNotCanonical);
  return ok() ? value : 0;
}

std::uint64_t Reader::long_text_size(std::uint8_t byte) {
  if (byte == 0xd9) return length(1, 32);
  if (byte == 0xda) return length(2, 0x100);
  if (byte == 0xdb) return length(4, 0x10000);
  fail(Errc::malformed, "expected text");
  return 0;
}

std::string_view Reader::unchecked_text(std::size_t max_bytes) {
  const auto byte = next();
  const std::uint64_t size = byte >= 0xa0 && byte <= 0xbf ? byte & 0x1f : long_text_size(byte);
  return as_text(take(size, max_bytes));
}

std::string_view Reader::text(std::size_t max_bytes) {
  const auto view = unchecked_text(max_bytes);
  if (is_utf8(view)) return view;
  fail(Errc::malformed, "text is not UTF-8");
  return {};
}

BytesView Reader::blob(std::size_t max_bytes) {
  const auto byte = next();
  std::uint64_t size = 0;
  if (byte == 0xc4) {
    size = length(1, 0);
  } else if (byte == 0xc5) {
    size = length(2, 0x100);
  } else if (byte == 0xc6) {
    size = length(4, 0x10000);
  } else {
    fail(Errc::malformed, "expected bytes");
  }
  return take(size, max_bytes);
}

BytesView Reader::blob_of(std::size_t size) {
  const auto view = blob(SIZE_MAX);
  if (ok() && view.size() != size) {
    fail(Errc::malformed,
         "expected " + std::to_string(size) + " bytes, found " + std::to_string(view.size()));
  }
  return ok() ? view : BytesView{};
}

std::size_t Reader::array(std::size_t max_items) {
  const auto byte = next();
  if (byte >= 0x90 && byte <= 0x9f) return checked(byte & 0x0f, max_items, 1);
  if (byte == 0xdc) return checked(length(2, 16), max_items, 1);
  if (byte == 0xdd) return checked(length(4, 0x10000), max_items, 1);
  fail(Errc::malformed, "expected a list");
  return 0;
}

void Reader::array_of(std::size_t size) {
  const auto found = array(SIZE_MAX);
  if (ok() && found != size) {
    fail(Errc::malformed,
         "expected a list of " + std::to_string(size) + ", found " + std::to_string(found));
  }
}

std::size_t Reader::map(std::size_t max_entries) {
  const auto byte = next();
  if (byte >= 0x80 && byte <= 0x8f) return checked(byte & 0x0f, max_entries, 2);
  if (byte == 0xde) return checked(length(2, 16), max_entries, 2);
  if (byte == 0xdf) return checked(length(4, 0x10000), max_entries, 2);
  fail(Errc::malformed, "expected a map");
  return 0;
}

void Reader::skip(std::size_t depth_left) {
  const auto byte = peek();
  if (byte == 0xc0) return nil();
  if (byte == 0xc2 || byte == 0xc3) return static_cast<void>(boolean());
  if (byte >= 0xc4 && byte <= 0xc6) return static_cast<void>(blob(SIZE_MAX));
  if (byte < 0x80 || (byte >= 0xcc && byte <= 0xcf)) return static_cast<void>(unsigned_integer());
  if (byte >= 0xe0 || (byte >= 0xd0 && byte <= 0xd3)) return static_cast<void>(integer());
  if ((byte >= 0xa0 && byte <= 0xbf) || (byte >= 0xd9 && byte <= 0xdb)) {
    return static_cast<void>(text(SIZE_MAX));
  }
  const bool is_map = byte <= 0x8f || byte == 0xde || byte == 0xdf;
  if (!is_map && byte > 0x9f && byte != 0xdc && byte != 0xdd) {
    return fail(Errc::malformed,
                at_ == end_ ? kTruncated : "a kind of value that v1 does not know");
  }
  if (depth_left == 0) return fail(Errc::too_large, "nested too deeply");
  const auto items = is_map ? 2 * map(SIZE_MAX) : array(SIZE_MAX);
  for (std::size_t i = 0; i < items && ok(); ++i) skip(depth_left - 1);
}

void Reader::finish() {
  if (ok() && at_ != end_) fail(Errc::malformed, std::to_string(left()) + " bytes after the end");
}

}  // namespace fieldpost::wire

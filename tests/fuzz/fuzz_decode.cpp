// Every decoder over arbitrary bytes: the first byte chooses which, the rest is its input.
// Beyond not crashing: what is accepted encodes again, and a record state to the very same bytes.
#include <cstdlib>

#include "wire/codec.h"
#include "wire/frame.h"

using namespace fieldpost;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void change(BytesView bytes) {
  const auto decoded = wire::decode_change(ActorId{1}, bytes);
  if (!decoded) return;
  require(wire::decode_change_frame(bytes).has_value());
  const auto again = wire::encode_change(*decoded);
  require(again.has_value() && again->size() <= bytes.size());
  require(*wire::decode_change(ActorId{1}, *again) == *decoded);
}

void record(BytesView bytes) {
  const auto decoded = wire::decode_record(bytes);
  if (!decoded) return;
  const auto again = wire::encode_record(*decoded);
  require(again.has_value() && as_text(*again) == as_text(bytes));
}

void message(BytesView bytes) {
  const auto decoded = wire::decode_message(bytes);
  if (!decoded) return;
  const auto again = wire::encode_message(decoded->message);
  require(again.size() <= bytes.size());
  require(wire::decode_message(again)->message == decoded->message);
}

void frame(BytesView bytes) {
  static wire::Compressor compressor(wire::Dictionary::v1());
  if (const auto decoded = compressor.decode_frame(bytes)) message(*decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const BytesView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      message(bytes);
      break;
    case 1:
      change(bytes);
      break;
    case 2:
      record(bytes);
      break;
    default:
      frame(bytes);
      break;
  }
  return 0;
}

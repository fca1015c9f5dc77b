// Every truncation and every single flipped bit of every golden message, change, record state and frame.
#include <fstream>
#include <nlohmann/json.hpp>

#include "crypto/crypto.h"
#include "tests/fuzz/counted_memory.h"
#include "tests/support/catch.h"
#include "wire/codec.h"
#include "wire/frame.h"

using namespace fieldpost;
using nlohmann::json;
using test::CountedMemory;

namespace {

// No golden input is above 2 KiB. What is decoded holds its parts as values of their own, and an error its words.
// A frame may say how large its message is, up to the limit.
constexpr std::size_t kLargestAllocation = 32 * 1024;
constexpr std::size_t kAllAllocations = 256 * 1024;

struct Golden {
  std::string name;
  std::string what;
  Bytes bytes;
};

std::vector<Golden> golden_vectors() {
  std::vector<Golden> all;
  for (const char* file : {"messages", "changes", "records", "frames"}) {
    std::ifstream in(std::string(FIELDPOST_SOURCE_DIR) + "/schemas/vectors/" + file + ".json");
    const json content = json::parse(in);
    for (const json& vector : content.at("vectors")) {
      all.push_back(
          {vector.at("name"), vector.at("what"), *from_hex(vector.at("hex").get<std::string>())});
    }
  }
  return all;
}

struct Tally {
  std::size_t refused = 0;
  std::size_t other = 0;      ///< decoded, to something else
  std::size_t extension = 0;  ///< decoded, to the same: a key that is passed over came in
  std::size_t signature = 0;  ///< decoded, to the same, with another signature
};

bool is_refusal(const Error& error) {
  return error.is(Errc::malformed) || error.is(Errc::too_large) || error.is(Errc::unsupported);
}

/// What became of damaged bytes; false when it is none of what may become of them.
template <class Value>
bool settle(const Value& before, const Value& after, const Bytes& again, BytesView damaged,
            Tally& tally) {
  if (after == before) {
    ++tally.extension;
    return again.size() < damaged.size();
  }
  ++tally.other;
  return again.size() <= damaged.size();
}

bool take_message(const Golden& golden, BytesView damaged, Tally& tally) {
  const auto decoded = wire::decode_message(damaged);
  if (!decoded) return ++tally.refused, is_refusal(decoded.error());
  const auto before = *wire::decode_message(golden.bytes);
  if (decoded->message == before.message && decoded->signature != before.signature)
    return ++tally.signature, decoded->signed_body == before.signed_body;
  const Bytes again = wire::encode_message(decoded->message);
  return wire::decode_message(again)->message == decoded->message &&
         settle(before.message, decoded->message, again, damaged, tally);
}

bool take_change(const Golden& golden, BytesView damaged, Tally& tally) {
  const auto decoded = wire::decode_change(ActorId{1}, damaged);
  if (!decoded) return ++tally.refused, is_refusal(decoded.error());
  const auto before = *wire::decode_change(ActorId{1}, golden.bytes);
  const auto again = wire::encode_change(*decoded);
  return again && *wire::decode_change(ActorId{1}, *again) == *decoded &&
         settle(before, *decoded, *again, damaged, tally);
}

bool take_record(const Golden& golden, BytesView damaged, Tally& tally) {
  const auto decoded = wire::decode_record(damaged);
  if (!decoded) return ++tally.refused, is_refusal(decoded.error());
  ++tally.other;
  return *decoded != *wire::decode_record(golden.bytes) &&
         *wire::encode_record(*decoded) == to_bytes(damaged);
}

bool take_frame(const Golden& golden, BytesView damaged, Tally& tally) {
  static wire::Compressor compressor(wire::Dictionary::v1());
  const auto message = compressor.decode_frame(damaged);
  if (!message) return ++tally.refused, is_refusal(message.error());
  ++tally.other;
  // Some bits of a compressed form say nothing.
  return message->size() <= limits::kMessageBytesMax;
}

bool take(const Golden& golden, BytesView damaged, Tally& tally) {
  if (golden.what == "message") return take_message(golden, damaged, tally);
  if (golden.what == "change") return take_change(golden, damaged, tally);
  if (golden.what == "record") return take_record(golden, damaged, tally);
  return take_frame(golden, damaged, tally);
}

/// Decodes as `take` does, within the bounds of memory.
void take_within_bounds(const Golden& golden, BytesView damaged, Tally& tally, bool& sound) {
  test::Memory memory;
  {
    const CountedMemory counted;
    sound = take(golden, damaged, tally);
    memory = counted.so_far();
  }
  const std::size_t claimed = golden.what == "frame" ? limits::kMessageBytesMax : 0;
  if (memory.largest > kLargestAllocation + claimed || memory.total > kAllAllocations + claimed) {
    sound = false;
    UNSCOPED_INFO("allocated " << memory.total << " bytes, " << memory.largest << " at once");
  }
}

}  // namespace

TEST_CASE("a golden message that ends early is refused, wherever it ends") {
  REQUIRE(crypto::init());
  std::size_t inputs = 0;
  for (const Golden& golden : golden_vectors()) {
    Tally tally;
    for (std::size_t size = 0; size < golden.bytes.size(); ++size, ++inputs) {
      bool sound = false;
      take_within_bounds(golden, BytesView(golden.bytes).first(size), tally, sound);
      if (!sound) FAIL_CHECK(golden.name << ", the first " << size << " bytes");
    }
    INFO(golden.name);
    // A raw frame holds whatever it holds: the message in it is what ends early.
    if (golden.name == "frame-raw")
      CHECK(tally.other == golden.bytes.size() - 1);
    else
      CHECK(tally.refused == golden.bytes.size());
  }
  CHECK(inputs > 5'000);
}

TEST_CASE("a golden message with one flipped bit is refused, or is another message") {
  REQUIRE(crypto::init());
  Tally all;
  for (const Golden& golden : golden_vectors()) {
    Tally tally;
    Bytes damaged = golden.bytes;
    for (std::size_t bit = 0; bit < 8 * damaged.size(); ++bit) {
      damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      bool sound = false;
      take_within_bounds(golden, damaged, tally, sound);
      if (!sound) FAIL_CHECK(golden.name << ", bit " << bit);
      damaged[bit / 8] = golden.bytes[bit / 8];
    }
    INFO(golden.name);
    CHECK(tally.refused > 0);
    // Only the 64 bytes of a signature stand outside the message.
    CHECK((tally.signature == 0 || tally.signature == 64 * 8));
    all.refused += tally.refused;
    all.other += tally.other;
    all.extension += tally.extension;
    all.signature += tally.signature;
  }
  WARN(all.refused << " refused, " << all.other << " something else, " << all.extension
                   << " with an extension key, " << all.signature << " with another signature");
  CHECK(all.refused > 5'000);
  CHECK(all.other > 10'000);
  CHECK(all.signature == 2 * 64 * 8);  // hello and welcome
}

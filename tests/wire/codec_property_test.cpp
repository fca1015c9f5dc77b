// What must hold for every change, record and message, and for every damaged one.
#include <msgpack.hpp>
#include <rapidcheck.h>

#include "tests/support/catch.h"
#include "tests/wire/random_values.h"
#include "wire/codec.h"
#include "wire/frame.h"

using namespace fieldpost;
using test::Random;

namespace {

constexpr int kPerCase = 10;

/// msgpack-c as an oracle: it reads our bytes, and packs what it read into the same bytes.
bool msgpack_agrees(BytesView bytes) {
  std::size_t offset = 0;
  const auto handle =
      msgpack::unpack(reinterpret_cast<const char*>(bytes.data()), bytes.size(), offset);
  msgpack::sbuffer again;
  msgpack::pack(again, handle.get());
  return offset == bytes.size() && as_text(bytes) == std::string_view(again.data(), again.size());
}

/// One random damage: a changed byte, a cut, an inserted or a removed byte.
Bytes damaged(Random& random, Bytes bytes) {
  const auto at = static_cast<std::ptrdiff_t>(random.below(bytes.size()));
  switch (random.below(4)) {
    case 0:
      bytes[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1 + random.below(255));
      break;
    case 1:
      bytes.resize(static_cast<std::size_t>(at));
      break;
    case 2:
      bytes.insert(bytes.begin() + at, static_cast<std::uint8_t>(random.below(256)));
      break;
    default:
      bytes.erase(bytes.begin() + at);
      break;
  }
  return bytes;
}

/// What became of damaged bytes. Damage seldom makes an extension key (64 and above), which is passed
/// over and not kept: such a case must be shorter again, and there must be few of them.
struct Tally {
  std::size_t refused = 0;
  std::size_t accepted = 0;
  std::size_t shortened = 0;

  bool take(BytesView bytes, BytesView again) {
    ++accepted;
    if (as_text(bytes) == as_text(again)) return true;
    ++shortened;
    return again.size() < bytes.size();
  }
  bool sane() const { return refused > 1000 && accepted > 100 && shortened * 20 < accepted; }
};

}  // namespace

TEST_CASE("every change survives the wire, and its bytes are canonical") {
  REQUIRE(rc::check("change", [](std::uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < kPerCase; ++i) {
      const auto change = random.change();
      const auto bytes = wire::encode_change(change);
      RC_ASSERT(bytes.has_value());
      RC_ASSERT(msgpack_agrees(*bytes));
      const auto frame = wire::decode_change_frame(*bytes);
      RC_ASSERT(frame.has_value());
      RC_ASSERT(frame->record == change.record && frame->counter == change.dot.counter &&
                frame->prev == change.prev);
      RC_ASSERT(msgpack_agrees(frame->body));
      const auto back = wire::decode_change(change.dot.actor, *bytes);
      RC_ASSERT(back.has_value());
      RC_ASSERT(*back == change);
      RC_ASSERT(*wire::encode_change(*back) == *bytes);
    }
  }));
}

TEST_CASE("every record state survives the wire, and its bytes are canonical") {
  REQUIRE(rc::check("record", [](std::uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < kPerCase; ++i) {
      const auto record = random.record();
      const auto bytes = wire::encode_record(record);
      RC_ASSERT(bytes.has_value());
      RC_ASSERT(msgpack_agrees(*bytes));
      const auto back = wire::decode_record(*bytes);
      RC_ASSERT(back.has_value());
      RC_ASSERT(*back == record);
      RC_ASSERT(*wire::encode_record(*back) == *bytes);
    }
  }));
}

TEST_CASE("every message survives the wire, and its bytes are canonical") {
  REQUIRE(rc::check("message", [](std::uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < kPerCase; ++i) {
      const auto message = random.message();
      const auto bytes = wire::encode_message(message);
      RC_ASSERT(msgpack_agrees(bytes));
      const auto back = wire::decode_message(bytes);
      RC_ASSERT(back.has_value());
      RC_ASSERT(back->message == message);
      RC_ASSERT(wire::encode_message(back->message) == bytes);
    }
  }));
}

TEST_CASE("a damaged change is refused or is another canonical change") {
  Tally tally;
  REQUIRE(rc::check("damaged change", [&](std::uint64_t seed) {
    Random random(seed);
    const auto change = random.change();
    const auto good = *wire::encode_change(change);
    for (int i = 0; i < 50; ++i) {
      const auto bytes = damaged(random, good);
      const auto back = wire::decode_change(change.dot.actor, bytes);
      if (!back) {
        ++tally.refused;
        RC_ASSERT(!back.error().detail.empty());
        continue;
      }
      const auto again = wire::encode_change(*back);
      RC_ASSERT(again.has_value());
      RC_ASSERT(tally.take(bytes, *again));
    }
  }));
  REQUIRE(tally.sane());
}

TEST_CASE("a damaged record state is refused or is another canonical record state") {
  Tally tally;
  REQUIRE(rc::check("damaged record", [&](std::uint64_t seed) {
    Random random(seed);
    const auto good = *wire::encode_record(random.record());
    for (int i = 0; i < 50; ++i) {
      const auto bytes = damaged(random, good);
      const auto back = wire::decode_record(bytes);
      if (!back) {
        ++tally.refused;
        continue;
      }
      // States are strict: no exception for extension keys.
      RC_ASSERT(tally.take(bytes, *wire::encode_record(*back)));
      RC_ASSERT(tally.shortened == 0U);
    }
  }));
  REQUIRE(tally.sane());
}

TEST_CASE("a damaged message is refused or is another canonical message") {
  Tally tally;
  REQUIRE(rc::check("damaged message", [&](std::uint64_t seed) {
    Random random(seed);
    const auto good = wire::encode_message(random.message());
    for (int i = 0; i < 50; ++i) {
      const auto bytes = damaged(random, good);
      const auto back = wire::decode_message(bytes);
      if (!back) {
        ++tally.refused;
        continue;
      }
      // encode_message signs with zeros; everything else must be the same.
      auto again = wire::encode_message(back->message);
      if (!back->signed_body.empty()) {
        std::copy(back->signature.bytes.begin(), back->signature.bytes.end(), again.end() - 64);
      }
      RC_ASSERT(tally.take(bytes, again));
    }
  }));
  REQUIRE(tally.sane());
}

TEST_CASE("every prefix of a message and of a change is refused") {
  REQUIRE(rc::check("prefix", [](std::uint64_t seed) {
    Random random(seed);
    const auto change = random.change();
    const auto change_bytes = *wire::encode_change(change);
    for (std::size_t size = 0; size < change_bytes.size(); size += 1 + size / 64) {
      RC_ASSERT(!wire::decode_change(change.dot.actor, BytesView(change_bytes).first(size)));
    }
    const auto message = wire::encode_message(random.message());
    for (std::size_t size = 0; size < message.size(); size += 1 + size / 64) {
      RC_ASSERT(!wire::decode_message(BytesView(message).first(size)));
    }
  }));
}

TEST_CASE("a frame gives back its message, and a damaged one never more than the limit") {
  wire::Compressor compressor(wire::Dictionary::v1());
  REQUIRE(rc::check("frame", [&](std::uint64_t seed) {
    Random random(seed);
    const auto message = wire::encode_message(random.message());
    const auto frame = compressor.encode_frame(message);
    RC_ASSERT(frame.size() <= message.size() + 1);
    const auto back = compressor.decode_frame(frame);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == message);
    for (int i = 0; i < 20; ++i) {
      const auto hurt = compressor.decode_frame(damaged(random, frame));
      RC_ASSERT(
          (!hurt ||
           hurt->size() <= limits::kMessageBytesMax));  // RC_ASSERT's own || evaluates both sides
    }
  }));
}

// What a batch of a thousand stops costs: bytes (asserted) and time (printed; asserted loosely in
// optimised builds, so that a tenfold loss is noticed).
#include <cstdio>
#include <ctime>
#include <fstream>

#include "model/record.h"
#include "tests/support/catch.h"
#include "tests/wire/stop_day.h"
#include "wire/codec.h"
#include "wire/frame.h"

using namespace fieldpost;

namespace {

constexpr std::size_t kStops = 1000;
constexpr ActorId kActor{0x6f1d2c3b4a596877};

std::vector<model::Change> stops(std::uint64_t seed) {
  test::StopDay day(seed);
  std::vector<model::Change> out;
  for (std::size_t i = 0; i < kStops; ++i) out.push_back(day.next());
  return out;
}

/// Batches that keep under the bytes an agent aims at, as compressed frames; the sum of their sizes.
template <class Add, class Finish>
std::size_t frames_bytes(std::size_t count, Add add, Finish finish) {
  wire::Compressor compressor(wire::Dictionary::v1());
  std::size_t total = 0;
  std::size_t plain = 0;
  for (std::size_t i = 0; i < count; ++i) {
    plain += add(i);
    if (plain < limits::kPushTargetBytes && i + 1 < count) continue;
    const auto frame = compressor.encode_frame(finish());
    REQUIRE(frame.size() <= limits::kFrameBytesMax);
    total += frame.size();
    plain = 0;
  }
  return total;
}

/// By the process's CPU time: other programs on the machine do not count.
double per_second(std::size_t count, std::clock_t start) {
  return static_cast<double>(count) * CLOCKS_PER_SEC / static_cast<double>(std::clock() - start);
}

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::stol(line.substr(8));
  }
  return 0;
}

}  // namespace

TEST_CASE("a push of a thousand stops costs at most 230 bytes a record") {
  const auto changes = stops(1);
  wire::Push push{kActor, {1}, {}, {}, {}};
  std::size_t plain = 0;
  const auto total = frames_bytes(
      kStops,
      [&](std::size_t i) {
        push.changes.push_back(*wire::encode_change(changes[i]));
        plain += push.changes.back().size();
        return push.changes.back().size();
      },
      [&] {
        auto message = wire::encode_message(push);
        push.first.value += push.changes.size();
        push.changes.clear();
        return message;
      });
  std::printf("push: %zu bytes a change plain, %zu compressed\n", plain / kStops, total / kStops);
  REQUIRE(total / kStops <= 230);
}

TEST_CASE("a delivery of a thousand stops costs at most 230 bytes a record") {
  wire::Deliver deliver{"01-PPT", Bytes(24, 7), {}, false, {}};
  std::vector<Bytes> states;
  for (const auto& change : stops(2)) {
    auto record = model::empty_record(change.record, change.type, change.unit);
    REQUIRE(model::apply(record, change) == model::Applied::applied);
    states.push_back(*wire::encode_record(record));
  }
  const auto total = frames_bytes(
      kStops,
      [&](std::size_t i) {
        deliver.states.push_back(states[i]);
        return states[i].size();
      },
      [&] {
        auto message = wire::encode_message(deliver);
        deliver.states.clear();
        return message;
      });
  std::printf("deliver: %zu bytes a record\n", total / kStops);
  REQUIRE(total / kStops <= 230);
}

TEST_CASE("a thousand changes are encoded and decoded in a few milliseconds") {
  const auto changes = stops(3);
  constexpr std::size_t kRounds = 20;
  wire::Push push{kActor, {1}, {}, {}, {}};
  Bytes message;
  const auto encode_start = std::clock();
  for (std::size_t round = 0; round < kRounds; ++round) {
    push.changes.clear();
    for (const auto& change : changes) push.changes.push_back(*wire::encode_change(change));
    message = wire::encode_message(push);
  }
  const auto encoded = per_second(kRounds * kStops, encode_start);
  std::size_t edits = 0;
  const auto decode_start = std::clock();
  for (std::size_t round = 0; round < kRounds; ++round) {
    const auto decoded = wire::decode_message(message);
    REQUIRE(decoded.has_value());
    for (const auto& frame : std::get<wire::Push>(decoded->message).changes) {
      edits += wire::decode_change(kActor, frame)->edits.size();
    }
  }
  const auto decoded = per_second(kRounds * kStops, decode_start);
  REQUIRE(edits > kRounds * kStops * 20);
  const auto before_kib = resident_kib();
  wire::Compressor compressor(wire::Dictionary::v1());
  const auto small = compressor.encode_frame(BytesView(message).first(1000));
  const auto small_kib = resident_kib() - before_kib;
  const auto compress_start = std::clock();
  const auto frame = compressor.compress(message);
  const auto compressed = per_second(kStops, compress_start);
  REQUIRE(compressor.decompress(frame, limits::kMessageBytesMax)->size() == message.size());
  std::printf(
      "changes/s: encode %.0f, decode %.0f, compress %.0f; context %ld KiB after 1 kB, %ld KiB "
      "after %zu kB\n",
      encoded, decoded, compressed, small_kib, resident_kib() - before_kib, message.size() / 1000);
#ifdef NDEBUG
  REQUIRE(encoded > 50000);
  REQUIRE(decoded > 50000);
#endif
}

// Bytes that must be refused. Bodies are put together from raw parts, never by the encoder under test.
#include <algorithm>

#include "tests/wire/golden.h"
#include "wire/codec.h"

namespace fieldpost::test {
namespace {

constexpr auto kMalformed = Errc::malformed;
constexpr auto kTooLarge = Errc::too_large;
constexpr auto kUnsupported = Errc::unsupported;

Bytes hex(std::string_view text) {
  std::string packed;
  std::copy_if(text.begin(), text.end(), std::back_inserter(packed),
               [](char c) { return c != ' '; });
  return *from_hex(packed);
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes bin(const Bytes& bytes) {
  Bytes out = bytes.size() < 256 ? Bytes{0xc4, static_cast<std::uint8_t>(bytes.size())}
                                 : Bytes{0xc5, static_cast<std::uint8_t>(bytes.size() >> 8),
                                         static_cast<std::uint8_t>(bytes.size())};
  return out + bytes;
}

Bytes zeros(std::size_t size) { return Bytes(size, 0); }

/// A map from keys to raw values.
using Parts = std::map<int, Bytes>;

Bytes assemble(const Parts& parts) {
  Bytes out{static_cast<std::uint8_t>(0x80 + parts.size())};
  for (const auto& [key, value] : parts) out = out + Bytes{static_cast<std::uint8_t>(key)} + value;
  return out;
}

Parts with(Parts parts, int key, const Bytes& value) {
  parts[key] = value;
  return parts;
}
Parts without(Parts parts, int key) {
  parts.erase(key);
  return parts;
}

// ---- changes ----

/// The smallest body: stop, unit a, author b, schema 1, times, salt.
Parts small_body() {
  return {{1, hex("a4 73746f70")}, {2, hex("a1 61")},       {3, hex("a1 62")},
          {4, hex("01")},          {6, hex("93 00 00 00")}, {12, bin(zeros(16))}};
}

Bytes framed(const Bytes& body, std::string_view counter = "02", std::string_view prev = "01") {
  return hex("94") + bin(zeros(16)) + hex(counter) + hex(prev) + bin(body);
}

constexpr int kWelcome = 5, kTimes = 6, kContext = 7, kEdits = 8, kSeals = 9, kReason = 10,
              kOrigin = 11, kSalt = 12;

Bytes seal_of(std::size_t box_bytes) {
  return hex("91 94") + bin(zeros(16)) + bin(zeros(32)) + bin(zeros(8)) + bin(zeros(box_bytes));
}

void add_changes(std::vector<Hostile>& all) {
  const auto add = [&](const char* name, const Bytes& bytes, Errc error, const char* says) {
    all.push_back({std::string("change-") + name, "change", bytes, error, says});
  };
  const auto body = [&](const char* name, const Parts& parts, const char* says,
                        Errc error = kMalformed) {
    add(name, framed(assemble(parts)), error, says);
  };
  const auto small = small_body();
  add("empty", {}, kMalformed, "ends too early");
  add("three-parts", hex("93") + bin(zeros(16)) + hex("02 01"), kMalformed,
      "expected a list of 4, found 3");
  add("short-record-id", hex("94") + bin(zeros(15)) + hex("02 01") + bin(assemble(small)),
      kMalformed, "expected 16 bytes, found 15");
  add("counter-zero", framed(assemble(small), "00", "00"), kMalformed, "counter is zero");
  add("prev-not-below-counter", framed(assemble(small), "02", "02"), kMalformed,
      "prev is not below the counter");
  add("body-over-64-kib", hex("94") + bin(zeros(16)) + hex("02 01 c6 00010001"), kTooLarge,
      "65537");
  add("body-longer-than-it-is", hex("94") + bin(zeros(16)) + hex("02 01 c4 05 80"), kMalformed,
      "ends too early");
  add("trailing-byte", framed(assemble(small)) + hex("00"), kMalformed, "1 bytes after the end");
  add("body-trailing-byte", framed(assemble(small) + hex("c0")), kMalformed,
      "1 bytes after the end");
  add("body-not-a-map", framed(hex("90")), kMalformed, "expected a map");
  body("type-missing", without(small, 1), "type: missing");
  body("type-empty", with(small, 1, hex("a0")), "type: text is too short");
  body("type-65-bytes", with(small, 1, hex("d9 41") + Bytes(65, 'a')), "type: 65", kTooLarge);
  body("salt-missing", without(small, kSalt), "salt: missing");
  body("salt-15-bytes", with(small, kSalt, bin(zeros(15))), "salt: expected 16 bytes");
  body("unknown-key", with(small, 13, hex("01")), "unknown key 13");
  body("welcome-zero", with(small, kWelcome, hex("00")), "welcome: must be left out");
  body("times-of-four", with(small, kTimes, hex("94 00 00 00 00")), "times are a list of 3 or 5");
  body("context-empty", with(small, kContext, hex("90")), "context: must be left out");
  body("context-odd", with(small, kContext, hex("91 01")), "an actor without a counter");
  body("context-counter-zero", with(small, kContext, hex("92 01 00")), "zero counter");
  body("context-actor-zero", with(small, kContext, hex("92 00 01")), "actor 0");
  body("context-unsorted", with(small, kContext, hex("94 03 01 02 01")), "not sorted by actor");
  body("context-repeats", with(small, kContext, hex("94 03 01 03 02")), "not sorted by actor");
  body("context-covers-itself", with(small, kContext, hex("92 01 02")), "covers the change itself");
  body("context-over-1024", with(small, kContext, hex("dc 0802")), "2050", kTooLarge);
  body("edits-empty", with(small, kEdits, hex("90")), "edits: must be left out");
  body("edits-odd", with(small, kEdits, hex("91 a1 61")), "a path without a value");
  body("edits-over-1024", with(small, kEdits, hex("dc 0802")), "2050", kTooLarge);
  body("edits-unsorted", with(small, kEdits, hex("94 a1 62 01 a1 61 01")), "not sorted by path");
  body("edits-repeat-a-path", with(small, kEdits, hex("94 a1 61 01 a1 61 02")),
       "not sorted by path");
  body("path-capital", with(small, kEdits, hex("92 a1 41 01")), "no valid path");
  body("path-empty", with(small, kEdits, hex("92 a0 01")), "no valid path");
  body("path-double-slash", with(small, kEdits, hex("92 a4 61 2f 2f 62 01")), "no valid path");
  body("path-five-parts", with(small, kEdits, hex("92 a9 61 2f 61 2f 61 2f 61 2f 61 01")),
       "no valid path");
  body("path-129-bytes", with(small, kEdits, hex("92 d9 81") + Bytes(129, 'a') + hex("01")), "129",
       kTooLarge);
  body("value-float", with(small, kEdits, hex("92 a1 61 cb 3ff0000000000000")), "does not know");
  body("value-extension", with(small, kEdits, hex("92 a1 61 d4 01 00")), "does not know");
  body("value-timestamp", with(small, kEdits, hex("92 a1 61 d6 ff 00000000")), "does not know");
  body("value-bytes", with(small, kEdits, hex("92 a1 61 c4 01 00")), "does not know");
  body("value-number-too-large", with(small, kEdits, hex("92 a1 61 cf 8000000000000000")),
       "out of range");
  body("value-negative-in-long-form", with(small, kEdits, hex("92 a1 61 d0 ff")), "longer form");
  body("value-positive-in-signed-form", with(small, kEdits, hex("92 a1 61 d1 0080")),
       "longer form");
  body("value-text-over-16-kib", with(small, kEdits, hex("92 a1 61 da 4001")), "16385", kTooLarge);
  body("value-text-not-utf-8", with(small, kEdits, hex("92 a1 61 a2 c3 28")), "not UTF-8");
  body("list-holds-nil", with(small, kEdits, hex("92 a1 61 91 c0")), "integers and texts only");
  body("list-holds-a-list", with(small, kEdits, hex("92 a1 61 91 90")), "integers and texts only");
  body("list-over-256", with(small, kEdits, hex("92 a1 61 dc 0101")), "257", kTooLarge);
  body("sealed-without-a-seal", with(small, kEdits, hex("92 a1 61 82 00 00 01 c4 00")),
       "a seal index without a seal");
  body("sealed-with-three-entries", with(small, kEdits, hex("92 a1 61 83 00 00 01 c4 00 02 00")),
       "two entries");
  body("sealed-over-20-kib", with(small, kEdits, hex("92 a1 61 82 00 00 01 c5 5001")), "20481",
       kTooLarge);
  body("seal-unused", with(small, kSeals, seal_of(48)), "a seal that no value uses");
  body("seal-box-47-bytes", with(small, kSeals, seal_of(47)), "expected 48 bytes");
  body("seal-without-a-key", with(small, kSeals, hex("91 91") + bin(zeros(16))),
       "a seal is an id, a key and pairs");
  body("seal-without-boxes",
       with(with(small, kEdits, hex("92 a1 61 82 00 00 01 c4 00")), kSeals,
            hex("91 92") + bin(zeros(16)) + bin(zeros(32))),
       "1–8 key boxes");
  body("seals-over-8", with(small, kSeals, hex("99")), "9 where", kTooLarge);
  body("reason-nil", with(small, kReason, hex("c0")), "reason: must be left out");
  body("reason-number", with(small, kReason, hex("07")), "the reason must be a text");
  body("reason-empty", with(small, kReason, hex("a0")), "the reason is empty");
  body("origin-names-nothing", with(small, kOrigin, hex("93 01 00") + bin(zeros(32))),
       "origin names no change");
}

// ---- record states ----

Bytes group(std::string_view dot_and_time, const Bytes& fields = hex("92 a1 61 01")) {
  return hex("87 01 a1 62 02 01 03 00") + hex(dot_and_time) + hex("07") + fields;
}

Bytes state(const Bytes& groups, std::string_view vector = "92 05 02") {
  return assemble(
      {{1, bin(zeros(16))}, {2, hex("a1 61")}, {3, hex("a1 62")}, {4, hex(vector)}, {5, groups}});
}

void add_records(std::vector<Hostile>& all) {
  const auto add = [&](const char* name, const Bytes& bytes, const char* says,
                       Errc error = kMalformed) {
    all.push_back({std::string("record-") + name, "record", bytes, error, says});
  };
  const auto good = group("04 00 05 00 06 00");
  add("trailing-byte", state(hex("91") + good) + hex("00"), "1 bytes after the end");
  add(
      "extension-key",
      hex("86") +
          [&] {
            auto s = state(hex("91") + good);
            s.erase(s.begin());
            return s;
          }() +
          hex("40 01"),
      "unknown key 64");
  add("id-missing", assemble({{2, hex("a1 61")}, {3, hex("a1 62")}}), "id: missing");
  add("groups-empty", state(hex("90")), "groups: must be left out");
  add("groups-over-4096", state(hex("dc 1001")), "4097", kTooLarge);
  add("group-repeated", state(hex("92") + good + good), "not sorted by dot");
  add("groups-unsorted", state(hex("92") + good + group("04 00 05 01 06 00")), "not sorted by dot");
  add("group-of-unknown-actor", state(hex("91") + group("04 01 05 00 06 00")),
      "an actor index without an actor");
  add("group-counter-below-one", state(hex("91") + group("04 00 05 02 06 00")),
      "a counter below 1");
  add("group-without-fields", state(hex("91") + group("04 00 05 00 06 00", hex("90"))),
      "an empty dot group");
  add("group-unknown-clock",
      state(hex("91 87 01 a1 62 02 01 03 03 04 00 05 00 06 00 07 92 a1 61 01")), "unknown kind 3");
  add("group-time-is-text", state(hex("91") + group("04 00 05 00 06 a0")), "time");
  add("vector-unsorted", state(hex("91") + good, "94 05 02 04 01"), "not sorted by actor");
}

// ---- messages ----

void add_form(std::vector<Hostile>& all) {
  const auto add = [&](const char* name, std::string_view bytes, const char* says,
                       Errc error = kMalformed) {
    all.push_back({std::string("message-") + name, "message", hex(bytes), error, says});
  };
  add("empty", "", "ends too early");
  add("only-its-header", "92", "ends too early");
  add("not-a-list", "81 01 09", "expected a list");
  add("type-0", "92 00 80", "type 0", kUnsupported);
  add("type-25", "92 19 80", "type 25", kUnsupported);
  add("one-part", "91 0c", "wrong number of parts");
  add("three-parts", "93 0c 81 01 09 c0", "wrong number of parts");
  add("trailing-byte", "92 0c 81 01 09 00", "1 bytes after the end");
  add("number-in-8-bits-below-128", "92 0c 81 01 cc 7f", "longer form");
  add("number-in-16-bits-below-256", "92 0c 81 01 cd 00ff", "longer form");
  add("number-in-32-bits-below-65536", "92 0c 81 01 ce 0000ffff", "longer form");
  add("number-in-64-bits-below-2-32", "92 0c 81 01 cf 00000000ffffffff", "longer form");
  add("number-in-signed-form", "92 0c 81 01 d0 09", "number is negative");
  add("number-negative", "92 0c 81 01 ff", "number is negative");
  add("number-float", "92 0c 81 01 cb 4022000000000000", "expected a number");
  add("number-extension", "92 0c 81 01 d4 01 00", "expected a number");
  add("number-nil", "92 0c 81 01 c0", "expected a number");
  add("list-in-long-form", "dc 0002 0c 81 01 09", "longer form");
  add("map-in-long-form", "92 0c de 0001 01 09", "longer form");
  add("type-in-long-form", "92 cc 0c 81 01 09", "longer form");
  add("map-of-4-billion", "92 0c df ffffffff", "4294967295", kTooLarge);
  add("key-twice", "92 0c 82 01 09 01 09", "keys do not ascend");
  add("keys-unsorted", "92 0d 82 02 00 01 09", "token: missing");
  add("key-missing", "92 0c 80", "ping.token: missing");
  add("key-unknown", "92 0c 82 01 09 02 01", "unknown key 2");
  add("key-63", "92 0c 82 01 09 3f 01", "unknown key 63");
  add("key-text", "92 0c 81 a1 74 09", "expected a number");
  add("extension-nested-too-deeply", "92 0c 82 01 09 40 91 91 91 91 91 91 91 91 91 c0",
      "nested too deeply", kTooLarge);
  add("extension-float", "92 0c 82 01 09 40 ca 00000000", "does not know");
  add("extension-list-of-4-billion", "92 0c 82 01 09 40 dd ffffffff", "ends too early");
  add("extension-text-not-utf-8", "92 0c 82 01 09 40 a1 80", "not UTF-8");
  add("text-not-utf-8", "92 0e 81 01 a1 ff", "bye.reason: text is not UTF-8");
  add("text-overlong-utf-8", "92 0e 81 01 a2 c080", "not UTF-8");
  add("text-surrogate", "92 0e 81 01 a3 eda080", "not UTF-8");
  add("text-above-10ffff", "92 0e 81 01 a4 f4908080", "not UTF-8");
  add("text-empty-but-there", "92 0e 81 01 a0", "must be left out");
  add("text-in-long-form", "92 0e 81 01 d9 01 61", "longer form");
  add("text-over-its-limit", "92 0e 81 01 da 0801", "2049", kTooLarge);
  add("text-of-4-billion", "92 0e 81 01 db ffffffff 61", "4294967295", kTooLarge);
  add("text-longer-than-it-is", "92 0e 81 01 a5 61", "ends too early");
  add("text-as-bytes", "92 0e 81 01 c4 01 61", "expected text");
}

void add_rules(std::vector<Hostile>& all) {
  const auto add = [&](const char* name, const Bytes& bytes, const char* says,
                       Errc error = kMalformed) {
    all.push_back({std::string("message-") + name, "message", bytes, error, says});
  };
  add("error-code-0", hex("92 0f 81 01 00"), "unknown kind 0");
  add("error-code-14", hex("92 0f 81 01 0e"), "unknown kind 14");
  add("hash-query-unsorted", hex("92 10 82 01 05 02 92 02 01"), "not sorted");
  add("hash-query-over-256", hex("92 10 82 01 05 02 dc 0101"), "257", kTooLarge);
  add("actor-zero", hex("92 10 82 01 00 02 91 01"), "actor 0");
  add("flag-false-but-there", hex("92 08 82 01 a1 61 04 c2"), "must be left out");
  add("flag-number", hex("92 08 82 01 a1 61 04 01"), "expected true or false");
  add("cursor-65-bytes", hex("92 09 82 01 a1 61 02 c4 41"), "65", kTooLarge);
  add("battery-101", hex("92 0b 82 05 65 06 00"), "above 100");
  add("gap-ends-before-it-begins",
      hex("92 12 85 01 05 02 09 03 03 04") + bin(zeros(32)) + hex("05") + bin(zeros(64)),
      "ends before it begins");
  add("chunk-past-the-end",
      hex("92 0a 86 01 a1 61 02") + bin(zeros(16)) + hex("03") + bin(zeros(32)) +
          hex("04 05 05 04 06 c4 02 00 00"),
      "past the end");
  add("chunk-of-a-state-over-4-mib",
      hex("92 0a 86 01 a1 61 02") + bin(zeros(16)) + hex("03") + bin(zeros(32)) +
          hex("04 ce 00400001 05 00 06 c4 01 00"),
      "out of range");
  add("exception-of-unknown-kind",
      hex("92 05 83 01 05 02 01 03 91 97 05 01") + bin(zeros(16)) + hex("05 a1 61 a0 a0"),
      "unknown kind 5");
  add("exception-of-six-parts",
      hex("92 05 83 01 05 02 01 03 91 96 05 01") + bin(zeros(16)) + hex("00 a1 61 a0"),
      "expected a list of 7, found 6");

  const auto push = [&](std::string_view first, const Bytes& changes) {
    return hex("92 04 85 01 05 02") + hex(first) + hex("03") + changes + hex("04") +
           bin(zeros(32)) + hex("05") + bin(zeros(64));
  };
  const auto frame = framed(assemble(small_body()));
  add("push-without-changes",
      hex("92 04 84 01 05 02 01 04") + bin(zeros(32)) + hex("05") + bin(zeros(64)),
      "changes: is empty");
  add("push-first-zero", push("00", hex("91") + bin(frame)), "first: is zero");
  add("push-counters-with-a-hole", push("01", hex("91") + bin(frame)),
      "changes[0]: counters are not consecutive");
  add("push-counter-repeated", push("02", hex("92") + bin(frame) + bin(frame)),
      "changes[1]: counters are not consecutive");
  add("push-counter-overflows", push("cf ffffffffffffffff", hex("91") + bin(frame)),
      "out of range");
  add("push-frame-malformed", push("02", hex("91 c4 01 c0")), "changes[0]: expected a list");
  add("push-frame-trailing-byte", push("02", hex("91") + bin(frame + hex("00"))),
      "1 bytes after the end");
  add("push-over-4096-changes", push("02", hex("dc 1001")), "4097", kTooLarge);

  const auto hello = [&](const Parts& parts, std::size_t signature_bytes = 64,
                         const Bytes& after = {}) {
    return hex("93 02") + bin(assemble(parts) + after) + bin(zeros(signature_bytes));
  };
  const Parts small{
      {1, bin(zeros(32))}, {2, bin(zeros(32))}, {5, bin(zeros(32))}, {8, hex("81 06 00")}};
  const auto actor = hex("93 05 01") + bin(zeros(32));
  add("hello-without-signature", hex("92 02") + bin(assemble(small)), "wrong number of parts");
  add("hello-signature-63-bytes", hello(small, 63), "expected 64 bytes, found 63");
  add("hello-body-not-in-bytes", hex("93 02") + assemble(small) + bin(zeros(64)), "expected bytes");
  add("hello-body-trailing-byte", hello(small, 64, hex("00")), "1 bytes after the end");
  add("hello-repeats-an-actor", hello(with(small, 3, hex("92") + actor + actor)),
      "repeats an actor");
  add("hello-over-256-actors", hello(with(small, 3, hex("dc 0101"))), "257", kTooLarge);
  add("hello-cursors-unsorted", hello(with(small, 4, hex("92 92 a1 62 c4 00 92 a1 61 c4 00"))),
      "not sorted by unit");
  add("hello-unsettled-repeats", hello(with(small, 7, hex("92 92 05 01 92 05 01"))), "not sorted");
  add("hello-status-unknown-key", hello(with(small, 8, hex("82 06 00 09 00"))), "unknown key 9");
}

void add_frames(std::vector<Hostile>& all) {
  const auto add = [&](const char* name, std::string_view bytes, const char* says,
                       Errc error = kMalformed) {
    all.push_back({std::string("frame-") + name, "frame", hex(bytes), error, says});
  };
  add("empty", "", "an empty frame");
  add("unknown-codec", "02 80", "frame codec 2", kUnsupported);
  add("not-zstd", "01 80 80 80 80 80", "not a zstd frame");
  add("skippable", "01 50 2a 4d 18 00 00 00 00", "not a zstd frame");
  add("without-content-size", "01 28b52ffd 00 58 09 00 00 61", "without its content size");
  add("says-16-mib", "01 28b52ffd a0 00000001 09 00 00 61", "16777216", kTooLarge);
  add("says-2-to-the-60", "01 28b52ffd e0 0000000000000010 09 00 00 61", "1152921504606846976",
      kTooLarge);
  add("unknown-dictionary", "01 28b52ffd 21 7b 01 09 00 00 61", "dictionary 123", kUnsupported);
  add("shorter-than-it-says", "01 28b52ffd 20 02 09 00 00 61", "damaged");
  add("longer-than-it-says", "01 28b52ffd 20 01 11 00 00 61 61", "damaged");
  add("cut", "01 28b52ffd 20 01 09 00 00", "not exactly one");
  add("trailing-byte", "01 28b52ffd 20 01 09 00 00 61 00", "not exactly one");
  add("two-zstd-frames", "01 28b52ffd 20 01 09 00 00 61 28b52ffd 20 01 09 00 00 61",
      "not exactly one");
}

}  // namespace

std::vector<Hostile> hostile_vectors() {
  std::vector<Hostile> all;
  add_form(all);
  add_rules(all);
  add_changes(all);
  add_records(all);
  add_frames(all);
  return all;
}

}  // namespace fieldpost::test

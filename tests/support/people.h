// Small words to write tests about records with: two officers, their tablets, one stop.
//
// Thread rule: free functions and plain values.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "model/record.h"

namespace fieldpost::test {

using namespace fieldpost::model;

inline constexpr ActorId kAlice{0xA1};  ///< Alice's tablet at the checkpoint
inline constexpr ActorId kBob{0xB0};    ///< Bob's tablet at the same checkpoint
inline constexpr ActorId kHub{0xFF};    ///< an operator's edit at the hub

inline Dot dot(ActorId actor, std::uint64_t counter) { return {actor, {counter}}; }

/// {{kAlice, 2}, {kBob, 1}}, in any order.
inline VersionVector vv(std::initializer_list<std::pair<ActorId, std::uint64_t>> entries) {
  VersionVector out;
  for (const auto& [actor, counter] : entries) out.add(dot(actor, counter));
  return out;
}

inline RecordId stop_id() {
  RecordId id;
  id.bytes.fill(0x51);
  return id;
}

inline Record empty_stop() { return empty_record(stop_id(), "stop", "PPT"); }

struct Edit {
  std::string path;
  Value value;
};

/// One edit of the stop. Times grow with the counter; the author follows from the actor.
inline Change change(Dot at, std::uint64_t prev, VersionVector context, std::vector<Edit> edits) {
  Change c;
  c.record = stop_id();
  c.dot = at;
  c.prev = {prev};
  c.type = "stop";
  c.unit = "PPT";
  c.context = std::move(context);
  for (Edit& edit : edits) c.edits.push_back({std::move(edit.path), std::move(edit.value)});
  c.author = at.actor == kAlice ? "alice" : at.actor == kBob ? "bob" : "hub";
  c.times.wall = {static_cast<std::int64_t>(1'772'349'300'000 + at.counter.value * 60'000)};
  return c;
}

inline Value text(std::string_view words) { return std::string(words); }

/// A seal with one key box, and a value sealed under it.
inline Seal seal(std::uint8_t name) {
  Seal s;
  s.id.bytes.fill(name);
  KeyBox box;
  box.recipient.bytes.fill(0x77);
  box.box = Bytes(80, name);
  s.boxes.push_back(std::move(box));
  return s;
}
inline Value sealed(std::uint8_t name, std::string_view ciphertext) {
  return Sealed{seal(name).id, to_bytes(as_bytes(ciphertext))};
}

}  // namespace fieldpost::test

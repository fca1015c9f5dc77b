// Bodies of the messages that carry changes up and states down.
//
// Thread rule: free function templates, used by message_codec.cpp only.
#pragma once

#include "wire/body.h"
#include "wire/messages.h"

namespace fieldpost::wire {

inline constexpr TextBound kNameBound{1, limits::kNameBytesMax};

template <>
struct EnumRange<ExceptionKind> {
  static constexpr std::uint64_t kLeast = 0;
  static constexpr std::uint64_t kMost = 4;
};

/// Change frames and record states are opaque here. A frame is a body and its small frame; a state
/// too large for a message travels in chunks.
inline constexpr std::size_t kChangeFrameBytesMax = limits::kChangeBytesMax + 64;

template <class Io>
void describe_item(Io& io, typename Io::template Of<ChangeException>& m) {
  io.item(7);
  io.number("actor", m.actor);
  io.number("counter", m.counter);
  io.id("record", m.record);
  io.number("kind", m.kind);
  io.text("rule", m.rule, kNameBound);
  io.text("path", m.path, {0, limits::kPathBytesMax});
  io.text("detail", m.detail, {0, limits::kReasonBytesMax});
  io.check(m.counter.value != 0, "counter", "is zero");
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<Bytes>& m) {
  io.blob("bytes", m, limits::kMessageBytesMax);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Push>& m) {
  io.number(1, "actor", m.actor);
  io.number(2, "first", m.first);
  io.list(3, "changes", m.changes, limits::kPushChangesMax);
  io.id(4, "head", m.head);
  io.id(5, "signature", m.signature);
  io.check(m.first.value != 0, "first", "is zero");
  io.check(!m.changes.empty(), "changes", "is empty");
  io.check(m.first.value <= UINT64_MAX - m.changes.size(), "first", "number is out of range");
}

template <class Io>
void describe(Io& io, typename Io::template Of<Ack>& m) {
  io.number(1, "actor", m.actor);
  io.number(2, "head", m.head);
  io.list(3, "exceptions", m.exceptions, limits::kExceptionsMax);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<Confirm::Item>& m) {
  io.item(3);
  io.number("actor", m.actor);
  io.number("counter", m.counter);
  io.number("kind", m.kind);
  io.check(m.counter.value != 0, "counter", "is zero");
}

template <class Io>
void describe(Io& io, typename Io::template Of<Confirm>& m) {
  io.list(1, "items", m.items, limits::kExceptionsMax);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Rewind>& m) {
  io.number(1, "actor", m.actor);
  io.number(2, "head", m.head);
  io.id(3, "hash", m.hash);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<RecordId>& m) {
  io.id("record", m);
}

/// By what `key_of` gives, ascending: so no two alike.
template <class List, class KeyOf>
bool ascending(const List& list, KeyOf key_of) {
  for (std::size_t i = 1; i < list.size(); ++i) {
    if (!(key_of(list[i - 1]) < key_of(list[i]))) return false;
  }
  return true;
}

template <class Io>
void describe(Io& io, typename Io::template Of<Deliver>& m) {
  io.text(1, "unit", m.unit, kNameBound);
  io.blob(2, "cursor", m.cursor, limits::kCursorBytesMax);
  io.list(3, "states", m.states, limits::kDeliverStatesMax);
  io.flag(4, "caught_up", m.caught_up);
  io.list(64, "erased", m.erased, limits::kDeliverStatesMax);
  io.check(ascending(m.erased, [](const auto& id) -> const auto& { return id; }), "erased",
           "is not sorted, or repeats one");
}

template <class Io>
void describe(Io& io, typename Io::template Of<Got>& m) {
  io.text(1, "unit", m.unit, kNameBound);
  io.blob(2, "cursor", m.cursor, limits::kCursorBytesMax);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<RecordSummary>& m) {
  io.item(3);
  io.id("record", m.record);
  io.vector("vector", m.vv);
  io.number("digest", m.digest);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Recover>& m) {
  io.text(1, "unit", m.unit, kNameBound);
  io.list(2, "records", m.records, limits::kRecoverMax);
  io.check(ascending(m.records, [](const auto& id) -> const auto& { return id; }), "records",
           "is not sorted, or repeats one");
}

template <class Io>
void describe(Io& io, typename Io::template Of<Recovered>& m) {
  io.text(1, "unit", m.unit, kNameBound);
  io.list(2, "summaries", m.summaries, limits::kRecoverMax);
  io.list(3, "states", m.states, limits::kRecoverMax);
  io.flag(4, "last", m.last);
  io.check(ascending(m.summaries, [](const auto& s) -> const auto& { return s.record; }),
           "summaries", "is not sorted, or repeats one");
}

template <class Io>
void describe(Io& io, typename Io::template Of<StateChunk>& m) {
  io.text(1, "unit", m.unit, kNameBound);
  io.id(2, "record", m.record);
  io.id(3, "digest", m.digest);
  io.number(4, "total_bytes", m.total_bytes);
  io.number(5, "offset", m.offset);
  io.blob(6, "bytes", m.bytes, limits::kChunkBytesMax);
  io.check(m.total_bytes <= limits::kRecordBytesMax, "total_bytes", "number is out of range");
  io.check(m.offset <= m.total_bytes && m.bytes.size() <= m.total_bytes - m.offset, "bytes",
           "reaches past the end of the state");
  io.check(!m.bytes.empty(), "bytes", "is empty");
}

}  // namespace fieldpost::wire

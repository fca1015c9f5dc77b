// Bodies of challenge, hello and welcome (schemas/wire-v1.md says the same for people).
//
// Thread rule: free function templates, used by message_codec.cpp only.
#pragma once

#include <algorithm>

#include "wire/body_records.h"
#include "wire/messages.h"

namespace fieldpost::wire {

template <>
struct EnumRange<VerdictKind> {
  static constexpr std::uint64_t kLeast = 0;
  static constexpr std::uint64_t kMost = 3;
};

template <class Io>
void describe(Io& io, typename Io::template Of<Challenge>& m) {
  io.number(1, "version", m.version);
  io.id(2, "nonce", m.nonce);
  io.id(3, "hub", m.hub);
  io.id(4, "epoch", m.epoch);
}

template <class Io>
void describe(Io& io, typename Io::template Of<AgentStatus>& m) {
  io.nonzero(1, "waiting", m.waiting);
  io.maybe(2, "oldest_waiting", m.oldest_waiting);
  io.nonzero(3, "attachments_waiting", m.attachments_waiting);
  io.nonzero(4, "storage_free_bytes", m.storage_free_bytes);
  io.maybe(5, "battery_percent", m.battery_percent);
  io.number(6, "wall", m.wall);
  io.maybe(7, "estimated_now", m.estimated_now);
  io.text(8, "app_version", m.app_version, {0, limits::kNameBytesMax});
  // Came later, as an extension: a hub that does not know it passes over it.
  io.text(64, "alarm", m.alarm, {0, limits::kAlarmBytesMax});
  io.check(!m.battery_percent || *m.battery_percent <= 100, "battery_percent", "above 100");
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<std::string>& m) {
  io.text("name", m, kNameBound);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<ActorHead>& m) {
  io.item(3);
  io.number("actor", m.actor);
  io.number("head", m.head);
  io.id("hash", m.hash);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<UnitCursor>& m) {
  io.item(2);
  io.text("unit", m.unit, kNameBound);
  io.blob("cursor", m.cursor, limits::kCursorBytesMax);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<model::Dot>& m) {
  io.item(2);
  io.number("actor", m.actor);
  io.number("counter", m.counter);
  io.check(m.counter.value != 0, "counter", "is zero");
}

/// No two items with the same key; for lists too short to matter.
template <class List, class KeyOf>
bool distinct(const List& list, KeyOf key_of) {
  std::vector<decltype(key_of(list.front()))> keys;
  keys.reserve(list.size());
  for (const auto& item : list) keys.push_back(key_of(item));
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

template <class Io>
void describe(Io& io, typename Io::template Of<Hello>& m) {
  io.id(1, "device", m.device);
  io.id(2, "agent_nonce", m.agent_nonce);
  io.list(3, "actors", m.actors, limits::kHelloActorsMax);
  io.list(4, "cursors", m.cursors, limits::kGrantsMax);
  io.id(5, "schema_digest", m.schema_digest);
  io.nonzero(6, "welcome_id", m.welcome_id);
  io.list(7, "unsettled", m.unsettled, limits::kExceptionsMax);
  io.group(8, "status", m.status);
  io.list(9, "again", m.again, limits::kGrantsMax);
  io.check(ascending(m.again, [](const auto& unit) -> const auto& { return unit; }), "again",
           "is not sorted, or repeats one");
  io.check(distinct(m.actors, [](const auto& a) { return a.actor; }), "actors", "repeats an actor");
  io.check(ascending(m.cursors, [](const auto& c) -> const auto& { return c.unit; }), "cursors",
           "is not sorted by unit, or repeats one");
  io.check(ascending(m.unsettled, [](const auto& d) -> const auto& { return d; }), "unsettled",
           "is not sorted, or repeats one");
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<Verdict>& m) {
  io.item(5);
  io.number("actor", m.actor);
  io.number("kind", m.kind);
  io.number("head", m.head);
  io.id("hash", m.hash);
  io.number("backed_up", m.backed_up);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<Grant>& m) {
  io.item(1);
  io.text("unit", m.unit, kNameBound);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<Order>& m) {
  io.item(4);
  io.number("id", m.id);
  io.text("kind", m.kind, kNameBound);
  io.blob("body", m.body, limits::kOrderBytesMax);
  io.id("signature", m.signature);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<SchemaUpdate>& m) {
  io.item(3);
  io.text("name", m.name, kNameBound);
  io.number("version", m.version);
  io.blob("body", m.body, limits::kSchemaBytesMax);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Welcome>& m) {
  io.number(1, "id", m.id);
  io.number(2, "hub_time", m.hub_time);
  io.id(3, "start", m.start);
  io.number(4, "window_pushes", m.window_pushes);
  io.number(5, "window_bytes", m.window_bytes);
  io.list(6, "verdicts", m.verdicts, limits::kHelloActorsMax);
  io.list(7, "grants", m.grants, limits::kGrantsMax);
  io.list(8, "exceptions", m.exceptions, limits::kExceptionsMax);
  io.list(9, "orders", m.orders, limits::kOrdersMax);
  io.list(10, "schemas", m.schemas, limits::kSchemasMax);
  io.text(11, "compartment", m.compartment, kNameBound);
  io.check(distinct(m.verdicts, [](const auto& v) { return v.actor; }), "verdicts",
           "repeats an actor");
  io.check(ascending(m.grants, [](const auto& g) -> const auto& { return g.unit; }), "grants",
           "is not sorted by unit, or repeats one");
}

}  // namespace fieldpost::wire

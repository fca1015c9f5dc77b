// Bodies of status, ping, errors and the search for the last common point of a forked chain.
//
// Thread rule: free function templates, used by message_codec.cpp only.
#pragma once

#include "wire/body_handshake.h"
#include "wire/messages.h"

namespace fieldpost::wire {

template <>
struct EnumRange<ErrorCode> {
  static constexpr std::uint64_t kLeast = 1;
  static constexpr std::uint64_t kMost = 13;
};

template <class Io>
void describe(Io& io, typename Io::template Of<StatusReport>& m) {
  describe(io, m.status);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Ping>& m) {
  io.number(1, "token", m.token);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Pong>& m) {
  io.number(1, "token", m.token);
  io.maybe(2, "hub_time", m.hub_time);
}

template <class Io>
void describe(Io& io, typename Io::template Of<Bye>& m) {
  io.text(1, "reason", m.reason, {0, limits::kReasonBytesMax});
}

template <class Io>
void describe(Io& io, typename Io::template Of<ErrorMessage>& m) {
  io.number(1, "code", m.code);
  io.text(2, "text", m.text, {0, limits::kReasonBytesMax});
  io.nonzero(3, "retry_after_ms", m.retry_after_ms);
}

template <class Io>
void describe_item(Io& io, typename Io::template Of<Sequence>& m) {
  io.number("counter", m);
}

template <class Io>
void describe(Io& io, typename Io::template Of<HashQuery>& m) {
  io.number(1, "actor", m.actor);
  io.list(2, "counters", m.counters, limits::kHashQueryMax);
  io.check(ascending(m.counters, [](const auto& c) -> const auto& { return c; }), "counters",
           "is not sorted, or repeats one");
}

template <class Io>
void describe(Io& io, typename Io::template Of<HashReply>& m) {
  io.number(1, "actor", m.actor);
  io.list(2, "hashes", m.hashes, limits::kHashQueryMax);
  io.check(std::all_of(m.hashes.begin(), m.hashes.end(),
                       [&](const auto& h) { return h.actor == m.actor; }),
           "hashes", "names another actor");
  io.check(ascending(m.hashes, [](const auto& h) -> const auto& { return h.head; }), "hashes",
           "is not sorted, or repeats one");
}

template <class Io>
void describe(Io& io, typename Io::template Of<Gap>& m) {
  io.number(1, "actor", m.actor);
  io.number(2, "from", m.from);
  io.number(3, "to", m.to);
  io.id(4, "hash", m.hash);
  io.id(5, "signature", m.signature);
  io.check(m.from.value != 0 && m.from <= m.to, "to", "the gap ends before it begins");
}

}  // namespace fieldpost::wire

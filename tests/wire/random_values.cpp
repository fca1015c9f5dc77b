#include "tests/wire/random_values.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/limits.h"
#include "wire/codec.h"

namespace fieldpost::test {

std::string Random::text(std::size_t least, std::size_t most) {
  static const std::string kPieces[] = {"a", "Z", "7", " ", "-", "\n", "é", "ក", "្រ", "មន្ត", "𐍈"};
  const auto wanted = least + below(std::min<std::size_t>(most - least + 1, 40));
  std::string out;
  while (out.size() < wanted) {
    const auto& piece = kPieces[below(std::size(kPieces))];
    out += out.size() + piece.size() <= most ? piece : std::string("x");
  }
  return out;
}

std::string Random::path() {
  std::string out;
  const auto parts = 1 + below(4);
  for (std::uint64_t i = 0; i < parts; ++i) {
    if (i > 0) out += '/';
    const auto size = 1 + below(16);
    for (std::uint64_t k = 0; k < size; ++k)
      out += "abcdefghijklmnopqrstuvwxyz0123456789_"[below(37)];
  }
  return out;
}

model::Value Random::value(const std::vector<model::Seal>& seals) {
  switch (below(seals.empty() ? 5 : 7)) {
    case 0:
      return model::Null{};
    case 1:
      return coin();
    case 2:
      return signed_number();
    case 3:
      return text(0, below(50) == 0 ? limits::kTextBytesMax : 60);
    case 4: {
      model::List list;
      for (auto left = below(20); left > 0; --left) {
        if (coin())
          list.emplace_back(signed_number());
        else
          list.emplace_back(text(0, 30));
      }
      return list;
    }
    default:
      return model::Sealed{seals[below(seals.size())].id, bytes(0, 100)};
  }
}

std::vector<model::FieldValue> Random::fields(std::size_t least,
                                              const std::vector<model::Seal>& seals) {
  std::map<std::string, model::Value> all;
  const auto wanted = least + below(20);
  while (all.size() < wanted) all.emplace(path(), value(seals));
  std::vector<model::FieldValue> out;
  out.reserve(all.size());
  for (auto& [path, value] : all) out.push_back({path, std::move(value)});
  return out;
}

std::vector<model::Seal> Random::seals() {
  std::map<SealId, model::Seal> all;
  for (auto left = coin() ? 0 : below(4); left > 0; --left) {
    std::map<KeyId, model::KeyBox> boxes;
    const auto ephemeral = bytes(32, 32);
    for (auto k = 1 + below(3); k > 0; --k) {
      const auto recipient = id<KeyId>();
      auto box = bytes(80, 80);
      std::copy(ephemeral.begin(), ephemeral.end(), box.begin());
      boxes[recipient] = {recipient, std::move(box)};
    }
    model::Seal seal{id<SealId>(), {}};
    for (auto& [recipient, box] : boxes) seal.boxes.push_back(std::move(box));
    all[seal.id] = std::move(seal);
  }
  std::vector<model::Seal> out;
  out.reserve(all.size());
  for (auto& [key, seal] : all) out.push_back(std::move(seal));
  return out;
}

void Random::drop_unused(std::vector<model::Seal>& seals,
                         const std::vector<model::FieldValue>& fields, const model::Value* reason) {
  std::set<SealId> used;
  const auto note = [&](const model::Value& value) {
    if (const auto* sealed = std::get_if<model::Sealed>(&value)) used.insert(sealed->seal);
  };
  for (const auto& field : fields) note(field.value);
  if (reason != nullptr) note(*reason);
  std::erase_if(seals, [&](const model::Seal& seal) { return !used.contains(seal.id); });
}

std::vector<model::VersionVector::Entry> Random::entries(std::size_t most) {
  std::map<std::uint64_t, std::uint64_t> all;
  for (auto left = below(most + 1); left > 0; --left) all[positive()] = positive();
  std::vector<model::VersionVector::Entry> out;
  out.reserve(all.size());
  for (const auto& [actor, counter] : all) out.push_back({ActorId{actor}, Sequence{counter}});
  return out;
}

model::Change Random::change() {
  model::Change c;
  c.record = id<RecordId>();
  c.dot = {ActorId{positive()}, Sequence{positive()}};
  c.prev.value = coin() ? 0 : below(c.dot.counter.value);
  c.type = name();
  c.unit = name();
  c.author = name();
  c.schema_version = static_cast<std::uint32_t>(number());
  c.welcome = number();
  auto context = entries(6);
  std::erase_if(context, [&](const auto& e) { return e.actor == c.dot.actor; });
  c.context = *model::VersionVector::from_entries(std::move(context));
  c.seals = seals();
  c.edits = fields(0, c.seals);
  if (coin()) c.reason = text(1, 200);
  if (!c.seals.empty() && coin()) c.reason = model::Sealed{c.seals.front().id, bytes(0, 64)};
  drop_unused(c.seals, c.edits, &c.reason);
  c.times = {instant(), number(), number(), std::nullopt};
  if (coin()) c.times.hub = model::HubTime{instant(), number()};
  if (coin()) c.origin = model::Origin{{ActorId{positive()}, Sequence{positive()}}, id<Hash>()};
  c.salt = id<Salt>();
  return c;
}

model::Record Random::record() {
  model::Record r;
  r.id = id<RecordId>();
  r.type = name();
  r.unit = name();
  const auto vv = entries(5);
  r.vv = *model::VersionVector::from_entries(vv);
  std::set<model::Dot> dots;
  for (auto left = vv.empty() ? 0 : below(6); left > 0; --left) {
    const auto& entry = vv[below(vv.size())];
    dots.insert({entry.actor, Sequence{entry.counter.value -
                                       below(std::min<std::uint64_t>(entry.counter.value, 200))}});
  }
  for (const auto& dot : dots) {
    model::DotGroup group;
    group.dot = dot;
    group.meta.author = name();
    group.meta.time = {instant(), static_cast<model::ClockKind>(below(3))};
    group.meta.schema_version = static_cast<std::uint32_t>(number());
    if (coin())
      group.meta.origin = model::Origin{{ActorId{positive()}, Sequence{positive()}}, id<Hash>()};
    group.seals = seals();
    group.fields = fields(1, group.seals);
    drop_unused(group.seals, group.fields, nullptr);
    r.groups.push_back(std::move(group));
  }
  return r;
}

wire::AgentStatus Random::status() {
  wire::AgentStatus s;
  s.waiting = number();
  if (coin()) s.oldest_waiting = instant();
  s.attachments_waiting = number();
  s.storage_free_bytes = number();
  if (coin()) s.battery_percent = static_cast<std::uint32_t>(below(101));
  s.wall = instant();
  if (coin()) s.estimated_now = instant();
  s.app_version = text(0, 20);
  if (coin()) s.alarm = text(1, 40);
  return s;
}

wire::ChangeException Random::exception() {
  return {ActorId{positive()},
          Sequence{positive()},
          id<RecordId>(),
          static_cast<wire::ExceptionKind>(below(5)),
          name(),
          coin() ? path() : "",
          text(0, 100)};
}

wire::Hello Random::hello() {
  wire::Hello m;
  m.device = id<DeviceId>();
  m.agent_nonce = id<Nonce>();
  for (const auto& entry : entries(5)) m.actors.push_back({entry.actor, entry.counter, id<Hash>()});
  std::set<std::string> units;
  for (auto left = below(4); left > 0; --left) units.insert(name());
  for (const auto& unit : units) m.cursors.push_back({unit, bytes(0, 40)});
  m.schema_digest = id<Hash>();
  m.welcome_id = number();
  for (const auto& entry : entries(5)) m.unsettled.push_back({entry.actor, entry.counter});
  if (coin()) m.again.assign(units.begin(), units.end());
  m.status = status();
  return m;
}

wire::Welcome Random::welcome() {
  wire::Welcome m;
  m.id = number();
  m.hub_time = instant();
  m.start = id<StartId>();
  m.window_pushes = static_cast<std::uint32_t>(number());
  m.window_bytes = static_cast<std::uint32_t>(number());
  for (const auto& entry : entries(5)) {
    m.verdicts.push_back({entry.actor, static_cast<wire::VerdictKind>(below(4)), entry.counter,
                          id<Hash>(), Sequence{number()}});
  }
  std::set<std::string> units;
  for (auto left = below(4); left > 0; --left) units.insert(name());
  for (const auto& unit : units) m.grants.push_back({unit});
  for (auto left = below(4); left > 0; --left) m.exceptions.push_back(exception());
  for (auto left = below(3); left > 0; --left) {
    m.orders.push_back({number(), name(), bytes(0, 60), id<crypto::Signature>()});
  }
  for (auto left = below(3); left > 0; --left) {
    m.schemas.push_back({name(), static_cast<std::uint32_t>(number()), bytes(0, 300)});
  }
  m.compartment = coin() ? "enforcement" : "health";
  return m;
}

wire::Push Random::push() {
  wire::Push m;
  m.actor = {positive()};
  m.first.value = 1 + below(1000000);
  const auto count = 1 + below(5);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto c = change();
    c.dot = {m.actor, Sequence{m.first.value + i}};
    c.prev.value = below(c.dot.counter.value);
    c.context = {};
    m.changes.push_back(*wire::encode_change(c));
  }
  m.head = id<Hash>();
  m.signature = id<crypto::Signature>();
  return m;
}

wire::Message Random::small_message(std::size_t index) {
  const ActorId actor{positive()};
  switch (index) {
    case 0:
      return wire::Ping{number()};
    case 1:
      return wire::Pong{number(), coin() ? std::optional(instant()) : std::nullopt};
    case 2:
      return wire::Bye{text(0, 100)};
    case 3:
      return wire::ErrorMessage{static_cast<wire::ErrorCode>(1 + below(13)), text(0, 100),
                                static_cast<std::uint32_t>(number())};
    case 4: {
      wire::HashQuery m{actor, {}};
      for (const auto& entry : entries(6)) m.counters.push_back({entry.actor.value});
      return m;
    }
    case 5: {
      wire::HashReply m{actor, {}};
      for (const auto& entry : entries(6))
        m.hashes.push_back({actor, Sequence{entry.actor.value}, id<Hash>()});
      return m;
    }
    case 6: {
      const auto to = positive();
      return wire::Gap{actor, Sequence{1 + below(to)}, Sequence{to}, id<Hash>(),
                       id<crypto::Signature>()};
    }
    case 7:
      return wire::AttachOffer{id<Hash>(), id<RecordId>(), name(), below(1000000)};
    case 8:
      return wire::AttachOffset{id<Hash>(), below(1000000), coin()};
    case 9:
      return wire::AttachChunk{id<Hash>(), below(1000000), bytes(1, 200)};
    case 10:
      return wire::AttachFetch{id<Hash>(), below(1000000)};
    case 11: {
      wire::Recover m{name(), {}};
      for (auto left = below(4); left > 0; --left) m.records.push_back(id<RecordId>());
      std::sort(m.records.begin(), m.records.end());
      return m;
    }
    default: {
      wire::Recovered m{name(), {}, {}, coin()};
      for (auto left = below(4); left > 0; --left) {
        const model::Record one = record();
        m.summaries.push_back({one.id, one.vv, number()});
        m.states.push_back(*wire::encode_record(one));
      }
      std::sort(m.summaries.begin(), m.summaries.end(),
                [](const auto& a, const auto& b) { return a.record < b.record; });
      return m;
    }
  }
}

wire::Message Random::message() {
  const ActorId actor{positive()};
  switch (below(12)) {
    case 0:
      return wire::Challenge{static_cast<std::uint32_t>(number()), id<Nonce>(), id<HubId>(),
                             id<Epoch>()};
    case 1:
      return hello();
    case 2:
      return welcome();
    case 3:
      return push();
    case 4: {
      wire::Ack m{actor, Sequence{number()}, {}};
      for (auto left = below(4); left > 0; --left) m.exceptions.push_back(exception());
      return m;
    }
    case 5: {
      wire::Confirm m;
      for (auto left = below(4); left > 0; --left) {
        m.items.push_back({ActorId{positive()}, Sequence{positive()},
                           static_cast<wire::ExceptionKind>(below(5))});
      }
      return m;
    }
    case 6:
      return wire::Rewind{actor, Sequence{number()}, id<Hash>()};
    case 7: {
      wire::Deliver m{name(), bytes(0, 40), {}, coin(), {}};
      for (auto left = below(4); left > 0; --left)
        m.states.push_back(*wire::encode_record(record()));
      for (auto left = coin() ? below(4) : 0; left > 0; --left) m.erased.push_back(id<RecordId>());
      std::sort(m.erased.begin(), m.erased.end());
      m.erased.erase(std::unique(m.erased.begin(), m.erased.end()), m.erased.end());
      return m;
    }
    case 8:
      return wire::Got{name(), bytes(0, 40)};
    case 9: {
      const auto offset = below(1000);
      auto chunk = bytes(1, 300);
      const auto total = offset + chunk.size() + below(1000);
      return wire::StateChunk{name(), id<RecordId>(), id<Hash>(), total, offset, std::move(chunk)};
    }
    case 10:
      return wire::StatusReport{status()};
    default:
      return small_message(below(13));
  }
}

}  // namespace fieldpost::test

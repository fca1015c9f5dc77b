#include "tests/wire/meaning.h"

#include "wire/body_attachments.h"
#include "wire/body_control.h"
#include "wire/body_handshake.h"
#include "wire/body_records.h"
#include "wire/codec.h"

namespace fieldpost::wire {

/// The third direction of the bodies' descriptions: into JSON, by name.
class MeaningIo {
 public:
  template <class T>
  using Of = const T;
  test::Json out = test::Json::object();

  static test::Json json(std::uint64_t value) {
    constexpr std::uint64_t kExactInEveryReader = std::uint64_t{1} << 53;
    if (value > kExactInEveryReader) return std::to_string(value);
    return value;
  }
  static test::Json json(std::uint32_t value) { return value; }
  static test::Json json(ActorId value) { return value.hex(); }
  static test::Json json(Sequence value) { return json(value.value); }
  static test::Json json(Instant value) { return value.ms; }
  template <class T>
    requires std::is_enum_v<T>
  static test::Json json(T value) {
    return static_cast<unsigned>(value);
  }

  void check(bool, std::string_view, std::string_view) {}
  void item(std::size_t) {}
  template <class T>
  void number(std::string_view name, const T& value) {
    out[std::string(name)] = json(value);
  }
  void vector(std::string_view name, const model::VersionVector& value) {
    auto& array = out[std::string(name)] = test::Json::array();
    for (const auto& entry : value.entries())
      array.push_back({json(entry.actor), json(entry.counter)});
  }
  void text(std::string_view name, const std::string& value, TextBound) {
    out[std::string(name)] = value;
  }
  void blob(std::string_view name, const Bytes& value, std::size_t) {
    out[std::string(name)] = to_hex(value);
  }
  template <std::size_t N, class Tag>
  void id(std::string_view name, const ByteId<N, Tag>& value) {
    out[std::string(name)] = value.hex();
  }

  template <class T>
  void number(int, std::string_view name, const T& value) {
    number(name, value);
  }
  template <class T>
  void nonzero(int, std::string_view name, const T& value) {
    number(name, value);
  }
  template <class T>
  void maybe(int, std::string_view name, const std::optional<T>& value) {
    if (value) number(name, *value);
  }
  void flag(int, std::string_view name, bool value) { out[std::string(name)] = value; }
  void text(int key, std::string_view name, const std::string& value, TextBound bound) {
    // What came as an extension is not there for those who do not say it.
    if (key >= static_cast<int>(wire::kFirstExtensionKey) && value.empty()) return;
    text(name, value, bound);
  }
  void blob(int, std::string_view name, const Bytes& value, std::size_t max) {
    blob(name, value, max);
  }
  template <std::size_t N, class Tag>
  void id(int, std::string_view name, const ByteId<N, Tag>& value) {
    id(name, value);
  }
  template <class T>
  void list(int, std::string_view name, const std::vector<T>& values, std::size_t) {
    auto& array = out[std::string(name)] = test::Json::array();
    for (const auto& value : values) {
      MeaningIo inner;
      describe_item(inner, value);
      constexpr bool kScalar = std::is_same_v<T, Bytes> || std::is_same_v<T, Sequence> ||
                               std::is_same_v<T, RecordId> || std::is_same_v<T, std::string>;
      array.push_back(kScalar ? inner.out.front() : inner.out);
    }
  }
  template <class T>
  void group(int, std::string_view name, const T& value) {
    MeaningIo inner;
    describe(inner, value);
    out[std::string(name)] = inner.out;
  }
};

}  // namespace fieldpost::wire

namespace fieldpost::test {
namespace {

Json number(std::uint64_t value) { return wire::MeaningIo::json(value); }

Json vector(const model::VersionVector& vv) {
  auto out = Json::array();
  for (const auto& entry : vv.entries())
    out.push_back({entry.actor.hex(), number(entry.counter.value)});
  return out;
}

Json fields(const std::vector<model::FieldValue>& all) {
  auto out = Json::object();
  for (const auto& field : all) out[field.path] = meaning(field.value);
  return out;
}

Json seals(const std::vector<model::Seal>& all) {
  auto out = Json::array();
  for (const auto& seal : all) {
    auto boxes = Json::object();
    for (const auto& box : seal.boxes)
      boxes[box.recipient.hex()] = to_hex(BytesView(box.box).subspan(32));
    out.push_back({{"id", seal.id.hex()},
                   {"ephemeral", to_hex(BytesView(seal.boxes.at(0).box).first(32))},
                   {"boxes", boxes}});
  }
  return out;
}

Json origin(const model::Origin& origin) {
  return {{"actor", origin.dot.actor.hex()},
          {"counter", number(origin.dot.counter.value)},
          {"hash", origin.hash.hex()}};
}

}  // namespace

Json meaning(const model::Value& value) {
  struct Of {
    Json operator()(const model::Null&) const { return nullptr; }
    Json operator()(bool flag) const { return flag; }
    Json operator()(std::int64_t integer) const { return integer; }
    Json operator()(const std::string& text) const { return text; }
    Json operator()(const model::List& list) const {
      auto out = Json::array();
      for (const auto& item : list) std::visit([&](const auto& v) { out.push_back(v); }, item);
      return out;
    }
    Json operator()(const model::Sealed& sealed) const {
      return {{"seal", sealed.seal.hex()}, {"ciphertext", to_hex(sealed.ciphertext)}};
    }
  };
  return std::visit(Of{}, value);
}

Json meaning(const model::Change& c) {
  Json times{{"wall", c.times.wall.ms},
             {"boot", number(c.times.boot)},
             {"monotonic_ms", number(c.times.monotonic_ms)}};
  if (c.times.hub)
    times["hub"] = {{"at", c.times.hub->at.ms},
                    {"monotonic_ms", number(c.times.hub->monotonic_ms)}};
  Json out{{"record", to_text(c.record)},
           {"actor", c.dot.actor.hex()},
           {"counter", number(c.dot.counter.value)},
           {"prev", number(c.prev.value)},
           {"type", c.type},
           {"unit", c.unit},
           {"author", c.author},
           {"schema_version", c.schema_version},
           {"welcome", number(c.welcome)},
           {"times", times},
           {"context", vector(c.context)},
           {"edits", fields(c.edits)},
           {"seals", seals(c.seals)},
           {"reason", meaning(c.reason)}};
  if (c.origin) out["origin"] = origin(*c.origin);
  out["salt"] = c.salt.hex();
  return out;
}

Json meaning(const model::Record& r) {
  auto groups = Json::array();
  for (const auto& group : r.groups) {
    Json out{
        {"actor", group.dot.actor.hex()}, {"counter", number(group.dot.counter.value)},
        {"author", group.meta.author},    {"schema_version", group.meta.schema_version},
        {"time", group.meta.time.at.ms},  {"clock", static_cast<unsigned>(group.meta.time.clock)},
        {"fields", fields(group.fields)}, {"seals", seals(group.seals)}};
    if (group.meta.origin) out["origin"] = origin(*group.meta.origin);
    groups.push_back(std::move(out));
  }
  return {{"id", to_text(r.id)},
          {"type", r.type},
          {"unit", r.unit},
          {"vector", vector(r.vv)},
          {"groups", groups}};
}

Json meaning(const wire::Message& message) {
  wire::MeaningIo io;
  std::visit([&](const auto& m) { describe(io, m); }, message);
  return {{"message", wire::message_name(message)}, {"body", io.out}};
}

}  // namespace fieldpost::test

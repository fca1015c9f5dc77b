#include "wire/value_codec.h"

#include <cstring>

#include "base/limits.h"
#include "model/check.h"

namespace fieldpost::wire {
namespace {

constexpr std::uint64_t kSealedIndexKey = 0;
constexpr std::uint64_t kSealedCiphertextKey = 1;

template <std::size_t N, class Tag>
void get_id(Reader& in, ByteId<N, Tag>& id) {
  const auto view = in.blob_of(N);
  if (in.ok()) std::memcpy(id.bytes.data(), view.data(), N);
}

std::uint64_t index_of(const SealId& id, const std::vector<model::Seal>& seals) {
  for (std::size_t i = 0; i < seals.size(); ++i) {
    if (seals[i].id == id) return i;
  }
  return seals.size();  // refused by every reader; check_change keeps it from happening
}

void put_list(Writer& out, const model::List& list) {
  out.array(list.size());
  for (const auto& item : list) {
    if (const auto* number = std::get_if<std::int64_t>(&item)) {
      out.integer(*number);
    } else {
      out.text(std::get<std::string>(item));
    }
  }
}

bool is_text(std::uint8_t byte) {
  return (byte >= 0xa0 && byte <= 0xbf) || (byte >= 0xd9 && byte <= 0xdb);
}
bool is_integer(std::uint8_t byte) {
  return byte < 0x80 || byte >= 0xe0 || (byte >= 0xcc && byte <= 0xd3);
}

void get_list(Reader& in, model::List& list) {
  const auto count = in.array(limits::kListItemsMax);
  list.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const auto byte = in.peek();
    if (is_text(byte)) {
      list.emplace_back(std::in_place_type<std::string>, in.text(limits::kTextBytesMax));
    } else if (is_integer(byte)) {
      list.emplace_back(in.integer());
    } else {
      in.fail(Errc::malformed, "a list holds integers and texts only");
    }
    in.within(i);
  }
}

void get_sealed(Reader& in, model::Sealed& sealed, std::optional<std::uint64_t>& seal_index) {
  const bool two_entries = in.map(limits::kListItemsMax) == 2;
  if (!two_entries) in.fail(Errc::malformed, "a sealed value is a map of two entries");
  if (in.unsigned_integer() != kSealedIndexKey)
    in.fail(Errc::malformed, "a sealed value begins with key 0");
  seal_index = in.unsigned_integer();
  if (in.unsigned_integer() != kSealedCiphertextKey)
    in.fail(Errc::malformed, "a sealed value ends with key 1");
  sealed.ciphertext = to_bytes(in.blob(limits::kCiphertextBytesMax));
}

}  // namespace

void put_value(Writer& out, const model::Value& value, const std::vector<model::Seal>& seals) {
  struct Put {
    Writer& out;
    const std::vector<model::Seal>& seals;
    void operator()(const model::Null&) const { out.nil(); }
    void operator()(bool flag) const { out.boolean(flag); }
    void operator()(std::int64_t number) const { out.integer(number); }
    void operator()(const std::string& text) const { out.text(text); }
    void operator()(const model::List& list) const { put_list(out, list); }
    void operator()(const model::Sealed& sealed) const {
      out.map(2);
      out.unsigned_integer(kSealedIndexKey);
      out.unsigned_integer(index_of(sealed.seal, seals));
      out.unsigned_integer(kSealedCiphertextKey);
      out.blob(sealed.ciphertext);
    }
  };
  std::visit(Put{out, seals}, value);
}

void put_fields(Writer& out, const std::vector<model::FieldValue>& fields,
                const std::vector<model::Seal>& seals) {
  out.array(2 * fields.size());
  for (const auto& field : fields) {
    out.text(field.path);
    put_value(out, field.value, seals);
  }
}

void put_seals(Writer& out, const std::vector<model::Seal>& seals) {
  out.array(seals.size());
  for (const auto& seal : seals) {
    out.array(2 + 2 * seal.boxes.size());
    out.blob(seal.id.view());
    // check_change and check_record have seen that every box begins with this key.
    out.blob(seal.boxes.empty() ? BytesView()
                                : BytesView(seal.boxes[0].box).first(model::kEphemeralBytes));
    for (const auto& box : seal.boxes) {
      out.blob(box.recipient.view());
      out.blob(BytesView(box.box).subspan(model::kEphemeralBytes));
    }
  }
}

void put_vector(Writer& out, const model::VersionVector& vv) {
  out.array(2 * vv.size());
  for (const auto& entry : vv.entries()) {
    out.unsigned_integer(entry.actor.value);
    out.unsigned_integer(entry.counter.value);
  }
}

void put_origin(Writer& out, const model::Origin& origin) {
  out.array(3);
  out.unsigned_integer(origin.dot.actor.value);
  out.unsigned_integer(origin.dot.counter.value);
  out.blob(origin.hash.view());
}

void get_value(Reader& in, model::Value& value, std::optional<std::uint64_t>& seal_index) {
  const auto byte = in.peek();
  if (is_text(byte)) {
    value.emplace<std::string>(in.text(limits::kTextBytesMax));
  } else if (is_integer(byte)) {
    value.emplace<std::int64_t>(in.integer());
  } else if (byte == 0xc2 || byte == 0xc3) {
    value.emplace<bool>(in.boolean());
  } else if (byte == 0xc0) {
    in.nil();
    value.emplace<model::Null>();
  } else if ((byte >= 0x90 && byte <= 0x9f) || byte == 0xdc || byte == 0xdd) {
    get_list(in, value.emplace<model::List>());
  } else if ((byte >= 0x80 && byte <= 0x8f) || byte == 0xde || byte == 0xdf) {
    get_sealed(in, value.emplace<model::Sealed>(), seal_index);
  } else {
    in.fail(Errc::malformed,
            in.left() == 0 ? "ends too early" : "a kind of value that v1 does not know");
  }
}

void get_fields(Reader& in, std::vector<model::FieldValue>& fields, std::vector<SealUse>& uses) {
  const auto count = in.array(2 * limits::kEditsMax);
  if (count % 2 != 0) in.fail(Errc::malformed, "a path without a value");
  fields.reserve(count / 2);  // SealUse points into it: it must not grow
  for (std::size_t i = 0; i < count / 2 && in.ok(); ++i) {
    auto& field = fields.emplace_back();
    field.path = in.unchecked_text(limits::kPathBytesMax);  // check_change asks is_path
    std::optional<std::uint64_t> seal_index;
    get_value(in, field.value, seal_index);
    if (seal_index && in.ok()) uses.push_back({&std::get<model::Sealed>(field.value), *seal_index});
    in.within(i);
  }
}

void get_seals(Reader& in, std::vector<model::Seal>& seals) {
  const auto count = in.array(limits::kSealsMax);
  seals.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    auto& seal = seals.emplace_back();
    const auto size = in.array(2 + 2 * limits::kBoxesMax);
    if (size % 2 != 0 || size == 0)
      in.fail(Errc::malformed, "a seal is an id, a key and pairs of recipient and box");
    get_id(in, seal.id);
    const BytesView ephemeral = in.blob_of(model::kEphemeralBytes);
    for (std::size_t k = 2; k + 1 < size && in.ok(); k += 2) {
      auto& box = seal.boxes.emplace_back();
      get_id(in, box.recipient);
      const BytesView rest = in.blob_of(model::kKeyBoxBytes - model::kEphemeralBytes);
      box.box.reserve(model::kKeyBoxBytes);
      box.box.assign(ephemeral.begin(), ephemeral.end());
      box.box.insert(box.box.end(), rest.begin(), rest.end());
    }
    in.within(i);
  }
}

void get_vector(Reader& in, model::VersionVector& vv) {
  const auto count = in.array(2 * limits::kVectorEntriesMax);
  if (count % 2 != 0) in.fail(Errc::malformed, "an actor without a counter");
  std::vector<model::VersionVector::Entry> entries;
  entries.reserve(count / 2);
  for (std::size_t i = 0; i < count / 2 && in.ok(); ++i) {
    const ActorId actor{in.unsigned_integer()};
    if (in.ok() && actor.value == 0) in.fail(Errc::malformed, "actor 0");
    entries.push_back({actor, Sequence{in.unsigned_integer()}});
  }
  if (!in.ok()) return;
  auto checked = model::VersionVector::from_entries(std::move(entries));
  if (!checked) return in.fail(Errc::malformed, checked.error().detail);
  vv = *std::move(checked);
}

void get_origin(Reader& in, model::Origin& origin) {
  in.array_of(3);
  origin.dot.actor.value = in.unsigned_integer();
  origin.dot.counter.value = in.unsigned_integer();
  get_id(in, origin.hash);
  if (in.ok() && (origin.dot.actor.value == 0 || origin.dot.counter.value == 0)) {
    in.fail(Errc::malformed, "origin names no change");
  }
}

void resolve_seals(Reader& in, const std::vector<SealUse>& uses,
                   const std::vector<model::Seal>& seals) {
  for (const auto& use : uses) {
    if (use.index >= seals.size()) return in.fail(Errc::malformed, "a seal index without a seal");
    use.value->seal = seals[use.index].id;
  }
}

}  // namespace fieldpost::wire

#include "schema/sealed_json.h"

#include <map>
#include <optional>

#include "base/text.h"
#include "schema/document.h"
#include "schema/json_fields.h"
#include "wire/seal.h"

namespace fieldpost::schema {

using nlohmann::json;

namespace {

/// The place of a path in a document; makes objects, and items where the middle part is an item's id.
json& place_of_path(json& document, const std::string& path) {
  const auto parts = split(path, '/');
  json* at = &document[std::string(parts.front())];
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string part(parts[i]);
    const bool item = i == 1 && parts.size() == 3 && !at->is_object();
    if (!item) {
      at = &(*at)[part];
      continue;
    }
    if (!at->is_array()) *at = json::array();
    json* found = nullptr;
    for (auto& entry : *at) {
      if (text_or_empty(entry, "item_id") == part) found = &entry;
    }
    if (found == nullptr) {
      at->push_back({{"item_id", part}});
      found = &at->back();
    }
    at = found;
  }
  return *at;
}

const model::Seal* find_seal(const model::Record& record, const SealId& id) {
  for (const auto& group : record.groups) {
    for (const auto& seal : group.seals) {
      if (seal.id == id) return &seal;
    }
  }
  return nullptr;
}

class Opener {
 public:
  Opener(const RecordId& record, const std::vector<crypto::BoxKeyPair>& keys)
      : record_(record), keys_(keys) {}

  Status read_seals(const json& seals) {
    if (!seals.is_object()) return fail(Errc::malformed, "'seals' must be an object");
    for (const auto& [name, boxes] : seals.items()) {
      model::Seal seal;
      auto bytes = from_hex(name);
      if (!bytes) return fail(Errc::malformed, "a seal's name must be hexadecimal");
      FP_TRY(seal.id, SealId::from(*bytes));
      if (!boxes.is_array()) return fail(Errc::malformed, "a seal is a list of boxes");
      for (const json& box : boxes) {
        model::KeyBox made;
        FP_TRY(made.recipient, id_field<KeyId>(box, "to"));
        FP_TRY(made.box, hex_field(box, "box"));
        seal.boxes.push_back(std::move(made));
      }
      for (const auto& key : keys_) {
        if (auto content = wire::open_seal(seal, key)) content_[seal.id] = *content;
      }
    }
    return {};
  }

  Status walk(const std::string& path, json& value) {
    if (value.is_object() && value.contains("sealed")) return open(path, value);
    if (value.is_object()) {
      for (auto& [name, member] : value.items()) {
        std::string inner = path;
        if (!inner.empty()) inner += '/';
        FP_CHECK_OK(walk(inner.append(name), member));
      }
    } else if (value.is_array()) {
      for (auto& item : value) {
        if (item.is_object()) FP_CHECK_OK(walk(path + "/" + text_or_empty(item, "item_id"), item));
      }
    }
    return {};
  }

  Status walk_conflicts(json& conflicts) {
    if (!conflicts.is_object()) return fail(Errc::malformed, "'conflicts' must be an object");
    for (auto& [path, siblings] : conflicts.items()) {
      if (!siblings.is_array())
        return fail(Errc::malformed, "'conflicts' of " + path + " must be a list");
      for (json& sibling : siblings) {
        if (!sibling.is_object() || !sibling.contains("value"))
          return fail(Errc::malformed, "a value in conflict of " + path + " must be an object");
        FP_CHECK_OK(walk(path, sibling["value"]));
        if (sibling.contains("sealed")) sibling["sealed"] = sibling["value"].is_object();
      }
    }
    return {};
  }

  std::size_t closed = 0;

 private:
  Status open(const std::string& path, json& value) {
    model::Sealed sealed;
    FP_TRY(sealed.seal, id_field<SealId>(value["sealed"], "seal"));
    FP_TRY(sealed.ciphertext, hex_field(value["sealed"], "data"));
    const auto key = content_.find(sealed.seal);
    if (key == content_.end()) {
      ++closed;
      return {};
    }
    auto clear = wire::open_value(key->second, record_, path, sealed);
    if (!clear)
      return fail(clear.error().is(Errc::bad_signature) ? Errc::bad_signature : Errc::malformed,
                  path + " was changed, or comes from another record: " + clear.error().detail);
    value = to_json(*clear);
    return {};
  }

  const RecordId& record_;
  const std::vector<crypto::BoxKeyPair>& keys_;
  std::map<SealId, crypto::SymmetricKey> content_;
};

}  // namespace

namespace {

json closed_value(const model::Sealed& sealed) {
  return {{"sealed", {{"seal", sealed.seal.hex()}, {"data", to_hex(sealed.ciphertext)}}}};
}

void add_seal(const model::Record& record, const SealId& id, json& seals) {
  const model::Seal* seal = find_seal(record, id);
  if (seal == nullptr || seals.contains(seal->id.hex())) return;
  json boxes = json::array();
  for (const auto& box : seal->boxes)
    boxes.push_back({{"to", box.recipient.hex()}, {"box", to_hex(box.box)}});
  seals[seal->id.hex()] = std::move(boxes);
}

/// The closed value of one writer, or null when it is in clear.
const model::Sealed* sealed_of(const model::Record& record, const SiblingView& sibling) {
  for (const model::Sibling& one : model::siblings(record, sibling.path)) {
    if (one.group->dot == sibling.dot) return std::get_if<model::Sealed>(one.value);
  }
  return nullptr;
}

const char* clock_word(model::ClockKind clock) {
  return clock == model::ClockKind::hub       ? "hub"
         : clock == model::ClockKind::receipt ? "receipt"
                                              : "device";
}

}  // namespace

json conflicts_json(const model::Record& record, const DocumentView& view) {
  json conflicts = json::object();
  for (const SiblingView& sibling : view.conflicts) {
    const model::Sealed* closed = sibling.sealed ? sealed_of(record, sibling) : nullptr;
    conflicts[sibling.path].push_back(
        {{"value", closed != nullptr ? closed_value(*closed) : sibling.value},
         {"sealed", sibling.sealed},
         {"author", sibling.author},
         {"dot", model::to_text(sibling.dot)},
         {"at", to_text(sibling.time.at)},
         {"clock", clock_word(sibling.time.clock)},
         {"shown", sibling.shown}});
  }
  return conflicts;
}

json export_document(const model::Record& record, const DocumentView& view) {
  json document = view.document;
  add_sealed(record, view.sealed, document);
  json conflicts = conflicts_json(record, view);
  if (conflicts.empty()) return document;
  json seals = document.value("seals", json::object());
  for (const SiblingView& sibling : view.conflicts) {
    const model::Sealed* closed = sibling.sealed ? sealed_of(record, sibling) : nullptr;
    if (closed != nullptr) add_seal(record, closed->seal, seals);
  }
  if (!seals.empty()) document["seals"] = std::move(seals);
  document[kConflictsMember] = std::move(conflicts);
  return document;
}

void add_sealed(const model::Record& record, const std::vector<std::string>& paths,
                json& document) {
  json seals = json::object();
  for (const auto& path : paths) {
    const model::Value* value = model::shown(record, path);
    const auto* sealed = value == nullptr ? nullptr : std::get_if<model::Sealed>(value);
    if (sealed == nullptr) continue;
    place_of_path(document, path) = closed_value(*sealed);
    add_seal(record, sealed->seal, seals);
  }
  if (!seals.empty()) document["seals"] = std::move(seals);
}

Result<std::size_t> open_sealed(json& document, const std::vector<crypto::BoxKeyPair>& keys) {
  if (!document.is_object()) return fail(Errc::malformed, "a record is a JSON object");
  FP_TRY(const auto text, text_field(document, "id"));
  FP_TRY(const auto id, record_id_from_text(text));
  Opener opener(id, keys);
  json seals = json::object();
  if (const auto found = document.find("seals"); found != document.end()) {
    seals = *found;
    document.erase(found);
  }
  FP_CHECK_OK(opener.read_seals(seals));
  // Apart: what stands below is at its own path, not at one that begins with "conflicts".
  json conflicts;
  if (const auto found = document.find(kConflictsMember); found != document.end()) {
    conflicts = *found;
    document.erase(found);
    FP_CHECK_OK(opener.walk_conflicts(conflicts));
  }
  FP_CHECK_OK(opener.walk("", document));
  if (!conflicts.is_null()) document[kConflictsMember] = std::move(conflicts);
  if (opener.closed > 0) document["seals"] = std::move(seals);
  return opener.closed;
}

}  // namespace fieldpost::schema

// Documents as edits: normalised first, flattened, then compared with what was there before.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "schema/document.h"
#include "schema/node.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

Error wrong(const std::string& path, const std::string& why) {
  return fail(Errc::invalid_argument, (path.empty() ? "" : path + ": ") + why);
}

bool is_snake(std::string_view name) {
  return model::is_path(name) && name.find('/') == std::string_view::npos;
}

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "/" + name;
}

class Normaliser {
 public:
  Normaliser(const Form& form, const EditOptions& options) : form_(form), options_(options) {}

  Result<json> run(const json& document) {
    if (!document.is_object()) return wrong("", "a record is a JSON object");
    json out = document;
    for (auto& [name, value] : out.items()) {
      if (!is_snake(name)) return wrong(name, "field names are small letters, digits and _");
      if (value.is_array() && (form_.is_repeat(name) || holds_items(value))) {
        FP_CHECK_OK(items(name, value));
      } else if (value.is_object()) {
        FP_CHECK_OK(members(name, name, value));
      } else {
        FP_CHECK_OK(leaf(name, form_.find("", name), value));
      }
    }
    derive("", out);
    return out;
  }

 private:
  static bool holds_items(const json& array) {
    return std::any_of(array.begin(), array.end(),
                       [](const json& item) { return item.is_object(); });
  }

  Status items(const std::string& name, json& array) {
    std::set<std::string> seen;
    for (auto& item : array) {
      if (item.is_null()) continue;
      if (!item.is_object()) return wrong(name, "every item must be an object");
      if (!item.contains("item_id")) {
        if (!options_.new_item_id) return wrong(name, "an item has no item_id");
        item["item_id"] = options_.new_item_id();
      }
      if (!item["item_id"].is_string() ||
          !is_item_id(item["item_id"].get_ref<const std::string&>())) {
        return wrong(name, "an item_id is eight of 0-9 a-z without i l o u");
      }
      const auto id = item["item_id"].get<std::string>();
      std::string place = name;
      place.append("/").append(id);
      if (!seen.insert(id).second) return wrong(place, "two items have this item_id");
      FP_CHECK_OK(members(name, place, item));
    }
    return {};
  }

  Status members(const std::string& container, const std::string& path, json& object) {
    for (auto& [member, value] : object.items()) {
      const std::string place = joined(path, member);
      if (!is_snake(member)) return wrong(place, "field names are small letters, digits and _");
      if (value.is_object()) {
        if (form_.find(container, member) != nullptr)
          return wrong(place, "an object stands where a value belongs");
        FP_CHECK_OK(members(container, place, value));  // of a newer form
      } else if (member != "item_id") {
        FP_CHECK_OK(leaf(place, form_.find(container, member), value));
      }
    }
    derive(container, object);
    return {};
  }

  Status leaf(const std::string& path, const Field* field, json& value) {
    if (value.is_number_float() && field != nullptr && field->scale > 0) {
      // The shortest text that reads back as this number is the one that was written.
      auto scaled = scaled_from_text(value.dump(), field->scale);
      if (!scaled) return wrong(path, scaled.error().detail);
      value = *scaled;
    }
    if (value.is_string()) value = clean(field, value.get_ref<const std::string&>());
    if (value.is_array()) {
      for (auto& member : value) {
        if (member.is_string()) member = clean(field, member.get_ref<const std::string&>());
      }
    }
    if (auto checked = value_from_json(value); !checked) return wrong(path, checked.error().detail);
    return {};
  }

  static std::string clean(const Field* field, const std::string& text) {
    const std::string_view bare = trimmed(text);
    return field == nullptr || field->free_text ? std::string(bare) : ascii_digits(bare);
  }

  void derive(std::string_view container, json& object) {
    for (const Field& field : form_.fields()) {
      if (field.derived_from.empty() || field.container != container) continue;
      const auto from = object.find(field.derived_from);
      if (from == object.end()) continue;
      if (from->is_null()) object[field.name] = nullptr;
      if (!from->is_string()) continue;
      const auto& text = from->get_ref<const std::string&>();
      object[field.name] = field.derived_how == "month" ? text.substr(0, 7) : plate_norm(text);
    }
  }

  const Form& form_;
  const EditOptions& options_;
};

using Flat = std::map<std::string, json>;

void flatten_members(const std::string& prefix, const json& object, Flat& out);

void flatten_value(const std::string& path, const json& value, Flat& out) {
  if (value.is_object()) {
    flatten_members(path, value, out);
    return;
  }
  const bool items =
      value.is_array() &&
      std::any_of(value.begin(), value.end(), [](const json& item) { return item.is_object(); });
  if (!items) {
    out[path] = value;
    return;
  }
  for (const json& item : value) {
    if (!item.is_object()) continue;
    flatten_members(path + "/" + item.value("item_id", ""), item, out);
  }
}

void flatten_members(const std::string& prefix, const json& object, Flat& out) {
  for (const auto& [name, value] : object.items()) {
    if (name != "item_id") flatten_value(joined(prefix, name), value, out);
  }
}

/// Null for an object means: clear its fields. Of a repeat, nothing is ever removed.
Status clear_containers(const Form& form, const json* base, Flat& flat) {
  for (const auto& [name, container] : form.data().containers) {
    const auto found = flat.find(name);
    if (found == flat.end()) continue;
    const bool empty_list = found->second.is_array() && found->second.empty();
    if (container.repeat && !empty_list && !found->second.is_null()) {
      return wrong(name, "a list of items belongs here");
    }
    if (container.repeat && found->second.is_null() && base != nullptr && base->contains(name)) {
      return wrong(name, "items are never removed: void each with a reason");
    }
    if (!container.repeat && !found->second.is_null()) return wrong(name, "an object belongs here");
    if (!container.repeat) {
      for (const Field& field : form.fields()) {
        if (field.container == name) flat.emplace(joined(name, field.name), nullptr);
      }
    }
    flat.erase(name);
  }
  return {};
}

const Flat::mapped_type* find(const Flat& flat, const std::string& path) {
  const auto found = flat.find(path);
  return found == flat.end() || found->second.is_null() ? nullptr : &found->second;
}

/// A derived field changes only when what it comes from does.
bool derived_and_untouched(const Form& form, const std::string& path, const Flat& now,
                           const Flat& before) {
  const Field* field = form.find(path);
  if (field == nullptr || field->derived_from.empty()) return false;
  const std::string from = path.substr(0, path.size() - field->name.size()) + field->derived_from;
  const json* a = find(now, from);
  const json* b = find(before, from);
  return a != nullptr && b != nullptr && *a == *b;
}

}  // namespace

Result<json> normalised(const Registry& registry, std::string_view type, const json& document,
                        const EditOptions& options) {
  const Form* form = registry.form(type);
  if (form == nullptr) return wrong("type", "there is no form for " + std::string(type));
  return Normaliser(*form, options).run(document);
}

Result<std::vector<model::FieldValue>> edits_from_document(const Registry& registry,
                                                           std::string_view type,
                                                           const json& document, const json* base,
                                                           const EditOptions& options) {
  const Form* form = registry.form(type);
  if (form == nullptr) return wrong("type", "there is no form for " + std::string(type));
  FP_TRY(const json clean, Normaliser(*form, options).run(document));
  Flat now;
  flatten_members("", clean, now);
  Flat before;
  if (base != nullptr) flatten_members("", *base, before);
  FP_CHECK_OK(clear_containers(*form, base, now));
  std::vector<model::FieldValue> edits;
  for (const auto& [path, value] : now) {
    if (path == "id" || path == "type" || path == "unit" || path == "schema_version") continue;
    if (!model::is_path(path)) return wrong(path, "too long or too deep for a field's path");
    if (path == "author" && value == options.author) continue;
    const json* old = find(before, path);
    if (base != nullptr && (value.is_null() ? old == nullptr : old != nullptr && *old == value))
      continue;
    if (base != nullptr && derived_and_untouched(*form, path, now, before)) continue;
    FP_TRY(auto typed, value_from_json(value));
    edits.push_back({path, std::move(typed)});
  }
  return edits;
}

}  // namespace fieldpost::schema

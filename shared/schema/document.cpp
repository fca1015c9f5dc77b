// Records as documents. The other direction is edits.cpp.
#include "schema/document.h"

#include <algorithm>

#include "base/text.h"
#include "schema/calendar.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

/// Finds or makes the item of an array; items are kept in order of item_id.
json& item_of(json& array, std::string_view id) {
  if (!array.is_array()) array = json::array();
  // Paths come sorted, so the item is the last one or comes after it; a newer form's odd paths are rare.
  for (auto item = array.rbegin(); item != array.rend(); ++item) {
    if ((*item)["item_id"] == id) return *item;
    if ((*item)["item_id"].get_ref<const std::string&>() < id) {
      return *array.insert(item.base(), json{{"item_id", id}});
    }
  }
  return *array.insert(array.begin(), json{{"item_id", id}});
}

/// Where the leaf of a path stands in the document, or nullptr when something else is in the way.
json* slot(const Form* form, json& document, std::string_view path) {
  const auto parts = split_path(path);
  if (parts && parts->container.empty()) return &document[std::string(parts->name)];
  const std::size_t first = path.find('/');
  const std::string container(path.substr(0, first));
  const bool repeat = parts && !parts->item.empty() && is_item_id(parts->item) &&
                      (form == nullptr || !form->is_object(container));
  json& holder = document[container];
  if (repeat) {
    if (!holder.is_null() && !holder.is_array()) return nullptr;
    return &item_of(holder, parts->item)[std::string(parts->name)];
  }
  if (holder.is_null()) holder = json::object();
  // A newer form may nest deeper than ours; its paths become nested objects.
  json* at = &holder;
  for (std::string_view name : split(path.substr(first + 1), '/')) {
    if (at->is_null()) *at = json::object();
    if (!at->is_object()) return nullptr;
    at = &(*at)[std::string(name)];
  }
  return at;
}

/// The container of a sealed path is there even though the value is not shown.
void make_room(const Form* form, json& document, std::string_view path) {
  const auto parts = split_path(path);
  if (!parts || parts->container.empty()) return;
  if (json* place = slot(form, document, path); place != nullptr && place->is_null()) {
    const std::string container(parts->container);
    json& holder = parts->item.empty() || !document[container].is_array()
                       ? document[container]
                       : item_of(document[container], parts->item);
    if (holder.is_object()) holder.erase(std::string(parts->name));
  }
}

struct Opened {
  json value;
  bool sealed = false;
};

Opened open(std::string_view path, const model::Value& value, const Unseal& unseal) {
  const auto* sealed = std::get_if<model::Sealed>(&value);
  if (sealed == nullptr) return {to_json(value), false};
  if (unseal) {
    if (const auto clear = unseal(path, *sealed)) return {to_json(*clear), false};
  }
  return {nullptr, true};
}

/// author, captured_at and schema_version of a record that does not hold them as fields.
void fill_envelope(const model::Record& record, json& document) {
  document["id"] = to_text(record.id);
  document["type"] = record.type;
  document["unit"] = record.unit;
  std::uint32_t version = 1;
  const model::DotGroup* earliest = nullptr;
  for (const auto& group : record.groups) {
    version = std::max(version, group.meta.schema_version);
    if (earliest == nullptr || group.meta.time.at < earliest->meta.time.at) earliest = &group;
  }
  document["schema_version"] = version;
  if (earliest == nullptr) return;
  if (!document.contains("author")) document["author"] = earliest->meta.author;
  if (!document.contains("captured_at")) {
    // Years beyond 9999 have no RFC 3339 text; a clock that far off is shown at the edge instead.
    constexpr std::int64_t kFirstMs = -62'135'596'800'000;
    constexpr std::int64_t kLastMs = 253'402'300'799'999;
    const std::int64_t ms = std::clamp(earliest->meta.time.at.ms, kFirstMs, kLastMs);
    document["captured_at"] = instant_text(Instant{ms}, 0);
  }
}

}  // namespace

json to_json(const model::Value& value) {
  struct Visitor {
    json operator()(const model::Null&) const { return nullptr; }
    json operator()(bool b) const { return b; }
    json operator()(std::int64_t i) const { return i; }
    json operator()(const std::string& s) const { return s; }
    json operator()(const model::List& list) const {
      json out = json::array();
      for (const auto& item : list) std::visit([&](const auto& v) { out.push_back(v); }, item);
      return out;
    }
    json operator()(const model::Sealed&) const { return nullptr; }
  };
  return std::visit(Visitor{}, value);
}

Result<model::Value> value_from_json(const json& value) {
  if (value.is_null()) return model::Value(model::Null{});
  if (value.is_boolean()) return model::Value(value.get<bool>());
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return fail(Errc::malformed, "the number is too large");
  }
  if (value.is_number_integer()) return model::Value(value.get<std::int64_t>());
  if (value.is_string()) return model::Value(value.get<std::string>());
  if (value.is_number_float())
    return fail(Errc::malformed, "numbers have no fraction and no exponent");
  if (!value.is_array()) return fail(Errc::malformed, "an object stands where a value belongs");
  model::List list;
  for (const auto& item : value) {
    if (item.is_string()) {
      list.emplace_back(item.get<std::string>());
    } else if (item.is_number_integer()) {
      list.emplace_back(item.get<std::int64_t>());
    } else {
      return fail(Errc::malformed, "a list holds only texts and whole numbers");
    }
  }
  return model::Value(std::move(list));
}

DocumentView to_document(const Registry& registry, const model::Record& record,
                         const Unseal& unseal) {
  const Form* form = registry.form(record.type);
  DocumentView view;
  view.document = json::object();
  for (const auto& shown : model::shown_fields(record)) {
    Opened opened = open(shown.path, *shown.value, unseal);
    if (opened.sealed) {
      view.sealed.emplace_back(shown.path);
      make_room(form, view.document, shown.path);
    } else if (!opened.value.is_null()) {
      if (json* place = slot(form, view.document, shown.path)) *place = std::move(opened.value);
    }
    const Field* field = form == nullptr ? nullptr : form->find(shown.path);
    if (!shown.conflict || (field != nullptr && field->merge == Merge::latest)) continue;
    for (const auto& sibling : model::siblings(record, shown.path)) {
      Opened other = open(shown.path, *sibling.value, unseal);
      view.conflicts.push_back({std::string(shown.path), std::move(other.value), other.sealed,
                                sibling.group->meta.author, sibling.group->dot,
                                sibling.group->meta.time, sibling.group == shown.group});
    }
  }
  fill_envelope(record, view.document);
  return view;
}

std::string plate_norm(std::string_view text) {
  constexpr std::string_view kSeparators[] = {
      " ", "-", ".", "/", "\xC2\xB7", "\xC2\xA0", "\xE2\x80\x8B", "\xE2\x80\x8C", "\xE2\x80\x8D"};
  const std::string ascii = ascii_digits(text);
  std::string out;
  for (std::string_view rest = ascii; !rest.empty();) {
    const auto separator = std::find_if(std::begin(kSeparators), std::end(kSeparators),
                                        [&](std::string_view s) { return rest.starts_with(s); });
    if (separator != std::end(kSeparators)) {
      rest.remove_prefix(separator->size());
      continue;
    }
    const char c = rest.front();
    out += c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
    rest.remove_prefix(1);
  }
  return out;
}

}  // namespace fieldpost::schema

#include "agent/records/patch.h"

#include <algorithm>

#include "base/text.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

bool is_items(const json& value) {
  return value.is_array() &&
         std::any_of(value.begin(), value.end(), [](const json& v) { return v.is_object(); });
}

json* find_item(json& array, const std::string& id) {
  for (auto& item : array) {
    if (item.is_object() && schema::text_or_empty(item, "item_id") == id) return &item;
  }
  return nullptr;
}

}  // namespace

Status apply_patch(json& document, const json& patch,
                   const std::function<std::string()>& new_item_id) {
  if (!patch.is_object())
    return fail(Errc::invalid_argument, "an edit is a JSON object of the fields to change");
  for (const auto& [name, value] : patch.items()) {
    if (is_items(value)) {
      json& array = document[name];
      if (!array.is_array()) array = json::array();
      for (json item : value) {
        if (!item.is_object())
          return fail(Errc::invalid_argument, name + ": every item must be an object");
        if (!item.contains("item_id")) item["item_id"] = new_item_id();
        if (!item["item_id"].is_string())
          return fail(Errc::invalid_argument, name + ": an item_id is a text");
        if (json* known = find_item(array, item["item_id"].get<std::string>())) {
          known->update(item);
        } else {
          array.push_back(std::move(item));
        }
      }
    } else if (value.is_object()) {
      json& object = document[name];
      if (!object.is_object()) object = json::object();
      object.update(value);
    } else {
      document[name] = value;
    }
  }
  return {};
}

Result<json*> PathSetter::item(const std::string& container, const std::string& which,
                               std::string& id) {
  json& array = document_[container];
  if (!array.is_array()) array = json::array();
  if (which == "+") {
    auto [slot, fresh] = added_.emplace(container, "");
    if (fresh) slot->second = new_item_id_();
    id = slot->second;
  } else if (const auto index = integer_from_text(which); index && which.size() < 8) {
    if (*index < 0 || static_cast<std::size_t>(*index) >= array.size()) {
      return fail(Errc::invalid_argument, container + " has " + std::to_string(array.size()) +
                                              " items, so there is no " + which +
                                              " (the first is 0; '+' adds one)");
    }
    id = schema::text_or_empty(array[static_cast<std::size_t>(*index)], "item_id");
  } else {
    id = which;
    if (find_item(array, id) == nullptr) {
      return fail(Errc::invalid_argument,
                  container + " has no item '" + id + "'; 'show' lists them, '+' adds one");
    }
  }
  if (json* known = find_item(array, id)) return known;
  array.push_back({{"item_id", id}});
  return &array.back();
}

Result<std::string> PathSetter::set(const std::string& path, const json& value) {
  std::string slashed = path;
  std::replace(slashed.begin(), slashed.end(), '.', '/');
  const auto parts = split(slashed, '/');
  std::string first(parts.front());
  if (parts.size() == 1 && form_.find("", first) != nullptr) {
    document_[first] = value;
    return first;
  }
  if (parts.size() == 2 && form_.is_object(first) && form_.find(first, parts[1]) != nullptr) {
    json& object = document_[first];
    if (!object.is_object()) object = json::object();
    object[std::string(parts[1])] = value;
    return slashed;
  }
  if (parts.size() == 3 && form_.is_repeat(first) && form_.find(first, parts[2]) != nullptr) {
    std::string id;
    FP_TRY(json * target, item(first, std::string(parts[1]), id));
    (*target)[std::string(parts[2])] = value;
    return first + "/" + id + "/" + std::string(parts[2]);
  }
  return fail(Errc::invalid_argument, "a " + std::string(form_.type()) + " has no field '" + path +
                                          "'; 'fieldpost-agent show ID' lists the paths in use");
}

}  // namespace fieldpost::agent

// From the JSON of a form to its nodes: the keywords. The leaves and rules are in form_fields.cpp.
#include "schema/form_compile.h"

#include <algorithm>
#include <set>

namespace fieldpost::schema {

namespace {

using nlohmann::json;

const std::set<std::string, std::less<>> kKeywords = {
    "$schema",     "$id",       "title",    "description", "type",    "properties",
    "required",    "items",     "enum",     "const",       "minimum", "maximum",
    "minLength",   "maxLength", "minItems", "maxItems",    "pattern", "additionalProperties",
    "definitions", "$ref",      "allOf",    "anyOf",       "oneOf",   "not",
    "if",          "then",      "else"};
const std::set<std::string, std::less<>> kAnnotations = {
    "x-label", "x-version",   "x-compartment",   "x-sealed",   "x-title-fields", "x-rules",
    "x-merge", "x-aggregate", "x-envelope",      "x-nullable", "x-repeat",       "x-widget",
    "x-unit",  "x-scale",     "x-plausible-max", "x-kind",     "x-list",         "x-place",
    "x-ask",   "x-when",      "x-default",       "x-derived",  "x-band",         "x-restricted"};

std::optional<NodeType> node_type(const json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto& name = value.get_ref<const std::string&>();
  if (name == "object") return NodeType::object;
  if (name == "array") return NodeType::array;
  if (name == "string") return NodeType::string;
  if (name == "integer") return NodeType::integer;
  if (name == "boolean") return NodeType::boolean;
  return std::nullopt;
}

std::optional<Scalar> scalar(const json& value) {
  if (value.is_boolean()) return Scalar(value.get<bool>());
  if (value.is_number_integer()) return Scalar(value.get<std::int64_t>());
  if (value.is_string()) return Scalar(value.get<std::string>());
  return std::nullopt;
}

}  // namespace

Error NodeCompiler::refuse(const std::string& place, const std::string& why) const {
  return fail(Errc::unsupported, file_ + (place.empty() ? "" : " at " + place) + ": " + why +
                                     " (see schemas/README.md)");
}

Result<const Node*> NodeCompiler::reference(const json& schema, const std::string& place) {
  constexpr std::string_view kPrefix = "#/definitions/";
  for (const auto& [key, value] : schema.items()) {
    if (key != "$ref" && !kAnnotations.contains(key)) {
      return refuse(place, key + " stands beside a $ref, where it would be ignored");
    }
  }
  const std::string target = schema["$ref"].is_string() ? schema["$ref"].get<std::string>() : "";
  if (!target.starts_with(kPrefix))
    return refuse(place, "$ref " + target + " is not #/definitions/NAME");
  const std::string name = target.substr(kPrefix.size());
  if (const auto known = compiled_.find(name); known != compiled_.end()) {
    if (known->second == nullptr) return refuse(place, "$ref " + target + " leads back to itself");
    return known->second;
  }
  if (!root_.contains("definitions") || !root_["definitions"].contains(name)) {
    return refuse(place, "$ref " + target + " leads nowhere");
  }
  compiled_[name] = nullptr;
  FP_TRY(const Node* node, compile(root_["definitions"][name], "definitions/" + name));
  compiled_[name] = node;
  return node;
}

Result<const Node*> NodeCompiler::compile(const json& schema, const std::string& place) {
  if (!schema.is_object()) return refuse(place, "a schema must be an object");
  if (schema.contains("$ref")) return reference(schema, place);
  for (const auto& [key, value] : schema.items()) {
    if (!kKeywords.contains(key) && !kAnnotations.contains(key)) {
      return refuse(place, "keyword " + key + " is outside the subset");
    }
  }
  Node& node = data_.nodes.emplace_back();
  FP_CHECK_OK(leaf_keywords(schema, place, node));
  FP_CHECK_OK(object_keywords(schema, place, node));
  FP_CHECK_OK(combinations(schema, place, node));
  return &node;
}

Status NodeCompiler::leaf_keywords(const json& schema, const std::string& place, Node& node) {
  if (schema.contains("type")) {
    const auto type = node_type(schema["type"]);
    if (!type) return refuse(place, "type must be one of object, array, string, integer, boolean");
    node.type = *type;
  }
  if (schema.contains("const")) {
    node.constant = scalar(schema["const"]);
    if (!node.constant) return refuse(place, "const must be a boolean, an integer or a text");
  }
  if (schema.contains("enum")) {
    if (!schema["enum"].is_array()) return refuse(place, "enum must be a list");
    for (const auto& value : schema["enum"]) {
      auto choice = scalar(value);
      if (!choice) return refuse(place, "enum holds only booleans, integers and texts");
      node.enumeration.push_back(*std::move(choice));
    }
  }
  for (const auto& [key, slot] :
       {std::pair{"minimum", &node.minimum}, {"maximum", &node.maximum}}) {
    if (!schema.contains(key)) continue;
    if (!schema[key].is_number_integer())
      return refuse(place, std::string(key) + " must be an integer");
    *slot = schema[key].get<std::int64_t>();
  }
  for (const auto& [key, slot] : {std::pair{"minLength", &node.min_length},
                                  {"maxLength", &node.max_length},
                                  {"minItems", &node.min_items},
                                  {"maxItems", &node.max_items}}) {
    if (!schema.contains(key)) continue;
    if (!schema[key].is_number_unsigned())
      return refuse(place, std::string(key) + " must be a count");
    *slot = schema[key].get<std::size_t>();
  }
  if (schema.contains("pattern")) {
    if (!schema["pattern"].is_string()) return refuse(place, "pattern must be a text");
    auto pattern = Pattern::compile(schema["pattern"].get<std::string>());
    if (!pattern) return refuse(place, pattern.error().detail);
    node.pattern = *std::move(pattern);
  }
  return {};
}

Status NodeCompiler::object_keywords(const json& schema, const std::string& place, Node& node) {
  if (schema.contains("required")) {
    if (!schema["required"].is_array()) return refuse(place, "required must be a list");
    for (const auto& name : schema["required"]) {
      if (!name.is_string()) return refuse(place, "required holds only names");
      node.required.push_back(name.get<std::string>());
    }
  }
  if (schema.contains("additionalProperties")) {
    if (!schema["additionalProperties"].is_boolean()) {
      return refuse(place, "additionalProperties is true or false");
    }
    node.closed = !schema["additionalProperties"].get<bool>();
  }
  if (schema.contains("properties")) {
    if (!schema["properties"].is_object()) return refuse(place, "properties must be an object");
    for (const auto& [name, child] : schema["properties"].items()) {
      std::string inner = place;
      if (!inner.empty()) inner += '/';
      FP_TRY(const Node* compiled, compile(child, inner.append(name)));
      node.properties.emplace_back(name, compiled);
    }
    std::sort(node.properties.begin(), node.properties.end());
  }
  if (schema.contains("items")) {
    FP_TRY(node.items, compile(schema["items"], place + "[]"));
  }
  return {};
}

Status NodeCompiler::combinations(const json& schema, const std::string& place, Node& node) {
  for (const auto& [key, slot] :
       {std::pair{"allOf", &node.all_of}, {"anyOf", &node.any_of}, {"oneOf", &node.one_of}}) {
    if (!schema.contains(key)) continue;
    if (!schema[key].is_array()) return refuse(place, std::string(key) + " must be a list");
    for (const auto& child : schema[key]) {
      FP_TRY(const Node* compiled, compile(child, place + "<" + key + ">"));
      slot->push_back(compiled);
    }
  }
  for (const auto& [key, slot] : {std::pair{"not", &node.negated},
                                  {"if", &node.condition},
                                  {"then", &node.when_true},
                                  {"else", &node.when_false}}) {
    if (!schema.contains(key)) continue;
    FP_TRY(*slot, compile(schema[key], place + "<" + key + ">"));
  }
  return {};
}

const Node* Node::property(std::string_view name) const {
  const auto found =
      std::lower_bound(properties.begin(), properties.end(), name,
                       [](const auto& entry, std::string_view n) { return entry.first < n; });
  return found != properties.end() && found->first == name ? found->second : nullptr;
}

}  // namespace fieldpost::schema

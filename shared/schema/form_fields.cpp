// From the JSON of a form to its leaves, containers and rules: the annotations.
#include <algorithm>

#include "base/text.h"
#include "schema/form_compile.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

std::string text_of(const json& schema, const char* key) {
  const auto found = schema.find(key);
  return found != schema.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag(const json& schema, const char* key, bool otherwise) {
  const auto found = schema.find(key);
  return found != schema.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

template <class Enum, std::size_t N>
std::optional<Enum> word(std::string_view text,
                         const std::pair<std::string_view, Enum> (&table)[N]) {
  for (const auto& [name, value] : table) {
    if (name == text) return value;
  }
  return std::nullopt;
}

constexpr std::pair<std::string_view, Widget> kWidgets[] = {{"hidden", Widget::hidden},
                                                            {"text", Widget::text},
                                                            {"textarea", Widget::textarea},
                                                            {"select", Widget::select},
                                                            {"multiselect", Widget::multiselect},
                                                            {"date", Widget::date},
                                                            {"instant", Widget::instant},
                                                            {"integer", Widget::integer},
                                                            {"weight", Widget::weight},
                                                            {"money", Widget::money},
                                                            {"plate", Widget::plate},
                                                            {"place", Widget::place},
                                                            {"scan", Widget::scan},
                                                            {"position", Widget::position},
                                                            {"bool", Widget::boolean},
                                                            {"attachment", Widget::attachment}};
constexpr std::pair<std::string_view, Merge> kMerges[] = {
    {"conflict", Merge::conflict}, {"latest", Merge::latest}, {"write_once", Merge::write_once}};
constexpr std::pair<std::string_view, Kind> kKinds[] = {{"instant", Kind::instant},
                                                        {"date", Kind::date},
                                                        {"record_id", Kind::record_id},
                                                        {"attachment_item", Kind::attachment_item}};
constexpr std::pair<std::string_view, RuleOp> kOps[] = {{"le", RuleOp::le},
                                                        {"ge", RuleOp::ge},
                                                        {"ne", RuleOp::ne},
                                                        {"starts_with", RuleOp::starts_with},
                                                        {"required", RuleOp::required},
                                                        {"require_one", RuleOp::require_one},
                                                        {"min_items", RuleOp::min_items},
                                                        {"max_items", RuleOp::max_items},
                                                        {"unique", RuleOp::unique},
                                                        {"exists_in", RuleOp::exists_in}};

std::string key_of(const std::string& container, const std::string& name) {
  return container.empty() ? name : container + "/" + name;
}

}  // namespace

json FieldCompiler::resolved(const json& schema) const {
  json merged = schema;
  while (merged.contains("$ref")) {
    const auto& name = merged["$ref"].get_ref<const std::string&>();
    json target = root_["definitions"][name.substr(name.rfind('/') + 1)];
    merged.erase("$ref");
    target.update(merged);
    merged = std::move(target);
  }
  return merged;
}

Status FieldCompiler::fields() {
  for (const auto& [name, raw] : root_["properties"].items()) {
    if (resolved(raw).value("x-nullable", true) == false) data_.not_nullable.push_back(name);
    FP_CHECK_OK(property("", false, name, raw));
  }
  return {};
}

Status FieldCompiler::property(const std::string& container, bool in_repeat,
                               const std::string& name, const json& raw) {
  const json schema = resolved(raw);
  const std::string place = key_of(container, name);
  const bool repeat = flag(schema, "x-repeat", false);
  if (!repeat && schema.value("type", "") != "object") {
    return leaf(container, in_repeat, name, schema, raw);
  }
  if (!container.empty()) return nodes_.refuse(place, "nothing is nested in an object or an item");
  const json inner = repeat ? resolved(schema.value("items", json::object())) : schema;
  if (!inner.contains("properties") || !inner["properties"].is_object()) {
    return nodes_.refuse(place, "an object or a repeat needs properties");
  }
  if (repeat && !inner["properties"].contains("item_id")) {
    return nodes_.refuse(place, "an item of a repeat needs item_id");
  }
  Container entry;
  entry.repeat = repeat;
  entry.label = text_of(schema, "x-label");
  entry.nullable = flag(schema, "x-nullable", true);
  entry.write_once = text_of(schema, "x-merge") == "write_once";
  if (schema.contains("x-ask") && schema["x-ask"].is_number_integer())
    entry.ask = schema["x-ask"].get<int>();
  FP_TRY(entry.when, conditions(schema, "x-when", place));
  data_.containers.emplace(name, std::move(entry));
  for (const auto& [member, child] : inner["properties"].items()) {
    if (repeat && member == "item_id") continue;  // stands in the path
    FP_CHECK_OK(property(name, repeat, member, child));
  }
  return {};
}

Status FieldCompiler::leaf(const std::string& container, bool in_repeat, const std::string& name,
                           const json& schema, const json& raw) {
  const std::string place = key_of(container, name);
  Field field;
  field.container = container;
  field.name = name;
  field.in_repeat = in_repeat;
  FP_TRY(field.node, nodes_.compile(raw, place));
  NodeType type = field.node->type;
  if (type == NodeType::any && (field.node->constant || !field.node->enumeration.empty())) {
    const Scalar& sample =
        field.node->constant ? *field.node->constant : field.node->enumeration[0];
    type = sample.index() == 0   ? NodeType::boolean
           : sample.index() == 1 ? NodeType::integer
                                 : NodeType::string;
  }
  switch (type) {
    case NodeType::boolean:
      field.type = LeafType::boolean;
      break;
    case NodeType::integer:
      field.type = LeafType::integer;
      break;
    case NodeType::string:
      field.type = LeafType::text;
      break;
    case NodeType::array:
      field.type = LeafType::list;
      break;
    default:
      return nodes_.refuse(place, "a leaf needs a type");
  }
  if (field.type == LeafType::integer) {
    field.minimum = field.node->minimum;
    field.maximum = field.node->maximum;
  }
  if (field.node->pattern) field.fixed_length = field.node->pattern->fixed_length();
  const Node* choices = field.node;
  if (field.type == LeafType::list) {
    if (field.node->items == nullptr || (field.node->items->type != NodeType::string &&
                                         field.node->items->type != NodeType::integer)) {
      return nodes_.refuse(place, "an array is a repeat or a list of texts or integers");
    }
    choices = field.node->items;
  }
  for (const Scalar& choice : choices->enumeration) {
    if (const auto* text = std::get_if<std::string>(&choice)) field.choices.push_back(*text);
  }
  FP_CHECK_OK(annotations(schema, place, field));
  data_.index.emplace(place, data_.fields.size());
  data_.fields.push_back(std::move(field));
  return {};
}

Status FieldCompiler::annotations(const json& schema, const std::string& place, Field& field) {
  const std::string widget = text_of(schema, "x-widget");
  const auto known_widget = word(widget.empty() ? "hidden" : widget, kWidgets);
  const std::string merge = text_of(schema, "x-merge");
  const auto known_merge = word(merge.empty() ? "conflict" : merge, kMerges);
  const std::string kind = text_of(schema, "x-kind");
  const auto known_kind = kind.empty() ? std::optional(Kind::none) : word(kind, kKinds);
  if (!known_widget) return nodes_.refuse(place, "x-widget cannot be " + widget);
  if (!known_merge) return nodes_.refuse(place, "x-merge cannot be " + merge);
  if (!known_kind) return nodes_.refuse(place, "x-kind cannot be " + kind);
  field.widget = *known_widget;
  field.merge = *known_merge;
  field.kind = *known_kind;
  field.label = text_of(schema, "x-label");
  const auto container = data_.containers.find(field.container);
  if (field.in_repeat && container != data_.containers.end() && container->second.write_once &&
      field.name != "void" && field.name != "void_reason") {
    field.merge = Merge::write_once;
  }
  field.sealed = flag(schema, "x-sealed", data_.sealed);
  field.aggregate = flag(schema, "x-aggregate", false);
  field.envelope = flag(schema, "x-envelope", false);
  field.nullable = flag(schema, "x-nullable", true);
  field.free_text = field.widget == Widget::textarea || field.label.starts_with("person.name");
  field.restricted = text_of(schema, "x-restricted") == "identity";
  field.unit = text_of(schema, "x-unit");
  field.scale = schema.value("x-scale", 0);
  if (field.scale < 0 || field.scale > 9) return nodes_.refuse(place, "x-scale is 0 to 9");
  if (schema.contains("x-plausible-max"))
    field.plausible_max = schema["x-plausible-max"].get<std::int64_t>();
  field.list = text_of(schema, "x-list");
  field.place = text_of(schema, "x-place");
  if (schema.contains("x-ask")) field.ask = schema["x-ask"].get<int>();
  const std::string offered = text_of(schema, "x-default");
  const bool constant = offered.starts_with("const:");
  field.default_kind = constant ? "const" : offered;
  if (constant) field.default_value = offered.substr(6);
  if (schema.contains("x-derived") && schema["x-derived"].is_object()) {
    field.derived_from = text_of(schema["x-derived"], "from");
    field.derived_how = text_of(schema["x-derived"], "how");
    if (field.derived_how != "plate_norm" && field.derived_how != "month") {
      return nodes_.refuse(place, "x-derived how is plate_norm or month");
    }
  }
  if (schema.contains("x-band") && schema["x-band"].is_object()) {
    Band& band = data_.bands.emplace_back();
    for (const auto& [choice, ages] : schema["x-band"].items()) {
      if (!ages.is_array() || ages.size() != 2 || !ages[1].is_number_integer()) {
        return nodes_.refuse(place, "x-band is choice: [lowest, highest]");
      }
      band.emplace(choice, ages[1].get<std::int64_t>());
    }
    bands_.emplace(place, &band);
  }
  FP_TRY(field.when, conditions(schema, "x-when", place));
  return {};
}

Result<std::vector<Condition>> FieldCompiler::conditions(const json& schema, std::string_view key,
                                                         const std::string& place) const {
  std::vector<Condition> out;
  const auto list = schema.find(std::string(key));
  if (list == schema.end()) return out;
  if (!list->is_array()) return nodes_.refuse(place, std::string(key) + " must be a list");
  for (const auto& raw : *list) {
    Condition condition;
    condition.field = text_of(raw, "field");
    if (condition.field.empty()) return nodes_.refuse(place, "a condition names a field");
    if (raw.contains("present")) {
      condition.present = raw["present"].get<bool>();
    } else if (raw.contains("in") && raw["in"].is_array()) {
      for (const auto& value : raw["in"]) {
        if (value.is_string()) condition.in_texts.push_back(value.get<std::string>());
        if (value.is_boolean()) condition.in_booleans.push_back(value.get<bool>());
        if (value.is_number_integer()) condition.in_integers.push_back(value.get<std::int64_t>());
      }
    } else {
      return nodes_.refuse(place, "a condition is a field with in or present");
    }
    out.push_back(std::move(condition));
  }
  return out;
}

Result<RulePath> FieldCompiler::rule_path(const json& raw, const Rule& rule, PathUse use) {
  if (!raw.is_string()) return nodes_.refuse("rule " + rule.id, "a path must be a text");
  RulePath path;
  path.text = raw.get<std::string>();
  path.from_root = rule.scope.empty() || path.text.starts_with('/');
  if (path.text.starts_with('/')) path.text.erase(0, 1);
  for (std::string_view part : split(path.text, '/')) path.names.emplace_back(part);
  const std::string key = path.from_root ? path.text : key_of(rule.scope, path.text);
  const bool repeat = data_.containers.contains(key) && data_.containers.at(key).repeat;
  const auto found = data_.index.find(key);
  const bool counts = use == PathUse::repeat;
  if (counts ? !repeat : (found == data_.index.end() && !data_.containers.contains(key))) {
    return nodes_.refuse("rule " + rule.id,
                         path.text + (counts ? " is no repeat" : " is no field"));
  }
  if (found != data_.index.end()) {
    const Field& field = data_.fields[found->second];
    if (field.in_repeat && path.from_root && use != PathUse::spread) {
      return nodes_.refuse("rule " + rule.id, path.text + " is a field of many items");
    }
    path.kind = field.kind;
    if (const auto band = bands_.find(key); band != bands_.end()) path.band = band->second;
  }
  return path;
}

Result<Rule> FieldCompiler::rule(const json& raw) {
  Rule rule;
  rule.id = text_of(raw, "id");
  rule.scope = text_of(raw, "scope");
  rule.label = text_of(raw, "label");
  const std::string place = "rule " + rule.id;
  const std::string op = text_of(raw, "op");
  const auto known = word(op, kOps);
  if (rule.id.empty() || !known) return nodes_.refuse(place, "op " + op + " is not described");
  rule.op = *known;
  if (!rule.scope.empty() &&
      (!data_.containers.contains(rule.scope) || !data_.containers.at(rule.scope).repeat)) {
    return nodes_.refuse(place, "scope " + rule.scope + " is no repeat");
  }
  const std::string severity = text_of(raw, "severity");
  if (severity != "error" && severity != "warn")
    return nodes_.refuse(place, "severity is error or warn");
  rule.severity = severity == "error" ? Severity::error : Severity::warn;
  rule.count = raw.value("count", std::size_t{0});
  PathUse use = PathUse::one;
  if (rule.op == RuleOp::unique || rule.op == RuleOp::exists_in) use = PathUse::spread;
  if (rule.op == RuleOp::min_items || rule.op == RuleOp::max_items) use = PathUse::repeat;
  for (const auto& [key, side] : {std::pair{"left", &rule.left}, {"right", &rule.right}}) {
    if (!raw.contains(key)) continue;
    const json list = raw[key].is_array() ? raw[key] : json::array({raw[key]});
    for (const auto& text : list) {
      FP_TRY(auto path, rule_path(text, rule, use));
      side->push_back(std::move(path));
    }
  }
  const bool two = rule.op <= RuleOp::starts_with;
  if (rule.left.empty() || (two && (rule.left.size() != 1 || rule.right.size() != 1)) ||
      (rule.op == RuleOp::exists_in && rule.right.empty())) {
    return nodes_.refuse(place, "op " + op + " is not written as described");
  }
  FP_TRY(auto when, conditions(raw, "when", place));
  for (Condition& condition : when) {
    FP_TRY(auto path, rule_path(json(condition.field), rule, PathUse::one));
    rule.when.push_back({std::move(path), std::move(condition)});
  }
  return rule;
}

Status FieldCompiler::rules() {
  if (!root_.contains("x-rules")) return {};
  for (const auto& raw : root_["x-rules"]) {
    FP_TRY(auto compiled, rule(raw));
    data_.rules.push_back(std::move(compiled));
  }
  return {};
}

Result<Form> compile_form(std::string_view file_name, const json& root) {
  auto data = std::make_unique<FormData>();
  NodeCompiler nodes(std::string(file_name), root, *data);
  if (!root.is_object()) return nodes.refuse("", "a form is a JSON object");
  const std::string compartment = text_of(root, "x-compartment");
  if (compartment != "enforcement" && compartment != "health") {
    return nodes.refuse("", "x-compartment is enforcement or health");
  }
  data->compartment = compartment == "health" ? Compartment::health : Compartment::enforcement;
  data->sealed = flag(root, "x-sealed", false);
  data->label = text_of(root, "x-label");
  data->version = root.value("x-version", std::uint32_t{0});
  if (data->version == 0) return nodes.refuse("", "x-version is a number from 1");
  for (const auto& name : root.value("x-title-fields", json::array())) {
    data->title_fields.push_back(name.get<std::string>());
  }
  FP_TRY(data->root, nodes.compile(root, ""));
  const Node* type = data->root->property("type");
  if (type == nullptr || !type->constant || !std::holds_alternative<std::string>(*type->constant)) {
    return nodes.refuse("", "the property type must be a const text");
  }
  data->type = std::get<std::string>(*type->constant);
  FieldCompiler fields(nodes, root, *data);
  FP_CHECK_OK(fields.fields());
  FP_CHECK_OK(fields.rules());
  return Form(std::move(data));
}

}  // namespace fieldpost::schema

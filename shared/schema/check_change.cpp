// The narrow check: what one change says by itself. It runs for every change a hub takes in, so the
// good path does no allocation: a hash lookup per edit and the keywords of that leaf.
#include "base/text.h"
#include "schema/check.h"
#include "schema/validate.h"
#include "schema/words.h"

namespace fieldpost::schema {

namespace {

std::string shown(const model::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return shortened(*text);
  if (std::holds_alternative<model::Sealed>(value)) return {};
  return shortened(to_json(value).dump());
}

struct Broken {
  std::string_view rule;
  const Node* node = nullptr;
  std::size_t index = kNoIndex;  ///< of a list's member
  static constexpr std::size_t kNoIndex = static_cast<std::size_t>(-1);
};

/// The first broken keyword of a leaf, or an empty rule.
Broken check_member(const Node& node, Kind kind, const std::string& text, bool newer) {
  Broken broken;
  const auto first = [&](LeafFault found) {
    if (newer && found.rule == "enum") return true;  // a choice that a newer form may have added
    broken = {found.rule, found.node, Broken::kNoIndex};
    return false;
  };
  if (check_text(node, text, first) && breaks_kind(kind, node, text))
    broken = {"x-kind", &node, Broken::kNoIndex};
  return broken;
}

Broken check_number(const Node& node, std::int64_t value) {
  Broken broken;
  check_integer(node, value, [&](LeafFault found) {
    broken = {found.rule, found.node, Broken::kNoIndex};
    return false;
  });
  return broken;
}

Broken check_list(const Node& node, const model::List& list, bool newer) {
  if (node.min_items && list.size() < *node.min_items) return {"minItems", &node, Broken::kNoIndex};
  if (node.max_items && list.size() > *node.max_items) return {"maxItems", &node, Broken::kNoIndex};
  const Node& member = *node.items;
  for (std::size_t i = 0; i < list.size(); ++i) {
    Broken broken;
    if (const auto* text = std::get_if<std::string>(&list[i])) {
      broken = member.type == NodeType::string ? check_member(member, Kind::none, *text, newer)
                                               : Broken{"type", &member, i};
    } else {
      broken = member.type == NodeType::integer
                   ? check_number(member, std::get<std::int64_t>(list[i]))
                   : Broken{"type", &member, i};
    }
    if (!broken.rule.empty()) {
      broken.index = i;
      return broken;
    }
  }
  return {};
}

Broken check_leaf(const Field& field, const model::Value& value, bool newer) {
  const Node& node = *field.node;
  const Broken type{"type", &node, Broken::kNoIndex};
  // A property with only const or enum has no type of its own; its sample's type stands in.
  switch (field.type) {
    case LeafType::text: {
      const auto* text = std::get_if<std::string>(&value);
      if (text == nullptr)
        return node.type == NodeType::any ? Broken{"const", &node, Broken::kNoIndex} : type;
      return check_member(node, field.kind, *text, newer);
    }
    case LeafType::integer: {
      const auto* number = std::get_if<std::int64_t>(&value);
      return number == nullptr ? type : check_number(node, *number);
    }
    case LeafType::boolean: {
      const auto* flag = std::get_if<bool>(&value);
      if (flag == nullptr) return type;
      Broken broken;
      check_boolean(node, *flag, [&](LeafFault found) {
        broken = {found.rule, found.node, Broken::kNoIndex};
        return false;
      });
      return broken;
    }
    case LeafType::list: {
      const auto* list = std::get_if<model::List>(&value);
      return list == nullptr ? type : check_list(node, *list, newer);
    }
  }
  return type;
}

Fault fault_of(std::string_view rule, std::string_view path, const Field* field) {
  Fault fault;
  fault.rule = rule;
  fault.path = path;
  fault.rule_label = "error." + fault.rule;
  if (field != nullptr) fault.field_label = field->label;
  return fault;
}

Fault describe(const Broken& broken, const model::FieldValue& edit, const Field& field) {
  Fault fault = fault_of(broken.rule, edit.path, &field);
  if (broken.index != Broken::kNoIndex) fault.path += "/" + std::to_string(broken.index);
  fault.limit = limit_text(*broken.node, broken.rule);
  const auto* list = std::get_if<model::List>(&edit.value);
  if (list != nullptr && broken.index < list->size()) {
    const auto* text = std::get_if<std::string>(&(*list)[broken.index]);
    fault.value = text != nullptr ? shortened(*text)
                                  : std::to_string(std::get<std::int64_t>((*list)[broken.index]));
  } else {
    fault.value = shown(edit.value);
  }
  return fault;
}

bool is_envelope_only(std::string_view path) {
  return path == "id" || path == "type" || path == "unit" || path == "schema_version";
}

}  // namespace

std::optional<Fault> check_edit(const Form& form, const model::FieldValue& edit,
                                std::uint32_t schema_version) {
  if (is_envelope_only(edit.path)) return fault_of("x-envelope", edit.path, form.find(edit.path));
  const Field* field = form.find(edit.path);
  if (field == nullptr) {
    if (schema_version > form.version()) return std::nullopt;
    return fault_of("additionalProperties", edit.path, nullptr);
  }
  if (std::holds_alternative<model::Null>(edit.value)) {
    if (field->nullable) return std::nullopt;
    return fault_of("x-nullable", edit.path, field);
  }
  if (std::holds_alternative<model::Sealed>(edit.value) != field->sealed) {
    return fault_of("x-sealed", edit.path, field);
  }
  if (field->sealed) return std::nullopt;
  const Broken broken = check_leaf(*field, edit.value, schema_version > form.version());
  if (broken.rule.empty()) return std::nullopt;
  return describe(broken, edit, *field);
}

std::optional<Fault> check_change(const Registry& registry, const model::Change& change) {
  const Form* form = registry.form(change.type);
  if (form == nullptr) {
    Fault fault = fault_of("unknown_type", "type", nullptr);
    fault.value = shortened(change.type);
    return fault;
  }
  const bool sealed_reason = std::holds_alternative<model::Sealed>(change.reason);
  if (!std::holds_alternative<model::Null>(change.reason)) {
    if (sealed_reason != form->sealed()) return fault_of("x-sealed", "reason", nullptr);
    if (!sealed_reason && !std::holds_alternative<std::string>(change.reason)) {
      return fault_of("type", "reason", nullptr);
    }
  }
  for (const auto& edit : change.edits) {
    if (auto fault = check_edit(*form, edit, change.schema_version)) return fault;
  }
  return std::nullopt;
}

}  // namespace fieldpost::schema

// The templates of validate.h: checks of a single value, without allocation.
//
// Thread rule: pure functions.
#pragma once

#include "base/text.h"
#include "schema/validate.h"

namespace fieldpost::schema {

namespace detail {

template <class T, class Same>
bool in_enumeration(const Node& node, const T& value, const Same& same) {
  for (const Scalar& choice : node.enumeration) {
    if (same(choice, value)) return true;
  }
  return node.enumeration.empty();
}

/// A `not` schema of single-value keywords that applies to values of `type`.
inline bool negates(const Node& node, NodeType type) {
  return node.negated != nullptr &&
         (node.negated->type == NodeType::any || node.negated->type == type);
}

// Not templates: a check of `not` inside a check would be a new instantiation each time, for ever.
bool fits_text(const Node& node, std::string_view text);
bool fits_integer(const Node& node, std::int64_t value);

}  // namespace detail

template <class Report>
bool check_text(const Node& node, std::string_view text, const Report& report) {
  const auto same = [](const Scalar& choice, std::string_view value) {
    const auto* known = std::get_if<std::string>(&choice);
    return known != nullptr && *known == value;
  };
  bool good = true;
  const auto fault = [&](std::string_view rule) {
    good = false;
    return report(LeafFault{rule, &node});
  };
  if (node.constant && !same(*node.constant, text) && !fault("const")) return false;
  if (!detail::in_enumeration(node, text, same) && !fault("enum")) return false;
  if (node.min_length || node.max_length) {
    const std::size_t length = code_points(text);
    if (node.min_length && length < *node.min_length && !fault("minLength")) return false;
    if (node.max_length && length > *node.max_length && !fault("maxLength")) return false;
  }
  if (node.pattern && !node.pattern->matches(text) && !fault("pattern")) return false;
  if (detail::negates(node, NodeType::string) && detail::fits_text(*node.negated, text) &&
      !fault("not"))
    return false;
  return good;
}

template <class Report>
bool check_integer(const Node& node, std::int64_t value, const Report& report) {
  const auto same = [](const Scalar& choice, std::int64_t v) {
    const auto* known = std::get_if<std::int64_t>(&choice);
    return known != nullptr && *known == v;
  };
  bool good = true;
  const auto fault = [&](std::string_view rule) {
    good = false;
    return report(LeafFault{rule, &node});
  };
  if (node.constant && !same(*node.constant, value) && !fault("const")) return false;
  if (!detail::in_enumeration(node, value, same) && !fault("enum")) return false;
  if (node.minimum && value < *node.minimum && !fault("minimum")) return false;
  if (node.maximum && value > *node.maximum && !fault("maximum")) return false;
  if (detail::negates(node, NodeType::integer) && detail::fits_integer(*node.negated, value) &&
      !fault("not"))
    return false;
  return good;
}

template <class Report>
bool check_boolean(const Node& node, bool value, const Report& report) {
  const auto same = [](const Scalar& choice, bool v) {
    const auto* known = std::get_if<bool>(&choice);
    return known != nullptr && *known == v;
  };
  bool good = true;
  const auto fault = [&](std::string_view rule) {
    good = false;
    return report(LeafFault{rule, &node});
  };
  if (node.constant && !same(*node.constant, value) && !fault("const")) return false;
  if (!detail::in_enumeration(node, value, same) && !fault("enum")) return false;
  return good;
}

}  // namespace fieldpost::schema

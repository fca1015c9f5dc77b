// Compiled schemas: what Registry::load makes of records/*.json.
//
// Thread rule: immutable after compile_form.
// Invariants:
//   1. `$ref`s are pointers; there is no cycle.
//   2. Everything a Node points to is owned by the same FormData.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "schema/fault.h"
#include "schema/form.h"
#include "schema/pattern.h"

namespace fieldpost::schema {

enum class NodeType : std::uint8_t { any, object, array, string, integer, boolean };
using Scalar = std::variant<bool, std::int64_t, std::string>;

struct Node {
  NodeType type = NodeType::any;
  std::optional<Scalar> constant;
  std::vector<Scalar> enumeration;
  std::optional<std::int64_t> minimum, maximum;
  std::optional<std::size_t> min_length, max_length, min_items, max_items;
  std::optional<Pattern> pattern;
  std::vector<std::string> required;
  std::vector<std::pair<std::string, const Node*>> properties;  ///< sorted by name
  bool closed = false;                                          ///< additionalProperties: false
  const Node* items = nullptr;
  std::vector<const Node*> all_of, any_of, one_of;
  /// not, if, then, else: words of the language
  const Node* negated = nullptr;
  const Node* condition = nullptr;
  const Node* when_true = nullptr;
  const Node* when_false = nullptr;

  const Node* property(std::string_view name) const;
};

enum class RuleOp : std::uint8_t {
  le,
  ge,
  ne,
  starts_with,
  required,
  require_one,
  min_items,
  max_items,
  unique,
  exists_in,
};

using Band = std::map<std::string, std::int64_t, std::less<>>;  ///< choice → highest age

struct RulePath {
  std::string text;  ///< as written, without a leading '/'
  bool from_root = true;
  std::vector<std::string> names;  ///< its parts
  Kind kind = Kind::none;
  const Band* band = nullptr;
};

struct RuleCondition {
  RulePath path;
  Condition condition;
};

struct Rule {
  std::string id;
  std::string scope;
  RuleOp op = RuleOp::le;
  std::vector<RulePath> left, right;
  std::size_t count = 0;
  std::vector<RuleCondition> when;
  Severity severity = Severity::error;
  std::string label;
};

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// A repeat or an object that holds leaves.
struct Container {
  bool repeat = false;
  std::string label;
  std::optional<int> ask;
  std::vector<Condition> when;
  bool nullable = true;
  bool write_once = false;
};

struct FormData {
  std::string type, label;
  std::uint32_t version = 1;
  Compartment compartment = Compartment::enforcement;
  bool sealed = false;
  std::vector<std::string> title_fields;
  std::deque<Node> nodes;
  const Node* root = nullptr;
  std::vector<Field> fields;
  /// "plate" → its field; "vehicles/plate" for both repeats and objects.
  std::unordered_map<std::string, std::size_t, StringHash, std::equal_to<>> index;
  std::map<std::string, Container, std::less<>> containers;
  std::vector<std::string> not_nullable;  ///< root properties with x-nullable: false
  std::deque<Band> bands;
  std::vector<Rule> rules;
};

/// Errors: `malformed` or `unsupported`: the place in the file and what is outside schemas/README.md.
Result<Form> compile_form(std::string_view file_name, const nlohmann::json& root);

}  // namespace fieldpost::schema

// JSON Schema, the subset, over compiled nodes: which keyword breaks, and where.
//
// Thread rule: pure functions.
// Invariants:
//   1. Every broken keyword is found once per place, as the oracle of schemas/README.md finds it.
//   2. The leaf checks are the same functions for a change and for a document.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "schema/node.h"

namespace fieldpost::schema {

struct Found {
  std::string path;
  std::string_view rule;
  const Node* node = nullptr;
  const nlohmann::json* value = nullptr;
  std::string limit;
};

/// What one leaf keyword says; `limit` is only made into text when somebody asks.
struct LeafFault {
  std::string_view rule;  ///< empty: nothing is wrong
  const Node* node = nullptr;
};

/// Calls `report(LeafFault)` for each broken keyword of the node itself; stops when it answers false.
/// `not` is judged too. The caller has checked `type`.
template <class Report>
bool check_text(const Node& node, std::string_view text, const Report& report);
template <class Report>
bool check_integer(const Node& node, std::int64_t value, const Report& report);
template <class Report>
bool check_boolean(const Node& node, bool value, const Report& report);

/// A real date or instant, judged only where the node's own pattern holds.
bool breaks_kind(Kind kind, const Node& node, std::string_view text);

/// The limit of a keyword as text: "10" for minLength, "entry, exit" for enum.
std::string limit_text(const Node& node, std::string_view rule);

/// All broken keywords of a whole value.
void validate(const Node& node, const nlohmann::json& value, std::vector<Found>& out);
/// Whether nothing is broken; stops at the first.
bool valid(const Node& node, const nlohmann::json& value);

}  // namespace fieldpost::schema

#include "schema/validate_leaf.h"  // IWYU pragma: export

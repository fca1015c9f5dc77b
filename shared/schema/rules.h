// x-rules: what compares two fields of a document (schemas/README.md).
//
// Thread rule: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "schema/node.h"

namespace fieldpost::schema {

struct BrokenRule {
  const Rule* rule = nullptr;
  std::string path;
};

/// `document` is the effective document, with every value of the right kind. `sealed` are the sorted
/// paths of values that cannot be read: a rule that would read one of them is skipped.
void run_rules(const std::vector<Rule>& rules, const nlohmann::json& document,
               const std::vector<std::string>& sealed, std::vector<BrokenRule>& out);

/// Does the condition hold for this value (nullptr: absent)?
bool condition_holds(const Condition& condition, const nlohmann::json* value);

/// An item that is not voided; its name is its id, or its index where it has none.
struct LiveItem {
  std::string name;
  const nlohmann::json* item = nullptr;
};
std::vector<LiveItem> live_items(const nlohmann::json& document, std::string_view repeat);

}  // namespace fieldpost::schema

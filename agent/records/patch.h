// Laying a partial document, or single paths, over a document.
//
// Thread rule: pure functions.
// Invariants:
//   1. An item named by item_id is changed in place; one without is added; none is ever removed.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "schema/form.h"

namespace fieldpost::agent {

/// Errors: `invalid_argument`, naming the member.
Status apply_patch(nlohmann::json& document, const nlohmann::json& patch,
                   const std::function<std::string()>& new_item_id);

/// Sets one leaf: "direction", "position/lat", "vehicles/v3h1c2e1/plate", "vehicles/0/plate" (the first
/// item), "vehicles/+/plate" (a new item; the same "+" within one call of apply_set). Dots serve as
/// slashes. Answers the path as stored. Errors: `invalid_argument`.
class PathSetter {
 public:
  PathSetter(const schema::Form& form, nlohmann::json& document,
             std::function<std::string()> new_item_id)
      : form_(form), document_(document), new_item_id_(std::move(new_item_id)) {}
  Result<std::string> set(const std::string& path, const nlohmann::json& value);

 private:
  Result<nlohmann::json*> item(const std::string& container, const std::string& which,
                               std::string& id);

  const schema::Form& form_;
  nlohmann::json& document_;
  std::function<std::string()> new_item_id_;
  std::map<std::string, std::string> added_;
};

}  // namespace fieldpost::agent

// A text member of a document that anybody may have written: whatever else stands there counts as no text.
//
// Thread rule: pure function.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fieldpost::agent {

inline std::string text_or_empty(const nlohmann::json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

}  // namespace fieldpost::agent

// JSON documents bent at single places: what a wrong program, form or hand might write.
//
// Thread rule: pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/fuzz/fuzz.h"

namespace fieldpost::fuzz {

/// Up to six changes of `document`, as the input says: a value replaced (by one of another kind, a number or a
/// text out of the input, another value of the document), a member left out, added or renamed.
nlohmann::json bent(nlohmann::json document, Input& in);

/// Every *.json document in a folder below tests/, by name; those named "expected" left out.
std::vector<nlohmann::json> documents_in(const std::string& folder);

/// Text of a document, bytes that are not UTF-8 replaced.
std::string text_of(const nlohmann::json& document);

}  // namespace fieldpost::fuzz

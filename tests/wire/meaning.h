// What bytes mean, as JSON: the "meaning" of the golden vectors in schemas/vectors.
#pragma once

#include <nlohmann/json.hpp>

#include "model/record.h"
#include "wire/messages.h"

namespace fieldpost::test {

using Json = nlohmann::ordered_json;

/// Bytes and ids are lower-case hex; actors 16 hex digits; instants milliseconds; numbers above 2^53
/// decimal text; sealed values {"seal", "ciphertext"}; enumerations their number.
Json meaning(const model::Value& value);
Json meaning(const model::Change& change);
Json meaning(const model::Record& record);
Json meaning(const wire::Message& message);

}  // namespace fieldpost::test

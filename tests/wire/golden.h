// The golden vectors, computed from fixed inputs. The files in schemas/vectors hold the same: a
// difference is a change of the protocol.
#pragma once

#include <map>
#include <string>

#include "tests/wire/meaning.h"

namespace fieldpost::test {

/// File name (without ".json") → its content.
std::map<std::string, Json> golden_vectors();

/// Bytes that must be refused: `what` to decode them as, the error's code and part of its text.
struct Hostile {
  std::string name;
  std::string what;  ///< "message", "change", "record", "frame"
  Bytes bytes;
  Errc error;
  std::string says;
};
std::vector<Hostile> hostile_vectors();

/// The stable name of an error code in vectors and documents: "malformed".
std::string_view errc_name(Errc code);

// The fixed inputs, shared with the hostile ones.
model::Change golden_change();
model::Change golden_sealed_change();
model::Record golden_record();
std::vector<wire::Message> golden_messages();

}  // namespace fieldpost::test

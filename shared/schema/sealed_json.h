// Sealed values inside a JSON document, so that an export can be opened later, elsewhere.
//
//   "visit_at": {"sealed": {"seal": "<32 hex>", "data": "<hex>"}}           in the value's place
//   "seals": {"<32 hex>": [{"to": "<16 hex>", "box": "<hex>"}]}             once, in the document's root
//
// The field's path is where it stands: names joined by '/', an item's item_id in place of its index. Record
// id and path are part of what is authenticated, so that a value moved elsewhere does not open.
//
// Thread rule: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crypto/crypto.h"
#include "model/record.h"

namespace fieldpost::schema {

/// Puts the shown sealed values of `paths` into their places, and the seals they use.
void add_sealed(const model::Record& record, const std::vector<std::string>& paths,
                nlohmann::json& document);

/// Opens every sealed value that `keys` open and takes "seals" out when none is left closed; answers how
/// many stayed closed. Errors: `malformed` for a document that is not of the shape above.
Result<std::size_t> open_sealed(nlohmann::json& document,
                                const std::vector<crypto::BoxKeyPair>& keys);

}  // namespace fieldpost::schema

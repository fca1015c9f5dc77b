// Sealed values inside a JSON document, so that an export can be opened later, elsewhere.
//
//   "visit_at": {"sealed": {"seal": "<32 hex>", "data": "<hex>"}}           in the value's place
//   "seals": {"<32 hex>": [{"to": "<16 hex>", "box": "<hex>"}]}             once, in the document's root
//
//   "conflicts": {"PATH": [{"value", "sealed", "author", "dot", "at", "clock", "shown"}]}   where writers differ;
//   the clock is that of "device", "hub" (its time carried forward by the device) or "receipt"
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
#include "schema/document.h"

namespace fieldpost::schema {

/// Puts the shown sealed values of `paths` into their places, and the seals they use.
void add_sealed(const model::Record& record, const std::vector<std::string>& paths,
                nlohmann::json& document);

/// Every value of every field in conflict, by path; what is closed here as `{"sealed": {"seal", "data"}}`.
/// An empty object when nothing is in conflict.
nlohmann::json conflicts_json(const model::Record& record, const DocumentView& view);

/// The whole record for somebody elsewhere: sealed values, their seals, and `conflicts` where there are any.
/// `view` is of this record; its document is taken as it is.
nlohmann::json export_document(const model::Record& record, const DocumentView& view);

inline constexpr const char* kConflictsMember = "conflicts";

/// Opens every sealed value that `keys` open, those in conflict too, and takes "seals" out when none is left
/// closed; answers how many stayed closed. Errors: `malformed` for a document that is not of the shape above;
/// `bad_signature` for a value that was changed, or moved here from elsewhere.
Result<std::size_t> open_sealed(nlohmann::json& document,
                                const std::vector<crypto::BoxKeyPair>& keys);

}  // namespace fieldpost::schema

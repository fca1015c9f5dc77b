// Records as JSON documents, and documents as edits (schemas/README.md, "A record document").
//
// Thread rule: pure functions over an immutable Registry.
// Invariants:
//   1. edits_from_document(to_document(r)) over base r is empty: reading changes nothing.
//   2. A field absent from a document is left alone; null clears it. Fields of newer forms that this
//      program does not know come through to_document untouched and are never dropped.
//   3. `id`, `type`, `unit` and `schema_version` stand in the envelope and are never edits.
//   4. Text is taken as it comes: valid UTF-8, trimmed, Khmer digits to ASCII outside free text, not
//      normalised to NFC (that needs a Unicode library; Khmer has no precomposed forms).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/record.h"
#include "schema/registry.h"

namespace fieldpost::schema {

/// Strict JSON text → document. Refuses duplicate keys, nesting deeper than 8, integers beyond 64 bits
/// and more than limits::kRecordBytesMax bytes. A fraction passes here and is refused by `normalised`
/// with its field named, except in an x-scale field ("lat": 13.661), where it is scaled exactly.
/// Errors: `malformed`, `too_large`.
Result<nlohmann::json> parse_document(std::string_view text);

/// Opens a sealed value; nullopt when this program holds no key for it.
using Unseal =
    std::function<std::optional<model::Value>(std::string_view path, const model::Sealed&)>;

/// One of several concurrent values of a field in conflict.
struct SiblingView {
  std::string path;
  nlohmann::json value;  ///< null for a cleared field; absent meaning is in `sealed`
  bool sealed = false;   ///< cannot be opened here
  std::string author;
  model::Dot dot;
  model::EstimatedTime time;
  bool shown = false;  ///< this is the one in the document
};

struct DocumentView {
  nlohmann::json document;  ///< the shown values; cleared fields are left out
  std::vector<SiblingView>
      conflicts;                    ///< every sibling of every field in conflict, by path and dot
  std::vector<std::string> sealed;  ///< paths with a value that could not be opened, sorted
};

/// Items are ordered by item id; `author` and `captured_at` come from the earliest dot group and
/// `schema_version` from the newest form that wrote, where no field says them.
DocumentView to_document(const Registry& registry, const model::Record& record,
                         const Unseal& unseal = {});

struct EditOptions {
  std::function<std::string()>
      new_item_id;  ///< for items without item_id; required when there are any
  /// Not stored when equal: the change itself carries them.
  std::string_view author = {};
};

/// A document's values as edits, sorted by path. With `base` (the document the author had before,
/// as to_document gave it), only what differs. Fills x-derived fields of what changes.
/// Errors: `invalid_argument`, naming the field (a fraction, a shape that is no leaf, a bad item id).
/// Values that merely break the form (enum, range) pass: check_document names those.
Result<std::vector<model::FieldValue>> edits_from_document(const Registry& registry,
                                                           std::string_view type,
                                                           const nlohmann::json& document,
                                                           const nlohmann::json* base = nullptr,
                                                           const EditOptions& options = {});

/// The document as it should be stored: items with ids, texts trimmed, digits ASCII, coordinates
/// scaled, derived fields filled. What check_document is meant to see. Errors as above.
Result<nlohmann::json> normalised(const Registry& registry, std::string_view type,
                                  const nlohmann::json& document, const EditOptions& options = {});

nlohmann::json to_json(const model::Value& value);  ///< Sealed → null
/// Errors: `malformed` for a float, an object, a nested list.
Result<model::Value> value_from_json(const nlohmann::json& value);

/// Khmer digits to ASCII, separators removed, ASCII letters in capitals: "២A-១២៣៤" → "2A1234".
std::string plate_norm(std::string_view text);

}  // namespace fieldpost::schema

// Is this change, document or merged record what its form says?
//
// Thread rule: pure functions over an immutable Registry.
// Invariants:
//   1. check_change judges by the change alone, never across fields: its verdict does not depend on
//      arrival order, so a hub may quarantine by it.
//   2. What check_change refuses, check_document reports too (sealed-ness and envelope apart).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "model/record.h"
#include "schema/document.h"
#include "schema/registry.h"

namespace fieldpost::schema {

/// The narrow check: type and paths known (paths and choices of a newer form are accepted), JSON type, enum,
/// range, length, pattern, calendar, item ids, nullability, and that exactly the fields the form
/// seals are sealed. The first fault found, or none. Does not allocate while nothing is wrong.
std::optional<Fault> check_change(const Registry& registry, const model::Change& change);

/// The same for one edit, as a form UI needs it. `schema_version` is the writer's.
std::optional<Fault> check_edit(const Form& form, const model::FieldValue& edit,
                                std::uint32_t schema_version);

enum class Purpose : std::uint8_t {
  draft,     ///< as the document's own state says
  finalise,  ///< as if its state were final
};

/// The whole document: JSON Schema, x-kind, x-rules, then (as warnings) implausible values and codes
/// that are not listed. Sorted by path, then rule. An unknown type is one fault.
std::vector<Fault> check_document(const Registry& registry, std::string_view type,
                                  const nlohmann::json& document, Purpose purpose = Purpose::draft);

/// The same rules on a merged record, for the mark "inconsistent". What depends on a sealed value
/// that `unseal` does not open is skipped.
std::vector<Fault> check_record(const Registry& registry, const model::Record& record,
                                const Unseal& unseal = {});

}  // namespace fieldpost::schema

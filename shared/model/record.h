// Records and their merge: pure, total, reads no schema.
//
// Thread rule: plain values, pure functions.
// Invariants of Record:
//   1. `groups` are sorted by dot, unique, each with at least one field, each dot covered by `vv`.
//   2. fields of a group are sorted by path, unique.
//   3. id, type and unit never change.
// Laws (property tests): join is commutative, associative and idempotent; applying a set of changes
// in any admissible order equals joining their effects; no value disappears unless a change whose
// context covers its dot replaced it; equal change sets give equal records.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/change.h"

namespace fieldpost::model {

/// Who is behind the values of one dot; labels and the shown value come from here, never causality.
struct GroupMeta {
  std::string author;
  EstimatedTime time;
  std::uint32_t schema_version = 1;
  std::optional<Origin> origin;
  friend bool operator==(const GroupMeta&, const GroupMeta&) = default;
};

/// The values of one change that no later change has replaced.
struct DotGroup {
  Dot dot;
  GroupMeta meta;
  std::vector<Seal> seals;  ///< those used by `fields`, sorted by id
  std::vector<FieldValue> fields;
  friend bool operator==(const DotGroup&, const DotGroup&) = default;
};

struct Record {
  RecordId id;
  std::string type;
  std::string unit;
  VersionVector vv;
  std::vector<DotGroup> groups;
  friend bool operator==(const Record&, const Record&) = default;
};

/// Errors: `malformed`, naming the broken invariant. Decoders call it; then the type is trusted.
Status check_record(const Record& record);

enum class Applied : std::uint8_t {
  applied,
  already_known,         ///< c.dot ∈ r.vv: replay, no effect
  held_for_predecessor,  ///< r.vv[c.actor] ≠ c.prev
  held_for_context,      ///< not c.context ≤ r.vv
  mismatch,              ///< another id, type or unit: never applied
};

/// An empty record that a change (creation or not) can be applied to.
Record empty_record(const RecordId& id, std::string type, std::string unit);

/// What `apply` would do, without doing it.
Applied classify(const Record& record, const Change& change);

/// Rule of apply:
///   1. c.dot ∈ r.vv → already_known.   2. r.vv[c.actor] ≠ c.prev or not c.context ≤ r.vv → held.
///   3. for each edit, siblings(path) = { s : s.dot ∉ c.context } ∪ { (c.dot, value) }; r.vv gains c.dot.
/// When memory runs out (std::bad_alloc) the record is as it was.
Applied apply(Record& record, const Change& change);

/// Applies what can be applied, repeatedly, until nothing moves; what stays held is left in `waiting`.
/// Changes already known or mismatched are taken out of `waiting` too. All are named by their dots,
/// those applied in the order of application. When memory runs out, what was applied until then is, and has
/// left `waiting`; drained again, it comes to the same record.
struct Drained {
  std::vector<Dot> applied;
  std::vector<Dot> known;
  std::vector<Dot> mismatched;
};
Drained drain(Record& record, std::vector<Change>& waiting);

/// vv = pointwise maximum; a sibling stays if both sides have it, or if one has it and the other's
/// vv does not cover its dot. Trusts that a dot names one change wherever it is met; forks of a store
/// are found by their hash chains before a state is joined. Errors: `conflict` when id, type or unit differ.
/// When memory runs out (std::bad_alloc) `into` is as it was.
Status join(Record& into, const Record& other);

/// One of several concurrent values of one field.
struct Sibling {
  const DotGroup* group = nullptr;
  const Value* value = nullptr;
};

/// All siblings of a path, ordered by dot; empty when the field was never set.
std::vector<Sibling> siblings(const Record& record, std::string_view path);

/// A field as people see it.
struct ShownField {
  std::string_view path;
  const Value* value = nullptr;  ///< the shown one: latest estimated time, then actor, then counter
  const DotGroup* group = nullptr;
  std::uint32_t sibling_count = 1;
  bool conflict = false;  ///< siblings with different values
};

/// Every field that has a value, sorted by path. Views into `record`.
std::vector<ShownField> shown_fields(const Record& record);

/// The shown value of one path, or nullptr.
const Value* shown(const Record& record, std::string_view path);

/// Paths whose siblings differ, sorted.
std::vector<std::string> conflicts(const Record& record);

}  // namespace fieldpost::model

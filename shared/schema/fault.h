// What is wrong with a change or a document: where, which rule, how bad.
//
// Thread rule: plain values.
// Invariants:
//   1. `rule` is a stable id: a JSON Schema keyword ("required", "enum" …), "x-kind", "x-nullable",
//      "x-sealed", "x-envelope", "unlisted", "implausible", "csv.…", or the id of an x-rule.
//   2. A Fault of a sealed value never holds the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fieldpost::schema {

enum class Severity : std::uint8_t {
  error,  ///< stops finalising; in a change, quarantines; in a merged record, marks it inconsistent
  warn,   ///< shown and flagged, stops nothing
};

struct Fault {
  std::string rule;
  std::string path;  ///< "drug_items/k3x9d2m1/net_mg"; "" is the record itself
  Severity severity = Severity::error;
  std::string field_label;  ///< key in the catalogues of the field at `path`; may be empty
  std::string rule_label;   ///< key of the message: "error.enum", "rule.net_le_gross"
  std::string value;        ///< the offending value as text, shortened; empty for sealed fields
  std::string limit;        ///< what it is measured against, if one value says it
  std::size_t line = 0;     ///< of an imported file; 0 elsewhere
  std::vector<std::string> other_labels;  ///< keys of further fields the message names (anyOf)

  friend bool operator==(const Fault&, const Fault&) = default;
};

/// True when at least one fault is an error.
bool has_error(const std::vector<Fault>& faults);

}  // namespace fieldpost::schema

// Which other records a record names, by its form.
//
// Thread rule: pure.
#pragma once

#include <vector>

#include "model/record.h"
#include "schema/registry.h"

namespace fieldpost::schema {

/// Every id in a field that the form calls a record's (x-kind: record_id), all differing values, voided items too.
/// In a field that this program's forms do not know any text that is a record's id counts: rather one too many.
std::vector<RecordId> references(const Registry& registry, const model::Record& record);

}  // namespace fieldpost::schema

// Visits are sealed here before they are recorded, and opened here for the unit's own people.
//
// Thread rule: free functions; an Unseal belongs to the thread that uses it.
// Invariants:
//   1. Exactly what the form marks x-sealed, and every reason, is sealed: one content key per change.
//   2. Without the authority's signed recipients nothing is sealed and nothing recorded.
#pragma once

#include <vector>

#include "base/random_source.h"
#include "crypto/crypto.h"
#include "model/record.h"
#include "schema/document.h"
#include "schema/form.h"
#include "sync/recorder.h"

namespace fieldpost::agent {

struct Recipients;
struct HealthKeys;

/// Does nothing for a form without sealed fields. Errors: those of wire/seal.h.
Status seal_request(const schema::Form& form, const Recipients& recipients,
                    const RandomSource& random, sync::EditRequest& request);

std::vector<crypto::BoxKeyPair> unit_key_pairs(const HealthKeys& keys);

/// Opens what one of the keys opens. `record` and `keys` must outlive it.
schema::Unseal unseal_with(const model::Record& record,
                           const std::vector<crypto::BoxKeyPair>& keys);

}  // namespace fieldpost::agent

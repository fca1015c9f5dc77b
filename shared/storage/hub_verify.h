// Recomputes what a hub's store claims: every chain, every signature, every record.
//
// Thread rule: one reader's thread; runs inside one view of the engine.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// Errors: `chain_broken`, `bad_signature`, `corrupt`, naming the first bad entry and what to do.
Result<HubReader::VerifyReport> verify_hub(const KvRead& read, ValueCodec& codec, const HubId& hub,
                                           const std::function<void(std::uint64_t)>& progress);

}  // namespace fieldpost::storage

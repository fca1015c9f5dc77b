// AgentStore over a key-value engine: memory in the simulator, LMDB on a tablet.
//
// Thread rule: as AgentStore.
// Invariants: those of agent_store.h; tables and values are described in kv_agent_tables.h.
#pragma once

#include <memory>

#include "storage/agent_store.h"
#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// How many tables of the engine it uses.
inline constexpr std::size_t kAgentTables = 11;

/// Opens (and on first use lays out) the store. `kv` and `codec` must outlive it.
/// Errors: `corrupt`, `store_failed`, as the engine says.
Result<std::unique_ptr<AgentStore>> open_agent_store(Kv& kv, ValueCodec& codec);

}  // namespace fieldpost::storage

// The stored form of AgentState and of exceptions.
//
// Thread rule: free functions.
#pragma once

#include "storage/agent_store.h"

namespace fieldpost::storage {

/// What the agent keeps beside AgentState's own fields.
struct StoredAgentState {
  AgentState state;
  std::uint64_t records = 0;
};

Bytes pack_state(const StoredAgentState& stored);
Result<StoredAgentState> unpack_state(BytesView bytes);

Bytes pack_exception(const wire::ChangeException& exception);
Result<wire::ChangeException> unpack_exception(BytesView bytes);

}  // namespace fieldpost::storage

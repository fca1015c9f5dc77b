// What tablets hold of a lost past, kept until an operator decides; so much of each device and no more.
//
// Thread rule: free functions inside a view or update of the engine; writing ones on the writer thread.
// Invariants:
//   1. A staged state is kept as the tablet sent it, from its first coming on.
//   2. Of one device at most a given number of bytes is kept, as stored. What is above is not taken, and said to be
//      not taken: the tablet keeps it, its cursor still says so, and it is asked again when there is room.
//   3. The count of a device's bytes may be too high (what erases elsewhere need not know it), never too low by what
//      was staged under it; it is taken anew from the table before anything is refused for it.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// Where a copy stands: two copies of one device may hold different states, and each is kept. `digest`: the first 8
/// bytes of the state's digest, big-endian.
Bytes staged_key(const RecordId& record, const DeviceId& device, std::uint64_t digest);

/// Keeps those that say something the store lacks, in their order, up to the first that does not fit. Errors: the
/// store's.
Result<HubStore::Staging> stage_states(KvWrite& write, ValueCodec& codec,
                                       const std::vector<StagedState>& states,
                                       std::uint64_t device_bytes_max);
Status erase_staged(KvWrite& write, BytesView key);
/// Bytes of a device's copies as stored: the count, or, when that reaches `at_least`, what the table says.
Result<std::uint64_t> staged_bytes(const KvRead& read, const DeviceId& device,
                                   std::uint64_t at_least);

}  // namespace fieldpost::storage

// What must outlive this store: which records were erased, and which are on legal hold. It is carried to the ledger
// beside the backups, and taken from there again by a store that is older than it.
//
// Thread rule: free functions inside a view or update of the engine; writing ones on the writer thread.
// Invariants:
//   1. An entry waits here until it is known to be in a file of the ledger; it may come to be there twice.
//   2. Taking an entry that is known already changes nothing. The order of entries does not matter.
#pragma once

#include "storage/kv.h"
#include "storage/retention.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

enum class LedgerKind : std::uint8_t { erased = 1, hold = 2 };
/// One entry, as it stands in the ledger's files.
Bytes pack_ledger_entry(LedgerKind kind, BytesView body);

Status note_in_ledger(KvWrite& write, ValueCodec& codec, LedgerKind kind, BytesView body);

Result<LedgerState> read_ledger(const KvRead& read, ValueCodec& codec);
/// The waiting entries up to number `last` are durable in file `file`, and all files up to that one are taken in.
Status ledger_written(KvWrite& write, const LedgerPlace& file, std::uint64_t last);
/// All that this store knows, for a ledger that has lost it, or a new one.
Result<std::vector<Bytes>> whole_ledger(const KvRead& read, ValueCodec& codec);

/// Takes one entry in. Errors: `corrupt` or `unsupported` for one that is none.
Status take_ledger_entry(KvWrite& write, ValueCodec& codec, BytesView entry, LedgerTaken& taken);

}  // namespace fieldpost::storage

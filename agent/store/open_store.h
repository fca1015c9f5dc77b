// The tablet's store on disk: LMDB, with every value sealed under the key beside it.
//
// Thread rule: as AgentStore.
// Invariants:
//   1. The store key is made once, before the store; a store without its key is refused, never re-keyed.
#pragma once

#include <memory>

#include "agent/store/directory.h"
#include "storage/kv_agent_store.h"
#include "storage/lmdb/lmdb_kv.h"
#include "storage/value_codec.h"

namespace fieldpost::agent {

struct OpenStore {
  std::unique_ptr<storage::LmdbKv> kv;
  std::unique_ptr<storage::SealingCodec> codec;
  std::unique_ptr<storage::AgentStore> store;
};

/// The tablet's store: its place, tables and format.
storage::LmdbOptions store_options(const DataDirectory& data, bool create);
/// Errors: `locked` when another process has it; those of LmdbKv and of secret files.
Result<OpenStore> open_store(const DataDirectory& data, const RandomSource& random, bool create);
/// The same with other bounds than `store_options` gives.
Result<OpenStore> open_store(const DataDirectory& data, const RandomSource& random,
                             const storage::LmdbOptions& options);

}  // namespace fieldpost::agent

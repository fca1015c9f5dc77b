// HubStore over a key-value engine: memory in the simulator, LMDB at a hub.
//
// Thread rule: as HubStore; `make_codec` is called once per reader and once for the writer.
// Invariants: those of hub_store.h; tables in hub_tables.h.
#pragma once

#include <functional>
#include <memory>

#include "storage/hub_store.h"
#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

using CodecMaker = std::function<std::unique_ptr<ValueCodec>()>;

enum class Opening : std::uint8_t {
  serving,  ///< a start of the hub: positions are given out
  looking,  ///< for one command: epoch and starts stay as they are
};

/// Opens (and on first use lays out) the store. `kv` must outlive it and its readers. Serving, the epoch is
/// the caller's: that of `clean_epoch`, or a random one. Looking, it is used only when the store has none yet.
/// Errors: `conflict` when the store belongs to another hub key; those of the engine.
Result<std::unique_ptr<HubStore>> open_hub_store(Kv& kv, CodecMaker make_codec,
                                                 const HubIdentity& identity,
                                                 Opening opening = Opening::serving);

/// The epoch that goes on because the last start stopped cleanly; nothing otherwise, or in a new store.
Result<std::optional<Epoch>> clean_epoch(const Kv& kv);

std::unique_ptr<HubReader> make_hub_reader(const Kv& kv, std::unique_ptr<ValueCodec> codec,
                                           const HubIdentity& identity);

/// The changes by which a hub undoes `rejected`, which it has just applied to `after`; `before` is the
/// record as it was. Design: applied and undone in one commit, one change per earlier sibling, all with
/// the same covering context, sealed values copied whole; a rejected creation is voided.
struct UndoInput {
  const model::Record& before;
  const model::Record& after;
  const model::Change& rejected;
  std::string faulty_path;
  ActorId hub_actor;
  Sequence hub_head;
  model::ChangeTimes times;
  std::string author;
  std::string reason;  ///< empty where the hub may write no text
  std::array<std::uint8_t, 16> salt{};
};
std::vector<model::Change> undo_changes(const UndoInput& input);

}  // namespace fieldpost::storage

// Turns what a user did into framed, chained changes and stores them in one commit.
//
// Thread rule: the store's thread.
// Invariants:
//   1. Counters continue the current chain without gaps; `prev` is the newest own counter on the record
//      that was not refused; the context is what the author had seen, never more.
//   2. Every change passes model::check_change and fits the wire before it is stored: a change that is
//      stored can be sent.
//   3. Nothing is stored when `commit` fails; the batch may then be built again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/random_source.h"
#include "storage/agent_store.h"
#include "sync/time_reading.h"

namespace fieldpost::sync {

struct EditRequest {
  RecordId record;
  std::string type;
  std::string unit;
  /// The record's vector when the author opened it; absent: as it is now.
  std::optional<model::VersionVector> context;
  std::vector<model::FieldValue> edits;  ///< sorted by path
  std::vector<model::Seal> seals;
  std::string author;
  model::Value reason = model::Null{};
  std::uint32_t schema_version = 1;
};

/// An empty chain under a fresh actor, not yet in any store.
storage::OwnActor new_chain(const HubId& hub, const DeviceId& device, const RandomSource& random);

/// Opens a chain when the store has none. `hub` and `device` are those of the enrolment.
/// `enrolled_in`: the hub's epoch then, if its answer told it.
Status ensure_actor(storage::AgentStore& store, const HubId& hub, const DeviceId& device,
                    const RandomSource& random, const std::optional<Epoch>& enrolled_in = {});

class ChangeBatch {
 public:
  /// The store must have a current actor. `times` stands in every change of the batch.
  ChangeBatch(storage::AgentStore& store, model::ChangeTimes times, const RandomSource& random);

  /// Errors: `malformed`, `too_large` (what and where), or the store's. The batch stays as it was.
  Result<model::Dot> add(const EditRequest& request);
  /// Stores the batch durably. `finished_drafts` disappear in the same commit.
  Status commit(std::uint64_t ref_counter = 0, const std::vector<RecordId>& finished_drafts = {});

  std::size_t size() const { return changes_.size(); }

 private:
  struct Known {
    model::VersionVector vv;
    Sequence prev;
  };
  Result<Known> known(const RecordId& id);

  storage::AgentStore& store_;
  model::ChangeTimes times_;
  const RandomSource& random_;
  Sequence head_;
  Hash hash_;
  ActorId actor_;
  std::map<RecordId, Known> known_;
  std::vector<storage::NewChange> changes_;
};

}  // namespace fieldpost::sync

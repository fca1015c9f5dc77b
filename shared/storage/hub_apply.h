// One commit's worth of merging: batches in, records, log, feed and exceptions out.
//
// Thread rule: one HubApply lives inside one update of the engine, on the writer thread.
// Invariants:
//   1. Everything is written through `write`; nothing survives a failed commit.
//   2. Each record touched is loaded once and written once, in `finish`.
//   3. A feed position is assigned per touched record in `finish`, after the unit's last one.
//   4. What was prepared ahead (prepare_change) is what would be computed here, byte for byte.
//   5. Batches given to `add` outlive `finish`.
//   6. A change that would make its record larger than a state may be (base/limits.h) is set aside in
//      quarantine; it fails neither its batch nor the commit.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/hub_tables.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// The work on a change that needs nothing from the store. Any thread, with a codec of its own.
PreparedChange prepare_change(ValueCodec& codec, ActorId actor, Instant received,
                              const IncomingChange& change);

inline constexpr const char* kNotGrantedRule = "not_granted";
inline constexpr const char* kNotGrantedDetail = "this device may not write records of this unit";

class HubApply {
 public:
  HubApply(KvWrite& write, ValueCodec& codec) : write_(write), codec_(codec) {}

  /// Merges one batch. A result that is not `applied` has written nothing.
  Result<BatchResult> add(const IncomingBatch& batch);

  /// A change made at the hub itself, on the hub's own chain: never quarantined or held.
  Status add_own(const HubId& hub, const model::Change& change,
                 const std::function<crypto::Signature(ActorId, Sequence, const Hash&)>& sign,
                 Instant received);

  /// Merges a change that is in the log already and was quarantined, and what waited behind it.
  /// Returns the exception that remains (held), if any.
  Result<std::optional<wire::ChangeException>> release(const model::Change& change, Instant now);

  /// Writes the touched records and their positions, and fills in `touched` of each result, in order
  /// of the calls to add. Own changes and releases belong to the result after the last batch.
  Status finish(std::vector<BatchResult>& results);

  /// The exception of a change that came earlier was written anew: its tablet must hear of it.
  void note_outcome(const model::Dot& change) { outcomes_.push_back(change); }

  /// A change in quarantine that can never be merged is refused for good, and so is what is held only for it:
  /// their tablet writes those anew without it.
  Status refuse(const RecordId& id, const model::Dot& dot, const std::string& why);
  /// Joins what tablets still held of a record, and what waited for it. Errors: `conflict`, `too_large`.
  Status join_recovered(const model::Record& state);
  /// The record takes a new place in its feed, so that every tablet hears of it once more.
  Status deliver_again(const RecordId& id);

  /// The record as this commit leaves it so far, or nothing.
  Result<const model::Record*> peek(const RecordId& id);

 private:
  struct Loaded {
    /// While `created_by` is set, still empty: it is that change on nothing, laid out by the session.
    model::Record record;
    const IncomingChange* created_by = nullptr;
    bool exists = false;
    bool dirty = false;
    bool drained = false;  ///< a held change was released onto it
    std::uint64_t position_before = 0;
    std::size_t bytes = 0;                  ///< of the state, or somewhat more
    std::vector<std::size_t> contributors;  ///< indices of batches, ascending

    /// The record as the changes so far leave it.
    model::Record& built();
  };
  using Records = std::unordered_map<RecordId, Loaded, ByteIdHash>;
  using Entry = Records::value_type;  ///< stays where it is while others come

  /// model::apply, except that nothing happens when the record would become too large: then why.
  struct Outcome {
    model::Applied applied = model::Applied::applied;
    std::optional<std::string> too_large;
  };
  static Outcome apply_within(Loaded& loaded, const model::Change& change, std::size_t bytes);

  Result<Entry*> load(const RecordId& id, const std::string& type, const std::string& unit);
  void touch(Entry& entry);
  enum class Authority : std::uint8_t { granted, doubtful, none };
  /// By the unit that the stored record has, the newest welcome that the chain named so far, and what its device
  /// knew when it began the chain.
  Authority may_write(const IncomingBatch& batch, const std::string& unit,
                      std::uint64_t named) const;
  Status merge(const IncomingBatch& batch, const IncomingChange& change, BatchResult& result);
  /// True when `prev` names a change that was refused: then this one can never be applied either.
  Result<bool> refused_predecessor(const model::Change& change);
  /// Refused changes that the author of `change` had seen, on its own tablet, count as known from here on,
  /// without what they said. True when the vector moved.
  Result<bool> advance_over_refused(Loaded& loaded, const model::Change& change);
  /// True when these very changes are durable already; fills in the answer of the first time.
  Result<bool> replayed(const IncomingBatch& batch, const ActorHeadState& durable,
                        BatchResult& result);
  /// The same, of a change whose record was loaded for it; a creation stays as it was laid out.
  static Outcome apply(Loaded& loaded, const IncomingChange& incoming);
  Status drain_held(Entry& entry);
  /// A held change that cannot be merged, now that what it waited for is there.
  Status refuse_held(const RecordId& id, const model::Dot& dot, wire::ExceptionKind kind,
                     const std::string& rule, const std::string& detail);
  /// True when the record is on the list of erased ones: what the change says is not merged, and kept only if
  /// it is not part of what was erased.
  Result<bool> came_for_erased(const IncomingBatch& batch, const IncomingChange& incoming,
                               BatchResult& result);
  Status put_log(const IncomingBatch& batch, const IncomingChange& change);
  Status except(const IncomingBatch& batch, wire::ChangeException exception, BatchResult& result);
  Status hold(const IncomingBatch& batch, const model::Change& change, model::Applied why,
              BatchResult& result);
  /// What tells the state from any other is added to `places`.
  Status write_record(const RecordId& id, Loaded& loaded, std::uint64_t position, Bytes& places);

  KvWrite& write_;
  ValueCodec& codec_;
  Records loaded_;
  Bytes value_;  ///< the one laid out last: its memory serves the next
  std::vector<model::Dot> outcomes_;
  std::vector<Entry*> order_;  ///< dirty records in order of first touch
  std::size_t index_ = 0;
  std::uint64_t welcome_ = 0;       ///< of the batch being merged
  std::uint64_t born_ = 0;          ///< of its chain
  std::optional<Instant> now_;      ///< of the batch being merged
  std::optional<bool> any_held_;    ///< nothing may be held; known after the first look
  std::optional<bool> any_erased_;  ///< likewise
};

/// Why a change is held, in words.
std::string held_detail(model::Applied why, const model::Change& change);

}  // namespace fieldpost::storage

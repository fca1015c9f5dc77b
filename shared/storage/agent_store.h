// The tablet's store: what an agent must never lose, in a handful of batch-shaped verbs.
//
// Thread rule: one thread (the agent's store thread) calls everything.
// Invariants:
//   1. A record as people see it = confirmed base (joined from deliveries) + own changes that the base
//      does not cover yet, applied in chain order. A change that the hub refused (`unauthorised`) is kept
//      and listed, but is not part of it.
//   2. Own chains are append-only and kept until the hub's backed-up watermark allows a purge, which takes them
//      away from their beginning; what is acknowledged is never pushed again unless a verdict asks for it.
//   3. Every verb is atomic and durable when it returns success; on `store_failed` the fate of the
//      last commit is unknown and the store must be reopened.
//   4. A cursor becomes visible only together with the states it covers.
//   5. A closed chain is never written again; its dots above `head` are another's. Of it only that is pushed
//      which a hub that was put back no longer has.
//   6. "At the hub" is said of a record only while nothing is known of it that the hub may have lost.
//   7. A damaged value hides nothing else: reading goes on past it, its record is shown as damaged, and
//      `settle_damage` sets it aside, so that the hub delivers it again.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/record.h"
#include "storage/agent_damage.h"
#include "wire/messages.h"

namespace fieldpost::storage {

/// One own chain.
struct OwnActor {
  ActorId actor;
  Sequence head;        ///< last own counter
  Hash hash;            ///< h(head)
  Sequence acked;       ///< the hub's durable head as far as acknowledged
  Sequence backed_up;   ///< below or at this, a restorable backup has it
  bool forked = false;  ///< the hub's history differs: not pushed until the repair is made
  bool closed = false;  ///< ends at `head` for good: what stood above is on a later chain now
  /// Closed only because a new epoch of the hub began: nobody has another history of it.
  bool outlived = false;
  /// Entries up to here are no longer kept here: every backup of the hub had them. Below `head`.
  Sequence purged_to = {};
  Hash purged_hash = {};  ///< h(purged_to)
  /// What a hub that was put back to before its backups has lost of those, for good: (lost_from, lost_to].
  Sequence lost_from = {};
  Sequence lost_to = {};
};

/// Everything small that a session or a screen asks for all the time.
struct AgentState {
  std::vector<OwnActor> actors;           ///< by age; the current one last
  std::vector<wire::UnitCursor> cursors;  ///< sorted by unit
  std::vector<std::string> again;         ///< units to be delivered from the beginning; sorted
  std::optional<model::Dot>
      claimed;  ///< last own dot that a delivery knew and the hub's verdict did not
  std::vector<wire::Grant> grants;  ///< sorted by unit; of the last welcome
  bool sweep = false;               ///< the grants have changed since `forget_ungranted`
  std::uint64_t ungranted = 0;      ///< records no longer granted that wait or have a problem
  std::string compartment;
  std::optional<Epoch> epoch;  ///< of the last welcome
  std::uint64_t welcome_id = 0;
  std::uint64_t ref_counter = 0;     ///< last reference number given out
  std::optional<Instant> last_sync;  ///< hub time of the last complete sync
  std::uint64_t generation = 0;      ///< of the start that wrote last; one more each time
  Hash machine;                      ///< where that was
  std::uint64_t waiting = 0;         ///< own changes without a durable acknowledgement

  /// Every unit known is to be delivered from the beginning. The cursors stay: they tell the hub which past
  /// this store knows.
  void deliver_again();
  const OwnActor* find(ActorId actor) const;
  const OwnActor* current() const { return actors.empty() ? nullptr : &actors.back(); }
};

/// A change that the recorder made: already framed and chained.
struct NewChange {
  model::Change change;
  Bytes frame;
  Hash hash;  ///< h(counter)
};

/// How the own history goes on after a fork or a lost tail.
struct Restamp {
  /// A new chain with all of `changes` on it, which becomes the current one (or the current one, while
  /// nothing stands on it); none when the current chain goes on, with `changes` at its end.
  std::optional<OwnActor> fresh;
  struct Rewritten {
    NewChange change;
    model::Dot from;
    Sequence
        below;  ///< newest counter of `from.actor` on the record that its chain keeps, 0 if none
  };
  std::vector<Rewritten> changes;
  struct Cut {
    ActorId actor;
    Sequence last;
    Hash hash;              ///< h(last)
    bool outlived = false;  ///< only because a new epoch began
  };
  std::vector<Cut> cuts;  ///< chains that end there from now on
};

struct ChainEntry {
  Sequence counter;
  Bytes frame;
  Hash hash;  ///< h(counter)
};

/// One own change of a record that the base does not cover.
struct OwnChange {
  model::Change change;
  bool acked = false;
  bool applied = false;  ///< false: waits for something the tablet does not have
  std::optional<wire::ChangeException> exception;
};

struct RecordView {
  model::Record record;  ///< base + own changes
  bool at_hub =
      false;  ///< every own change of it is durably acknowledged, none excepted, none lost since
  bool lost_at_hub =
      false;  ///< a hub that was put back lacks something of it, as far as is known here
  std::vector<OwnChange> own;  ///< not covered by the base, in chain order
  bool damaged = false;  ///< something of it cannot be read: `record` may be empty or not whole
  std::vector<model::Dot>
      unreadable;  ///< own changes of it, not covered by the base, that are damaged
};

struct Draft {
  RecordId id;
  std::string type;
  Instant saved;
  Bytes body;  ///< JSON of the form
};

struct AgentCounts {
  std::uint64_t records = 0;
  std::uint64_t waiting = 0;
  std::uint64_t exceptions = 0;
  std::uint64_t drafts = 0;
  std::uint64_t store_bytes = 0;
  std::uint64_t room_bytes = 0;  ///< what may still be recorded, of map and disk
};

class AgentStore {
 public:
  virtual ~AgentStore() = default;

  /// Cached; every verb that writes replaces it, so keep copies, not pointers into it.
  virtual const AgentState& state() const = 0;

  // ---- starting ----
  /// One commit: the start is noted, and, when this store turns out to be copied or put back, `fresh` becomes
  /// the chain on which new changes go; the older ones keep what they have until the hub's verdict.
  struct Start {
    std::uint64_t generation = 0;
    Hash machine;
    std::optional<OwnActor> fresh;
  };
  virtual Status begin(const Start& start) = 0;

  // ---- writing what the user did ----
  /// Opens a new own chain; it becomes the current one. `enrolled_in`: the hub's epoch, where none is known yet.
  virtual Status add_actor(ActorId actor, const Hash& chain_start,
                           const std::optional<Epoch>& enrolled_in = {}) = 0;
  /// Appends to the current actor's chain; `ref_counter` and finished drafts go with it.
  /// Errors: `conflict` when the first change does not follow the head.
  virtual Status append(const std::vector<NewChange>& changes, std::uint64_t ref_counter,
                        const std::vector<RecordId>& finished_drafts) = 0;
  virtual Status put_draft(const Draft& draft) = 0;
  virtual Status erase_draft(const RecordId& id) = 0;
  virtual Result<std::vector<Draft>> drafts() const = 0;

  // ---- reading records ----
  virtual Result<std::optional<RecordView>> load(const RecordId& id) const = 0;
  /// Ids greater than `after`, ascending.
  virtual Result<std::vector<RecordId>> ids_after(const RecordId& after,
                                                  std::size_t limit) const = 0;

  // ---- the sync session's verbs ----
  /// Own chain entries that are kept, with counter ≥ first, until `bytes_max` (at least one) or `count_max`.
  virtual Result<std::vector<ChainEntry>> chain_page(ActorId actor, Sequence first,
                                                     std::size_t bytes_max,
                                                     std::size_t count_max) const = 0;
  /// Nothing for an entry that is not kept, but for the last that was removed.
  virtual Result<std::optional<Hash>> chain_hash(ActorId actor, Sequence counter) const = 0;

  struct WelcomeFacts {
    Epoch epoch;
    std::uint64_t welcome_id = 0;
    std::vector<wire::Grant> grants;
    std::string compartment;
    struct Acked {
      ActorId actor;
      Sequence acked;
      Sequence backed_up;
      bool forked = false;
    };
    std::vector<Acked> acked;
    std::vector<wire::ChangeException> exceptions;
    /// The hub's data is another life: what it acknowledged before it may have lost, and `acked` is how far
    /// it has each chain now.
    bool new_epoch = false;
  };
  virtual Status welcome(const WelcomeFacts& facts) = 0;
  /// Raises the acknowledged head and stores the exceptions (the newest kind of each wins).
  virtual Status acknowledge(ActorId actor, Sequence head,
                             const std::vector<wire::ChangeException>& exceptions) = 0;
  /// The hub has nothing more to say of these: they are merged, or ruled on and covered.
  virtual Status settle_exceptions(const std::vector<model::Dot>& changes) = 0;
  /// Joins delivered states into the base, drops what they cover from the own changes, and stores the
  /// cursor, all in one commit. Of the records that the hub erased everything goes but own changes that wait for an
  /// acknowledgement or have an exception. Errors: `malformed` when one of those is of another unit.
  virtual Status integrate(const std::string& unit, const Bytes& cursor,
                           const std::vector<model::Record>& states,
                           const std::vector<RecordId>& erased = {}) = 0;
  /// Removes what is no longer granted and fully settled: delivered states, what is known of own changes that
  /// the hub acknowledged and merged or ruled on, cursors. What waits or has a problem stays until it has not:
  /// `ungranted` counts it.
  virtual Status forget_ungranted() = 0;
  virtual Status set_last_sync(Instant hub_time) = 0;

  // ---- making room ----
  struct Purged {
    std::uint64_t entries = 0;
    bool more = false;  ///< `entries_max` was reached: there may be more to remove
  };
  /// Removes entries from the beginning of each own chain, as long as each was made before `before` by its own
  /// times, is acknowledged, in every restorable backup of the hub (`OwnActor::backed_up`), merged there, and has
  /// no exception. What it says stays, in the base of its record. The newest entry of a chain always stays.
  virtual Result<Purged> purge(Instant before, std::size_t entries_max) = 0;

  // ---- after a fork ----
  /// In one commit: the fresh chain with its changes, the cut chains without theirs, the renames kept for
  /// `renamed`. When acknowledged changes are cut, everything is to be delivered again, and
  /// so does each base into which one was folded: until then its record stands on the own changes alone.
  /// With `welcome`, what the hub said goes into the same commit.
  /// Errors: `conflict` when the chains are not as the plan says.
  virtual Status restamp(const Restamp& plan, const WelcomeFacts* welcome = nullptr) = 0;
  /// A record's vector as somebody saw it while `seen_under` was the current chain, in the names of today.
  /// `seen_under` zero or unknown: as it is.
  virtual Result<model::VersionVector> renamed(const RecordId& record,
                                               const model::VersionVector& seen,
                                               ActorId seen_under) const = 0;

  /// What changes of one chain on a record were written anew as: old counter → new dot.
  virtual Result<std::map<Sequence, model::Dot>> renames(const RecordId& record,
                                                         ActorId actor) const = 0;

  /// A delivery knows an own change above what the hub acknowledged: see `AgentState::claimed`.
  virtual Status note_claim(const model::Dot& dot) = 0;

  // ---- after the hub was put back ----
  /// Every confirmed base, by id, as the hub delivered it; `visit` does not write.
  virtual Status each_base(const std::function<Status(const model::Record&)>& visit) const = 0;
  virtual Result<std::optional<model::Record>> base(const RecordId& id) const = 0;
  /// The hub asked for these: it lacks something of them until a delivery says otherwise.
  virtual Status note_lost_at_hub(const std::vector<RecordId>& records) = 0;

  // ---- keeping watch ----
  virtual Result<AgentCounts> counts() const = 0;
  virtual Result<std::vector<wire::ChangeException>> exceptions() const = 0;
  /// BLAKE2b over (id, state digest) of every record view of a unit, ascending.
  virtual Result<Hash> digest(const std::string& unit) const = 0;
  /// Recomputes every chain and opens every value; calls back with progress (done). Goes on past damaged
  /// values. Errors: the first damage found, with its place, and how many there are.
  virtual Status verify(const std::function<void(std::uint64_t)>& progress) const = 0;

  // ---- after the disk's faults ----
  /// Sets aside, in one commit, what reading met since the last call. A damaged base goes to the damaged
  /// table and all cursors are dropped, so that the hub delivers everything again; own changes stay where
  /// they are. Answers how many values it was; none costs nothing.
  virtual Result<std::size_t> settle_damage(Instant now) = 0;
  /// What was set aside, settled or not.
  virtual Result<std::vector<Damage>> damages() const = 0;
  /// How often cursors were dropped since this store was opened: a session that began before must end.
  virtual std::uint64_t refetches() const = 0;
  /// Opens the next values in the order of the tables, `bytes` of them or more; true when the last one
  /// was reached, and the next call begins again. What is damaged waits for settle_damage.
  virtual Result<bool> scrub(std::size_t bytes) = 0;
};

}  // namespace fieldpost::storage

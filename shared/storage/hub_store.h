// The hub's store for one compartment: merge, log, feed, devices.
//
// Thread rule: HubStore belongs to the writer thread; each HubReader to the one thread that made it.
// Invariants:
//   1. `apply` is atomic: records, logs, feed positions, exceptions and held changes of all its batches
//      become durable together. The pure merge may run more than once.
//   2. No commit may later appear at or below a position that a reader has returned.
//   3. In a unit's feed a record appears once, at its newest position.
//   4. Replaying a batch is a no-op that answers as the first time.
//   5. A change that was received is kept as it was received (log), whatever became of it, until its record is
//      erased: then receipt time and hash are kept.
//   6. A damaged record is read as its changes give it; a damaged value fails nothing but itself.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/record.h"
#include "storage/packed_value.h"
#include "storage/retention.h"
#include "wire/messages.h"

namespace fieldpost::storage {

/// What of a change's storing depends on nothing in the store: laid out by HubReader::prepare on the
/// session's thread, so that the one writer need not. Trusted like the rest of the batch.
struct PreparedChange {
  Bytes log_value;  ///< as the log will hold it
  std::optional<PackedValue>
      created;  ///< canonical state after this change on no record; if it can be
};

/// A change as it arrives, decoded and checked by the session.
struct IncomingChange {
  Bytes frame;
  RecordId record;
  Sequence counter;
  Sequence prev;
  std::optional<model::Change> change;              ///< absent when the body does not decode
  std::optional<wire::ChangeException> quarantine;  ///< why it must not be merged as it is
  std::optional<PreparedChange> prepared;           ///< absent: the writer does that work itself
};

/// A unit that a device could write before it was moved, and the last welcome that may have told it so.
struct FormerGrant {
  std::string unit;
  std::uint64_t until_welcome = 0;
};

/// Ids of welcomes between two that the hub remembers; both ends are known.
struct LostWelcomes {
  std::uint64_t above = 0;
  std::uint64_t below = 0;
};

struct IncomingBatch {
  DeviceId device;
  ActorId actor;
  Sequence first;
  Hash previous;                ///< h(first − 1) on which the chain was verified
  Hash head;                    ///< h(last)
  crypto::Signature signature;  ///< over the last one
  Instant received;
  std::vector<IncomingChange> changes;
  /// Instead of changes: that those from `first` on are gone, here and there. Its own signature is in it.
  std::optional<wire::Gap> gap = {};
  std::vector<std::string> granted;  ///< units the device may write, sorted
  /// Those it could write: a change may still do so that names a welcome up to the last one that granted it.
  std::vector<FormerGrant> former;
  /// Of a chain that is new here: what the device had said to know when it first named the chain.
  std::uint64_t born = 0;
  std::vector<LostWelcomes> lost;  ///< welcomes of the device that the hub's data has lost
};

/// A record that a batch moved in its unit's feed.
struct Touched {
  RecordId record;
  std::string unit;
  std::uint64_t position_before = 0;  ///< 0: it did not exist
  std::uint64_t position_after = 0;
  bool direct = false;  ///< only this batch's changes moved it, each applied as it came
};

struct BatchResult {
  enum class Kind : std::uint8_t {
    applied,
    rewind,   ///< does not continue the durable head (head and hash say where it stands)
    foreign,  ///< the actor is bound to another device
    revoked,  ///< the device may no longer write
  };
  Kind kind = Kind::applied;
  ActorId actor;
  Sequence head;
  Hash hash;
  std::vector<wire::ChangeException> exceptions;  ///< of the changes this batch covers
  std::vector<Touched> touched;
  /// Changes of other batches whose exception is another one now: their tablets are to be told.
  std::vector<model::Dot> outcomes;
};

struct HubIdentity {
  HubId hub;
  Epoch
      epoch;  ///< one life of the data: a restored or rolled-back store begins another (hub_starts.h)
  StartId start;  ///< one opening for service
};

struct Unit {
  std::string code;
  std::string name;
  std::string compartment;
};

enum class DeviceStanding : std::uint8_t { invited = 0, active = 1, revoked = 2 };

/// That a device's data was copied, restored or lost its newest part, as far as the hub saw it.
struct ForkNotes {
  std::uint64_t times = 0;
  Instant last;                 ///< hub time
  Sequence hub_head;            ///< where the hub stood on the chain then
  Sequence device_head;         ///< and where the device said it stood
  std::uint64_t rewritten = 0;  ///< changes that came again under a fresh chain, all times together

  /// `later`: what was seen since.
  void add(const ForkNotes& later) {
    if (later.times > 0) {
      last = later.last;
      hub_head = later.hub_head;
      device_head = later.device_head;
    }
    times += later.times;
    rewritten += later.rewritten;
  }
};

struct AnnouncedChain {
  ActorId actor;
  std::uint64_t welcome = 0;  ///< the newest that its device had said to have heard by then
};

struct Device {
  DeviceId id;       ///< zero while only invited
  std::string name;  ///< "T07": unique in its unit, part of reference numbers
  std::string unit;
  std::vector<FormerGrant> former;  ///< by age
  std::uint64_t said_welcome = 0;   ///< once moved: the newest that it said to have heard
  std::vector<AnnouncedChain>
      announced;                   ///< once moved: chains named before they had a change here
  std::vector<LostWelcomes> lost;  ///< by age
  DeviceStanding standing = DeviceStanding::active;
  Instant enrolled;
  std::uint64_t last_welcome = 0;
  std::optional<Instant> last_contact;
  std::optional<Instant> last_complete;  ///< last complete sync
  std::optional<wire::AgentStatus> status;
  std::optional<Instant> status_at;  ///< hub time of that status
  std::string last_error;
  std::optional<Instant> last_error_at;
  ForkNotes forks;

  /// The first time counts; beyond a bound nothing is added, and the chain counts as begun when it has a change.
  void announce(const AnnouncedChain& chain) {
    constexpr std::size_t kMax = 256;
    const bool known = std::any_of(announced.begin(), announced.end(),
                                   [&](const auto& other) { return other.actor == chain.actor; });
    if (!known && announced.size() < kMax) announced.push_back(chain);
  }
  /// Beyond a bound the last stretch grows: more is doubtful then, nothing less.
  void note_lost(const LostWelcomes& stretch) {
    constexpr std::size_t kMax = 16;
    const bool known = std::any_of(lost.begin(), lost.end(), [&](const LostWelcomes& other) {
      return other.above <= stretch.above && other.below >= stretch.below;
    });
    if (known) return;
    if (lost.size() < kMax) return lost.push_back(stretch);
    lost.back().above = std::min(lost.back().above, stretch.above);
    lost.back().below = std::max(lost.back().below, stretch.below);
  }
};

/// A single-use enrolment code, stored as its hash.
struct Invitation {
  Hash code_hash;
  std::string device_name;
  std::string unit;
  Instant expires;
  DeviceId used_by;  ///< zero while nobody used it
};

struct ActorHeadState {
  DeviceId device;
  Sequence head;
  Hash hash;
  std::uint64_t welcome =
      0;  ///< the newest that a change of this chain named: later ones know no older
  std::uint64_t born = 0;  ///< see `IncomingBatch::born`
};

/// Where a unit's feed ended after some commit; `mark` tells by which past of the data (hub_feed.h).
struct FeedEnd {
  std::uint64_t position = 0;  ///< 0: nothing took a place in it
  std::uint64_t mark = 0;
};
/// Of what past a tablet's cursor is.
enum class FeedPast : std::uint8_t {
  ours,
  another,    ///< this data never gave it out
  forgotten,  ///< too far back: nobody knows
};

struct FeedEntry {
  std::uint64_t position = 0;
  RecordId record;
  Bytes state;          ///< canonical bytes
  bool erased = false;  ///< instead of a state: there is none any more
};

struct FeedPage {
  std::vector<FeedEntry> entries;
  std::uint64_t end_position = 0;  ///< everything up to here was looked at
  bool caught_up = false;          ///< nothing more up to `upto`
};

/// What is left of a change whose record was erased.
struct ErasedChange {
  Hash hash;  ///< of its frame: what the chain needs of it
  Instant at;
};

struct LogEntry {
  ActorId actor;
  Sequence counter;
  Instant received;
  Bytes frame;  ///< empty when it was erased
  std::optional<ErasedChange> erased = {};
};

struct QuarantineEntry {
  wire::ChangeException exception;
  Instant received;
  DeviceId device;
};

struct HeldEntry {
  RecordId record;
  ActorId actor;
  Sequence counter;
  Instant since;
};

/// A record as a tablet was given it by a life of this hub that was lost: kept until an operator decides.
struct StagedState {
  DeviceId device;
  Instant received;
  model::Record state;
};

/// What an operator decided on a record that this hub had lost something of.
struct RecoveredEntry {
  enum class Kind : std::uint8_t {
    joined =
        0,  ///< the states that tablets held are part of the record, not signed by their authors
    refused = 1,   ///< they are kept here only
    released = 2,  ///< what is missing is given up: the vector was advanced over it
    differing =
        3,  ///< a change that came later, signed, and says otherwise than what had been recovered
  };
  Kind kind = Kind::joined;
  Instant at;
  std::string author;
  std::string note;
  DeviceId device;      ///< whose copy it was; zero for the last two
  model::Record state;  ///< as joined; of `released` what stood there already
  model::Dot dot;       ///< of `differing`
};

struct HubCounts {
  std::uint64_t staged = 0;  ///< states that tablets hold and this hub has lost, undecided
  std::uint64_t records = 0;
  std::uint64_t changes = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t held = 0;
  std::uint64_t quarantined = 0;  ///< set aside: in quarantine, or refused for good
  std::uint64_t store_bytes = 0;
  std::uint64_t map_bytes = 0;
  std::uint64_t room_bytes = 0;  ///< what may still be stored, of map and disk
  std::uint64_t damaged = 0;     ///< values that the disk damaged and nothing here could mend
  std::uint64_t mended = 0;      ///< damaged records that were rebuilt from their changes
  std::uint64_t erased = 0;      ///< records erased by retention, since ever
  std::uint64_t holds = 0;       ///< legal holds, lifted ones too
};

/// A value that is no longer what was written; see hub_repair.h.
struct HubDamage {
  enum class Kind : std::uint8_t { record = 0, change = 1 };
  Kind kind = Kind::record;
  RecordId record;
  model::Dot dot;                ///< of a change in the log
  std::optional<Instant> found;  ///< none: met while an operator decided on the record
  bool mended = false;
  Bytes raw;  ///< what was found in its place
};
/// One sentence for people: what, since when, what becomes of it.
std::string damage_words(const HubDamage& damage);

struct StoredPlace {
  std::uint8_t table = 0;
  Bytes key;
};
struct ScrubPage {
  StoredPlace next;  ///< where to go on; after the last page the beginning
  bool ended = false;
  std::uint64_t values = 0;  ///< looked at
  std::vector<StoredPlace> damaged;
};
struct RepairReport {
  std::uint64_t records_mended = 0;
  std::uint64_t records_lost = 0;
  std::uint64_t log_damaged = 0;
};

/// Consistent reads; every call sees the newest commit.
class HubReader {
 public:
  virtual ~HubReader() = default;
  /// Fills in `prepared` of a complete batch for this store: most of what storing it costs. Without
  /// it, or with it, `apply` writes the same bytes.
  virtual void prepare(IncomingBatch& batch) const = 0;

  virtual Result<std::optional<ActorHeadState>> actor(ActorId actor) const = 0;
  /// h(counter) where a batch or a gap ended, or nothing.
  virtual Result<std::optional<Hash>> hash_at(ActorId actor, Sequence counter) const = 0;
  virtual Result<std::vector<wire::ChangeException>> exceptions(ActorId actor, Sequence from,
                                                                Sequence to) const = 0;
  /// Those not confirmed by the device, at most `limit`.
  virtual Result<std::vector<wire::ChangeException>> unconfirmed(const std::vector<ActorId>& actors,
                                                                 std::size_t limit) const = 0;
  /// Entries in (position, upto], until `bytes_max` (at least one) or `count_max`.
  virtual Result<FeedPage> feed(const std::string& unit, std::uint64_t position, std::uint64_t upto,
                                std::size_t bytes_max, std::size_t count_max) const = 0;
  virtual Result<std::uint64_t> feed_end(const std::string& unit) const = 0;
  virtual Result<FeedEnd> marked_feed_end(const std::string& unit) const = 0;
  /// Whether a start that this data remembers gave out this end of the unit's feed.
  virtual Result<FeedPast> feed_past(const StartId& start, const std::string& unit,
                                     const FeedEnd& end) const = 0;

  virtual Result<std::optional<model::Record>> record(const RecordId& id) const = 0;
  virtual Result<std::vector<RecordId>> ids_after(const RecordId& after,
                                                  std::size_t limit) const = 0;
  /// The changes received for a record, by (received, actor, counter).
  virtual Result<std::vector<LogEntry>> history(const RecordId& id) const = 0;
  virtual Result<std::vector<RecordId>> conflicts(const RecordId& after,
                                                  std::size_t limit) const = 0;
  /// By (actor, counter), those after `after`.
  virtual Result<std::vector<QuarantineEntry>> quarantine(std::size_t limit,
                                                          const model::Dot& after = {}) const = 0;
  /// How many of those wait for nobody: refused for good. Looks at each exception.
  virtual Result<std::uint64_t> refused() const = 0;
  /// By (record, actor, counter), those after `after`; its `since` is not looked at.
  virtual Result<std::vector<HeldEntry>> held(std::size_t limit,
                                              const HeldEntry& after = {}) const = 0;
  virtual Result<std::optional<LogEntry>> log(ActorId actor, Sequence counter) const = 0;
  /// The watermark that put_backed_up stored; zero when there is none.
  virtual Result<Sequence> backed_up(ActorId actor) const = 0;

  /// By record, those after `after`; at least `limit`, until all of the last record are there.
  virtual Result<std::vector<StagedState>> staged(std::size_t limit,
                                                  const RecordId& after = {}) const = 0;
  /// Whether this very state of a record is kept for a device; `digest`: the first 8 bytes of the state's digest.
  virtual Result<bool> is_staged(const RecordId& record, const DeviceId& device,
                                 std::uint64_t digest) const = 0;
  /// Bytes kept of a device, as stored; exact from `at_least` on, below it perhaps too many.
  virtual Result<std::uint64_t> staged_bytes(const DeviceId& device,
                                             std::uint64_t at_least) const = 0;
  /// What was decided on the losses of a record, oldest first.
  virtual Result<std::vector<RecoveredEntry>> recovered(const RecordId& id) const = 0;
  /// Whether a state that a tablet holds says something that this store lacks.
  virtual Result<bool> lacks(const model::Record& state) const = 0;

  virtual Result<std::vector<Unit>> units() const = 0;
  virtual Result<std::vector<Device>> devices() const = 0;
  virtual Result<std::optional<Device>> device(const DeviceId& id) const = 0;
  virtual Result<HubCounts> counts() const = 0;
  virtual Result<Hash> digest(const std::string& unit) const = 0;

  struct VerifyReport {
    std::uint64_t actors = 0;
    std::uint64_t changes = 0;
    std::uint64_t signatures = 0;
    std::uint64_t records = 0;
    std::uint64_t gaps = 0;            ///< signed by their tablets: proved to be missing
    std::uint64_t missing = 0;         ///< changes in them
    std::uint64_t erased = 0;          ///< records on the list of erased ones
    std::uint64_t erased_changes = 0;  ///< changes of them: proved by their hashes, without content
  };
  // ---- retention ----
  /// All legal holds, lifted ones too.
  virtual Result<std::vector<LegalHold>> holds() const = 0;
  /// What holds keep now. Errors: `corrupt`, and then nothing may be erased.
  virtual Result<KeptByHold> kept_by_holds(const References& references) const = 0;
  virtual Result<std::optional<ErasedRecord>> erased(const RecordId& id) const = 0;
  /// Looks at `limit` records after `after`.
  virtual Result<RetentionPage> retention(const RecordId& after, std::size_t limit,
                                          const RetentionRules& rules,
                                          const KeptByHold& kept) const = 0;
  /// How this store stands to the ledger beside the backups (hub_ledger.h).
  virtual Result<LedgerState> ledger() const = 0;
  virtual Result<std::vector<Bytes>> whole_ledger() const = 0;

  /// Recomputes every chain and signature, replays every record from the log and compares.
  /// Errors: `chain_broken`, `bad_signature` or `corrupt`, naming the first bad entry.
  virtual Result<VerifyReport> verify(const std::function<void(std::uint64_t)>& progress) const = 0;

  /// Opens the next values, records first, then the log, until `bytes_max` of them.
  virtual Result<ScrubPage> scrub(const StoredPlace& from, std::size_t bytes_max) const = 0;
  virtual Result<std::vector<HubDamage>> damages() const = 0;
};

/// An actor, and how far something reaches on its chain.
using ActorHeads = std::vector<std::pair<ActorId, Sequence>>;

class HubStore {
 public:
  virtual ~HubStore() = default;
  virtual const HubIdentity& identity() const = 0;
  virtual std::unique_ptr<HubReader> reader() const = 0;

  virtual Result<std::vector<BatchResult>> apply(const std::vector<IncomingBatch>& batches) = 0;

  virtual Status put_unit(const Unit& unit) = 0;
  virtual Status put_device(const Device& device) = 0;
  /// What sessions learned of devices (contact, status, last welcome), many at once. Unit, name and
  /// standing stay as stored: an operator may have changed them meanwhile. `forks` is what is new, added to
  /// what is stored: two copies of one device may be connected.
  virtual Status note_contacts(const std::vector<Device>& devices) = 0;
  /// Moves a device to another unit of this store. What it wrote before it could know stays granted.
  /// Errors: `not_found` (device, unit), `already_exists` (the unit has a device of that name).
  virtual Result<Device> move_device(const DeviceId& id, const std::string& unit, Instant now) = 0;
  virtual Status put_invitation(const Invitation& invitation) = 0;
  /// Consumes the code and stores the device in one commit. The device that used it gets the same answer
  /// again as long as the code lives: the first may have been lost on the way.
  /// Errors: `not_found` (unknown or used by another), `expired`, `already_exists` (the unit has a device of that name).
  virtual Result<Device> enrol(const Hash& code_hash, const DeviceId& device, Instant now) = 0;
  virtual Status confirm(const std::vector<wire::Confirm::Item>& items) = 0;
  /// Mends what scrubbing found damaged: records from their changes, in one commit. What cannot be mended
  /// is noted. What is sound meanwhile is left alone.
  virtual Result<RepairReport> repair(const std::vector<StoredPlace>& places, Instant now) = 0;

  /// `raise`: no entry falls, and an actor that is not named keeps its own. `restate`: only what is named.
  enum class BackedUp : std::uint8_t { raise, restate };
  /// How far the oldest backup that can still be restored reaches: what tablets are told to be beyond the loss
  /// of this hub. Nothing is stored above the head that the actor has here, nor of an actor unknown here.
  virtual Status put_backed_up(const ActorHeads& heads, BackedUp how) = 0;

  /// What an operator decides on a quarantined change.
  enum class Ruling : std::uint8_t { retry, accept, reject };
  struct RulingInput {
    ActorId actor;
    Sequence counter;
    Ruling ruling = Ruling::retry;
    /// For retry: what the checker says now. Absent: passes.
    std::optional<wire::ChangeException> still;
    /// For reject: the hub's own actor, key and times for the change that undoes it.
    model::ChangeTimes times;
    std::string author;
    std::string note;
    bool clear_texts = true;  ///< false in the health compartment: the hub may write no text there
    std::array<std::uint8_t, 16> salt{};
  };
  /// Signs hub-made changes; the key never enters the store.
  using SignHead = std::function<crypto::Signature(ActorId, Sequence, const Hash&)>;
  virtual Result<BatchResult> rule(const RulingInput& input, ActorId hub_actor,
                                   const SignHead& sign) = 0;

  /// A change authored at the hub (conflict resolution): the edits are applied over the record as it
  /// is; `expected` must equal the record's vector. Errors: `conflict` when it moved meanwhile.
  struct HubEdit {
    RecordId record;
    model::VersionVector expected;
    std::vector<model::FieldValue> edits;
    std::vector<model::Seal> seals;
    std::string reason;  ///< may be empty where the hub may write no text (health)
    std::string author;
    model::ChangeTimes times;
    std::array<std::uint8_t, 16> salt{};
  };
  virtual Result<BatchResult> edit(const HubEdit& edit, ActorId hub_actor,
                                   const SignHead& sign) = 0;

  // ---- after a loss ----
  struct Staging {
    std::uint64_t end = 0;  ///< where the unit's feed ends by this commit; 0 when nothing was kept
    bool full = false;      ///< the device has no room for more: what did not fit was not taken
  };
  /// Keeps those (of one device and unit) that say something this store lacks, until `recover` decides on them; of
  /// the device in all at most `device_bytes_max`, as stored.
  virtual Result<Staging> stage_within(const std::vector<StagedState>& states,
                                       std::uint64_t device_bytes_max) = 0;
  /// The same without a bound. Answers `Staging::end`.
  Result<std::uint64_t> stage(const std::vector<StagedState>& states) {
    FP_TRY(const Staging staging, stage_within(states, ~std::uint64_t{0}));
    return staging.end;
  }
  enum class Recovery : std::uint8_t {
    join,    ///< what was staged becomes part of the record
    refuse,  ///< it is kept aside for good
    /// What the record's held changes wait for is given up: they are merged without it.
    release,
  };
  struct RecoveryInput {
    RecordId record;
    Recovery decision = Recovery::join;
    std::string author;
    std::string note;
    model::ChangeTimes times;
    std::array<std::uint8_t, 16> salt{};
    bool clear_texts = true;  ///< as in RulingInput
  };
  /// Errors: `not_found` when nothing is staged (or held); `conflict` when a change that the states contain
  /// is in quarantine or refused here: settle that first; `too_large`.
  virtual Result<BatchResult> recover(const RecoveryInput& input, ActorId hub_actor,
                                      const SignHead& sign) = 0;

  // ---- retention ----
  /// Errors: `not_found` when the record is not here, `conflict` when it was erased.
  virtual Status add_hold(const LegalHold& hold) = 0;
  /// Errors: `not_found`, `conflict` when it is lifted already.
  virtual Result<LegalHold> lift_hold(const HoldId& id, const LegalHold::Lift& lift) = 0;
  /// Erases those of the named records that are due, one commit each; nothing else is written between them and
  /// what holds keep. Errors: `corrupt` when a hold, or what it keeps, cannot be read: then nothing is erased.
  virtual Result<ErasureReport> erase(const ErasureOrder& order) = 0;
  /// Takes in what file `file` of the ledger says: erases again, puts holds again, lifts them.
  virtual Result<LedgerTaken> take_ledger(const LedgerPlace& file,
                                          const std::vector<Bytes>& entries) = 0;
  /// See hub_ledger.h.
  virtual Status ledger_written(const LedgerPlace& file, std::uint64_t last) = 0;

  // ---- starting and stopping ----
  /// The last commit of a start: whatever follows is another start. The epoch goes on over it.
  virtual Status stopped() = 0;
  /// This store may have been rolled back under the running hub: it must be opened anew, in a new epoch.
  virtual Status doubt() = 0;
};

}  // namespace fieldpost::storage

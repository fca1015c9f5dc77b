// The hub's side of one connection, as a pure state machine over a reader of the store.
//
// Thread rule: the connection's thread. Batches go to the writer; its answers come back through
// `on_applied`, in the order submitted. `on_feed_moved` for a commit comes after `on_applied` for it.
// Invariants:
//   1. Nothing of a device is read or written before its hello verified on this very connection.
//   2. `ack` is produced only from a durable result.
//   3. A state is delivered only up to the feed end this session was told of, so that an own change is
//      never delivered before it is acknowledged.
//   4. A record is left out of a delivery only when this connection's push alone moved it there, directly,
//      from a position this connection already had.
//   5. An exception is told as it stands at that moment, and only of a change that was acknowledged on this
//      connection; of any other the acknowledgement will tell it.
//   6. What a tablet holds that this hub has lost is staged durably before anything of that unit is delivered
//      to it: only then does its cursor, which says so, change.
//      That holds for units that it may no longer see, too: they come before any delivery.
//      When the operator's desk is full of this device's copies, nothing more is asked for and nothing of that unit
//      delivered until some of it was decided: the tablet's cursor goes on saying so, and its own changes are taken.
//   7. At most kDeliverWindow delivers of a unit, and in all no further one once they are of
//      kDeliverWindowBytes, are unanswered; at most 2 × window batches are at the writer.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/random_source.h"
#include "storage/hub_store.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace fieldpost::sync {

/// What a change says by itself: the narrow check that may quarantine. Pure and thread-safe.
using ChangeCheck = std::function<std::optional<wire::ChangeException>(const model::Change&)>;

/// One of the hub's separate stores, as a session sees it.
struct Compartment {
  std::string name;  ///< "enforcement" or "health"
  const storage::HubReader* reader = nullptr;
  storage::HubIdentity identity;
  std::vector<std::string> foreign_types;  ///< of records that belong to another compartment
};

struct HubContext {
  crypto::SigningKey key;
  std::vector<Compartment> compartments;
  ChangeCheck check;
  std::uint64_t staged_bytes_max = limits::kStagedBytesOfDeviceMax;  ///< of one device
  std::size_t hash_steps_max = limits::kHashStepsMax;                ///< of one session
};

struct HubOutput {
  std::vector<Bytes> frames;
  std::vector<storage::IncomingBatch> batches;  ///< for the writer of `compartment()`
  std::vector<wire::Confirm::Item> confirmed;   ///< for the writer
  std::optional<storage::Device> contact;       ///< the device entry to store when there is time
  std::vector<storage::StagedState> staged;     ///< for the writer; answer with `on_staged`
  std::size_t staged_bytes = 0;                 ///< of those, as they came
  /// This hub's data is older than what tablets were told: it must be opened anew, in a new epoch.
  bool rolled_back = false;
  std::optional<Error> close;
  bool refused = false;  ///< not a good-bye: one of the two would not go on, and `close` says why
};

class HubSession {
 public:
  HubSession(const HubContext& context, wire::Compressor& compressor,
             const wire::ChannelBinding& binding, const RandomSource& random);

  HubOutput on_connected();
  HubOutput on_frame(Instant now, BytesView frame);
  HubOutput on_applied(Instant now, const storage::BatchResult& result);
  HubOutput on_feed_moved(const std::string& unit, std::uint64_t end);
  /// What this session handed over to be staged is durable, as far as it had room; or it could not be stored. In the
  /// writer's order, as `on_applied`.
  HubOutput on_staged(const Result<storage::HubStore::Staging>& staged);
  /// The exceptions of these changes (of whichever device) were written anew by another's commit, or by a
  /// ruling that merged nothing, so that no delivery says it.
  HubOutput on_outcomes(const std::vector<model::Dot>& changes);
  /// The device was revoked or the hub stops.
  HubOutput stop_with(wire::ErrorCode code, std::string text);

  bool greeted() const { return device_.has_value(); }
  const std::optional<storage::Device>& device() const { return device_; }
  /// Index into HubContext::compartments; valid once greeted.
  std::size_t compartment() const { return compartment_; }
  /// Units whose feed this session follows.
  std::vector<std::string> units() const;

 private:
  struct Chain {
    Sequence next;  ///< counter expected in the next push
    Hash hash;      ///< h(next − 1)
    Sequence told;  ///< acknowledged on this connection: by the verdict or by an ack
    std::size_t at_writer = 0;
    std::size_t stale = 0;  ///< results still to come of batches before a rewind
    bool rewound = false;   ///< pushes that do not continue are those before the rewind
    Sequence claimed;       ///< where the tablet said it stands
    bool forked = false;    ///< the tablet has another history of it: nothing is taken
    std::optional<Sequence> resent_from;  ///< sent again: the next acknowledgement covers it, too
  };
  struct Feed {
    std::uint64_t known_end = 0;  ///< told by the writer
    std::uint64_t sent = 0;       ///< looked at up to here
    std::uint64_t got = 0;        ///< durable at the agent
    std::uint64_t passed = 0;     ///< nothing but own positions in (sent, passed]
    struct Sent {
      std::uint64_t position = 0;
      std::size_t bytes = 0;  ///< of its frames
      Bytes cursor;
    };
    std::deque<Sent> unanswered;
    std::set<std::uint64_t> own;  ///< positions to leave out
    std::uint64_t news = 0;       ///< end of the newest page sent that said more than a place
    bool told_caught_up = false;
    bool recovering = false;  ///< what the tablet holds is asked for first; one unit at a time
    bool desk_full = false;   ///< instead of `recovering`, until the desk has room again
    bool withdrawn = false;   ///< no longer granted: asked for, never delivered
  };
  /// Of the unit whose losses are asked for now.
  struct Recovery {
    std::string unit;
    bool summarised = false;      ///< the tablet said what it holds; now it is asked for states
    RecordId summarised_to;       ///< the last record of the summaries so far
    std::deque<RecordId> wanted;  ///< to be asked for
    std::vector<RecordId> asked;  ///< in the question under way and not yet answered, ascending
    bool answered = false;        ///< the question under way
    bool desk_full = false;       ///< what still comes is dropped: the tablet keeps it
    std::size_t at_writer = 0;    ///< pages not yet durable
    std::optional<wire::StateChunk> large;  ///< a state that comes in parts: what came of it
  };

  void on_hello(Instant now, const wire::Decoded& decoded, HubOutput& out);
  bool find_device(const DeviceId& id, HubOutput& out);
  Result<bool> same_history(const storage::ActorHeadState& known, const wire::ActorHead& claimed,
                            bool current) const;
  /// `current`: the chain that the tablet writes on now; the last of its hello.
  Result<wire::Verdict> verdict(Instant now, const wire::ActorHead& claimed, bool current);
  /// The device as it is known now, for the writer; what was seen of forks goes with it once.
  /// What a device that was moved said to know when it first named a chain.
  Status note_announced(const wire::Hello& hello);
  std::uint64_t born(ActorId actor) const;
  void tell_contact(HubOutput& out);
  void note_fork(Instant now, Chain& chain, Sequence head);
  void on_hash_query(Instant now, const wire::HashQuery& query, HubOutput& out);
  /// Errors: the store's. `rolled_back`: a cursor of this very epoch that this data never gave out.
  Status open_feeds(const wire::Hello& hello, bool& rolled_back);
  void recover_next(HubOutput& out);
  /// Asks again, when there is room again.
  void recover_further(HubOutput& out);
  Result<bool> desk_has_room() const;
  /// When this device's part of the desk is full, now or by what was just found: nothing more is asked for.
  void leave_when_full(bool full, HubOutput& out);
  void on_recovered(Instant now, const wire::Recovered& answer, HubOutput& out);
  void on_state_chunk(Instant now, wire::StateChunk& chunk, HubOutput& out);
  Result<bool> wanted(const wire::RecordSummary& summary) const;
  void on_gap(Instant now, const wire::Gap& gap, HubOutput& out);
  /// Nothing more is to be done about it. Errors: `chain_broken` when it contradicts what the hub has.
  Result<bool> known_gap(const wire::Gap& gap, Chain& chain, HubOutput& out);
  Status take_recovered(Instant now, BytesView bytes, HubOutput& out);
  void ask_for_states(HubOutput& out);
  /// When it is caught up with what is granted, the tablet forgets what is not: that is asked for before.
  bool withdrawn_waits() const;
  void on_push(Instant now, wire::Push& push, HubOutput& out);
  void repeat(const wire::Welcome& welcome, const std::vector<wire::ChangeException>& exceptions,
              HubOutput& out);
  /// A hash of the same chain that is known already, and what the search for one cost.
  struct HashWalk {
    Sequence at;
    Hash hash;
    std::size_t steps = 0;
  };
  Result<std::optional<Hash>> hash_of(ActorId actor, Sequence counter,
                                      HashWalk* walk = nullptr) const;
  Status rewind_to_durable(ActorId actor, Chain& chain, HubOutput& out);
  void rewind(ActorId actor, Chain& chain, Sequence head, const Hash& hash, HubOutput& out);
  void applied(const storage::BatchResult& result, Chain& chain, HubOutput& out);
  Result<std::size_t> known_prefix(const wire::Push& push, Chain& chain, HubOutput& out);
  Result<storage::IncomingChange> examine(ActorId actor, Sequence counter, Bytes frame) const;
  void on_got(Instant now, const wire::Got& got, HubOutput& out);
  void on_status(Instant now, const wire::AgentStatus& status, HubOutput& out);
  /// Nothing waits at the tablet, by its last word, and it has all there is for it: a complete sync.
  bool complete() const;
  void acknowledge(ActorId actor, Sequence head, std::vector<wire::ChangeException> exceptions,
                   HubOutput& out);
  void note_touched(const std::vector<storage::Touched>& touched);
  void pump(const std::string& unit, Feed& feed, HubOutput& out);
  void send_page(const std::string& unit, Feed& feed, storage::FeedPage& page, HubOutput& out);
  void send_chunks(const std::string& unit, const storage::FeedEntry& entry, HubOutput& out);
  Result<Bytes> cursor(const std::string& unit, std::uint64_t position) const;
  struct Place {
    std::uint64_t position = 0;
    bool lost = false;         ///< perhaps given out by a past that this data does not have
    bool rolled_back = false;  ///< certainly, and in the very epoch it has
  };
  Result<Place> read_cursor(const std::string& unit, BytesView cursor) const;
  const Compartment& here() const { return context_.compartments[compartment_]; }
  void send(const wire::Message& message, HubOutput& out);
  void refuse(wire::ErrorCode code, std::string text, HubOutput& out);

  const HubContext& context_;
  wire::Compressor& compressor_;
  wire::ChannelBinding binding_;
  wire::Challenge challenge_;
  Nonce nonce_;
  std::optional<storage::Device> device_;
  std::size_t compartment_ = 0;
  bool closed_ = false;
  std::map<ActorId, Chain> chains_;
  std::map<std::string, Feed> feeds_;
  std::size_t unanswered_bytes_ = 0;  ///< of the deliveries of all feeds
  std::optional<Recovery> recovery_;
  std::vector<std::string> granted_;
  std::size_t at_writer_ = 0;
  bool none_waits_ = false;  ///< the tablet said so, and has pushed nothing since
  std::size_t hash_queries_ = 0;
  std::size_t hash_steps_ = 0;
  /// Of the next deliver, before compression: small at first, so that a link of a few seconds moves the cursor;
  /// twice as much with each answer.
  std::size_t deliver_bytes_ = limits::kDeliverFirstBytes;
  std::size_t deliver_bytes_max_ =
      limits::kDeliverTargetBytes;  ///< less when states do not compress
};

}  // namespace fieldpost::sync

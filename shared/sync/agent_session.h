// The agent's side of one connection, as a pure state machine over its store.
//
// Thread rule: the agent's store thread.
// Invariants:
//   1. No delivered state is taken in before the hub's verdict on every own chain (welcome).
//   2. No chain is pushed while an earlier own chain has unacknowledged changes.
//   3. A cursor is answered (`got`) only after its states are durable here.
//   4. At most window_pushes, window_bytes and what the link is good for (sync/link_estimate.h) are unacknowledged;
//      before the welcome, one push.
//   5. Frames leave in the order produced. After `close` is set nothing more is produced.
//   6. When the hub knows another history of an own chain, the histories' last common point is found, what
//      stands above it is written anew on a fresh chain in one commit, and the connection begins again. Until
//      then nothing is pushed, and nothing delivered is taken in.
//   7. In a new epoch of the hub nothing is pushed before its verdicts: what it lost is sent again as it was,
//      what it had never acknowledged is written anew on a fresh chain (two copies of this tablet may both
//      hold the next counter).
//   8. What contradicts what this tablet knows (a verdict on a change it never sent, less than was
//      acknowledged, a record it may not see) ends the session before anything of it is stored.
//   8. An own change that the disk damaged before it was sent is not passed over: its chain stays there, and
//      `blocked` says why, while deliveries and acknowledgements go on.
// Design: docs/architecture.md "Sync"; bytes: schemas/wire-v1.md.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/random_source.h"
#include "storage/agent_store.h"
#include "sync/fork_repair.h"
#include "sync/link_estimate.h"
#include "sync/time_reading.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace fieldpost::sync {

/// Who this agent is and whom it trusts; fixed at enrolment.
struct AgentIdentity {
  DeviceId device;
  crypto::SigningKey key;
  HubId hub;
  std::string app_version;
  Hash schema_digest;
  /// Record types of the other compartment: never taken in. A type that nobody knows yet is.
  std::vector<std::string> foreign_types;
};

/// The figures only the program's root knows.
struct DeviceFacts {
  std::uint64_t storage_free_bytes = 0;
  std::optional<std::uint32_t> battery_percent;
  std::string alarm;  ///< for the hub's operator, empty when all is well
};

struct AgentOutput {
  std::vector<Bytes> frames;   ///< to send, in order
  std::optional<Error> close;  ///< close the connection, and why
  bool changed = false;        ///< what a screen shows may have changed
  /// With `close`: trying again is of no use before somebody has done something about it.
  bool for_good = false;
  std::uint32_t retry_after_ms = 0;  ///< with `close`: the hub asked to wait so long
};

class AgentSession {
 public:
  enum class Phase : std::uint8_t { connecting, greeting, repairing, live, closed };

  AgentSession(const AgentIdentity& identity, storage::AgentStore& store,
               wire::Compressor& compressor, const wire::ChannelBinding& binding,
               RandomSource random, LinkEstimate& link);

  AgentOutput on_frame(const TimeReading& now, const DeviceFacts& facts, BytesView frame);
  /// Something new was recorded here.
  AgentOutput on_local_change(const TimeReading& now);
  /// Reports figures to the hub; call every few minutes.
  AgentOutput on_tick(const TimeReading& now, const DeviceFacts& facts);
  /// The connection is gone.
  void on_closed();

  Phase phase() const { return phase_; }
  /// Everything recorded here is durably at the hub, and everything the hub had was delivered here.
  bool in_sync() const;
  /// This connection was of use: a change was acknowledged, a state stored, or all was found in sync.
  bool progressed() const { return progressed_; }
  /// Why nothing more can be sent, once everything else was: an unreadable own change.
  std::optional<Error> blocked() const;
  const std::optional<HubAnchor>& anchor() const { return anchor_; }
  std::size_t pushes_in_flight() const { return in_flight_.size(); }

 private:
  struct InFlight {
    ActorId actor;
    Sequence last;
    std::size_t bytes = 0;
    LinkEstimate::Sent sent;
  };
  struct Chunks {
    Hash digest;
    std::uint64_t total = 0;
    Bytes bytes;
  };

  void handle(const TimeReading& now, wire::Decoded& decoded, AgentOutput& out);
  void on_challenge(const TimeReading& now, const wire::Challenge& challenge, AgentOutput& out);
  void on_welcome(const TimeReading& now, const wire::Decoded& decoded, AgentOutput& out);
  void on_ack(const wire::Ack& ack, AgentOutput& out);
  void on_rewind(const wire::Rewind& rewind, AgentOutput& out);
  void on_deliver(const TimeReading& now, const wire::Deliver& deliver, AgentOutput& out);
  void on_chunk(const wire::StateChunk& chunk, AgentOutput& out);
  Result<storage::AgentStore::WelcomeFacts> judge(const wire::Welcome& welcome) const;
  /// `head`: up to where the hub speaks of the chain. Errors: `chain_broken`, `malformed`.
  Status check_exception(const wire::ChangeException& exception, ActorId actor,
                         Sequence head) const;
  /// What the hub says of changes of a chain that was closed after a fork.
  void hear_of_closed(const storage::OwnActor& own,
                      const std::vector<wire::ChangeException>& exceptions, AgentOutput& out);
  void on_hashes(const wire::HashReply& reply, AgentOutput& out);
  void on_recover(const wire::Recover& recover, AgentOutput& out);
  Status send_summaries(const std::string& unit, AgentOutput& out);
  Status send_states(const wire::Recover& recover, AgentOutput& out);
  Status send_large_state(const std::string& unit, const RecordId& id, const Bytes& state,
                          AgentOutput& out);
  Status begin_epoch(const wire::Challenge& challenge);
  void name_chains();
  void go_live(AgentOutput& out);
  /// Writes anew what was refused only for what it rests on. Errors: the store's.
  Status write_again_what_may_stand(const std::vector<wire::ChangeException>& exceptions);
  /// Asks on for the last common points, or writes anew what stands above them and leaves.
  void go_on_apart(AgentOutput& out);
  Status check_type(const std::string& type) const;
  /// Errors: `closed` when the state knows more of an open own chain than the hub acknowledged. When the same
  /// was met before, the chain is noted to be closed instead.
  Status check_own_dots(const model::Record& record);
  /// The hub tells every exception from an unsettled change up to its chain's verdict, before it says that all is
  /// delivered: those noted here of which it told nothing are over. Another copy of this tablet may have heard
  /// how, or the hub was put back to before them and judged anew.
  void note_asked();
  Status settle_unanswered();
  /// What the last welcome said, as it is stored.
  storage::AgentStore::WelcomeFacts standing() const;
  wire::AgentStatus status(const TimeReading& now) const;
  void fill_window(AgentOutput& out);
  bool push_some(const storage::OwnActor& own, AgentOutput& out);
  /// The hub asks for what is no longer kept here: says so. False before the welcome.
  bool send_gap(const storage::OwnActor& own, Sequence from, AgentOutput& out);
  /// Sets aside what reading found damaged. True when that dropped the cursors this connection stands on.
  bool must_fetch_again(const TimeReading& now, AgentOutput& out);
  void settle(ActorId actor, Sequence head);
  void confirm(const std::vector<wire::ChangeException>& exceptions, AgentOutput& out);
  void note_sync(const TimeReading& now, AgentOutput& out);
  Instant hub_now(const TimeReading& now) const;
  void send(const wire::Message& message, AgentOutput& out);
  void send_bytes(BytesView message, AgentOutput& out);
  /// Ends the connection and tells the hub why. A history that differs is for good.
  void stop(Error error, AgentOutput& out);
  /// Ends it without a word: the hub spoke the last one.
  void leave(Error error, AgentOutput& out);
  /// As `stop`, for what no further attempt will mend.
  void stop_for_good(Error error, AgentOutput& out);
  void refused(const wire::ErrorMessage& message, AgentOutput& out);

  const AgentIdentity& identity_;
  storage::AgentStore& store_;
  wire::Compressor& compressor_;
  wire::ChannelBinding binding_;
  RandomSource random_;
  LinkEstimate& link_;

  Phase phase_ = Phase::connecting;
  DeviceFacts facts_;
  std::uint64_t now_ms_ = 0;  ///< monotonic, of the event being handled
  std::uint64_t hello_ms_ = 0;
  wire::Challenge challenge_;
  wire::Hello hello_;
  std::optional<HubAnchor> anchor_;
  std::uint32_t window_pushes_;
  std::uint32_t window_bytes_;
  std::deque<InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::optional<model::Dot> pushed_to_;       ///< chain and counter up to which pushes went out
  std::map<ActorId, Sequence> hub_may_have_;  ///< the highest that an acknowledgement may name
  std::size_t frame_fits_bytes_ = limits::kPushTargetBytes;  ///< what was seen to fit a frame
  ForkSearch search_{store_};
  bool new_epoch_ = false;  ///< the hub's data is another life than this tablet knew
  std::optional<storage::AgentStore::WelcomeFacts> told_;  ///< of a welcome not yet stored
  TimeReading welcomed_;
  std::map<std::string, bool> caught_up_;
  std::map<std::pair<std::string, RecordId>, Chunks> chunks_;
  bool synced_noted_ = false;
  bool progressed_ = false;
  struct Asked {
    ActorId actor;
    Sequence from;
    Sequence to;
  };
  std::vector<Asked> asked_;       ///< by hello and verdict; until the first time in sync
  std::set<model::Dot> answered_;  ///< of which this hub told something since
  bool swept_ = false;  ///< since the last acknowledgement: what is no longer granted was looked at
  std::uint64_t refetches_ = 0;      ///< of the store when hello named its cursors
  std::optional<Error> unreadable_;  ///< the own change at which a chain stays
};

}  // namespace fieldpost::sync

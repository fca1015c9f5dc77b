// A hub, its tablets and the links between them, in one process, on one thread, with virtual time.
//
// The sessions, stores, codec and merge are the production ones over MemoryKv; only the drivers around
// them are written here, and they do nothing by themselves: every frame, commit and notification moves
// when the test says so. One seed, one run.
//
// Thread rule: one thread.
// Invariants:
//   1. Nothing reads a real clock or real randomness.
//   2. The writer answers as the production one must: `on_applied` to each session in the order it
//      submitted, then `on_feed_moved` to every session; both wait in the session's inbox.
//   3. A cut loses every frame under way. The hub's end of it may still hear of its batches.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/kv_agent_store.h"
#include "storage/kv_hub_store.h"
#include "storage/memory_kv.h"
#include "sync/agent_session.h"
#include "sync/hub_session.h"
#include "sync/recorder.h"
#include "tests/support/history.h"

namespace fieldpost::test {

/// What went over one connection, as it left its sender.
struct Traffic {
  std::size_t frames = 0;
  std::size_t bytes = 0;
  std::size_t states = 0;                       ///< record states in delivers
  std::map<std::string, std::size_t> messages;  ///< by wire::message_name
};

/// One connection. Queues are open to the test: it may drop, repeat or change what is under way.
struct Connection {
  std::deque<Bytes> up;
  std::deque<Bytes> down;
  std::deque<std::function<sync::HubOutput(sync::HubSession&)>> inbox;  ///< from the writer
  std::unique_ptr<sync::HubSession> hub;
  std::unique_ptr<sync::AgentSession> agent;  ///< gone after a cut
  wire::ChannelBinding binding;
  bool hub_closed = false;
  std::optional<Error> hub_close;
  Traffic sent_up;
  Traffic sent_down;
  std::size_t most_pushes_in_flight = 0;
};

struct Tablet {
  std::string name;
  std::string unit;
  std::string type = "stop";
  sync::AgentIdentity identity;
  std::unique_ptr<storage::MemoryKv> kv;
  std::array<std::uint8_t, 32> store_key{};
  std::unique_ptr<storage::ValueCodec> codec;
  std::unique_ptr<storage::AgentStore> store;
  sync::LinkEstimate estimate;
  std::optional<sync::HubAnchor> anchor;
  std::int64_t clock_error_ms = 0;        ///< its wall clock, against the world's
  std::uint64_t boots = 0;                ///< its monotonic clock begins again with each
  bool gone = false;                      ///< destroyed: it connects no more
  std::shared_ptr<Connection> link;       ///< null while offline
  std::shared_ptr<Connection> last_link;  ///< for its figures, after it ended
  std::optional<Error> closed;            ///< why the agent ended the last connection
  bool closed_for_good = false;           ///< and whether it takes a person to change that
  std::uint32_t retry_after_ms = 0;       ///< and what the hub asked it to wait
  bool progressed = false;                ///< whether that connection was of use

  storage::RecordView view(const RecordId& id) const;
  Hash digest() const;
  std::uint64_t waiting() const { return store->state().waiting; }
  bool in_sync() const { return link && link->agent->in_sync(); }
};

class SyncWorld {
 public:
  /// How values stand in the stores: as they are, or as in production, so that rot is found.
  enum class Stored : std::uint8_t { plain, sealed };
  explicit SyncWorld(std::uint64_t seed, Stored stored = Stored::plain);

  // ---- people and tablets ----
  /// Units are made on first use; "enforcement" unless `compartment` says otherwise.
  Tablet& add_tablet(const std::string& name, const std::string& unit,
                     const std::string& compartment = "enforcement");
  /// A new record with these fields (sorted by path here).
  RecordId record(Tablet& tablet, std::vector<model::FieldValue> fields);
  std::vector<RecordId> record_many(Tablet& tablet, std::size_t count);
  Status edit(Tablet& tablet, const RecordId& id, std::vector<model::FieldValue> fields,
              std::optional<model::VersionVector> context = {});
  /// The keys and the store's key of another: a copy of it, once its disk is copied, too.
  void take_identity(Tablet& copy, const Tablet& original);
  /// Stores one chain entry with any frame: what a broken or hostile agent might have made.
  void append_raw(Tablet& tablet, const model::Change& change, Bytes frame);
  model::Change draft_change(Tablet& tablet, const RecordId& id,
                             std::vector<model::FieldValue> fields);
  /// The tablet's process ends and starts again over what is durable.
  void restart_tablet(Tablet& tablet);

  // ---- links ----
  void connect(Tablet& tablet);
  void cut(Tablet& tablet);
  /// The tablet is off; what it sent may still reach the hub by `move_up(connection)`.
  std::shared_ptr<Connection> leave(Tablet& tablet);
  bool move_up(const std::shared_ptr<Connection>& connection);
  /// Moves one thing; false when there is none.
  bool move_up(Tablet& tablet);
  bool move_down(Tablet& tablet);
  bool hear_writer(Connection& connection);
  /// Moves everything until nothing moves. `grouped`: the writer takes all that waits in one commit.
  void settle(bool grouped = true);
  void sync(Tablet& tablet);
  void local_change(Tablet& tablet);

  // ---- the hub ----
  /// Commits what was submitted: all in one commit per compartment, or the oldest batch alone.
  bool write(bool grouped);
  std::size_t batches_waiting() const { return queue_.size(); }
  bool writer_has_work() const {
    return rolled_back_ || !queue_.empty() || !staged_.empty() || !confirms_.empty() ||
           !contacts_.empty();
  }
  /// The hub's process ends and starts again over what is durable. `clean`: it could say good-bye.
  void restart_hub(bool clean = false);
  using HubDisks = std::vector<storage::MemoryKv::Snapshot>;
  HubDisks hub_disks() const;
  /// The hub's disks as they once were; its process starts again over them.
  void put_back_hub(const HubDisks& disks);
  /// What the running hub keeps in its memory: a snapshot of a virtual machine has it besides the disks.
  struct HubProcess {
    Epoch epoch;
    StartId start;
    ActorId actor;
  };
  HubProcess hub_process() const { return {epoch_, start_, hub_actor_}; }
  /// The disks under a running process, as when a virtual machine is put back to its snapshot: that which runs now,
  /// or the one of the snapshot.
  void roll_back_hub(const HubDisks& disks, const std::optional<HubProcess>& process = {});
  /// What the hub does when its clock shows that this happened.
  void doubt_hub();
  /// Decides on what tablets still hold of a record that the hub has lost.
  Status recover(const std::string& unit, const RecordId& id,
                 storage::HubStore::Recovery decision = storage::HubStore::Recovery::join);
  std::size_t rollbacks_noticed() const { return rollbacks_; }
  storage::HubStore& store(const std::string& unit);
  void set_hash_steps(std::size_t steps) { context_.hash_steps_max = steps; }
  /// How much of one device the hub keeps for an operator's decision.
  void set_desk(std::uint64_t bytes) { context_.staged_bytes_max = bytes; }
  const storage::HubReader& reader(const std::string& unit);
  storage::MemoryKv& hub_kv(std::size_t compartment) { return *halves_[compartment].kv; }
  Hash hub_digest(const std::string& unit);
  Status verify_hub();
  /// Settles a conflict at the hub.
  Status resolve(const std::string& unit, const RecordId& id,
                 std::vector<model::FieldValue> fields);
  Status rule(const std::string& unit, ActorId actor, Sequence counter,
              storage::HubStore::Ruling ruling);
  /// Something was done to the unit's store beside the writer: sessions hear where its feed ends now.
  void feed_moved(const std::string& unit) { tell_feed_moved(half_of(unit)); }
  std::size_t hub_crashes() const { return hub_crashes_; }

  /// Of the forms in use when somebody edits.
  std::uint32_t schema_version = 1;
  /// How often the hub's process ended: every connection went with it.
  std::size_t hub_ends() const { return hub_ends_; }
  /// A connection that nobody moves any more.
  void forget(const std::shared_ptr<Connection>& connection) {
    std::erase(connections_, connection);
  }
  /// Whether `Traffic` is counted: it opens every frame.
  bool count_traffic = true;
  /// Sees every frame as it leaves its sender.
  std::function<void(Connection&, bool up, BytesView frame)> tap;

  /// What a change says by itself, at the hub. Empty: everything passes.
  std::function<std::optional<wire::ChangeException>(const model::Change&)> check;

  // ---- time and chance ----
  sync::TimeReading now() const { return {Instant{wall_ms_}, kBoot, monotonic_ms_}; }
  /// What the tablet's own clocks say.
  sync::TimeReading now(const Tablet& tablet) const {
    return {Instant{wall_ms_ + tablet.clock_error_ms}, kBoot + tablet.boots, monotonic_ms_};
  }
  void pass(std::uint64_t ms);
  /// Not before now.
  void pass_until(Instant at);
  /// For a world that is played again from the beginning.
  void set_clocks(Instant wall, std::uint64_t monotonic_ms) {
    wall_ms_ = wall.ms;
    monotonic_ms_ = monotonic_ms;
  }
  Dice& dice() { return dice_; }
  RandomSource random();
  std::deque<Tablet>& tablets() { return tablets_; }
  std::vector<std::shared_ptr<Connection>>& connections() { return connections_; }
  const crypto::SigningKey& hub_key() const { return context_.key; }
  HubId hub_id() const { return hub_id_; }

  void take(const std::shared_ptr<Connection>& connection, sync::HubOutput out);
  void take(Tablet& tablet, sync::AgentOutput out);

 private:
  static constexpr std::uint64_t kBoot = 7;
  struct Half {
    std::string name;
    std::unique_ptr<storage::MemoryKv> kv;
    std::unique_ptr<storage::HubStore> store;
    std::unique_ptr<storage::HubReader> reader;
  };
  struct Submitted {
    std::shared_ptr<Connection> from;
    std::size_t half = 0;
    storage::IncomingBatch batch;
  };

  void open_hub(bool same_start = false);
  void drop_hub();
  std::size_t half_of(const std::string& unit) const;
  bool commit(std::vector<Submitted> group);
  void tell_feed_moved(std::size_t half);
  void tell_outcomes(std::size_t half, const std::vector<model::Dot>& changes);
  model::ChangeTimes hub_times() const;
  storage::HubStore::SignHead signer() const;
  void end(Tablet& tablet);
  void sent(Connection& connection, bool up, BytesView frame);

  std::unique_ptr<storage::ValueCodec> hub_codec() const;
  std::unique_ptr<storage::ValueCodec> tablet_codec(const Tablet& tablet);

  Dice dice_;
  Stored stored_;
  crypto::SymmetricKey hub_store_key_;
  std::int64_t wall_ms_ = 1'772'349'300'000;  // 2026-03-01, a day at the checkpoint
  std::uint64_t monotonic_ms_ = 1'000'000;
  HubId hub_id_;
  DeviceId hub_device_;
  Epoch epoch_;
  StartId start_;
  bool rolled_back_ = false;
  std::size_t rollbacks_ = 0;
  ActorId hub_actor_;
  sync::HubContext context_;
  std::vector<Half> halves_;
  std::map<std::string, std::size_t> units_;
  std::deque<Tablet> tablets_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::deque<Submitted> queue_;
  std::vector<std::pair<std::size_t, wire::Confirm::Item>> confirms_;
  std::vector<std::pair<std::size_t, storage::Device>> contacts_;
  struct Staged {
    std::shared_ptr<Connection> from;
    std::size_t half = 0;
    std::vector<storage::StagedState> states;
  };
  std::vector<Staged> staged_;
  std::size_t hub_crashes_ = 0;
  std::size_t hub_ends_ = 0;
};

model::FieldValue field(std::string path, model::Value value);
/// By path, as a change has them.
void sort_fields(std::vector<model::FieldValue>& fields);
/// The one compressor of all worlds: it keeps nothing from frame to frame.
wire::Compressor& compressor();
/// Decodes a frame that a production session made.
wire::Decoded open_frame(BytesView frame);
Bytes frame_of(const wire::Message& message);

}  // namespace fieldpost::test

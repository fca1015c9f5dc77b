#include "hub/io/sync_service.h"

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <spdlog/spdlog.h>

namespace fieldpost::hub {

namespace asio = boost::asio;

/// What one thread needs for all its sessions.
struct SyncService::Lane {
  explicit Lane(asio::io_context& io) : context(io), compressor(wire::Dictionary::v1()) {}

  asio::io_context& context;
  wire::Compressor compressor;
  std::vector<std::unique_ptr<storage::HubReader>> readers;
  sync::HubContext sync;
  // This lane's thread only:
  std::set<std::shared_ptr<Connection>> connections;
  std::map<std::pair<std::size_t, std::string>, std::set<Connection*>>
      followers;  ///< by store, unit
  std::atomic<std::size_t> count{0};
};

class SyncService::Connection : public std::enable_shared_from_this<SyncService::Connection> {
 public:
  Connection(SyncService& service, Lane& lane, std::shared_ptr<net::MessageStream> stream)
      : service_(service),
        lane_(lane),
        stream_(std::move(stream)),
        session_(lane.sync, lane.compressor, stream_->channel_binding(), service.random_) {}

  void start() {
    net::MessageStream::Handlers handlers;
    handlers.on_message = [self = shared_from_this()](Bytes&& frame) {
      self->emit(self->session_.on_frame(self->service_.clock_(), frame));
    };
    handlers.on_closed = [self = shared_from_this()](const Error& error) { self->closed(error); };
    stream_->start(std::move(handlers));
    expect_greeting();
    emit(session_.on_connected());
  }

  /// The threads stand still and nobody will hear of an end: the socket closes now, and the stream, which
  /// keeps this alive, is kept alive by this no longer.
  void abandon() {
    gone_ = true;
    std::exchange(stream_, nullptr)->abort();
  }

  void feed_moved(const std::string& unit, std::uint64_t end) {
    if (!gone_) emit(session_.on_feed_moved(unit, end));
  }

  void outcomes(std::size_t store, const std::vector<model::Dot>& changes) {
    if (gone_ || !session_.greeted() || session_.compartment() != store) return;
    emit(session_.on_outcomes(changes));
  }

  void device_changed(const DeviceId& device) {
    if (gone_ || !session_.greeted() || session_.device()->id != device) return;
    emit(session_.stop_with(wire::ErrorCode::shutting_down,
                            "what this device may see was changed; connect again"));
  }

 private:
  void expect_greeting() {
    greeting_.emplace(lane_.context, service_.kGreeting);
    greeting_->async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      const auto self = weak.lock();
      if (cancelled || !self || self->session_.greeted()) return;
      self->stream_->close(net::CloseCode::policy_error, "no hello came");
    });
  }

  void emit(sync::HubOutput out) {
    for (Bytes& frame : out.frames) stream_->send(std::move(frame));
    if (session_.greeted()) {
      if (greeting_) follow();
      greeting_.reset();
      Writer& writer = *service_.stores_[session_.compartment()].writer;
      for (storage::IncomingBatch& batch : out.batches) submit(writer, std::move(batch));
      if (!out.confirmed.empty()) writer.confirm(std::move(out.confirmed));
      if (out.contact) writer.contact(std::move(*out.contact));
      if (!out.staged.empty()) stage(writer, std::move(out.staged), out.staged_bytes);
    }
    if (out.rolled_back && service_.on_rolled_back_) service_.on_rolled_back_();
    if (out.close) {
      if (out.refused) refused_ = out.close->detail;
      stream_->close(net::CloseCode::policy_error, out.close->detail);
    }
    if (stream_->queued_bytes() > kQueuedBytesMax) stream_->abort();
  }

  /// Once, when the hello was taken: from here on news of its units reach it.
  void follow() {
    for (const std::string& unit : session_.units())
      lane_.followers[{session_.compartment(), unit}].insert(this);
  }

  void unfollow() {
    for (const std::string& unit : session_.units()) {
      const auto it = lane_.followers.find({session_.compartment(), unit});
      if (it == lane_.followers.end()) continue;
      it->second.erase(this);
      if (it->second.empty()) lane_.followers.erase(it);
    }
  }

  void submit(Writer& writer, storage::IncomingBatch batch) {
    auto done = [self = shared_from_this()](Result<storage::BatchResult> result) {
      asio::post(self->lane_.context,
                 [self, result = std::move(result)] { self->applied(result); });
    };
    if (const auto taken = writer.submit(std::move(batch), std::move(done)); !taken) {
      emit(session_.stop_with(wire::ErrorCode::busy, taken.error().detail));
    }
  }

  void stage(Writer& writer, std::vector<storage::StagedState> states, std::size_t bytes) {
    auto job = [self = shared_from_this(),
                states = std::move(states)](storage::HubStore& store) mutable {
      asio::post(self->lane_.context,
                 [self, stored = store.stage_within(states, self->lane_.sync.staged_bytes_max)] {
                   if (!self->gone_) self->emit(self->session_.on_staged(stored));
                 });
    };
    // Busy or stopping: the tablet still has it, and its cursor still says so.
    if (const auto taken = writer.later(std::move(job), bytes); !taken)
      emit(session_.on_staged(taken.error()));
  }

  void applied(const Result<storage::BatchResult>& result) {
    if (gone_) return;
    if (!result) {
      // The reason, with its file names, is in the hub's log and status; the device needs to know only this.
      return emit(session_.stop_with(
          wire::ErrorCode::busy,
          "the hub could not store this now; nothing is lost, it will be sent again"));
    }
    emit(session_.on_applied(service_.clock_(), *result));
  }

  void closed(const Error& error) {
    gone_ = true;
    greeting_.reset();
    if (!refused_.empty() || !error.is(Errc::closed))
      note_error(refused_.empty() ? error.message() : refused_);
    unfollow();
    lane_.connections.erase(shared_from_this());
    lane_.count = lane_.connections.size();
  }

  void note_error(const std::string& why) {
    if (!session_.greeted())
      return spdlog::info("a connection of {} ended before its hello was taken: {}",
                          stream_->remote(), why);
    const storage::Device& known = *session_.device();
    spdlog::info("device {} of {}: {}", known.name, known.unit, why);
    // As it is now: a newer session of the same device may have written since this one's last status.
    const auto stored = lane_.readers[session_.compartment()]->device(known.id);
    if (!stored || !*stored) return;
    storage::Device device = **stored;
    device.forks = {};  // nothing new of that
    device.last_error = why;
    device.last_error_at = service_.clock_();
    service_.stores_[session_.compartment()].writer->contact(std::move(device));
  }

  SyncService& service_;
  Lane& lane_;
  std::shared_ptr<net::MessageStream> stream_;
  sync::HubSession session_;
  std::optional<asio::steady_timer> greeting_;  ///< until the hello
  std::string refused_;                         ///< why the hub ended it
  bool gone_ = false;
};

SyncService::SyncService(const std::vector<asio::io_context*>& contexts,
                         std::vector<StoreParts> stores, const crypto::SigningKey& key,
                         const sync::ChangeCheck& check, RandomSource random,
                         std::function<Instant()> clock, std::function<void()> on_rolled_back)
    : stores_(std::move(stores)),
      key_(key),
      random_(std::move(random)),
      clock_(std::move(clock)),
      on_rolled_back_(std::move(on_rolled_back)) {
  for (asio::io_context* context : contexts) {
    auto lane = std::make_unique<Lane>(*context);
    lane->sync.key = key_;
    lane->sync.check = check;
    for (const StoreParts& parts : stores_) {
      lane->readers.push_back(parts.store->reader());
      lane->sync.compartments.push_back(
          {parts.name, lane->readers.back().get(), parts.store->identity(), parts.foreign_types});
    }
    lanes_.push_back(std::move(lane));
  }
}

SyncService::~SyncService() {
  for (const auto& lane : lanes_) {
    for (const auto& connection : std::exchange(lane->connections, {})) connection->abandon();
  }
}

void SyncService::accept(std::shared_ptr<net::MessageStream> stream,
                         const asio::any_io_executor& executor) {
  for (const auto& lane : lanes_) {
    if (executor != asio::any_io_executor(lane->context.get_executor())) continue;
    auto connection = std::make_shared<Connection>(*this, *lane, std::move(stream));
    lane->connections.insert(connection);
    lane->count = lane->connections.size();
    return connection->start();
  }
  stream->abort();
}

void SyncService::feed_moved(std::size_t store, Writer::FeedEnds ends) {
  const auto shared = std::make_shared<const Writer::FeedEnds>(std::move(ends));
  for (const auto& lane : lanes_) {
    asio::post(lane->context, [lane = lane.get(), store, shared] {
      for (const auto& [unit, end] : *shared) {
        const auto found = lane->followers.find({store, unit});
        if (found == lane->followers.end()) continue;
        // A session may end while it is told: hold them all, and walk over a copy.
        std::vector<std::shared_ptr<Connection>> told;
        told.reserve(found->second.size());
        for (Connection* one : found->second) told.push_back(one->shared_from_this());
        for (const auto& connection : told) connection->feed_moved(unit, end);
      }
    });
  }
}

void SyncService::outcomes(std::size_t store, const std::vector<model::Dot>& changes) {
  for (const auto& lane : lanes_) {
    asio::post(lane->context, [lane = lane.get(), store, changes] {
      const auto connections = lane->connections;
      for (const auto& connection : connections) connection->outcomes(store, changes);
    });
  }
}

void SyncService::device_changed(const DeviceId& device) {
  for (const auto& lane : lanes_) {
    asio::post(lane->context, [lane = lane.get(), device] {
      const auto connections = lane->connections;
      for (const auto& connection : connections) connection->device_changed(device);
    });
  }
}

std::size_t SyncService::sessions() const {
  std::size_t total = 0;
  for (const auto& lane : lanes_) total += lane->count;
  return total;
}

}  // namespace fieldpost::hub

#include "agent/io/sync_driver.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sync/backoff.h"

namespace fieldpost::agent {

namespace asio = boost::asio;

namespace {

/// How often a connected agent tells its figures; a minute of silence is what the console can show.
constexpr auto kTick = std::chrono::seconds(60);

/// Faults of the dial that no further attempt mends: another certificate than the trusted one, one past
/// its time, or a server of another protocol.
bool is_verdict(const Error& error) {
  return error.is(Errc::bad_signature) || error.is(Errc::expired) || error.is(Errc::unsupported);
}

}  // namespace

struct SyncDriver::Impl : std::enable_shared_from_this<SyncDriver::Impl> {
  /// Why a connection, or the attempt at one, ended.
  struct End {
    Error error;
    bool for_good = false;
    std::uint32_t retry_after_ms = 0;
  };

  Impl(asio::io_context& store_side_in, asio::io_context& network_in,
       const sync::AgentIdentity& identity_in, SyncTarget target_in, storage::AgentStore& store_in,
       RandomSource random_in, Clocks clocks_in, std::function<void()> on_change_in)
      : store_side(store_side_in),
        network(network_in),
        identity(identity_in),
        target(std::move(target_in)),
        store(store_in),
        random(std::move(random_in)),
        clocks(std::move(clocks_in)),
        on_change(std::move(on_change_in)),
        compressor(wire::Dictionary::v1()),
        session_anchor(clocks.hub),
        certificate_anchor(clocks.hub),
        retry(store_side_in),
        tick(store_side_in) {}

  // ---- store side ----

  void dial() {
    if (stopping || dialling || stream) return;
    dialling = true;
    retry.cancel();
    progress.last_attempt = clocks.read().wall;
    progress.next_attempt.reset();
    progress.verdict.reset();
    const std::uint64_t mine = ++generation;
    net::ClientTarget to;
    to.host = target.host;
    to.port = target.port;
    to.server_name = target.server_name;
    to.trust = trust;
    to.connect_timeout_ms = target.connect_timeout_ms;
    to.handshake_timeout_ms = target.handshake_timeout_ms;
    to.idle_timeout_ms = target.silence_ms;
    if (certificate_anchor)
      to.hub_time_at_least = sync::hub_time_at_least(*certificate_anchor, clocks.read());
    asio::post(network,
               [self = shared_from_this(), to = std::move(to), mine] { self->connect(to, mine); });
  }

  /// A welcome's signed time. Errors: `expired` when it lies past the end of the certificate it came with.
  Status learn(const sync::HubAnchor& heard) {
    session_anchor = heard;
    const auto end = stream->certificate_end();
    certificate_anchor = sync::up_to(heard, end);
    if (clocks.learned) clocks.learned(*certificate_anchor);
    if (!end || heard.time.at <= *end) return {};
    return fail(Errc::expired, "the hub's certificate ended on " + to_text(*end) +
                                   ", and by its own clock it is " + to_text(heard.time.at) +
                                   ". Ask the hub's operator to look at its clock and to renew the "
                                   "certificate (fieldpost-hub certificate renew)");
  }

  void connected(std::shared_ptr<net::MessageStream> made, std::uint64_t mine) {
    // Nobody is left to use it: without this it would stay open until the process ends.
    if (mine != generation) return asio::post(network, [made] { made->abort(); });
    dialling = false;
    stream = std::move(made);
    progress.certificate_end = stream->certificate_end();
    if (stopping) return close_stream("the agent stops");
    heard_hub_time = false;
    session.emplace(identity, store, compressor, stream->channel_binding(), random, link);
  }

  void failed(const Error& error, std::uint64_t mine) {
    if (mine != generation) return;
    dialling = false;
    ended({error, is_verdict(error), 0});
  }

  void message(const Bytes& bytes, std::uint64_t mine) {
    if (mine != generation || !session) return;
    emit(session->on_frame(clocks.read(), clocks.facts(), bytes));
  }

  void closed(const Error& error, std::uint64_t mine, std::uint64_t sent, std::uint64_t received) {
    if (mine != generation) return;
    if (session) session->on_closed();
    session.reset();
    stream.reset();
    progress.bytes_sent = sent;
    progress.bytes_received = received;
    note_pushes();
    ended(std::exchange(pending_end, std::nullopt).value_or(End{error, false, 0}));
  }

  /// The connection, or the attempt at one, is over.
  void ended(const End& end) {
    progress.online = false;
    progress.in_sync = false;
    progress.blocked.reset();
    tick.cancel();
    if (stopping) {
      if (on_stopped) std::exchange(on_stopped, nullptr)();
      return;
    }
    progress.last_error = end.error.message();
    if (end.for_good) progress.verdict = end.error;
    const std::uint32_t wait_ms = backoff.next_ms(random, end.retry_after_ms);
    progress.next_attempt = Instant{clocks.read().wall.ms + wait_ms};
    retry.expires_after(std::chrono::milliseconds(wait_ms));
    retry.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      const auto self = weak.lock();
      if (self && !cancelled) self->dial();
    });
    on_change();
  }

  void emit(sync::AgentOutput out) {
    if (session->anchor() && !std::exchange(heard_hub_time, true)) {
      if (auto sound = learn(*session->anchor()); !sound) return refuse(sound.error());
    }
    const bool live = session->phase() == sync::AgentSession::Phase::live;
    if (live && !progress.online) {
      progress.last_error.clear();
      schedule_tick();
    }
    if (session->progressed()) backoff.succeeded();
    progress.online = live;
    progress.in_sync = session->in_sync();
    note_pushes();
    const auto blocked = session->blocked();
    const bool news = blocked && !progress.blocked;
    progress.blocked = blocked;
    if (!out.frames.empty()) {
      asio::post(network, [to = stream, frames = std::move(out.frames)]() mutable {
        for (Bytes& frame : frames) to->send(std::move(frame));
      });
    }
    if (out.close) {
      pending_end = End{*out.close, out.for_good, out.retry_after_ms};
      close_stream(out.close->message());
    }
    if (out.changed || out.close) on_change();
    // The hub's operator reads at once what keeps this tablet from sending.
    if (news) emit(session->on_tick(clocks.read(), clocks.facts()));
  }

  void note_pushes() {
    progress.pushed_bytes = link.pushed_bytes();
    progress.lost_bytes = link.lost_bytes();
  }

  /// Nothing more goes to this peer; what was on its way is sent again one day.
  void refuse(const Error& error) {
    pending_end = End{error, true, 0};
    session->on_closed();
    session.reset();
    close_stream(error.message());
    on_change();
  }

  void close_stream(const std::string& why) {
    asio::post(network, [to = stream, why] { to->close(net::CloseCode::normal, why); });
  }

  void schedule_tick() {
    tick.expires_after(kTick);
    tick.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      const auto self = weak.lock();
      if (!self || cancelled || !self->session) return;
      self->schedule_tick();
      self->emit(self->session->on_tick(self->clocks.read(), self->clocks.facts()));
    });
  }

  /// Ends the attempt under way, so that stopping does not wait for its timeouts.
  void give_up_dialling() {
    asio::post(network, [self = shared_from_this()] {
      if (self->cancel) std::exchange(self->cancel, nullptr)();
    });
  }

  /// The owner goes away: nothing of its store is touched from here on.
  void abandon() {
    stopping = true;
    ++generation;
    retry.cancel();
    tick.cancel();
    session.reset();
    on_stopped = nullptr;
    if (stream) asio::post(network, [open = std::move(stream)] { open->abort(); });
    if (dialling) give_up_dialling();
  }

  // ---- network side ----

  void connect(const net::ClientTarget& to, std::uint64_t mine) {
    cancel = net::connect_stream(
        network.get_executor(), to,
        [self = shared_from_this(), mine](Result<std::shared_ptr<net::MessageStream>> made) {
          self->on_connect(std::move(made), mine);
        });
  }

  void on_connect(Result<std::shared_ptr<net::MessageStream>> made, std::uint64_t mine) {
    cancel = nullptr;
    if (!made) {
      asio::post(store_side, [self = shared_from_this(), error = made.error(), mine] {
        self->failed(error, mine);
      });
      return;
    }
    const std::shared_ptr<net::MessageStream> opened = *made;
    asio::post(store_side,
               [self = shared_from_this(), opened, mine] { self->connected(opened, mine); });
    net::MessageStream::Handlers handlers;
    handlers.on_message = [self = shared_from_this(), mine](Bytes&& bytes) {
      asio::post(self->store_side,
                 [self, bytes = std::move(bytes), mine] { self->message(bytes, mine); });
    };
    handlers.on_closed = [self = shared_from_this(), raw = opened.get(), mine](const Error& error) {
      asio::post(self->store_side,
                 [self, error, mine, sent = raw->bytes_sent(), received = raw->bytes_received()] {
                   self->closed(error, mine, sent, received);
                 });
    };
    opened->start(std::move(handlers));
  }

  asio::io_context& store_side;
  asio::io_context& network;
  const sync::AgentIdentity& identity;
  SyncTarget target;
  storage::AgentStore& store;
  RandomSource random;
  Clocks clocks;
  std::function<void()> on_change;

  std::shared_ptr<const net::TlsTrust> trust;
  wire::Compressor compressor;
  sync::LinkEstimate link;
  sync::Backoff backoff;
  std::optional<sync::AgentSession> session;
  std::optional<sync::HubAnchor> session_anchor;      ///< as signed
  std::optional<sync::HubAnchor> certificate_anchor;  ///< what certificates are judged by
  bool heard_hub_time = false;                        ///< on this connection
  std::shared_ptr<net::MessageStream> stream;
  std::optional<End> pending_end;
  asio::steady_timer retry;
  asio::steady_timer tick;
  std::uint64_t generation = 0;  ///< of the connection: what an older one says is ignored
  bool dialling = false;
  bool stopping = false;
  std::function<void()> on_stopped;
  net::Cancel cancel;  ///< network side: of the attempt under way
  Progress progress;
};

SyncDriver::SyncDriver(asio::io_context& store_side, asio::io_context& network,
                       const sync::AgentIdentity& identity, SyncTarget target,
                       storage::AgentStore& store, RandomSource random, Clocks clocks,
                       std::function<void()> on_change)
    : impl_(std::make_shared<Impl>(store_side, network, identity, std::move(target), store,
                                   std::move(random), std::move(clocks), std::move(on_change))) {}

SyncDriver::~SyncDriver() { impl_->abandon(); }

Status SyncDriver::start() {
  FP_TRY(impl_->trust, net::trust_ca(impl_->target.ca_pem));
  impl_->dial();
  return {};
}

void SyncDriver::local_change() {
  if (!impl_->session) return;
  impl_->emit(impl_->session->on_local_change(impl_->clocks.read()));
}

void SyncDriver::dial_now() { impl_->dial(); }

void SyncDriver::stop(std::function<void()> done) {
  impl_->stopping = true;
  impl_->retry.cancel();
  if (!impl_->stream && !impl_->dialling) return done();
  impl_->on_stopped = std::move(done);
  if (impl_->stream)
    impl_->close_stream("the agent stops");
  else
    impl_->give_up_dialling();
}

const Progress& SyncDriver::progress() const { return impl_->progress; }
const std::optional<sync::HubAnchor>& SyncDriver::anchor() const { return impl_->session_anchor; }

}  // namespace fieldpost::agent

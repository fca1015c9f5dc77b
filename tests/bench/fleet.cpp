#include "tests/bench/fleet.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>

#include "keys/clock.h"
#include "keys/random.h"
#include "net/client.h"
#include "schema/document.h"
#include "schema/registry.h"
#include "storage/kv_agent_store.h"
#include "storage/memory_kv.h"
#include "sync/agent_session.h"
#include "sync/backoff.h"
#include "sync/recorder.h"
#include "tests/bench/workload.h"

namespace fieldpost::bench {

namespace {

constexpr std::uint64_t kFleetSeed = 50'000;
constexpr std::uint64_t kDeliverySeed = 77'000;

crypto::SymmetricKey store_key(const RandomSource& random) {
  crypto::SymmetricKey key;
  random(key.bytes);
  return key;
}

/// What the agents of one thread share.
struct Shared {
  RandomSource random = keys::system_random();
  storage::SealingCodec codec{store_key(random),
                              wire::Dictionary::v1(wire::Dictionary::kStoreLevel), random};
  wire::Compressor compressor{wire::Dictionary::v1()};
  schema::Registry registry = need(schema::Registry::load(embedded_schemas()));
  std::uint64_t boot = need(keys::boot_id());
  std::shared_ptr<const net::TlsTrust> trust;
  std::uint16_t port = 0;
  std::string failure;
  sync::TimeReading now() const { return {keys::system_now(), boot, keys::monotonic_ms()}; }
};

class Agent : public std::enable_shared_from_this<Agent> {
 public:
  Agent(Shared& shared, const agent::Identity& identity)
      : shared_(shared),
        unit_(identity.unit),
        name_(identity.device_name),
        identity_{identity.device(),
                  crypto::signing_key(identity.device_seed),
                  identity.hub,
                  "bench",
                  Hash{},
                  {}},
        kv_(storage::kAgentTables) {
    store_ = need(storage::open_agent_store(kv_, shared.codec));
    need(sync::ensure_actor(*store_, identity.hub, identity_.device, shared.random));
  }

  void record(const nlohmann::json& document) {
    sync::EditRequest request;
    request.record = need(record_id_from_text(document["id"].get<std::string>()));
    request.type = document["type"].get<std::string>();
    request.unit = document["unit"].get<std::string>();
    request.author = document["author"].get<std::string>();
    schema::EditOptions options;
    options.author = request.author;
    request.edits = need(
        schema::edits_from_document(shared_.registry, request.type, document, nullptr, options));
    model::ChangeTimes times;
    times.wall = keys::system_now();
    sync::ChangeBatch batch(*store_, times, shared_.random);
    need(batch.add(request));
    need(batch.commit());
  }

  void dial(boost::asio::io_context& context) {
    if (start_ == Clock::time_point{}) start_ = Clock::now();
    ++attempts_;
    net::ClientTarget target;
    target.host = "127.0.0.1";
    target.port = shared_.port;
    target.trust = shared_.trust;
    target.handshake_timeout_ms = 60'000;
    target.connect_timeout_ms = 60'000;
    net::connect_stream(context.get_executor(), target, [self = shared_from_this()](auto made) {
      if (!made) return self->ended(made.error().message());
      self->opened(*made);
    });
  }

  void come_back(boost::asio::io_context& context) {
    retry_.emplace(context);
    context_ = &context;
    attempts_ = 0;
  }
  std::size_t attempts() const { return attempts_; }

  void send_new() { emit(session_->on_local_change(shared_.now())); }
  bool settled() const { return live() && store_->state().waiting == 0; }
  bool live() const { return session_ && session_->phase() == sync::AgentSession::Phase::live; }
  bool in_sync() const { return live() && session_->in_sync(); }
  double settled_s() const { return settled_s_; }
  void abort() {
    retry_.reset();
    if (stream_) stream_->abort();
    stream_.reset();
  }
  const std::string& unit() const { return unit_; }
  const std::string& name() const { return name_; }
  /// When this store first held the record awaited.
  std::optional<Clock::time_point> arrived;
  RecordId awaited;

 private:
  void opened(std::shared_ptr<net::MessageStream> stream) {
    stream_ = std::move(stream);
    session_.emplace(identity_, *store_, shared_.compressor, stream_->channel_binding(),
                     shared_.random, link_);
    net::MessageStream::Handlers handlers;
    handlers.on_message = [self = shared_from_this()](Bytes&& frame) { self->message(frame); };
    handlers.on_closed = [self = shared_from_this()](const Error& error) {
      if (self->stream_) self->ended(error.message());
    };
    stream_->start(std::move(handlers));
  }

  void message(const Bytes& frame) {
    if (!stream_) return;  // let go of already
    if (!session_) return;
    emit(session_->on_frame(shared_.now(), {}, frame));
    if (!session_) return;
    if (session_->progressed()) backoff_.succeeded();
    if (settled_s_ == 0 && settled()) settled_s_ = seconds_since(start_);
    if (!awaited.is_zero() && !arrived && need(store_->load(awaited))) arrived = Clock::now();
  }

  void emit(sync::AgentOutput out) {
    for (Bytes& one : out.frames) stream_->send(std::move(one));
    if (!out.close) return;
    if (!retry_) return fail(out.close->message());
    stream_->close(net::CloseCode::normal, "");
  }

  /// The connection, or the attempt at one, is over.
  void ended(const std::string& why) {
    if (!retry_) return fail(why);
    if (session_) session_->on_closed();
    session_.reset();
    stream_.reset();
    retry_->expires_after(std::chrono::milliseconds(backoff_.next_ms(shared_.random)));
    retry_->async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      const auto self = weak.lock();
      if (!self || cancelled || !self->retry_) return;
      self->dial(*self->context_);
    });
  }

  void fail(const std::string& why) {
    if (shared_.failure.empty()) shared_.failure = name_ + ": " + why;
  }

  Shared& shared_;
  std::string unit_;
  std::string name_;
  sync::AgentIdentity identity_;
  storage::MemoryKv kv_;
  std::unique_ptr<storage::AgentStore> store_;
  sync::LinkEstimate link_;
  std::optional<sync::AgentSession> session_;
  std::shared_ptr<net::MessageStream> stream_;
  sync::Backoff backoff_;
  std::optional<boost::asio::steady_timer> retry_;  ///< there: it comes back by itself
  boost::asio::io_context* context_ = nullptr;
  std::size_t attempts_ = 0;
  Clock::time_point start_{};
  double settled_s_ = 0;
};

}  // namespace

/// One thread's agents.
class Fleet::Lane {
 public:
  Lane(std::span<const agent::Identity> identities, std::uint16_t port) {
    shared_.trust = need(net::trust_ca(identities.front().ca_pem));
    shared_.port = port;
    for (const auto& identity : identities)
      agents_.push_back(std::make_shared<Agent>(shared_, identity));
  }
  ~Lane() {
    for (const auto& agent : agents_) agent->abort();
    context_.restart();
    context_.run_for(std::chrono::seconds(2));
  }

  std::vector<std::shared_ptr<Agent>>& agents() { return agents_; }
  bool all(const std::function<bool(const Agent&)>& holds) const {
    return std::all_of(agents_.begin(), agents_.end(),
                       [&](const auto& agent) { return holds(*agent); });
  }
  void come_back() {
    for (const auto& agent : agents_) agent->come_back(context_);
  }
  void dial() {
    for (const auto& agent : agents_) agent->dial(context_);
  }
  void run_until(const std::function<bool()>& done, std::chrono::seconds patience,
                 const char* what) {
    const auto end = Clock::now() + patience;
    context_.restart();
    while (!done()) {
      if (!shared_.failure.empty())
        throw std::runtime_error(std::string(what) + ": " + shared_.failure);
      if (Clock::now() > end) throw std::runtime_error(std::string(what) + ": not done in time");
      // In turns of a few milliseconds: `done` walks over all agents.
      if (context_.run_for(std::chrono::milliseconds(5)) == 0) context_.restart();
    }
  }

 private:
  Shared shared_;
  boost::asio::io_context context_{1};
  std::vector<std::shared_ptr<Agent>> agents_;
};

Fleet::Fleet(const std::vector<agent::Identity>& identities, std::uint16_t port) {
  // The tablets of one unit stand side by side: an even cut keeps them on one thread.
  const std::size_t half = identities.size() / 4 * 2;
  const std::span all(identities);
  lanes_.push_back(std::make_unique<Lane>(all.first(half), port));
  lanes_.push_back(std::make_unique<Lane>(all.subspan(half), port));
}

Fleet::~Fleet() = default;

void Fleet::each(const std::function<void(Lane&)>& work) {
  std::vector<std::future<void>> running;
  running.reserve(lanes_.size());
  for (const auto& lane : lanes_)
    running.push_back(std::async(std::launch::async, [&work, &lane] { work(*lane); }));
  for (auto& one : running) one.wait();
  for (auto& one : running) one.get();
}

void Fleet::prepare(std::size_t count) {
  each([&](Lane& lane) {
    const std::uint64_t first = kFleetSeed + (&lane == lanes_[0].get() ? 0 : 10'000);
    for (std::size_t i = 0; i < lane.agents().size(); ++i) {
      WorkloadOptions options;
      options.seed = first + i;
      options.unit = lane.agents()[i]->unit();
      options.device = lane.agents()[i]->name();
      Workload workload(options);
      for (std::size_t n = 0; n < count; ++n) lane.agents()[i]->record(workload.mixed());
    }
  });
}

std::vector<double> Fleet::connect_and_push() {
  constexpr auto kPatience = std::chrono::seconds(120);
  each([&](Lane& lane) {
    lane.dial();
    lane.run_until([&] { return lane.all([](const Agent& a) { return a.settled(); }); }, kPatience,
                   "the fleet's push");
  });
  std::vector<double> times;
  for (const auto& lane : lanes_) {
    for (const auto& agent : lane->agents()) times.push_back(agent->settled_s());
  }
  // What the agents of one unit have for each other.
  each([&](Lane& lane) {
    lane.run_until([&] { return lane.all([](const Agent& a) { return a.in_sync(); }); }, kPatience,
                   "the fleet's sync");
  });
  return times;
}

std::vector<double> Fleet::deliver_one() {
  WorkloadOptions options;
  options.seed = ++delivered_ + kDeliverySeed;
  Agent& author = *lanes_[0]->agents()[0];
  options.unit = author.unit();
  const auto document = Workload(options).stop();
  const RecordId id = need(record_id_from_text(document["id"].get<std::string>()));
  for (const auto& lane : lanes_) {
    for (const auto& agent : lane->agents()) {
      agent->awaited = id;
      agent->arrived.reset();
    }
  }
  author.record(document);
  const auto start = Clock::now();
  author.arrived = start;
  each([&](Lane& lane) {
    if (&lane == lanes_[0].get()) author.send_new();
    lane.run_until([&] { return lane.all([](const Agent& a) { return a.arrived.has_value(); }); },
                   std::chrono::seconds(30), "the delivery");
  });
  std::vector<double> times;
  for (const auto& lane : lanes_) {
    for (const auto& agent : lane->agents()) {
      agent->awaited = {};
      if (agent.get() != &author) times.push_back(1000 * seconds_between(start, *agent->arrived));
    }
  }
  return times;
}

void Fleet::come_back_by_themselves() {
  each([](Lane& lane) { lane.come_back(); });
}

void Fleet::until_all_in_sync(const std::function<void()>& meanwhile) {
  std::atomic<bool> done{false};
  auto agents = std::async(std::launch::async, [&] {
    each([&](Lane& lane) {
      lane.run_until(
          [&] {
            return done && lane.all([](const Agent& a) { return a.attempts() > 0 && a.in_sync(); });
          },
          std::chrono::seconds(180), "the fleet's return");
    });
  });
  // On the caller's thread: a process that it starts ends with the thread that started it.
  meanwhile();
  done = true;
  agents.get();
}

std::size_t Fleet::attempts() const {
  std::size_t total = 0;
  for (const auto& lane : lanes_) {
    for (const auto& agent : lane->agents()) total += agent->attempts();
  }
  return total;
}

void Fleet::idle(std::chrono::seconds how_long) {
  const auto end = Clock::now() + how_long;
  each([&](Lane& lane) {
    lane.run_until([&] { return Clock::now() >= end; }, how_long + std::chrono::seconds(30),
                   "an idle fleet");
  });
}

std::size_t Fleet::live() const {
  std::size_t total = 0;
  for (const auto& lane : lanes_) {
    for (const auto& agent : lane->agents()) total += agent->live() ? 1 : 0;
  }
  return total;
}

}  // namespace fieldpost::bench

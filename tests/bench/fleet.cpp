#include "tests/bench/fleet.h"

#include <boost/asio/steady_timer.hpp>

#include "keys/clock.h"
#include "keys/random.h"
#include "net/client.h"
#include "schema/document.h"
#include "schema/registry.h"
#include "storage/kv_agent_store.h"
#include "storage/memory_kv.h"
#include "sync/agent_session.h"
#include "sync/recorder.h"
#include "tests/bench/workload.h"

namespace fieldpost::bench {

namespace {

constexpr std::uint64_t kFleetSeed = 50'000;

crypto::SymmetricKey store_key(const RandomSource& random) {
  crypto::SymmetricKey key;
  random(key.bytes);
  return key;
}

}  // namespace

struct Fleet::Shared {
  RandomSource random = keys::system_random();
  storage::SealingCodec codec{store_key(random), wire::Dictionary::v1(), random};
  wire::Compressor compressor{wire::Dictionary::v1()};
  schema::Registry registry = need(schema::Registry::load(embedded_schemas()));
  std::uint64_t boot = need(keys::boot_id());
  std::shared_ptr<const net::TlsTrust> trust;
  std::uint16_t port = 0;
  std::string failure;
  sync::TimeReading now() const { return {keys::system_now(), boot, keys::monotonic_ms()}; }
};

class Fleet::Agent : public std::enable_shared_from_this<Fleet::Agent> {
 public:
  Agent(Shared& shared, const agent::Identity& identity)
      : shared_(shared),
        unit_(identity.unit),
        name_(identity.device_name),
        identity_{identity.device(), crypto::signing_key(identity.device_seed), identity.hub,
                  "bench", Hash{}},
        kv_(6) {
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
    start_ = Clock::now();
    net::ClientTarget target;
    target.host = "127.0.0.1";
    target.port = shared_.port;
    target.trust = shared_.trust;
    target.handshake_timeout_ms = 60'000;
    target.connect_timeout_ms = 60'000;
    net::connect_stream(context.get_executor(), target, [self = shared_from_this()](auto made) {
      if (!made) return self->fail(made.error().message());
      self->opened(*made);
    });
  }

  void send_new() { emit(session_->on_local_change(shared_.now())); }
  bool settled() const { return live() && store_->state().waiting == 0; }
  bool live() const { return session_ && session_->phase() == sync::AgentSession::Phase::live; }
  bool in_sync() const { return live() && session_->in_sync(); }
  double settled_s() const { return settled_s_; }
  void abort() {
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
      if (self->stream_) self->fail(error.message());
    };
    stream_->start(std::move(handlers));
  }

  void message(const Bytes& frame) {
    if (!stream_) return;  // let go of already
    emit(session_->on_frame(shared_.now(), {}, frame));
    if (settled_s_ == 0 && settled()) settled_s_ = seconds_since(start_);
    if (!awaited.is_zero() && !arrived && need(store_->load(awaited))) arrived = Clock::now();
  }

  void emit(sync::AgentOutput out) {
    for (Bytes& one : out.frames) stream_->send(std::move(one));
    if (out.close) fail(out.close->message());
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
  Clock::time_point start_;
  double settled_s_ = 0;
};

Fleet::Fleet(const std::vector<agent::Identity>& identities, std::uint16_t port)
    : shared_(std::make_unique<Shared>()) {
  shared_->trust = need(net::trust_ca(identities.front().ca_pem));
  shared_->port = port;
  for (const auto& identity : identities)
    agents_.push_back(std::make_shared<Agent>(*shared_, identity));
}

Fleet::~Fleet() {
  for (const auto& agent : agents_) agent->abort();
  context_.restart();
  context_.run_for(std::chrono::seconds(2));
}

void Fleet::prepare(std::size_t count) {
  for (std::size_t i = 0; i < agents_.size(); ++i) {
    WorkloadOptions options;
    options.seed = kFleetSeed + i;
    options.unit = agents_[i]->unit();
    options.device = agents_[i]->name();
    Workload workload(options);
    for (std::size_t n = 0; n < count; ++n) agents_[i]->record(workload.mixed());
  }
}

void Fleet::run_until(const std::function<bool()>& done, std::chrono::seconds patience,
                      const char* what) {
  const auto end = Clock::now() + patience;
  context_.restart();
  while (!done()) {
    if (!shared_->failure.empty())
      throw std::runtime_error(std::string(what) + ": " + shared_->failure);
    if (Clock::now() > end) throw std::runtime_error(std::string(what) + ": not done in time");
    // In turns of a few milliseconds: `done` walks over a thousand agents.
    if (context_.run_for(std::chrono::milliseconds(5)) == 0) context_.restart();
  }
}

std::vector<double> Fleet::connect_and_push() {
  for (const auto& agent : agents_) agent->dial(context_);
  run_until(
      [&] {
        return std::all_of(agents_.begin(), agents_.end(),
                           [](const auto& a) { return a->settled(); });
      },
      std::chrono::seconds(120), "the fleet's push");
  std::vector<double> times;
  for (const auto& agent : agents_) times.push_back(agent->settled_s());
  // What the agents of one unit have for each other.
  run_until(
      [&] {
        return std::all_of(agents_.begin(), agents_.end(),
                           [](const auto& a) { return a->in_sync(); });
      },
      std::chrono::seconds(120), "the fleet's sync");
  return times;
}

std::vector<double> Fleet::deliver_one() {
  static std::uint64_t seed = 77'000;
  WorkloadOptions options;
  options.seed = ++seed;
  options.unit = agents_[0]->unit();
  const auto document = Workload(options).stop();
  const RecordId id = need(record_id_from_text(document["id"].get<std::string>()));
  for (const auto& agent : agents_) {
    agent->awaited = id;
    agent->arrived.reset();
  }
  agents_[0]->record(document);
  const auto start = Clock::now();
  agents_[0]->send_new();
  run_until(
      [&] {
        return std::all_of(agents_.begin() + 1, agents_.end(),
                           [](const auto& a) { return a->arrived.has_value(); });
      },
      std::chrono::seconds(30), "the delivery");
  std::vector<double> times;
  for (std::size_t i = 1; i < agents_.size(); ++i) {
    times.push_back(1000 * seconds_between(start, *agents_[i]->arrived));
    agents_[i]->awaited = {};
  }
  return times;
}

void Fleet::idle(std::chrono::seconds how_long) {
  const auto end = Clock::now() + how_long;
  run_until([&] { return Clock::now() >= end; }, how_long + std::chrono::seconds(30),
            "an idle fleet");
}

std::size_t Fleet::live() const {
  return static_cast<std::size_t>(
      std::count_if(agents_.begin(), agents_.end(), [](const auto& a) { return a->live(); }));
}

}  // namespace fieldpost::bench

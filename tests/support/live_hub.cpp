#include "tests/support/live_hub.h"

#include <stdexcept>

#include "keys/clock.h"
#include "keys/random.h"

namespace fieldpost::test {

namespace asio = boost::asio;

namespace {

void must(const Status& status, const char* what) {
  if (!status) throw std::runtime_error(std::string(what) + ": " + status.error().message());
}
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message());
  return *std::move(result);
}

}  // namespace

/// Passes everything on, and says when pushes are committed.
class LiveHub::HookedStore final : public storage::HubStore {
 public:
  HookedStore(LiveHub& hub, storage::HubStore& store) : hub_(hub), store_(store) {}

  const storage::HubIdentity& identity() const override { return store_.identity(); }
  std::unique_ptr<storage::HubReader> reader() const override { return store_.reader(); }
  Result<std::vector<storage::BatchResult>> apply(
      const std::vector<storage::IncomingBatch>& batches) override {
    if (hub_.before_commit && !hub_.before_commit())
      return fail(Errc::store_failed, "the process was killed");
    auto results = store_.apply(batches);
    if (hub_.after_commit) hub_.after_commit();
    return results;
  }
  Status put_unit(const storage::Unit& unit) override { return store_.put_unit(unit); }
  Status put_device(const storage::Device& device) override { return store_.put_device(device); }
  Status note_contacts(const std::vector<storage::Device>& devices) override {
    return store_.note_contacts(devices);
  }
  Result<storage::Device> move_device(const DeviceId& id, const std::string& unit,
                                      Instant now) override {
    return store_.move_device(id, unit, now);
  }
  Status put_invitation(const storage::Invitation& invitation) override {
    return store_.put_invitation(invitation);
  }
  Result<storage::Device> enrol(const Hash& code, const DeviceId& device, Instant now) override {
    return store_.enrol(code, device, now);
  }
  Status confirm(const std::vector<wire::Confirm::Item>& items) override {
    return store_.confirm(items);
  }
  Result<storage::RepairReport> repair(const std::vector<storage::StoredPlace>& places,
                                       Instant now) override {
    return store_.repair(places, now);
  }
  Result<storage::BatchResult> rule(const RulingInput& input, ActorId hub_actor,
                                    const SignHead& sign) override {
    return store_.rule(input, hub_actor, sign);
  }
  Result<storage::BatchResult> edit(const HubEdit& edit, ActorId hub_actor,
                                    const SignHead& sign) override {
    return store_.edit(edit, hub_actor, sign);
  }
  Result<Staging> stage_within(const std::vector<storage::StagedState>& states,
                               std::uint64_t device_bytes_max) override {
    return store_.stage_within(states, device_bytes_max);
  }
  Result<storage::BatchResult> recover(const RecoveryInput& input, ActorId hub_actor,
                                       const SignHead& sign) override {
    return store_.recover(input, hub_actor, sign);
  }
  Status stopped() override { return store_.stopped(); }
  Status doubt() override { return store_.doubt(); }
  Status put_backed_up(const storage::ActorHeads& heads, BackedUp how) override {
    return store_.put_backed_up(heads, how);
  }

 private:
  LiveHub& hub_;
  storage::HubStore& store_;
};

LiveHub::LiveHub(std::uint64_t seed) : dice_(seed), path_(dir_ / "hub") {
  must(crypto::init() ? Status{} : fail(Errc::io, "libsodium"), "crypto");
  // Certificates are judged by the system's clock on the first dial: the hub's begins there, and then
  // moves only when it is read.
  base_ms_ = keys::system_now().ms;
  hub::Settings settings;
  settings.name = "hub.example";
  must(hub::init(path_, settings, keys::system_random(), Instant{base_ms_}), "init");
  keys_ = must(hub::load_keys(path_), "keys");
}

LiveHub::~LiveHub() {
  if (running()) kill();
}

HubId LiveHub::id() const { return must(HubId::from(keys_.signing.public_key.view()), "hub id"); }
Instant LiveHub::now() { return Instant{base_ms_ + ++passed_ms_}; }

void LiveHub::start() {
  const RandomSource random = [this](std::span<std::uint8_t> bytes) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice_.next());
  };
  open_ = must(hub::open_stores(path_, keys_, random), "stores");
  reader_ = open_.front().store->reader();
  context_ = std::make_unique<asio::io_context>(1);
  work_.emplace(context_->get_executor());
  std::vector<hub::StoreParts> parts;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    stores_.push_back(std::make_unique<HookedStore>(*this, *open_[i].store));
    writers_.push_back(std::make_unique<hub::Writer>(
        *stores_[i],
        [this, i](hub::Writer::FeedEnds ends) { sync_->feed_moved(i, std::move(ends)); },
        [this, i](const std::vector<model::Dot>& changes) { sync_->outcomes(i, changes); }));
    parts.push_back({open_[i].name, stores_[i].get(), writers_[i].get(), {}});
  }
  sync_ = std::make_unique<hub::SyncService>(
      std::vector<asio::io_context*>{context_.get()}, parts, keys_.signing,
      [](const model::Change&) { return std::optional<wire::ChangeException>{}; }, random,
      [this] { return now(); });
  net::ServerConfig config;
  config.port = port_;
  config.stream_idle_timeout_ms = silence_ms;
  server_ = std::make_unique<net::HttpsServer>(
      std::vector<asio::io_context*>{context_.get()}, config,
      net::TlsServerConfig{keys_.server_pem, keys_.server_key_pem},
      [](const net::HttpRequest&, const net::Responder& respond) {
        respond(net::error_response(404, "not_found", "nothing but sync here"));
      },
      [this](std::shared_ptr<net::MessageStream> stream, const asio::any_io_executor& executor) {
        sync_->accept(std::move(stream), executor);
      });
  must(server_->start(), "server");
  port_ = server_->port();
  thread_ = std::thread([this] { context_->run(); });
}

void LiveHub::stop() {
  for (const auto& writer : writers_) writer->stop();
  server_->stop();
  work_.reset();
  thread_.join();
  take_down();
}

void LiveHub::kill() {
  fall_silent();
  thread_.join();
  // Their answers go to a context that runs no more: nobody hears them.
  for (const auto& writer : writers_) writer->stop();
  work_.reset();
  take_down();
}

void LiveHub::fall_silent() { context_->stop(); }

void LiveHub::take_down() {
  server_.reset();
  sync_.reset();
  writers_.clear();
  stores_.clear();
  context_.reset();
  reader_.reset();
  open_.clear();
}

void LiveHub::add_unit(const std::string& code) {
  writers_.front()->run([&](storage::HubStore& store) {
    must(store.put_unit({code, "Unit " + code, "enforcement"}), "unit");
  });
}

void LiveHub::add_device(const DeviceId& id, const std::string& name, const std::string& unit) {
  storage::Device device;
  device.id = id;
  device.name = name;
  device.unit = unit;
  device.enrolled = now();
  writers_.front()->run(
      [&](storage::HubStore& store) { must(store.put_device(device), "device"); });
}

}  // namespace fieldpost::test

#include "tests/bench/tablet.h"

#include "keys/secret_file.h"
#include "tests/bench/hub_process.h"

namespace fieldpost::bench {

namespace asio = boost::asio;

namespace {

constexpr auto kPatience = std::chrono::seconds(180);
constexpr std::size_t kRowsAtOnce = 500;

}  // namespace

Tablet::Tablet(const agent::Identity& identity)
    : data_{directory_.path() / "agent"}, identity_(identity) {
  need(keys::make_private_directory(data_.path));
  need(agent::save_identity(data_, identity_));
  app_ = need(agent::App::open({data_, 420}));
  make_desk();
}

Tablet::~Tablet() = default;

/// The desk of App answers HTTP only; this one is made of the same parts.
void Tablet::make_desk() {
  agent::Desk::Parts parts;
  parts.identity = &identity_;
  parts.store = &app_->store();
  parts.registry = need(agent::load_registry(data_));
  parts.random = app_->random();
  parts.clock = [this] { return app_->read_clock(); };
  desk_ = std::make_unique<agent::Desk>(std::move(parts));
}

void Tablet::import(const std::vector<nlohmann::json>& documents) {
  for (std::size_t at = 0; at < documents.size(); at += kRowsAtOnce) {
    nlohmann::json rows = nlohmann::json::array();
    for (std::size_t i = at; i < std::min(documents.size(), at + kRowsAtOnce); ++i) {
      rows.push_back({{"line", i + 1}, {"document", documents[i]}});
    }
    const std::size_t sent = rows.size();
    const auto done = need(desk_->import_rows(rows, "", {}));
    if (done.body["added"] != sent)
      throw std::runtime_error("the workload was not taken whole: " +
                               done.body.dump().substr(0, 2000));
  }
}

void Tablet::close() {
  desk_.reset();
  app_.reset();
}

std::uint64_t Tablet::disk_bytes() const { return bench::disk_bytes(data_.store()); }

Tablet::Moments Tablet::sync(const std::function<void()>& at_ack,
                             const std::function<void()>& at_sync) {
  asio::io_context store_side(1);
  asio::io_context network(1);
  auto store_work = asio::make_work_guard(store_side);
  auto network_work = asio::make_work_guard(network);
  Moments moments;
  std::string last_error;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  agent::SyncDriver* driver_seen = nullptr;
  const auto look = [&] {
    const auto& progress = driver_seen->progress();
    const std::lock_guard lock(mutex);
    if (!progress.last_error.empty()) last_error = progress.last_error;
    moments.pushed_bytes = progress.pushed_bytes;
    moments.lost_bytes = progress.lost_bytes;
    if (!moments.acknowledged && progress.online && store().state().waiting == 0) {
      moments.acknowledged = Clock::now();
      if (at_ack) at_ack();
    }
    if (!moments.in_sync && progress.in_sync) {
      moments.in_sync = Clock::now();
      if (at_sync) at_sync();
      changed.notify_all();
    }
  };
  auto driver = std::make_unique<agent::SyncDriver>(
      store_side, network, app_->sync_identity(), app_->sync_target(), app_->store(),
      app_->random(),
      agent::SyncDriver::Clocks{[this] { return app_->read_clock(); },
                                [] { return sync::DeviceFacts{}; }},
      look);
  driver_seen = driver.get();
  std::thread network_thread([&] { network.run(); });
  moments.start = Clock::now();
  std::thread store_thread([&] {
    need(driver->start());
    store_side.run();
  });
  {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, kPatience, [&] { return moments.in_sync.has_value(); });
  }
  asio::post(store_side, [&] {
    driver->stop([&] {
      const std::lock_guard lock(mutex);
      stopped = true;
      changed.notify_all();
    });
  });
  {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(10), [&] { return stopped; });
  }
  store_side.stop();
  network.stop();
  store_thread.join();
  network_thread.join();
  driver.reset();
  if (!moments.in_sync) throw std::runtime_error("a tablet did not come in sync: " + last_error);
  return moments;
}

}  // namespace fieldpost::bench

#include "tests/bench/hub_process.h"

#include <boost/asio/post.hpp>
#include <fstream>
#include <future>
#include <sys/stat.h>

#include "keys/clock.h"
#include "keys/random.h"
#include "tests/bench/need.h"

namespace fieldpost::bench {

namespace {

/// The authority's word on whom a unit's visits are sealed to, as `health accept` would have stored it.
agent::HealthKeys health_keys(const std::string& unit, const RandomSource& random) {
  crypto::Seed authority_seed;
  crypto::Seed box_seed;
  crypto::Seed unit_seed;
  for (auto* seed : {&authority_seed, &box_seed, &unit_seed}) random(seed->bytes);
  const auto authority = crypto::signing_key(authority_seed);
  agent::HealthKeys keys;
  keys.recipients.unit = unit;
  keys.recipients.authority = authority.public_key;
  keys.recipients.authority_box = crypto::box_key_pair(box_seed).public_key;
  keys.recipients.unit_box = crypto::box_key_pair(unit_seed).public_key;
  agent::sign_recipients(authority, keys.recipients);
  keys.unit_keys.push_back({1, unit_seed});
  return keys;
}

}  // namespace

std::uint64_t disk_bytes(const std::filesystem::path& directory) {
  std::uint64_t total = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
      total += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return total;
}

HubProcess::HubProcess() : work_(boost::asio::make_work_guard(context_)), proxy_(context_, 9) {
  hub::Settings settings;
  settings.name = "127.0.0.1";
  settings.listen = "127.0.0.1";
  settings.port = 0;
  settings.log_level = "warn";
  need(hub::init(directory_.path() / "hub", settings, keys::system_random(), keys::system_now()));
  keys_ = need(hub::load_keys(directory_.path() / "hub"));
  thread_ = std::thread([this] { context_.run(); });
}

HubProcess::~HubProcess() {
  stop();
  work_.reset();
  context_.stop();
  thread_.join();
}

agent::Identity HubProcess::identity(const std::string& name, const std::string& unit,
                                     const std::string& compartment) {
  const RandomSource random = keys::system_random();
  agent::Identity made;
  made.host = "127.0.0.1";
  made.port = proxy_.port();
  made.server_name = "127.0.0.1";
  made.ca_pem = keys_.ca_pem;
  made.hub = need(HubId::from(keys_.signing.public_key.view()));
  random(made.device_seed.bytes);
  random(made.box_seed.bytes);
  made.device_name = name;
  made.unit = unit;
  made.compartment = compartment;
  if (compartment == "health") made.health = health_keys(unit, random);
  storage::Device device;
  device.id = made.device();
  device.name = name;
  device.unit = unit;
  device.enrolled = keys::system_now();
  devices_.push_back(device);
  const bool known =
      std::any_of(units_.begin(), units_.end(), [&](const auto& u) { return u.code == unit; });
  if (!known) units_.push_back({unit, unit, compartment});
  return made;
}

agent::Identity HubProcess::admit(const std::string& name, const std::string& unit,
                                  const std::string& compartment) {
  return identity(name, unit, compartment);
}

std::vector<agent::Identity> HubProcess::admit_fleet(
    std::size_t count, const std::function<std::string(std::size_t)>& unit_of) {
  std::vector<agent::Identity> all;
  for (std::size_t i = 0; i < count; ++i)
    all.push_back(identity("F" + std::to_string(i), unit_of(i), "enforcement"));
  return all;
}

void HubProcess::start() {
  const auto data = directory_.path() / "hub";
  {
    auto stores = need(hub::open_stores(data, keys_, keys::system_random()));
    for (const storage::Unit& unit : units_)
      need(stores[unit.compartment == "health" ? 1 : 0].store->put_unit(unit));
    for (const storage::Device& device : devices_) {
      const auto unit = std::find_if(units_.begin(), units_.end(),
                                     [&](const auto& u) { return u.code == device.unit; });
      need(stores[unit->compartment == "health" ? 1 : 0].store->put_device(device));
    }
  }
  await_start();
}

void HubProcess::restart() {
  stop();
  await_start();
}

void HubProcess::await_start() {
  const auto data = directory_.path() / "hub";
  child_ = std::make_unique<Child>(
      "hub/fieldpost-hub",
      std::vector<std::string>{"--data", data.string(), "run", "--port", std::to_string(port_)},
      (directory_.path() / "hub.log").string());
  for (int i = 0; i < 400; ++i) {
    const auto found = hub::running(data);
    if (found && found->pid == child_->pid()) {
      port_ = found->port;
      proxy_.set_target(port_);
      return;
    }
    if (!child_->running()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  std::ifstream log(directory_.path() / "hub.log");
  throw std::runtime_error("the hub did not start: " +
                           std::string(std::istreambuf_iterator<char>(log), {}));
}

void HubProcess::stop() { child_.reset(); }

void HubProcess::set_delay(std::chrono::microseconds one_way) {
  std::promise<void> done;
  boost::asio::post(context_, [&] {
    proxy_.set_delay(one_way);
    done.set_value();
  });
  done.get_future().wait();
}

void HubProcess::set_line(std::uint64_t bytes_per_s, std::chrono::milliseconds cut_every) {
  std::promise<void> done;
  boost::asio::post(context_, [&] {
    proxy_.set_rate(bytes_per_s);
    cut_every_ = cut_every;
    cut_.cancel();
    if (cut_every.count() > 0) cut_later();
    done.set_value();
  });
  done.get_future().wait();
}

void HubProcess::cut_later() {
  cut_.expires_after(cut_every_);
  cut_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    proxy_.cut_all();
    cut_later();
  });
}

std::uint64_t HubProcess::store_bytes(const std::string& compartment) const {
  return disk_bytes(directory_.path() / "hub" / compartment);
}

}  // namespace fieldpost::bench

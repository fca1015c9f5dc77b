#include "net/registry.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <tuple>

namespace fieldpost::net {
namespace asio = boost::asio;

Registry::Registry(std::size_t strangers_max, std::shared_ptr<ServerCounters> counters)
    : strangers_max_(strangers_max), counters_(std::move(counters)) {}

bool Registry::Rank::operator<(const Rank& other) const {
  return std::tie(other.strangers, oldest, source) <
         std::tie(strangers, other.oldest, other.source);
}

Registry::Source Registry::source_of(const asio::ip::address& address) {
  Source source{};
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    std::copy(bytes.begin(), bytes.end(), source.end() - bytes.size());
    return source;
  }
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return source_of(asio::ip::make_address_v4(asio::ip::v4_mapped, v6));
  constexpr std::size_t kNetworkBytes = 8;
  const auto bytes = v6.to_bytes();
  std::copy_n(bytes.begin(), kNetworkBytes, source.begin());
  return source;
}

void Registry::rank(const Source& source, const std::set<Id>& ids, bool in) {
  if (ids.empty()) return;
  const Rank rank{ids.size(), *ids.begin(), source};
  if (in)
    ranks_.insert(rank);
  else
    ranks_.erase(rank);
}

void Registry::welcome_stranger(Id id, const Source& source) {
  std::set<Id>& ids = strangers_[source];
  rank(source, ids, false);
  ids.insert(id);
  rank(source, ids, true);
  ++counters_->strangers_open;
}

void Registry::forget_stranger(Id id, Entry& entry) {
  if (!entry.stranger) return;
  entry.stranger = false;
  const auto found = strangers_.find(entry.source);
  rank(entry.source, found->second, false);
  found->second.erase(id);
  rank(entry.source, found->second, true);
  if (found->second.empty()) strangers_.erase(found);
  --counters_->strangers_open;
}

void Registry::make_room() {
  const Id oldest = ranks_.begin()->oldest;
  Entry& entry = entries_.at(oldest);
  forget_stranger(oldest, entry);
  entry.dropped = true;
  ++counters_->strangers_dropped;
  if (entry.reach.drop) asio::post(entry.executor, entry.reach.drop);
}

Registry::Id Registry::add(asio::any_io_executor executor, const asio::ip::address& from) {
  const std::lock_guard lock(mutex_);
  ++counters_->connections_open;
  ++counters_->connections_accepted;
  const Source source = source_of(from);
  const Id id = ++last_id_;
  entries_.emplace(id, Entry{std::move(executor), source, {}});
  if (counters_->strangers_open >= strangers_max_) make_room();
  welcome_stranger(id, source);
  return id;
}

bool Registry::reach(Id id, Reach reach) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  found->second.reach = std::move(reach);
  return !found->second.dropped;
}

void Registry::known(Id id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(id); found != entries_.end())
    forget_stranger(id, found->second);
}

void Registry::remove(Id id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  forget_stranger(id, found->second);
  entries_.erase(found);
  --counters_->connections_open;
}

void Registry::stop_all() {
  stopping_ = true;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    if (entry.reach.stop) asio::post(entry.executor, entry.reach.stop);
  }
}

}  // namespace fieldpost::net

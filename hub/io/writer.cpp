#include "hub/io/writer.h"

#include <algorithm>
#include <future>

namespace fieldpost::hub {

Writer::Writer(storage::HubStore& store, FeedNews on_feed)
    : store_(store), on_feed_(std::move(on_feed)), thread_([this] { loop(); }) {}

Writer::~Writer() { stop(); }

void Writer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Status Writer::submit(storage::IncomingBatch batch, Done done) {
  std::size_t bytes = 0;
  for (const storage::IncomingChange& change : batch.changes) bytes += change.frame.size();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::closed, "the hub is stopping");
    if (figures_.mailbox_bytes + bytes > kMailboxBytesMax) {
      return fail(Errc::store_full, "the hub is busy; try again in a moment");
    }
    figures_.mailbox_bytes += bytes;
    mailbox_.push_back({std::move(batch), std::move(done), bytes});
  }
  wake_.notify_one();
  return {};
}

void Writer::run(const Job& job) {
  std::promise<void> finished;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    jobs_.push_back([&] {
      job(store_);
      finished.set_value();
    });
  }
  wake_.notify_one();
  finished.get_future().wait();
}

void Writer::contact(storage::Device device) {
  {
    const std::lock_guard lock(mutex_);
    contacts_[device.id] = std::move(device);
  }
  wake_.notify_one();
}

void Writer::confirm(std::vector<wire::Confirm::Item> items) {
  {
    const std::lock_guard lock(mutex_);
    confirmed_.insert(confirmed_.end(), items.begin(), items.end());
  }
  wake_.notify_one();
}

Writer::Figures Writer::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void Writer::loop() {
  while (true) {
    std::vector<Submitted> batches;
    std::vector<std::function<void()>> jobs;
    std::map<DeviceId, storage::Device> contacts;
    std::vector<wire::Confirm::Item> confirmed;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] {
        return stopping_ || !mailbox_.empty() || !jobs_.empty() || !contacts_.empty() || !confirmed_.empty();
      });
      std::size_t changes = 0;
      std::size_t take = 0;
      while (take < mailbox_.size() && changes < kCommitChangesMax) {
        changes += mailbox_[take].batch.changes.size();
        figures_.mailbox_bytes -= mailbox_[take].bytes;
        ++take;
      }
      const auto end = mailbox_.begin() + static_cast<std::ptrdiff_t>(take);
      batches.assign(std::make_move_iterator(mailbox_.begin()), std::make_move_iterator(end));
      mailbox_.erase(mailbox_.begin(), end);
      jobs.swap(jobs_);
      // Contacts and confirmations wait while records arrive: those come first.
      if (batches.empty() || stopping_) {
        contacts.swap(contacts_);
        confirmed.swap(confirmed_);
      }
      const bool idle = batches.empty() && jobs.empty() && contacts.empty() && confirmed.empty();
      if (stopping_ && idle) return;
    }
    if (!batches.empty()) commit(std::move(batches));
    for (const auto& job : jobs) job();
    if (!contacts.empty() || !confirmed.empty()) commit_side(std::move(contacts), std::move(confirmed));
  }
}

void Writer::commit(std::vector<Submitted> submitted) {
  std::vector<storage::IncomingBatch> batches;
  batches.reserve(submitted.size());
  std::uint64_t changes = 0;
  for (Submitted& one : submitted) {
    changes += one.batch.changes.size();
    batches.push_back(std::move(one.batch));
  }
  auto results = store_.apply(batches);
  if (!results) {
    {
      const std::lock_guard lock(mutex_);
      ++figures_.failures;
    }
    for (const Submitted& one : submitted) one.done(results.error());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    ++figures_.commits;
    figures_.changes += changes;
  }
  std::vector<storage::Touched> touched;
  for (std::size_t i = 0; i < submitted.size(); ++i) {
    touched.insert(touched.end(), (*results)[i].touched.begin(), (*results)[i].touched.end());
    submitted[i].done(std::move((*results)[i]));
  }
  announce(touched);
}

void Writer::announce(const std::vector<storage::Touched>& touched) {
  std::map<std::string, std::uint64_t> ends;
  for (const storage::Touched& one : touched) {
    std::uint64_t& end = ends[one.unit];
    end = std::max(end, one.position_after);
  }
  for (const auto& [unit, end] : ends) on_feed_(unit, end);
}

void Writer::commit_side(std::map<DeviceId, storage::Device> contacts, std::vector<wire::Confirm::Item> confirmed) {
  std::vector<storage::Device> devices;
  devices.reserve(contacts.size());
  for (auto& [id, device] : contacts) devices.push_back(std::move(device));
  // Losing a contact time harms nobody; losing a confirmation only repeats an exception.
  const bool failed = (!devices.empty() && !store_.note_contacts(devices)) ||
                      (!confirmed.empty() && !store_.confirm(confirmed));
  if (failed) {
    const std::lock_guard lock(mutex_);
    ++figures_.failures;
  }
}

}  // namespace fieldpost::hub

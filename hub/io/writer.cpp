#include "hub/io/writer.h"

#include <algorithm>
#include <future>
#include <spdlog/spdlog.h>

namespace fieldpost::hub {

namespace {

/// Faults of the store as a whole: trying the batches one by one would fail for each of them.
bool store_wide(const Error& error) {
  return error.is(Errc::store_full) || error.is(Errc::store_failed) || error.is(Errc::io) ||
         error.is(Errc::closed);
}

Error busy() { return fail(Errc::store_full, "the hub is busy; try again in a moment"); }

std::size_t bytes_of(const storage::IncomingChange& change) {
  std::size_t bytes = change.frame.size();
  if (change.prepared) {
    bytes += change.prepared->log_value.size();
    if (change.prepared->created) bytes += change.prepared->created->bytes.size();
  }
  return bytes;
}

}  // namespace

Writer::Writer(storage::HubStore& store, FeedNews on_feed, OutcomeNews on_outcomes)
    : store_(store),
      on_feed_(std::move(on_feed)),
      on_outcomes_(std::move(on_outcomes)),
      thread_([this] { loop(); }) {}

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
  for (const storage::IncomingChange& change : batch.changes) bytes += bytes_of(change);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::closed, "the hub is stopping");
    if (figures_.mailbox_bytes + bytes > kMailboxBytesMax) return busy();
    figures_.mailbox_bytes += bytes;
    mailbox_.push_back({std::move(batch), std::move(done), bytes});
  }
  wake_.notify_one();
  return {};
}

void Writer::run(const Job& job) {
  // Shared: the writer may still be inside set_value() when the waiter is already gone.
  const auto finished = std::make_shared<std::promise<void>>();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    jobs_.push_back({[this, &job, finished] {
                       job(store_);
                       finished->set_value();
                     },
                     0});
  }
  wake_.notify_one();
  finished->get_future().wait();
}

Status Writer::later(Job job, std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::closed, "the hub is stopping");
    if (figures_.mailbox_bytes + bytes > kMailboxBytesMax) return busy();
    figures_.mailbox_bytes += bytes;
    jobs_.push_back({[this, job = std::move(job)] { job(store_); }, bytes});
  }
  wake_.notify_one();
  return {};
}

void Writer::contact(storage::Device device) {
  const std::lock_guard lock(mutex_);
  storage::Device& waiting = contacts_[device.id];
  storage::ForkNotes forks = waiting.forks;
  forks.add(device.forks);
  device.forks = forks;
  waiting = std::move(device);
  side_waits();
}

void Writer::confirm(std::vector<wire::Confirm::Item> items) {
  const std::lock_guard lock(mutex_);
  const std::size_t room = kConfirmedMax - std::min(kConfirmedMax, confirmed_.size());
  confirmed_.insert(confirmed_.end(), items.begin(),
                    items.begin() + static_cast<std::ptrdiff_t>(std::min(room, items.size())));
  side_waits();
}

void Writer::settle() {
  {
    const std::lock_guard lock(mutex_);
    // When nothing waits, what the thread has taken is written before it takes the job below.
    if (side_since_) side_since_ = Clock::time_point{};
  }
  run([](storage::HubStore&) {});
}

void Writer::side_waits() {
  if (side_since_) return;
  side_since_ = Clock::now();
  wake_.notify_one();  // so that the thread waits no longer than kSideDelay from here
}

Writer::Figures Writer::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

bool Writer::side_due() const {
  return side_since_ && (stopping_ || Clock::now() >= *side_since_ + kSideDelay);
}

void Writer::wait(std::unique_lock<std::mutex>& lock) {
  while (!stopping_ && mailbox_.empty() && jobs_.empty() && !side_due()) {
    if (side_since_)
      wake_.wait_until(lock, *side_since_ + kSideDelay);
    else
      wake_.wait(lock);
  }
}

Writer::Round Writer::take() {
  Round round;
  std::size_t changes = 0;
  std::size_t count = 0;
  while (count < mailbox_.size() && changes < kCommitChangesMax) {
    changes += mailbox_[count].batch.changes.size();
    figures_.mailbox_bytes -= mailbox_[count].bytes;
    ++count;
  }
  const auto end = mailbox_.begin() + static_cast<std::ptrdiff_t>(count);
  round.batches.assign(std::make_move_iterator(mailbox_.begin()), std::make_move_iterator(end));
  mailbox_.erase(mailbox_.begin(), end);
  round.jobs.swap(jobs_);
  for (const Waiting& one : round.jobs) figures_.mailbox_bytes -= one.bytes;
  if (side_due()) {
    round.contacts.swap(contacts_);
    round.confirmed.swap(confirmed_);
    side_since_.reset();
  }
  return round;
}

void Writer::loop() {
  while (true) {
    Round round;
    {
      std::unique_lock lock(mutex_);
      wait(lock);
      round = take();
      if (stopping_ && round.empty()) return;
    }
    if (!round.batches.empty()) commit(std::move(round.batches));
    // Before the jobs: settle() is one, and answers for what came before it.
    commit_side(std::move(round.contacts), round.confirmed);
    for (const Waiting& one : round.jobs) one.job();
  }
}

std::vector<Result<storage::BatchResult>> Writer::apply(
    const std::vector<storage::IncomingBatch>& batches) {
  auto together = store_.apply(batches);
  if (together)
    return {std::make_move_iterator(together->begin()), std::make_move_iterator(together->end())};
  if (batches.size() == 1 || store_wide(together.error())) {
    return std::vector<Result<storage::BatchResult>>(batches.size(), together.error());
  }
  std::vector<Result<storage::BatchResult>> results;
  for (const storage::IncomingBatch& batch : batches) {
    auto alone = store_.apply({batch});
    if (alone)
      results.emplace_back(std::move(alone->front()));
    else
      results.emplace_back(alone.error());
  }
  return results;
}

void Writer::commit(std::vector<Submitted> submitted) {
  std::vector<storage::IncomingBatch> batches;
  batches.reserve(submitted.size());
  for (Submitted& one : submitted) batches.push_back(std::move(one.batch));
  auto results = apply(batches);
  std::vector<storage::Touched> touched;
  std::vector<model::Dot> outcomes;
  std::uint64_t changes = 0;
  std::optional<Error> failed;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) {
      failed = results[i].error();
      continue;
    }
    changes += batches[i].changes.size();
    touched.insert(touched.end(), results[i]->touched.begin(), results[i]->touched.end());
    outcomes.insert(outcomes.end(), results[i]->outcomes.begin(), results[i]->outcomes.end());
  }
  note(failed, changes);
  for (std::size_t i = 0; i < results.size(); ++i) submitted[i].done(results[i]);
  if (on_outcomes_ && !outcomes.empty()) on_outcomes_(outcomes);
  announce_touched(touched);
}

void Writer::note(const std::optional<Error>& error, std::uint64_t changes) {
  const std::lock_guard lock(mutex_);
  if (error) {
    ++figures_.failures;
    // A full or failed store once, not for every push of a fleet that tries again.
    if (!figures_.fault) spdlog::error("a commit failed: {}", error->message());
    if (store_wide(*error)) figures_.fault = *error;
    return;
  }
  if (figures_.fault) spdlog::info("commits succeed again");
  figures_.fault.reset();
  ++figures_.commits;
  figures_.changes += changes;
}

void Writer::announce(const storage::BatchResult& result) {
  if (on_outcomes_ && !result.outcomes.empty()) on_outcomes_(result.outcomes);
  announce_touched(result.touched);
}

void Writer::announce_touched(const std::vector<storage::Touched>& touched) {
  FeedEnds ends;
  for (const storage::Touched& one : touched) {
    std::uint64_t& end = ends[one.unit];
    end = std::max(end, one.position_after);
  }
  if (!ends.empty()) on_feed_(std::move(ends));
}

void Writer::commit_side(std::map<DeviceId, storage::Device>&& contacts,
                         const std::vector<wire::Confirm::Item>& confirmed) {
  std::vector<storage::Device> devices;
  devices.reserve(contacts.size());
  for (auto& [id, device] : contacts) devices.push_back(std::move(device));
  // Losing a contact time harms nobody; losing a confirmation only repeats an exception.
  Status done;
  if (!devices.empty()) done = store_.note_contacts(devices);
  if (done && !confirmed.empty()) done = store_.confirm(confirmed);
  if (!done) note(done.error(), 0);
}

}  // namespace fieldpost::hub

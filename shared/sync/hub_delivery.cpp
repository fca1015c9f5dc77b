// What other tablets must hear of: the feed of each unit, a window of deliveries ahead of their answers.
#include <algorithm>

#include "sync/hub_session.h"

namespace fieldpost::sync {

void HubSession::on_got(Instant now, const wire::Got& got, HubOutput& out) {
  const auto it = feeds_.find(got.unit);
  if (it == feeds_.end())
    return refuse(wire::ErrorCode::not_granted, "a unit that was not delivered", out);
  Feed& feed = it->second;
  if (feed.unanswered.empty() || got.cursor != feed.unanswered.front().cursor) {
    return refuse(wire::ErrorCode::out_of_order, "an answer to a delivery that was not sent", out);
  }
  feed.got = feed.unanswered.front().position;
  const bool others_wait = unanswered_bytes_ >= limits::kDeliverWindowBytes;
  unanswered_bytes_ -= feed.unanswered.front().bytes;
  feed.unanswered.pop_front();
  deliver_bytes_ = std::min(deliver_bytes_ * 2, deliver_bytes_max_);
  feed.own.erase(feed.own.begin(), feed.own.upper_bound(feed.got));
  pump(it->first, feed, out);
  if (others_wait) {
    for (auto& [unit, other] : feeds_) pump(unit, other, out);
  }
  if (!complete()) return;
  device_->last_complete = now;
  tell_contact(out);
}

void HubSession::pump(const std::string& unit, Feed& feed, HubOutput& out) {
  if (withdrawn_waits() || feed.desk_full) return;
  while (!closed_ && !feed.recovering && feed.unanswered.size() < limits::kDeliverWindow &&
         unanswered_bytes_ < limits::kDeliverWindowBytes) {
    if (feed.sent >= feed.known_end && feed.told_caught_up) return;
    // What came from here need not be read to be left out.
    feed.passed = std::max(feed.passed, feed.sent);
    while (feed.passed < feed.known_end && feed.own.contains(feed.passed + 1)) ++feed.passed;
    auto page = here().reader->feed(unit, feed.passed, feed.known_end, deliver_bytes_,
                                    limits::kDeliverStatesMax);
    if (!page)
      return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
    if (page->caught_up) page->end_position = std::max(feed.passed, feed.known_end);
    std::erase_if(page->entries,
                  [&](const storage::FeedEntry& e) { return feed.own.contains(e.position); });
    // Only own changes came: one cursor for all of them, when no more are on their way.
    if (page->entries.empty() && page->caught_up && at_writer_ > 0) return;
    send_page(unit, feed, *page, out);
  }
}

void HubSession::send_page(const std::string& unit, Feed& feed, storage::FeedPage& page,
                           HubOutput& out) {
  Bytes frame;
  Feed::Sent sent;
  for (;;) {
    wire::Deliver deliver;
    deliver.unit = unit;
    for (const storage::FeedEntry& entry : page.entries) {
      if (entry.erased)
        deliver.erased.push_back(entry.record);
      else if (entry.state.size() <= limits::kChunkBytesMax)
        deliver.states.push_back(entry.state);
    }
    std::sort(deliver.erased.begin(), deliver.erased.end());
    auto cursor_or = cursor(unit, page.end_position);
    if (!cursor_or)
      return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
    deliver.cursor = *std::move(cursor_or);
    deliver.caught_up = page.caught_up;
    frame = compressor_.encode_frame(wire::encode_message(deliver));
    sent.cursor = std::move(deliver.cursor);
    if (frame.size() <= limits::kFrameBytesMax || page.entries.size() < 2) break;
    // Sealed values do not compress: send half, and read less from now on.
    page.entries.resize(page.entries.size() / 2);
    page.end_position = page.entries.back().position;
    page.caught_up = false;
    deliver_bytes_max_ = std::max(limits::kFrameBytesMax / 2, deliver_bytes_max_ / 2);
    deliver_bytes_ = std::min(deliver_bytes_, deliver_bytes_max_);
  }
  const std::size_t before = out.frames.size();
  for (const storage::FeedEntry& entry : page.entries) {
    if (entry.state.size() > limits::kChunkBytesMax) send_chunks(unit, entry, out);
  }
  out.frames.push_back(std::move(frame));
  feed.sent = page.end_position;
  if (!page.entries.empty()) feed.news = page.end_position;
  feed.told_caught_up = page.caught_up;
  sent.position = page.end_position;
  for (std::size_t i = before; i < out.frames.size(); ++i) sent.bytes += out.frames[i].size();
  unanswered_bytes_ += sent.bytes;
  feed.unanswered.push_back(std::move(sent));
}

void HubSession::send_chunks(const std::string& unit, const storage::FeedEntry& entry,
                             HubOutput& out) {
  wire::StateChunk chunk;
  chunk.unit = unit;
  chunk.record = entry.record;
  chunk.digest = wire::state_digest(entry.state);
  chunk.total_bytes = entry.state.size();
  for (std::size_t offset = 0; offset < entry.state.size(); offset += limits::kChunkBytesMax) {
    const std::size_t size = std::min(limits::kChunkBytesMax, entry.state.size() - offset);
    chunk.offset = offset;
    chunk.bytes = to_bytes(BytesView(entry.state).subspan(offset, size));
    send(chunk, out);
  }
}

std::vector<std::string> HubSession::units() const { return granted_; }

}  // namespace fieldpost::sync

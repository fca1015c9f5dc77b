// What this tablet holds of records that a hub which was put back asks for.
#include <algorithm>

#include "storage/pack.h"
#include "sync/agent_session.h"

namespace fieldpost::sync {

namespace {

/// Of one answer, uncompressed: well inside a frame.
constexpr std::size_t kAnswerBytes = 128 * 1024;
constexpr std::size_t kSummaryBytes = 40;
constexpr std::size_t kVectorEntryBytes = 18;

}  // namespace

bool AgentSession::send_gap(const storage::OwnActor& own, Sequence from, AgentOutput& out) {
  if (phase_ != Phase::live) return false;
  wire::Gap gap{own.actor, from, own.purged_to, own.purged_hash, {}};
  wire::sign_gap(identity_.key, identity_.device, gap);
  send(gap, out);
  pushed_to_ = model::Dot{own.actor, gap.to};
  Sequence& may_have = hub_may_have_[own.actor];
  may_have = std::max(may_have, gap.to);
  return true;
}

void AgentSession::on_recover(const wire::Recover& recover, AgentOutput& out) {
  // Also of a unit that is no longer granted, as long as it was not forgotten here.
  const bool held = std::any_of(hello_.cursors.begin(), hello_.cursors.end(),
                                [&](const auto& known) { return known.unit == recover.unit; });
  if (!caught_up_.contains(recover.unit) && !held) {
    return stop(
        fail(Errc::unauthorised, "the hub asked for records of a unit this tablet was not granted"),
        out);
  }
  const Status answered =
      recover.records.empty() ? send_summaries(recover.unit, out) : send_states(recover, out);
  if (!answered) stop(answered.error(), out);
}

Status AgentSession::send_summaries(const std::string& unit, AgentOutput& out) {
  wire::Recovered page;
  page.unit = unit;
  std::size_t bytes = 0;
  FP_CHECK_OK(store_.each_base([&](const model::Record& record) -> Status {
    if (record.unit != unit) return {};
    FP_TRY(const Bytes canonical, wire::encode_record(record));
    const std::uint64_t digest = storage::Unpacker(wire::state_digest(canonical).view()).u64();
    const std::size_t size = kSummaryBytes + kVectorEntryBytes * record.vv.size();
    const bool full = bytes + size > kAnswerBytes || page.summaries.size() == limits::kRecoverMax;
    if (full && !page.summaries.empty()) {
      send(page, out);
      page.summaries.clear();
      bytes = 0;
    }
    page.summaries.push_back({record.id, record.vv, digest});
    bytes += size;
    return {};
  }));
  page.last = true;
  send(page, out);
  return {};
}

Status AgentSession::send_large_state(const std::string& unit, const RecordId& id,
                                      const Bytes& state, AgentOutput& out) {
  wire::StateChunk chunk{unit, id, wire::state_digest(state), state.size(), 0, {}};
  for (std::size_t offset = 0; offset < state.size(); offset += limits::kChunkBytesMax) {
    const std::size_t size = std::min(limits::kChunkBytesMax, state.size() - offset);
    chunk.offset = offset;
    chunk.bytes = to_bytes(BytesView(state).subspan(offset, size));
    send(chunk, out);
  }
  return {};
}

Status AgentSession::send_states(const wire::Recover& recover, AgentOutput& out) {
  // The hub lacks something of them: until it says otherwise the screen must not claim that it has them.
  FP_CHECK_OK(store_.note_lost_at_hub(recover.records));
  out.changed = true;
  wire::Recovered page;
  page.unit = recover.unit;
  std::size_t bytes = 0;
  for (const RecordId& id : recover.records) {
    FP_TRY(const auto record, store_.base(id));
    if (!record || record->unit != recover.unit) continue;
    FP_TRY(Bytes state, wire::encode_record(*record));
    if (state.size() > limits::kChunkBytesMax) {
      FP_CHECK_OK(send_large_state(recover.unit, id, state, out));
      continue;
    }
    if (bytes + state.size() > kAnswerBytes && !page.states.empty()) {
      send(page, out);
      page.states.clear();
      bytes = 0;
    }
    bytes += state.size();
    page.states.push_back(std::move(state));
  }
  page.last = true;
  send(page, out);
  return {};
}

}  // namespace fieldpost::sync

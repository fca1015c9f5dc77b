// A tablet says that a part of its chain is gone for good: neither here nor there.
#include <algorithm>

#include "base/limits.h"
#include "sync/hub_session.h"

namespace fieldpost::sync {

Result<bool> HubSession::known_gap(const wire::Gap& gap, Chain& chain, HubOutput& out) {
  if (gap.from > chain.next) {
    if (!chain.rewound) FP_CHECK_OK(rewind_to_durable(gap.actor, chain, out));
    return true;  // in flight since before the rewind
  }
  if (gap.from == chain.next) return false;
  // Sent again after a lost acknowledgement: its end must be on this history.
  std::optional<Hash> end;
  if (gap.to < chain.next) {
    FP_TRY(end, hash_of(gap.actor, gap.to));
    if (!end && chain.at_writer > 0) return true;  // still there: its acknowledgement covers this
  }
  if (!end || *end != gap.hash) {
    return fail(Errc::chain_broken,
                "a gap over changes that this hub has; connect again to hear where it stands");
  }
  if (chain.at_writer > 0) {
    chain.resent_from = std::min(chain.resent_from.value_or(gap.from), gap.from);
    return true;
  }
  const Sequence head{chain.next.value - 1};
  FP_TRY(auto exceptions, here().reader->exceptions(gap.actor, gap.from, head));
  acknowledge(gap.actor, head, std::move(exceptions), out);
  return true;
}

void HubSession::on_gap(Instant now, const wire::Gap& gap, HubOutput& out) {
  const auto it = chains_.find(gap.actor);
  if (it == chains_.end())
    return refuse(wire::ErrorCode::not_granted, "a gap in a chain that the hello did not name",
                  out);
  Chain& chain = it->second;
  if (chain.forked) return;
  if (at_writer_ >= 2 * limits::kWindowPushes)
    return refuse(wire::ErrorCode::busy, "more pushes than the window allows", out);
  if (!wire::verify_gap(device_->id, gap))
    return refuse(wire::ErrorCode::bad_signature, "a gap whose signature does not verify", out);
  // A chain ends where its tablet says that it stands: nobody loses what was never written.
  if (gap.to > chain.claimed)
    return refuse(wire::ErrorCode::chain_broken, "a gap beyond the end of its chain", out);
  const auto known = known_gap(gap, chain, out);
  if (!known) return refuse(wire::ErrorCode::chain_broken, known.error().message(), out);
  if (*known) return;
  storage::IncomingBatch batch;
  batch.device = device_->id;
  batch.actor = gap.actor;
  batch.first = gap.from;
  batch.previous = chain.hash;
  batch.head = gap.hash;
  batch.received = now;
  batch.gap = gap;
  chain.next = gap.to.next();
  chain.hash = gap.hash;
  chain.rewound = false;
  ++chain.at_writer;
  ++at_writer_;
  out.batches.push_back(std::move(batch));
}

}  // namespace fieldpost::sync

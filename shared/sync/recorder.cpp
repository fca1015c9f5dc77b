#include "sync/recorder.h"

#include "wire/codec.h"

namespace fieldpost::sync {

storage::OwnActor new_chain(const HubId& hub, const DeviceId& device, const RandomSource& random) {
  storage::OwnActor fresh;
  fresh.actor = random_actor(random);
  fresh.hash = wire::chain_start(hub, device, fresh.actor);
  return fresh;
}

Status ensure_actor(storage::AgentStore& store, const HubId& hub, const DeviceId& device,
                    const RandomSource& random, const std::optional<Epoch>& enrolled_in) {
  if (store.state().current() != nullptr) return {};
  const storage::OwnActor fresh = new_chain(hub, device, random);
  return store.add_actor(fresh.actor, fresh.hash, enrolled_in);
}

ChangeBatch::ChangeBatch(storage::AgentStore& store, model::ChangeTimes times,
                         const RandomSource& random)
    : store_(store), times_(times), random_(random) {
  if (const storage::OwnActor* current = store.state().current()) {
    actor_ = current->actor;
    head_ = current->head;
    hash_ = current->hash;
  }
}

Result<ChangeBatch::Known> ChangeBatch::known(const RecordId& id) {
  const auto it = known_.find(id);
  if (it != known_.end()) return it->second;
  Known known;
  FP_TRY(const auto view, store_.load(id));
  if (view) {
    known.vv = view->record.vv;
    known.prev = known.vv[actor_];
    for (const storage::OwnChange& own : view->own) {
      const bool refused =
          own.exception && own.exception->kind == wire::ExceptionKind::unauthorised;
      if (own.change.dot.actor == actor_ && !refused) {
        known.prev = std::max(known.prev, own.change.dot.counter);
      }
    }
  }
  return known;
}

Result<model::Dot> ChangeBatch::add(const EditRequest& request) {
  if (actor_.value == 0)
    return fail(Errc::invalid_argument, "this store has no own chain yet: enrol first");
  FP_TRY(Known known, this->known(request.record));
  storage::NewChange made;
  model::Change& change = made.change;
  change.record = request.record;
  change.dot = {actor_, head_.next()};
  change.prev = known.prev;
  change.type = request.type;
  change.unit = request.unit;
  change.context = request.context ? *request.context : known.vv;
  change.edits = request.edits;
  change.seals = request.seals;
  change.author = request.author;
  change.times = times_;
  change.schema_version = request.schema_version;
  change.reason = request.reason;
  change.salt = random_id<Salt>(random_);
  change.welcome = store_.state().welcome_id;
  FP_CHECK_OK(model::check_change(change));
  FP_TRY(made.frame, wire::encode_change(change));
  made.hash = wire::chain_next(hash_, made.frame);
  hash_ = made.hash;
  head_ = change.dot.counter;
  known.prev = change.dot.counter;
  known.vv.add(change.dot);
  known_[request.record] = std::move(known);
  const model::Dot dot = change.dot;
  changes_.push_back(std::move(made));
  return dot;
}

Status ChangeBatch::commit(std::uint64_t ref_counter,
                           const std::vector<RecordId>& finished_drafts) {
  if (changes_.empty()) return {};
  return store_.append(changes_, ref_counter, finished_drafts);
}

}  // namespace fieldpost::sync

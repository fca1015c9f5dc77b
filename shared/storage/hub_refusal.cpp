// Changes that are never merged: refused by an operator, resting on refused ones, or of a record that was erased.
#include <algorithm>

#include "storage/hub_apply.h"
#include "storage/hub_erase.h"
#include "storage/hub_recovery.h"
#include "storage/hub_values.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

/// What a change of an erased record says, as a record of its own. Its id.
Result<RecordId> record_anew(KvWrite& write, HubApply& run, const model::Change& from,
                             const HubStore::RulingInput& input, const OwnChain& chain) {
  const Hash entropy = crypto::hash("fieldpost.v1.record-anew", {input.salt});
  std::array<std::uint8_t, 10> random{};
  std::copy_n(entropy.bytes.begin(), random.size(), random.begin());
  FP_TRY(const auto head, write.get(kActors, Packer().actor(chain.actor).bytes()));
  Sequence last;
  if (head) {
    FP_TRY(const ActorHeadState state, unpack_actor(*head));
    last = state.head;
  }
  model::Change change;
  change.record = make_record_id(input.times.wall, random);
  change.dot = {chain.actor, last.next()};
  change.type = from.type;
  change.unit = from.unit;
  change.edits = from.edits;
  change.author = input.author;
  change.times = input.times;
  change.schema_version = from.schema_version;
  if (input.clear_texts)
    change.reason = "from change " + model::to_text(from.dot) + " of a record that was erased: " +
                    (input.note.empty() ? "an operator decided" : input.note);
  change.salt.bytes = input.salt;
  FP_CHECK_OK(run.add_own(chain.hub, change, chain.sign, input.times.wall));
  return change.record;
}

}  // namespace

Status HubApply::refuse_held(const RecordId& id, const model::Dot& dot, wire::ExceptionKind kind,
                             const std::string& rule, const std::string& detail) {
  FP_CHECK_OK(write_.erase(kHeld, record_dot_key(id, dot.actor, dot.counter)));
  const Bytes key = dot_key(dot.actor, dot.counter);
  FP_TRY(const auto value, write_.get(kExceptions, key));
  if (!value)
    return fail(Errc::corrupt, "held change " + model::to_text(dot) + " has no exception");
  FP_TRY(StoredException stored, unpack_stored_exception(*value));
  stored.confirmed = false;  // its tablet must hear the new outcome
  stored.exception.kind = kind;
  stored.exception.rule = rule;
  stored.exception.detail = detail;
  note_outcome(dot);
  return write_.put(kExceptions, key, pack_stored_exception(stored));
}

Status HubApply::refuse(const RecordId& id, const model::Dot& dot, const std::string& why) {
  const Bytes key = dot_key(dot.actor, dot.counter);
  FP_TRY(const auto value, write_.get(kExceptions, key));
  if (!value) return fail(Errc::not_found, "no such quarantined change");
  FP_TRY(StoredException stored, unpack_stored_exception(*value));
  stored.confirmed = false;
  stored.exception.kind = wire::ExceptionKind::unauthorised;
  stored.exception.detail = why;
  note_outcome(dot);
  FP_CHECK_OK(write_.put(kExceptions, key, pack_stored_exception(stored)));
  // By counter: each that rests on a refused one is refused in its turn.
  std::vector<model::Dot> resting;
  Sequence refused = dot.counter;
  FP_CHECK_OK(write_.scan(kHeld, Packer().id(id).actor(dot.actor).bytes(), {},
                          [&](BytesView held, BytesView) -> Result<KvRead::Step> {
                            const BytesView place = held.subspan(RecordId::kSize);
                            FP_TRY(const auto logged, write_.get(kLog, place));
                            if (!logged) return KvRead::Step::more;
                            FP_TRY(const LogEntry entry, decode_log_entry(codec_, place, *logged));
                            FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
                            if (framed.prev != refused) return KvRead::Step::more;
                            resting.push_back({dot.actor, framed.counter});
                            refused = framed.counter;
                            return KvRead::Step::more;
                          }));
  for (const model::Dot& one : resting)
    FP_CHECK_OK(refuse_held(id, one, wire::ExceptionKind::unauthorised, wire::kPredecessorRefused,
                            "rests on a change that was refused"));
  return {};
}

Result<bool> HubApply::came_for_erased(const IncomingBatch& batch, const IncomingChange& incoming,
                                       BatchResult& result) {
  if (!any_erased_) {
    FP_TRY(const std::uint64_t erased, write_.count(kErased));
    any_erased_ = erased > 0;
  }
  if (!*any_erased_) return false;
  FP_TRY(const auto erased, read_erased(write_, codec_, incoming.record));
  if (!erased) return false;
  const model::Dot dot{batch.actor, incoming.counter};
  if (erased->known.covers(dot)) {
    // Part of what was erased: sent again to a hub that was put back. Nobody needs to hear of it.
    const Bytes key = dot_key(dot.actor, dot.counter);
    FP_CHECK_OK(
        write_.put(kLog, key,
                   encode_erased_entry(codec_, key, batch.received,
                                       {wire::change_hash(incoming.frame), batch.received})));
    FP_CHECK_OK(write_.put(kByRecord, record_dot_key(incoming.record, dot.actor, dot.counter), {}));
    return true;
  }
  FP_CHECK_OK(put_log(batch, incoming));
  const std::uint64_t named = incoming.change ? incoming.change->welcome : 0;
  welcome_ = std::max(welcome_, named);
  wire::ChangeException exception{batch.actor,
                                  incoming.counter,
                                  incoming.record,
                                  wire::ExceptionKind::quarantined,
                                  kErasedRule,
                                  "",
                                  "this record was erased at " + to_text(erased->at) + " (" +
                                      erased->rule +
                                      "): the hub keeps what this says aside, for an operator"};
  const bool known_unit = incoming.change && !erased->unit.empty();
  if (known_unit && may_write(batch, erased->unit, named) == Authority::none) {
    exception.kind = wire::ExceptionKind::unauthorised;
    exception.rule = kNotGrantedRule;
    exception.detail = kNotGrantedDetail;
  } else if (incoming.quarantine &&
             incoming.quarantine->kind == wire::ExceptionKind::unauthorised) {
    exception = *incoming.quarantine;
  }
  FP_CHECK_OK(except(batch, std::move(exception), result));
  return true;
}

Status settle_for_erased(KvWrite& write, HubApply& run, ValueCodec& codec,
                         const std::optional<model::Change>& change, const model::Dot& dot,
                         const RecordId& record, const HubStore::RulingInput& input,
                         const OwnChain& chain) {
  const std::string name = "change " + model::to_text(dot);
  if (input.ruling == HubStore::Ruling::retry)
    return fail(Errc::conflict, name +
                                    " is of a record that was erased, whatever the forms say: "
                                    "accept it, as a record of its own, or reject it");
  std::string why = input.note.empty() || !input.clear_texts ? "rejected by an operator"
                                                             : "rejected: " + input.note;
  if (input.ruling == HubStore::Ruling::accept) {
    if (!change)
      return fail(Errc::invalid_argument, name + " cannot be read: it can only be rejected");
    if (!change->seals.empty())
      return fail(Errc::conflict, name +
                                      " holds sealed values, which open in their own record only: "
                                      "have its unit record it anew, and reject it");
    FP_TRY(const RecordId fresh, record_anew(write, run, *change, input, chain));
    why = "its record was erased; what it says is in the new record " + to_text(fresh);
  }
  FP_CHECK_OK(run.refuse(record, dot, why));
  FP_TRY(const bool erased,
         erase_log_entry(write, codec, dot_key(dot.actor, dot.counter), input.times.wall));
  if (!erased) return fail(Errc::corrupt, name + " was damaged on the hub's disk");
  return {};
}

}  // namespace fieldpost::storage

// What a tablet removes when a unit is no longer granted to it.
#include <algorithm>

#include "base/planted.h"
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

namespace {

bool granted(const AgentState& state, const std::string& unit) {
  return std::any_of(state.grants.begin(), state.grants.end(),
                     [&](const wire::Grant& grant) { return grant.unit == unit; });
}

/// Merged, or ruled on for good: no delivery of the unit will come to say so.
bool settled(const OwnChange& own) {
  if (!own.acked) return false;
  return !own.exception || own.exception->kind == wire::ExceptionKind::accepted ||
         own.exception->kind == wire::ExceptionKind::rejected;
}

}  // namespace

Status KvAgentStore::note_ungranted(KvWrite& write, AgentState& state, const RecordId& id,
                                    const std::string& unit) {
  if (state.grants.empty() || granted(state, unit)) return {};
  FP_TRY(const auto known, write.get(kUngranted, id.view()));
  if (known) return {};
  ++state.ungranted;
  return write.put(kUngranted, id.view(), {});
}

Result<bool> KvAgentStore::owns(const KvRead& read, const RecordId& id) {
  bool any = false;
  FP_CHECK_OK(read.scan(kOwn, id.view(), {}, [&](BytesView, BytesView) -> Result<KvRead::Step> {
    any = true;
    return KvRead::Step::stop;
  }));
  return any;
}

Status KvAgentStore::forget_ungranted() {
  if (planted(Bug::ungranted_kept)) return {};
  StoredAgentState next = stored_;
  AgentState& state = next.state;
  const auto withdrawn = [&](const auto& cursor) { return !granted(state, cursor.unit); };
  const bool all =
      state.sweep || std::any_of(state.cursors.begin(), state.cursors.end(), withdrawn);
  std::erase_if(state.cursors, withdrawn);
  std::erase_if(state.again, [&](const auto& unit) { return !granted(state, unit); });
  state.sweep = false;
  return commit(
      next,
      [&](KvWrite& write) -> Status {
        std::vector<RecordId> ids;
        FP_CHECK_OK(collect_ids(write, kUngranted, {}, SIZE_MAX, ids));
        for (const RecordId& id : ids) FP_CHECK_OK(write.erase(kUngranted, id.view()));
        if (all) {
          FP_CHECK_OK(collect_ids(write, kBase, {}, SIZE_MAX, ids));
          FP_CHECK_OK(collect_ids(write, kOwn, {}, SIZE_MAX, ids));
          // All that is granted was delivered again since: what is still missing is of no unit that is.
          std::vector<RecordId> damaged;
          FP_CHECK_OK(collect_damaged(write, {}, SIZE_MAX, damaged));
          for (const RecordId& id : damaged) {
            FP_TRY(const bool own, owns(write, id));
            if (!own) FP_CHECK_OK(settle(write, Damage::Kind::record, id.view()));
          }
        }
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        state.ungranted = 0;
        for (const RecordId& id : ids) {
          FP_TRY(const auto base, load_base(write, id));
          if (base && granted(state, base->unit)) continue;  // most of them, when all are looked at
          FP_TRY(const auto view, load_from(write, id));
          if (!view || granted(state, view->record.unit)) continue;
          // Damage met just now: of which unit it was, its delivery tells, or that there is none.
          if (view->record.unit.empty()) continue;
          if (!std::all_of(view->own.begin(), view->own.end(), settled)) {
            ++state.ungranted;
            FP_CHECK_OK(write.put(kUngranted, id.view(), {}));
            continue;
          }
          FP_CHECK_OK(write.erase(kBase, id.view()));
          FP_CHECK_OK(write.erase(kLost, id.view()));
          FP_CHECK_OK(settle(write, Damage::Kind::record, id.view()));
          for (const OwnChange& own : view->own) {
            const model::Dot& dot = own.change.dot;
            FP_CHECK_OK(write.erase(kOwn, own_key(id, dot.actor, dot.counter)));
            FP_CHECK_OK(write.erase(kExceptions, dot_key(dot.actor, dot.counter)));
          }
          --next.records;
        }
        return {};
      },
      UpdateKind::freeing);
}

}  // namespace fieldpost::storage

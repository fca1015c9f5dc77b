// What a tablet removes when a unit is no longer granted to it.
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

Status KvAgentStore::forget_ungranted() {
  StoredAgentState next = stored_;
  const auto granted = [&](const std::string& unit) {
    return std::any_of(next.state.grants.begin(), next.state.grants.end(),
                       [&](const wire::Grant& grant) { return grant.unit == unit; });
  };
  std::erase_if(next.state.cursors, [&](const auto& cursor) { return !granted(cursor.unit); });
  std::erase_if(next.state.again, [&](const auto& unit) { return !granted(unit); });
  return commit(
      next,
      [&](KvWrite& write) -> Status {
        std::vector<RecordId> ids;
        FP_CHECK_OK(collect_ids(write, kBase, {}, SIZE_MAX, ids));
        FP_CHECK_OK(collect_ids(write, kOwn, {}, SIZE_MAX, ids));
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        for (const RecordId& id : ids) {
          FP_TRY(const auto view, load_from(write, id));
          if (!view || granted(view->record.unit)) continue;
          const bool settled =
              std::all_of(view->own.begin(), view->own.end(),
                          [](const OwnChange& own) { return own.acked && !own.exception; });
          if (!settled) continue;
          FP_CHECK_OK(write.erase(kBase, id.view()));
          FP_CHECK_OK(write.erase(kLost, id.view()));
          for (const OwnChange& own : view->own) {
            const model::Dot& dot = own.change.dot;
            FP_CHECK_OK(write.erase(kOwn, own_key(id, dot.actor, dot.counter)));
          }
          --next.records;
        }
        return {};
      },
      UpdateKind::freeing);
}

}  // namespace fieldpost::storage

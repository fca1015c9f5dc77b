// What a tablet does when its hub has erased a record.
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

Status KvAgentStore::drop_settled_own(KvWrite& write, const RecordId& id, const AgentState& state) {
  std::vector<Bytes> settled;
  FP_CHECK_OK(
      write.scan(kOwn, id.view(), {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
        const BytesView dot = key.subspan(RecordId::kSize);
        Unpacker in(dot);
        const OwnActor* own = state.find(in.actor());
        const bool acked = own == nullptr || in.seq() <= own->acked;
        FP_TRY(const auto exception, write.get(kExceptions, dot));
        if (acked && !exception) settled.push_back(to_bytes(key));
        return KvRead::Step::more;
      }));
  for (const Bytes& key : settled) FP_CHECK_OK(write.erase(kOwn, key));
  return {};
}

Status KvAgentStore::erase_record(KvWrite& write, const std::string& unit, const RecordId& id,
                                  StoredAgentState& next) {
  FP_TRY(const auto view, load_from(write, id));
  if (view && !view->record.unit.empty() && view->record.unit != unit)
    return fail(Errc::malformed, "the hub erased a record of another unit than it delivered");
  FP_CHECK_OK(write.erase(kDrafts, id.view()));
  FP_CHECK_OK(settle(write, Damage::Kind::draft, id.view()));
  FP_TRY(const bool known, knows(write, id));
  if (!known) return {};
  FP_CHECK_OK(write.erase(kBase, id.view()));
  FP_CHECK_OK(write.erase(kLost, id.view()));
  FP_CHECK_OK(settle(write, Damage::Kind::record, id.view()));
  FP_CHECK_OK(drop_settled_own(write, id, next.state));
  FP_TRY(const bool left, owns(write, id));
  if (left) return write.put(kErased, id.view(), {});
  --next.records;
  return write.erase(kErased, id.view());
}

Status KvAgentStore::drop_erased(KvWrite& write, StoredAgentState& next) {
  FP_TRY(const std::uint64_t any, write.count(kErased));
  if (any == 0) return {};
  std::vector<RecordId> ids;
  FP_CHECK_OK(collect_ids(write, kErased, {}, SIZE_MAX, ids));
  for (const RecordId& id : ids) {
    FP_CHECK_OK(drop_settled_own(write, id, next.state));
    FP_TRY(const bool left, owns(write, id));
    if (left) continue;
    FP_CHECK_OK(write.erase(kErased, id.view()));
    FP_TRY(const bool known, knows(write, id));
    if (!known) --next.records;
  }
  return {};
}

}  // namespace fieldpost::storage

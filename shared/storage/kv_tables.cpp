#include "storage/kv_tables.h"

namespace fieldpost::storage {

Status walk_tables(const Kv& kv, TableId tables, const EntryVisitor& visit) {
  return kv.view([&](const KvRead& read) -> Status {
    for (TableId table = 0; table < tables; ++table) {
      FP_CHECK_OK(
          read.scan(table, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
            FP_CHECK_OK(visit(table, key, value));
            return KvRead::Step::more;
          }));
    }
    return {};
  });
}

Status TableLoader::add(TableId table, BytesView key, BytesView value) {
  waiting_.push_back({table, to_bytes(key), to_bytes(value)});
  waiting_bytes_ += key.size() + value.size();
  return waiting_bytes_ < kCommitBytes ? Status{} : finish();
}

Status TableLoader::finish() {
  if (waiting_.empty()) return {};
  FP_CHECK_OK(kv_.update([&](KvWrite& write) -> Status {
    for (const Entry& entry : waiting_)
      FP_CHECK_OK(write.append(entry.table, entry.key, entry.value));
    return {};
  }));
  waiting_.clear();
  waiting_bytes_ = 0;
  return {};
}

}  // namespace fieldpost::storage

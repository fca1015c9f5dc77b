#include "storage/memory_kv.h"

#include <algorithm>
#include <utility>

namespace fieldpost::storage {
namespace {

using Table = MemoryKv::Table;
using Overlay = MemoryKv::Overlay;
using Tables = std::vector<std::shared_ptr<const Table>>;

/// Both sorted; where both have a key, the overlay speaks.
Status scan_merged(const Table& base, const Overlay& overlay, BytesView prefix, BytesView from,
                   const KvRead::Visitor& visit) {
  const BytesView start = scan_start(prefix, from);
  auto a = base.lower_bound(start);
  auto b = overlay.lower_bound(start);
  while (true) {
    const bool has_a = a != base.end() && starts_with(a->first, prefix);
    const bool has_b = b != overlay.end() && starts_with(b->first, prefix);
    if (!has_a && !has_b) return {};
    const bool use_b = has_b && (!has_a || !key_less(a->first, b->first));
    if (use_b && has_a && !key_less(b->first, a->first))
      ++a;  // the same key: hidden by the overlay
    if (use_b && !b->second) {
      ++b;
      continue;
    }
    FP_TRY(const KvRead::Step step,
           use_b ? visit(b->first, *b->second) : visit(a->first, a->second));
    if (step == KvRead::Step::stop) return {};
    if (use_b) {
      ++b;
    } else {
      ++a;
    }
  }
}

std::optional<Bytes> last_key_merged(const Table& base, const Overlay& overlay, BytesView prefix) {
  const std::optional<Bytes> end = prefix_end(prefix);
  auto a = end ? base.lower_bound(*end) : base.end();
  auto b = end ? overlay.lower_bound(*end) : overlay.end();
  while (true) {
    const MemoryKey* in_a = a == base.begin() ? nullptr : &std::prev(a)->first;
    const MemoryKey* in_b = b == overlay.begin() ? nullptr : &std::prev(b)->first;
    if (in_a && !starts_with(*in_a, prefix)) in_a = nullptr;
    if (in_b && !starts_with(*in_b, prefix)) in_b = nullptr;
    if (!in_a && !in_b) return std::nullopt;
    if (!in_b || (in_a && key_less(*in_b, *in_a))) return to_bytes(*in_a);
    if (std::prev(b)->second) return to_bytes(*in_b);
    if (in_a && !key_less(*in_a, *in_b)) --a;
    --b;
  }
}

class MemoryRead final : public KvRead {
 public:
  explicit MemoryRead(const Tables& tables) : tables_(tables) {}

  Result<std::optional<BytesView>> get(TableId table, BytesView key) const override {
    FP_CHECK_OK(check_key(table, tables_.size(), key));
    const auto found = tables_[table]->find(key);
    if (found == tables_[table]->end()) return std::optional<BytesView>{};
    return std::optional<BytesView>{found->second};
  }

  Status scan(TableId table, BytesView prefix, BytesView from,
              const Visitor& visit) const override {
    FP_CHECK_OK(check_table(table, tables_.size()));
    return scan_merged(*tables_[table], Overlay{}, prefix, from, visit);
  }

  Result<std::optional<Bytes>> last_key(TableId table, BytesView prefix) const override {
    FP_CHECK_OK(check_table(table, tables_.size()));
    return last_key_merged(*tables_[table], Overlay{}, prefix);
  }

  Result<std::uint64_t> count(TableId table) const override {
    FP_CHECK_OK(check_table(table, tables_.size()));
    return std::uint64_t{tables_[table]->size()};
  }

 private:
  const Tables& tables_;
};

class MemoryWrite final : public KvWrite {
 public:
  explicit MemoryWrite(const Tables& tables) : tables_(tables), overlays_(tables.size()) {}

  Result<std::optional<BytesView>> get(TableId table, BytesView key) const override {
    FP_CHECK_OK(check_key(table, tables_.size(), key));
    if (const auto own = overlays_[table].find(key); own != overlays_[table].end()) {
      if (!own->second) return std::optional<BytesView>{};
      return std::optional<BytesView>{*own->second};
    }
    return MemoryRead(tables_).get(table, key);
  }

  Status scan(TableId table, BytesView prefix, BytesView from,
              const Visitor& visit) const override {
    FP_CHECK_OK(check_table(table, tables_.size()));
    return scan_merged(*tables_[table], overlays_[table], prefix, from, visit);
  }

  Result<std::optional<Bytes>> last_key(TableId table, BytesView prefix) const override {
    FP_CHECK_OK(check_table(table, tables_.size()));
    return last_key_merged(*tables_[table], overlays_[table], prefix);
  }

  Result<std::uint64_t> count(TableId table) const override {
    FP_CHECK_OK(check_table(table, tables_.size()));
    std::uint64_t count = tables_[table]->size();
    for (const auto& [key, value] : overlays_[table]) {
      const bool before = tables_[table]->contains(key);
      if (value && !before) ++count;
      if (!value && before) --count;
    }
    return count;
  }

  Status put(TableId table, BytesView key, BytesView value) override {
    FP_CHECK_OK(check_key(table, tables_.size(), key));
    overlays_[table].insert_or_assign(MemoryKey(key), to_bytes(value));
    return {};
  }

  Status append(TableId table, BytesView key, BytesView value) override {
    FP_CHECK_OK(check_key(table, tables_.size(), key));
    const std::optional<Bytes> last = last_key_merged(*tables_[table], overlays_[table], {});
    if (last && !key_less(*last, key)) {
      return fail(Errc::conflict, "append to table " + std::to_string(table) + " of key " +
                                      to_hex(key) + ", which is not above the last");
    }
    overlays_[table].insert_or_assign(MemoryKey(key), to_bytes(value));
    return {};
  }

  Status erase(TableId table, BytesView key) override {
    FP_CHECK_OK(check_key(table, tables_.size(), key));
    overlays_[table].insert_or_assign(MemoryKey(key), std::nullopt);
    return {};
  }

  std::vector<Overlay>& overlays() { return overlays_; }
  bool wrote() const {
    return std::any_of(overlays_.begin(), overlays_.end(),
                       [](const Overlay& overlay) { return !overlay.empty(); });
  }

 private:
  const Tables& tables_;
  std::vector<Overlay> overlays_;
};

}  // namespace

MemoryKv::MemoryKv(std::size_t tables, MemoryFaults faults)
    : MemoryKv(tables, Snapshot{}, std::move(faults)) {}

MemoryKv::MemoryKv(std::size_t tables, const Snapshot& snapshot, MemoryFaults faults)
    : tables_(snapshot.tables_), faults_(std::move(faults)) {
  while (tables_.size() < tables) tables_.push_back(std::make_shared<Table>());
}

MemoryKv::~MemoryKv() = default;

Status MemoryKv::view(const ViewBody& body) const {
  Tables seen;
  {
    const std::lock_guard lock(mutex_);
    seen = tables_;
  }
  Status status = body(MemoryRead(seen));
  const std::lock_guard lock(mutex_);  // let go under the lock, where apply() looks at the counts
  seen.clear();
  return status;
}

MemoryKv::Snapshot MemoryKv::snapshot() const {
  const std::lock_guard lock(mutex_);
  Snapshot snapshot;
  snapshot.tables_ = tables_;
  return snapshot;
}

Result<KvStats> MemoryKv::stats() const {
  KvStats stats;
  const std::lock_guard lock(mutex_);
  for (const auto& table : tables_) {
    for (const auto& [key, value] : *table)
      stats.used_bytes += BytesView(key).size() + value.size();
  }
  stats.map_bytes = stats.file_bytes = stats.used_bytes;
  return stats;
}

Status MemoryKv::commit_update(const UpdateBody& body, UpdateKind kind) {
  if (failed_) {
    return fail(Errc::store_failed,
                "an earlier commit failed: reopen the store before writing again");
  }
  // Only this thread changes tables_, so reading it here needs no lock.
  MemoryWrite write(tables_);
  FP_CHECK_OK(body(write));
  if (!write.wrote()) return {};
  const CommitFate fate =
      faults_.on_commit ? faults_.on_commit(commits_ + 1, kind) : CommitFate::succeed;
  ++commits_;
  switch (fate) {
    case CommitFate::succeed:
      apply(write.overlays());
      return {};
    case CommitFate::full:
      return fail(Errc::store_full, "the store is full (injected)");
    case CommitFate::fail_after:
      apply(write.overlays());
      break;
    case CommitFate::fail_before:
      break;
  }
  failed_ = true;
  return fail(Errc::store_failed,
              "the commit failed (injected): its fate is unknown, reopen the store");
}

void MemoryKv::apply(std::vector<Overlay>& overlays) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < overlays.size(); ++i) {
    if (overlays[i].empty()) continue;
    // Views and snapshots keep what they saw: a table that others hold is copied before it changes.
    std::shared_ptr<Table> table = tables_[i].use_count() > 1
                                       ? std::make_shared<Table>(*tables_[i])
                                       : std::const_pointer_cast<Table>(tables_[i]);
    while (!overlays[i].empty()) {
      auto node = overlays[i].extract(overlays[i].begin());
      if (node.mapped()) {
        table->insert_or_assign(std::move(node.key()), *std::move(node.mapped()));
      } else {
        table->erase(node.key());
      }
    }
    tables_[i] = std::move(table);
  }
}

}  // namespace fieldpost::storage

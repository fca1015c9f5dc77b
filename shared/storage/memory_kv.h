// The key-value engine in memory: for tests and the simulator, which crash, copy and restore it.
//
// Thread rule: as Kv. Snapshots are taken and dropped on the updating thread.
// Invariants:
//   1. Starts no thread, opens no file, reads no clock: faults are what the caller's hook says.
//   2. A snapshot is one commit and costs O(1); the next commit copies the tables it touches.
//   3. After `store_failed` every update is refused; `MemoryKv(tables, snapshot())` reopens it.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/kv.h"
#include "storage/kv_keys.h"

namespace fieldpost::storage {

/// What becomes of a commit.
enum class CommitFate : std::uint8_t {
  succeed,
  fail_before,  ///< `store_failed`, and the writes are lost
  fail_after,   ///< `store_failed`, and the writes are there
  full,         ///< `store_full`, nothing left behind, the engine goes on
};

struct MemoryFaults {
  /// Asked before each commit that writes something; they are counted 1, 2, 3 …. Empty: all succeed.
  std::function<CommitFate(std::uint64_t commit, UpdateKind kind)> on_commit;

  /// Only the n-th commit meets `fate`.
  static MemoryFaults at(std::uint64_t n, CommitFate fate) {
    return {[n, fate](std::uint64_t commit, UpdateKind) {
      return commit == n ? fate : CommitFate::succeed;
    }};
  }
};

/// A key, kept in the map's node as far as it is short: a search follows one pointer a step, not two.
class MemoryKey {
 public:
  MemoryKey(BytesView bytes) : size_(static_cast<std::uint16_t>(bytes.size())) {
    if (bytes.size() > kInline) far_ = std::make_unique<std::uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), far_ ? far_.get() : near_.data());
  }
  MemoryKey(const MemoryKey& other) : MemoryKey(BytesView(other)) {}
  MemoryKey(MemoryKey&&) noexcept = default;
  MemoryKey& operator=(MemoryKey&&) noexcept = default;
  operator BytesView() const { return {far_ ? far_.get() : near_.data(), size_}; }

 private:
  static constexpr std::size_t kInline = 46;
  std::uint16_t size_;
  std::array<std::uint8_t, kInline> near_{};
  std::unique_ptr<std::uint8_t[]> far_;
};

class MemoryKv final : public Kv {
 public:
  using Table = std::map<MemoryKey, Bytes, KeyLess>;

  /// One commit of a store, to be copied about freely.
  class Snapshot {
    friend class MemoryKv;
    std::vector<std::shared_ptr<const Table>> tables_;
  };

  explicit MemoryKv(std::size_t tables, MemoryFaults faults = {});
  /// A store as it was; `tables` may be greater than the snapshot's.
  MemoryKv(std::size_t tables, const Snapshot& snapshot, MemoryFaults faults = {});
  ~MemoryKv() override;

  Status view(const ViewBody& body) const override;
  Result<KvStats> stats() const override;
  Snapshot snapshot() const;
  void set_faults(MemoryFaults faults) { faults_ = std::move(faults); }
  /// Commits attempted that had something to write.
  std::uint64_t commits() const { return commits_; }

  using Overlay = std::map<MemoryKey, std::optional<Bytes>, KeyLess>;  ///< nothing: erased

 private:
  using Tables = std::vector<std::shared_ptr<const Table>>;
  Status commit_update(const UpdateBody& body, UpdateKind kind) override;
  void apply(std::vector<Overlay>& overlays);

  mutable std::mutex mutex_;  ///< guards tables_ and the reference counts that views hold
  Tables tables_;
  MemoryFaults faults_;
  std::uint64_t commits_ = 0;
  bool failed_ = false;
};

}  // namespace fieldpost::storage

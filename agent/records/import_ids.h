// Which rows of an import are here already under another time.
//
// An imported record's id is the time of its event and, behind it, what names its row. When the time is
// corrected in the file only the first part changes: here the second is looked for.
//
// Thread rule: the store's thread.
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "storage/agent_store.h"

namespace fieldpost::agent {

class ImportedIds {
 public:
  /// Reads the ids of the store, once.
  Status load(const storage::AgentStore& store) {
    if (loaded_) return {};
    std::vector<Tail> found;
    for (RecordId after;;) {
      FP_TRY(const auto ids, store.ids_after(after, kPage));
      for (const RecordId& id : ids) found.push_back(tail(id));
      if (ids.size() < kPage) break;
      after = ids.back();
    }
    std::sort(found.begin(), found.end());
    stored_ = std::move(found);
    loaded_ = true;
    return {};
  }
  bool contains(const RecordId& id) const {
    return fresh_.contains(tail(id)) ||
           std::binary_search(stored_.begin(), stored_.end(), tail(id));
  }
  /// Once it is stored.
  void add(const RecordId& id) { fresh_.insert(tail(id)); }

 private:
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kTimeBytes = 6;  ///< at the front of a UUIDv7
  using Tail = std::array<std::uint8_t, RecordId::kSize - kTimeBytes>;
  static Tail tail(const RecordId& id) {
    Tail tail;
    std::copy(id.bytes.begin() + kTimeBytes, id.bytes.end(), tail.begin());
    return tail;
  }

  std::vector<Tail> stored_;  ///< sorted; a megabyte for a hundred thousand records
  std::set<Tail> fresh_;
  bool loaded_ = false;
};

}  // namespace fieldpost::agent

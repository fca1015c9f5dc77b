// What one backup consists of: the list that makes chunks a hub.
//
// Thread rule: plain values and free functions.
// Invariants:
//   1. A manifest names every chunk of every table itself: no backup rests on another.
//   2. Backups are numbered 1, 2, 3 … within their repository, so that their order does not hang on a clock.
#pragma once

#include <string>
#include <vector>

#include "hub/backup/vault.h"
#include "storage/hub_store.h"

namespace fieldpost::hub::backup {

struct ChunkRef {
  ChunkId id;
  std::uint32_t file_bytes =
      0;  ///< of the sealed file, by which a cut one is seen without reading it
  friend bool operator==(const ChunkRef&, const ChunkRef&) = default;
};

struct TableCopy {
  std::string name;
  std::uint64_t entries = 0;
  std::vector<ChunkRef> chunks;  ///< in the order of the keys
  friend bool operator==(const TableCopy&, const TableCopy&) = default;
};

struct StoreCopy {
  std::string name;  ///< "enforcement" or "health"
  std::string format_name;
  std::uint32_t format_version = 0;
  std::vector<TableCopy> tables;
  storage::ActorHeads heads;
  std::uint64_t plain_bytes = 0;
  std::vector<std::string> damaged;  ///< values that the store itself held damaged, the first few
  friend bool operator==(const StoreCopy&, const StoreCopy&) = default;
};

/// A small file of the hub's folder.
struct FileCopy {
  std::string path;  ///< "hub.json", "keys/hub.seed"
  bool secret = false;
  Bytes content;
  friend bool operator==(const FileCopy&, const FileCopy&) = default;
};

struct Manifest {
  std::uint64_t number = 0;
  Instant time;  ///< the hub's clock, before the first store was read
  HubId hub;
  std::string hub_name;
  Epoch epoch;
  std::vector<FileCopy> files;
  std::vector<StoreCopy> stores;
  friend bool operator==(const Manifest&, const Manifest&) = default;

  std::uint64_t entries() const;
  std::uint64_t plain_bytes() const;
};

Bytes pack_manifest(const Manifest& manifest);
/// Errors: `corrupt`; `unsupported` for a newer version.
Result<Manifest> unpack_manifest(BytesView bytes);

}  // namespace fieldpost::hub::backup

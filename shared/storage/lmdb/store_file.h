// Looks at an LMDB data file with plain reads, before LMDB maps it.
//
// LMDB trusts its file: over a truncated one, the first access past the end kills the process with
// SIGBUS. So what LMDB's meta page promises is compared with what is there, and a file that is not
// LMDB's at all is refused with a sentence.
//
// Thread rule: a free function.
// Source: the structures MDB_page, MDB_meta, MDB_db and MDB_node of liblmdb 0.9 (mdb.c, MDB_DATA_VERSION
// 1), on a machine with 64-bit words; lmdb.h documents the meta page only in words.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace fieldpost::storage {

struct StoreFile {
  bool exists = false;  ///< false also for an empty file, which LMDB takes for a new one
  /// What losing power while a store was made leaves: a few pages, and no meta page that any commit wrote. LMDB makes
  /// its first meta pages durable only with the first commit, and refuses such a file.
  bool unfinished = false;
  std::uint64_t file_bytes = 0;
  std::uint64_t page_bytes = 0;
  std::uint64_t last_page = 0;  ///< of the newest commit
  std::uint64_t used_bytes() const { return exists ? (last_page + 1) * page_bytes : 0; }
};

/// Errors: `corrupt` for a truncated or damaged file, `unsupported` for one that is not LMDB's or of
/// another version of it, `io`.
Result<StoreFile> examine_store_file(const std::filesystem::path& file);

}  // namespace fieldpost::storage

// What every engine does alike with keys: order, prefixes, limits.
//
// Thread rule: free functions.
// Invariants: the order is that of LMDB's default comparison (memcmp, then the shorter first).
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "storage/kv.h"

namespace fieldpost::storage {

inline bool key_less(BytesView a, BytesView b) {
  const std::size_t common = std::min(a.size(), b.size());
  const int order = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  return order != 0 ? order < 0 : a.size() < b.size();
}

struct KeyLess {
  using is_transparent = void;
  bool operator()(BytesView a, BytesView b) const { return key_less(a, b); }
};

inline bool starts_with(BytesView key, BytesView prefix) {
  return key.size() >= prefix.size() &&
         (prefix.empty() || std::memcmp(key.data(), prefix.data(), prefix.size()) == 0);
}

/// Where a scan of `prefix` from `from` begins.
inline BytesView scan_start(BytesView prefix, BytesView from) {
  return key_less(from, prefix) ? prefix : from;
}

/// The least key above every key with this prefix; nothing when there is none (empty, or all 0xff).
inline std::optional<Bytes> prefix_end(BytesView prefix) {
  Bytes end = to_bytes(prefix);
  while (!end.empty() && end.back() == 0xff) end.pop_back();
  if (end.empty()) return std::nullopt;
  ++end.back();
  return end;
}

inline Status check_key(TableId table, std::size_t tables, BytesView key) {
  if (table >= tables) {
    return fail(Errc::invalid_argument, "no table " + std::to_string(table) + " in this store");
  }
  if (key.empty() || key.size() > kKeyBytesMax) {
    return fail(Errc::invalid_argument, "a key of " + std::to_string(key.size()) +
                                            " bytes in table " + std::to_string(table) +
                                            ": 1 to 511 are possible");
  }
  return {};
}

inline Status check_table(TableId table, std::size_t tables) {
  if (table < tables) return {};
  return fail(Errc::invalid_argument, "no table " + std::to_string(table) + " in this store");
}

}  // namespace fieldpost::storage

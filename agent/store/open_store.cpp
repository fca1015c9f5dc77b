#include "agent/store/open_store.h"

#include <algorithm>
#include <array>

#include "keys/secret_file.h"

namespace fieldpost::agent {

namespace {

/// 4: tables for what is no longer granted, and for what the hub erased.
/// 3: tables for what the hub lacks and for what the disk damaged.
/// 2: seals are kept with one ephemeral key each, as they travel; chains may be closed, with their renames.
constexpr std::uint32_t kFormatVersion = 4;
constexpr auto kTableNames = std::to_array({"meta", "chain", "base", "own", "drafts", "exceptions",
                                            "renames", "lost", "damaged", "ungranted", "erased"});
static_assert(kTableNames.size() == storage::kAgentTables);

Result<crypto::SymmetricKey> store_key(const DataDirectory& data, const RandomSource& random,
                                       bool create) {
  crypto::SymmetricKey key;
  auto found = keys::read_secret_file(data.store_key());
  if (found) {
    if (found->size() != key.bytes.size()) {
      return fail(Errc::corrupt, data.store_key().string() +
                                     " does not hold a key of 32 bytes: restore it from a backup");
    }
    std::copy(found->begin(), found->end(), key.bytes.begin());
    return key;
  }
  if (!found.error().is(Errc::not_found) || !create || std::filesystem::exists(data.store())) {
    return std::move(found).error();
  }
  random(key.bytes);
  FP_CHECK_OK(keys::write_secret_file(data.store_key(), key.view()));
  return key;
}

}  // namespace

storage::LmdbOptions store_options(const DataDirectory& data, bool create) {
  storage::LmdbOptions options;
  options.directory = data.store();
  options.tables.assign(kTableNames.begin(), kTableNames.end());
  options.format_name = "fieldpost-agent";
  options.format_version = kFormatVersion;
  options.steps = {{2, {}}, {3, {}}};
  options.create = create;
  return options;
}

Result<OpenStore> open_store(const DataDirectory& data, const RandomSource& random, bool create) {
  return open_store(data, random, store_options(data, create));
}

Result<OpenStore> open_store(const DataDirectory& data, const RandomSource& random,
                             const storage::LmdbOptions& options) {
  FP_TRY(const auto key, store_key(data, random, options.create));
  OpenStore open;
  FP_TRY(open.kv, storage::LmdbKv::open(options));
  open.codec = std::make_unique<storage::SealingCodec>(
      key, wire::Dictionary::v1(wire::Dictionary::kStoreLevel), random);
  auto store = storage::open_agent_store(*open.kv, *open.codec);
  if (!store && store.error().is(Errc::corrupt)) {
    return fail(Errc::corrupt,
                data.store().string() + " cannot be opened with " + data.store_key().string() +
                    ": that is not this store's key, or the disk damaged the store's own state (" +
                    store.error().detail +
                    "). If the key was replaced, put the right one back; else keep this whole "
                    "folder as it is, start an older copy of it if there is one (what the hub has "
                    "comes back), or enrol anew with another --data. What was at the hub is there");
  }
  FP_TRY(open.store, std::move(store));
  return open;
}

}  // namespace fieldpost::agent

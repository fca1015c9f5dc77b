// The keys of a backup repository, and how its files are sealed.
//
// Thread rule: plain values and free functions; a Compressor belongs to one thread.
// Invariants:
//   1. The data key seals every file. It lies in the repository only boxed to the recovery public key, and at the
//      hub in keys/: whoever has the repository alone reads nothing.
//   2. A chunk's name is a keyed hash of its plain content; a file opens only under the name it was sealed for.
//   3. Nonces are random, 24 bytes.
//
//   file = "FPBK" ‖ 1 ‖ kind ‖ nonce (24) ‖ XChaCha20-Poly1305 of zstd(plain)
//          associated data: "fieldpost.v1.backup-file" ‖ 0x00 ‖ "FPBK" ‖ 1 ‖ kind ‖ name
//   data key ─ keyed hash of "chunk-id", "seal", "boundaries" ─► one key for each use
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/random_source.h"
#include "crypto/crypto.h"
#include "wire/frame.h"

namespace fieldpost::hub::backup {

using ChunkId = ByteId<32, struct BackupChunkIdTag>;

class Vault {
 public:
  Vault(const crypto::SymmetricKey& data_key, RandomSource random);

  ChunkId chunk_id(BytesView plain) const;
  std::uint64_t boundary_seed() const { return boundary_seed_; }
  Bytes seal_chunk(const ChunkId& id, BytesView plain);
  /// Errors: `corrupt` when the file is not what was written under that name.
  Result<Bytes> open_chunk(const ChunkId& id, BytesView file);
  /// A file of the ledger of what must outlive every backup.
  Bytes seal_ledger(std::uint64_t number, BytesView plain);
  /// Errors: `corrupt`; also when another hub wrote it.
  Result<Bytes> open_ledger(std::uint64_t number, BytesView file);
  Bytes seal_manifest(std::uint64_t number, BytesView plain);
  /// Errors: `corrupt`; also when another hub wrote it.
  Result<Bytes> open_manifest(std::uint64_t number, BytesView file);

 private:
  Bytes seal(std::uint8_t kind, BytesView name, BytesView plain);
  Result<Bytes> open(std::uint8_t kind, BytesView name, BytesView file, std::size_t bytes_max);

  crypto::SymmetricKey id_key_;
  crypto::SymmetricKey seal_key_;
  std::uint64_t boundary_seed_ = 0;
  RandomSource random_;
  wire::Compressor compressor_;
};

// ---- the recovery key, on paper or on a stick in a safe ----

struct RecoveryKey {
  crypto::Seed seed;
};
/// 14 groups of 4 characters: the seed and 3 bytes of check, in Crockford's base32.
std::string recovery_text(const RecoveryKey& key);
/// Takes what recovery_text gave, in either case, with any spaces and line ends, after lines that begin with '#'.
/// Errors: `malformed`, in a sentence.
Result<RecoveryKey> recovery_from_text(std::string_view text);
/// For people to tell two recovery keys apart.
std::string recovery_name(const crypto::PublicKey& key);

// ---- what the hub keeps of it ----

/// keys/backup.key and keys/recovery.pub.
struct HubBackupKeys {
  crypto::SymmetricKey data;
  crypto::PublicKey recovery;
};
/// Makes a recovery key in `out` (a new file, 0600) and what the hub keeps of it. Errors: `already_exists`; `io`.
Result<HubBackupKeys> make_backup_keys(const std::filesystem::path& hub_directory,
                                       const std::filesystem::path& out,
                                       const std::string& hub_name, const RandomSource& random);
/// Errors: `not_found` with the command that makes them; `malformed`; `unauthorised`.
Result<HubBackupKeys> load_backup_keys(const std::filesystem::path& hub_directory);

}  // namespace fieldpost::hub::backup

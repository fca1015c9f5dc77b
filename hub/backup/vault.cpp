#include "hub/backup/vault.h"

#include <algorithm>

#include "base/text.h"
#include "keys/secret_file.h"
#include "storage/pack.h"
#include "storage/value_codec.h"

namespace fieldpost::hub::backup {

namespace {

constexpr std::string_view kFileTag("fieldpost.v1.backup-file\0", 25);
constexpr std::string_view kMagic("FPBK\x01", 5);
constexpr std::uint8_t kChunkKind = 'c';
constexpr std::uint8_t kManifestKind = 'm';
constexpr std::uint8_t kLedgerKind = 'l';
constexpr std::size_t kHeadBytes = 6 + crypto::kAeadNonceBytes;
/// One entry at most above the usual size of a chunk.
constexpr std::size_t kChunkPlainMax = storage::kValueBytesMax + (std::size_t{1} << 20);
constexpr std::size_t kManifestPlainMax = std::size_t{256} << 20;

constexpr std::string_view kRecoveryTag = "fieldpost.v1.recovery-key";
constexpr std::size_t kCheckBytes = 3;
constexpr std::size_t kGroup = 4;

crypto::SymmetricKey derived(const crypto::SymmetricKey& data_key, std::string_view use) {
  const Hash hash = crypto::keyed_hash(data_key, {as_bytes("fieldpost.v1.backup."), as_bytes(use)});
  crypto::SymmetricKey key;
  key.bytes = hash.bytes;
  return key;
}

Bytes number_name(std::uint64_t number) { return storage::Packer().u64(number).take(); }

Bytes associated(BytesView head, BytesView name) {
  return storage::Packer().raw(as_bytes(kFileTag)).raw(head).raw(name).take();
}

Error not_as_written() { return fail(Errc::corrupt, "is not what was written under this name"); }

std::filesystem::path data_key_file(const std::filesystem::path& hub) {
  return hub / "keys" / "backup.key";
}
std::filesystem::path recovery_file(const std::filesystem::path& hub) {
  return hub / "keys" / "recovery.pub";
}

}  // namespace

Vault::Vault(const crypto::SymmetricKey& data_key, RandomSource random)
    : id_key_(derived(data_key, "chunk-id")),
      seal_key_(derived(data_key, "seal")),
      random_(std::move(random)),
      compressor_(wire::Dictionary::none(wire::Dictionary::kStoreLevel)) {
  const crypto::SymmetricKey boundaries = derived(data_key, "boundaries");
  boundary_seed_ = storage::Unpacker(boundaries.view()).u64();
}

ChunkId Vault::chunk_id(BytesView plain) const {
  return ChunkId{crypto::keyed_hash(id_key_, {plain}).bytes};
}

Bytes Vault::seal(std::uint8_t kind, BytesView name, BytesView plain) {
  storage::Packer head;
  head.raw(as_bytes(kMagic)).u8(kind);
  const auto nonce = random_id<crypto::AeadNonce>(random_);
  const Bytes sealed = crypto::aead_seal(seal_key_, nonce, associated(head.bytes(), name),
                                         compressor_.compress(plain));
  return head.id(nonce).raw(sealed).take();
}

Result<Bytes> Vault::open(std::uint8_t kind, BytesView name, BytesView file,
                          std::size_t bytes_max) {
  if (file.size() < kHeadBytes + crypto::kAeadTagBytes)
    return fail(Errc::corrupt, "is cut short (" + std::to_string(file.size()) + " bytes)");
  const BytesView head = file.first(kMagic.size() + 1);
  if (as_text(head.first(kMagic.size())) != kMagic || head.back() != kind)
    return fail(Errc::corrupt, "is no file of a Fieldpost backup, or of a version unknown here");
  FP_TRY(const auto nonce,
         crypto::AeadNonce::from(file.subspan(head.size(), crypto::kAeadNonceBytes)));
  const auto packed =
      crypto::aead_open(seal_key_, nonce, associated(head, name), file.subspan(kHeadBytes));
  if (!packed) return not_as_written();
  auto plain = compressor_.decompress(*packed, bytes_max);
  if (!plain) return fail(Errc::corrupt, "does not decompress: " + plain.error().detail);
  return plain;
}

Bytes Vault::seal_chunk(const ChunkId& id, BytesView plain) {
  return seal(kChunkKind, id.view(), plain);
}

Result<Bytes> Vault::open_chunk(const ChunkId& id, BytesView file) {
  FP_TRY(Bytes plain, open(kChunkKind, id.view(), file, kChunkPlainMax));
  if (chunk_id(plain) != id) return not_as_written();
  return plain;
}

Bytes Vault::seal_manifest(std::uint64_t number, BytesView plain) {
  return seal(kManifestKind, number_name(number), plain);
}

Bytes Vault::seal_ledger(std::uint64_t number, BytesView plain) {
  return seal(kLedgerKind, number_name(number), plain);
}

Result<Bytes> Vault::open_ledger(std::uint64_t number, BytesView file) {
  return open(kLedgerKind, number_name(number), file, kManifestPlainMax);
}

Result<Bytes> Vault::open_manifest(std::uint64_t number, BytesView file) {
  return open(kManifestKind, number_name(number), file, kManifestPlainMax);
}

// ---- the recovery key ----

std::string recovery_text(const RecoveryKey& key) {
  const Hash check = crypto::hash(kRecoveryTag, {key.seed.view()});
  const std::string plain = to_base32(
      storage::Packer().raw(key.seed.view()).raw(check.view().first(kCheckBytes)).bytes());
  std::string text;
  text.reserve(plain.size() + plain.size() / kGroup);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (i > 0 && i % kGroup == 0) text.push_back(i % (7 * kGroup) == 0 ? '\n' : ' ');
    text.push_back(plain[i]);
  }
  return text;
}

Result<RecoveryKey> recovery_from_text(std::string_view text) {
  std::string code;
  for (const std::string_view line : split(text, '\n')) {
    if (!trimmed(line).starts_with('#')) code += trimmed(line);
  }
  constexpr const char* kRetype =
      "compare it with the paper, character by character (56 of them, in groups of 4)";
  const auto bytes = from_base32(code);
  if (!bytes || bytes->size() != crypto::Seed{}.bytes.size() + kCheckBytes)
    return fail(
        Errc::malformed,
        std::string("this is no recovery key: characters are missing or wrong; ") + kRetype);
  RecoveryKey key;
  std::copy_n(bytes->begin(), key.seed.bytes.size(), key.seed.bytes.begin());
  const Hash check = crypto::hash(kRecoveryTag, {key.seed.view()});
  if (!std::equal(bytes->begin() + static_cast<std::ptrdiff_t>(key.seed.bytes.size()), bytes->end(),
                  check.bytes.begin())) {
    return fail(Errc::malformed,
                std::string("a character of this recovery key is wrong; ") + kRetype);
  }
  return key;
}

std::string recovery_name(const crypto::PublicKey& key) {
  const std::string text = to_base32(crypto::key_id(key).view().first(5));
  return text.substr(0, kGroup) + "-" + text.substr(kGroup);
}

// ---- what the hub keeps ----

Result<HubBackupKeys> make_backup_keys(const std::filesystem::path& hub_directory,
                                       const std::filesystem::path& out,
                                       const std::string& hub_name, const RandomSource& random) {
  if (auto there = load_backup_keys(hub_directory); there) {
    return fail(Errc::already_exists, "this hub has the recovery key " +
                                          recovery_name(there->recovery) +
                                          " already, and its backups open with that one only");
  } else if (!there.error().is(Errc::not_found)) {
    return there.error();
  }
  RecoveryKey recovery;
  random(recovery.seed.bytes);
  HubBackupKeys made;
  random(made.data.bytes);
  made.recovery = crypto::box_key_pair(recovery.seed).public_key;
  const std::string text =
      "# Fieldpost: recovery key " + recovery_name(made.recovery) + " of hub " + hub_name +
      ".\n# Whoever has it and the backups reads everything the hub held. Keep it in a safe, away "
      "from both.\n# To restore: fieldpost-hub restore --from REPOSITORY --key THIS_FILE --data "
      "NEW_FOLDER\n" +
      recovery_text(recovery) + "\n";
  // The key first: a hub that seals for a key that nobody has would be worse than none.
  FP_TRY(keys::AtomicFile file, keys::AtomicFile::create(out, 0600));
  FP_CHECK_OK(file.write(as_bytes(text)));
  FP_CHECK_OK(file.commit_new());
  FP_CHECK_OK(keys::write_file_atomically(recovery_file(hub_directory),
                                          as_bytes(made.recovery.hex() + "\n")));
  FP_CHECK_OK(keys::write_secret_file(data_key_file(hub_directory), made.data.view()));
  return made;
}

Result<HubBackupKeys> load_backup_keys(const std::filesystem::path& hub_directory) {
  const auto data = keys::read_secret_file(data_key_file(hub_directory));
  if (!data && data.error().is(Errc::not_found)) {
    return fail(Errc::not_found,
                "this hub has no recovery key yet; make one with: fieldpost-hub backup key --out "
                "FILE");
  }
  if (!data) return data.error();
  HubBackupKeys keys;
  if (data->size() != keys.data.bytes.size()) {
    return fail(Errc::malformed, data_key_file(hub_directory).string() + " holds " +
                                     std::to_string(data->size()) +
                                     " bytes, not 32; restore it from a backup");
  }
  std::copy(data->begin(), data->end(), keys.data.bytes.begin());
  const auto path = recovery_file(hub_directory);
  FP_TRY(const Bytes text, keys::read_file(path, keys::kSecretFileBytesMax));
  const auto bytes = from_hex(trimmed(as_text(text)));
  const auto key = bytes ? crypto::PublicKey::from(*bytes) : bytes.error();
  if (!key)
    return fail(Errc::malformed, path.string() + " holds no public key; restore it from a backup");
  keys.recovery = *key;
  return keys;
}

}  // namespace fieldpost::hub::backup

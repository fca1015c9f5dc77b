// Sealing values so that the hub carries what it cannot read (visits).
//
// Thread rule: free functions without state.
// Invariants:
//   1. One fresh content key per seal; a path is sealed at most once under it, because the nonce is
//      derived from the path.
//   2. The associated data binds a ciphertext to its seal, record and path, and not to its dot: a
//      re-stamped change and a hub's covering change carry it whole.
//   3. A ciphertext's size tells nothing of a value whose longest is known (a choice, a number, a date:
//      the sealer gives that room), and little of a text (size classes).
//   4. All randomness (content key, seal id, ephemeral seeds) is a parameter.
#pragma once

#include <span>
#include <string_view>

#include "crypto/crypto.h"
#include "model/change.h"

namespace fieldpost::wire {

/// Where a change's reason is sealed: outside the grammar of field paths, so no field has it.
inline constexpr std::string_view kReasonPath = "#reason";

/// Bytes of the padded plaintext for `size` bytes: 8, 16, 24, 32, 64, 128, 256, 512, 1024, then
/// multiples of 1024.
std::size_t padded_size(std::size_t size);
/// Bytes of a value before it is padded. A sealed value has none: 0.
std::size_t plain_size(const model::Value& value);
/// The room of a value whose longest is not known, a text.
inline constexpr std::size_t kTextRoomBytes = 32;

/// The plaintext is padded as if it had at least `room` bytes: the same for every value of a field.
/// Errors: `invalid_argument` for a value that is sealed already, `too_large` when the ciphertext would
/// exceed limits::kCiphertextBytesMax.
Result<model::Sealed> seal_value(const crypto::SymmetricKey& content_key, const SealId& seal,
                                 const RecordId& record, std::string_view path,
                                 const model::Value& value, std::size_t room = kTextRoomBytes);
/// Errors: `bad_signature` when key, seal, record or path differ from what was sealed; `malformed` when
/// the plaintext is not one value and zeros up to a size class.
Result<model::Value> open_value(const crypto::SymmetricKey& content_key, const RecordId& record,
                                std::string_view path, const model::Sealed& sealed);

/// Whom a content key is for, and the fresh randomness of that box.
struct Recipient {
  crypto::PublicKey key;
  crypto::Seed ephemeral;
};

/// Errors: `invalid_argument` without recipients, with more than limits::kBoxesMax, or with one twice.
Result<model::Seal> make_seal(const SealId& id, const crypto::SymmetricKey& content_key,
                              std::span<const Recipient> recipients);
/// Errors: `not_found` when no box is for this key; `bad_signature` when the box does not open.
Result<crypto::SymmetricKey> open_seal(const model::Seal& seal,
                                       const crypto::BoxKeyPair& recipient);

}  // namespace fieldpost::wire

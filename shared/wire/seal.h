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

/// Bytes of the padded plaintext for a value of `size` bytes whose longest is not known: 32, 64, 128,
/// 256, 512, 1024, then multiples of 1024. With `room`, the bytes of the longest value its field can
/// have, always that in steps of 8 up to 64.
std::size_t padded_size(std::size_t size, std::size_t room = 0);
/// Bytes of a value before it is padded. A sealed value has none: 0.
std::size_t plain_size(const model::Value& value);

/// `room`: see padded_size; the same for every value of a field, or 0.
/// Errors: `invalid_argument` for a value that is sealed already, `too_large` when the ciphertext would
/// exceed limits::kCiphertextBytesMax.
Result<model::Sealed> seal_value(const crypto::SymmetricKey& content_key, const SealId& seal,
                                 const RecordId& record, std::string_view path,
                                 const model::Value& value, std::size_t room = 0);
/// Errors: `bad_signature` when key, seal, record or path differ from what was sealed; `malformed` when
/// the plaintext is not one value and zeros up to a size class.
Result<model::Value> open_value(const crypto::SymmetricKey& content_key, const RecordId& record,
                                std::string_view path, const model::Sealed& sealed);

/// `ephemeral` is fresh randomness, for this seal alone; its key pair makes the box of each recipient.
/// Errors: `invalid_argument` without recipients, with more than limits::kBoxesMax, or with one twice.
Result<model::Seal> make_seal(const SealId& id, const crypto::SymmetricKey& content_key,
                              const crypto::Seed& ephemeral,
                              std::span<const crypto::PublicKey> recipients);
/// Errors: `not_found` when no box is for this key; `bad_signature` when the box does not open.
Result<crypto::SymmetricKey> open_seal(const model::Seal& seal,
                                       const crypto::BoxKeyPair& recipient);

}  // namespace fieldpost::wire

// What the health authority signs: whom a unit's visits are sealed to, and a device's share in it.
//
// Thread rule: plain values and pure functions; randomness is a parameter.
// Invariants:
//   1. A Recipients or Grant value has a valid signature of `authority`; that this authority is the one
//      to believe is the pin's matter (`fingerprint_of`), never the hub's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "crypto/crypto.h"

namespace fieldpost::agent {

/// "unit 02-MRU1's visits are sealed to these two keys".
struct Recipients {
  std::string unit;
  std::uint32_t version = 1;
  crypto::PublicKey authority;      ///< Ed25519
  crypto::PublicKey authority_box;  ///< X25519
  crypto::PublicKey unit_box;       ///< X25519, of this version
  crypto::Signature signature;
};

/// The unit's private key, for one device.
struct Grant {
  Recipients recipients;
  crypto::PublicKey device_box;
  Bytes unit_key_box;  ///< box_seal of the unit key's seed
  crypto::Signature signature;
};

void sign_recipients(const crypto::SigningKey& authority, Recipients& recipients);
/// Seals the unit's seed to the device and signs.
Grant make_grant(const crypto::SigningKey& authority, const Recipients& recipients,
                 const crypto::PublicKey& device_box, const crypto::Seed& unit_seed,
                 const crypto::Seed& ephemeral);

/// For people to compare out of band: "7kq2-m4tx-9zb3-h0wd-…", 24 characters.
std::string fingerprint_of(const crypto::PublicKey& key);
/// Groups, dashes, spaces and case do not matter.
bool same_fingerprint(std::string_view typed, const crypto::PublicKey& key);

nlohmann::json to_json(const Recipients& recipients);
nlohmann::json to_json(const Grant& grant);
/// Errors: `malformed`; `bad_signature` when it was not signed by the authority it names.
Result<Recipients> recipients_from_json(const nlohmann::json& object);
Result<Grant> grant_from_json(const nlohmann::json& object);

}  // namespace fieldpost::agent

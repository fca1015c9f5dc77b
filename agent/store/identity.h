// Who this tablet is: its keys, its hub, its unit; written once at enrolment.
//
// Thread rule: plain values; reading and writing touch the disk.
// Invariants:
//   1. A device has exactly one compartment and one home unit.
//   2. Health keys are there only after a grant signed by the pinned authority was accepted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/health/statement.h"
#include "agent/store/directory.h"
#include "crypto/crypto.h"

namespace fieldpost::agent {

/// What a rehab unit's tablet holds to seal its visits and to read its own unit's.
struct HealthKeys {
  Recipients recipients;  ///< the newest accepted
  struct UnitKey {
    std::uint32_t version = 0;
    crypto::Seed seed;
  };
  std::vector<UnitKey> unit_keys;  ///< every version ever granted: earlier visits stay readable
};

struct Identity {
  std::string host;
  std::uint16_t port = 0;
  std::string server_name;
  std::string ca_pem;
  HubId hub;
  crypto::Seed device_seed;
  crypto::Seed box_seed;       ///< X25519, for what is sealed to this device
  std::string device_name;     ///< "T07"
  std::string unit;            ///< "01-PPT"
  std::string compartment;     ///< "enforcement" or "health"
  std::optional<Epoch> epoch;  ///< the hub's at enrolment; a hub of before told none
  std::optional<HealthKeys> health;

  DeviceId device() const;
};

/// Errors: `not_found` ("enrol first"), `malformed`, those of secret files.
Result<Identity> load_identity(const DataDirectory& data);
Status save_identity(const DataDirectory& data, const Identity& identity);

}  // namespace fieldpost::agent

// The families of routes; each adds its own to the Api. See hub/api/openapi.json for the contract.
//
// Thread rule: called once, while the Api is made.
#pragma once

#include "hub/api/api.h"

namespace fieldpost::hub {

struct RecordRoutes {
  static void add(Api& api);
};
struct DeviceRoutes {
  static void add(Api& api);
};
struct DecisionRoutes {
  static void add(Api& api);
};
struct StateRoutes {
  static void add(Api& api);
};

/// "actor:counter,…", what a client must send back to prove it decided on what it saw.
std::string version_text(const model::VersionVector& vv);
/// A record for people and scripts: document, conflicts with every sibling, sealed paths, raw state.
nlohmann::json record_json(const schema::Registry& registry, const model::Record& record);
/// The code both sides compare after enrolment: 8 characters, "abcd-efgh".
std::string compare_code(const HubId& hub, const DeviceId& device);

}  // namespace fieldpost::hub

// recovery join, refuse, release: an operator's decision on what the hub lost and tablets still hold.
//
// Thread rule: main's thread.
#pragma once

#include "hub/cli/client.h"

namespace fieldpost::hub {

struct RecoveryOrder {
  std::string decision;  ///< "join", "refuse" or "release"
  std::string id;        ///< of one record; empty: all
  std::string note;
  std::string author;  ///< empty: the API's default
};

/// Each record is a decision of its own; one that is refused does not keep the others.
/// {"decision", "decided": [ID], "refused": [{"record", "reason"}]}. Errors: the API's, for a single record.
Result<nlohmann::json> decide_recovery(Client& client, const RecoveryOrder& order);
void print_decided(const nlohmann::json& answer);

}  // namespace fieldpost::hub

// Walking through all records of a list, page by page, so that no command holds them all.
//
// Thread rule: the command's only thread.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "agent/cli/session.h"

namespace fieldpost::agent {

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

/// Calls back for each entry until there are no more, or the callback answers false. `query`: further
/// parameters, {{"type", "stop"}}.
Status for_each_record(Client& client, const QueryParameters& query,
                       const std::function<Result<bool>(const nlohmann::json&)>& visit,
                       std::string after = {});

}  // namespace fieldpost::agent

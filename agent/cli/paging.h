// Walking through all records of a list, page by page, so that no command holds them all.
//
// Thread rule: the command's only thread.
#pragma once

#include <functional>

#include "agent/cli/session.h"

namespace fieldpost::agent {

/// Calls back for each entry until there are no more, or the callback answers false. `query` is the rest
/// of the query string, "&type=stop".
Status for_each_record(Client& client, const std::string& query,
                       const std::function<Result<bool>(const nlohmann::json&)>& visit,
                       std::string after = {});

/// A value for a query string.
std::string url_part(std::string_view text);

}  // namespace fieldpost::agent

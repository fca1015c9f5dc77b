// Every route of the agent's JSON API (docs/agent-api.md lists them). The command line is a client of it.
//
// Thread rule: the handlers run on the store's thread.
#pragma once

#include <functional>

#include "agent/records/desk.h"
#include "net/router.h"

namespace fieldpost::agent {

/// What the routes reach beyond the desk.
struct ApiParts {
  Desk* desk = nullptr;
  std::function<Result<nlohmann::json>()> status;
  std::function<Result<nlohmann::json>()> verify;
  std::function<Result<nlohmann::json>()> damaged;
  std::function<void()> dial_now;  ///< empty: no daemon, nothing dials
  std::function<Result<nlohmann::json>(std::string name, std::string csv)> import_places;
};

net::Router make_router(ApiParts parts);

}  // namespace fieldpost::agent

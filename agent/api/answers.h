// Results as HTTP answers, and answers as results: the two ends of the agent's own API.
//
// Thread rule: pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "agent/records/desk.h"
#include "net/http.h"

namespace fieldpost::agent {

net::HttpResponse json_response(const nlohmann::json& body, int status = 200);
net::HttpResponse to_response(const Error& error);
net::HttpResponse to_response(const Result<nlohmann::json>& result);
/// Faults become 422 with every fault listed, and one sentence that names them.
net::HttpResponse to_response(const Result<Outcome>& outcome, int status = 200);

/// The error an answer of 400 and above stands for.
Error error_of(const net::HttpResponse& response);

}  // namespace fieldpost::agent

// Requests as a program or a stranger might send them, put together from an input.
//
// Thread rule: plain functions.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "net/http.h"
#include "tests/fuzz/fuzz.h"

namespace fieldpost::fuzz {

/// A good request, to be bent.
struct Template {
  std::string method;
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;
  nlohmann::json body;  ///< null: none
};

/// One of the templates, bent as the input says, or a target and a body out of the input alone. Nothing when
/// its target is refused before any handler sees it, as the server does.
std::optional<net::HttpRequest> request_of(const std::vector<Template>& templates, Input& in);

/// What must hold of every answer: a status that exists, an error with a sentence, JSON that parses; and never
/// 500, which says that the program itself failed.
void require_answer(const net::HttpResponse& answer);

/// Targets of requests, read and made.
void take_target(BytesView bytes);
std::vector<Bytes> target_seeds();

}  // namespace fieldpost::fuzz

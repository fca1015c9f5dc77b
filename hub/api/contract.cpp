#include "hub/api/contract.h"

#include <algorithm>

#include "base/embedded.h"
#include "base/text.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

std::string listed(const std::set<std::string, std::less<>>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

/// A name that came from outside, short enough for a sentence.
std::string in_quotes(std::string_view name) {
  constexpr std::size_t kShownMax = 40;
  return "\"" + std::string(name.substr(0, kShownMax)) + "\"";
}

}  // namespace

Contract::Contract() {
  const json document = json::parse(as_text(embedded_api().front().bytes));
  const json& shared = document.at("components").at("parameters");
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      Route& route = routes_[upper(method) + " " + path];
      for (const json& entry : operation.value("parameters", json::array())) {
        const std::string reference = entry.value("$ref", "");
        const json& parameter =
            reference.empty() ? entry : shared.at(reference.substr(reference.rfind('/') + 1));
        if (parameter.at("in") == "query") route.parameters.insert(parameter.at("name"));
      }
      if (!operation.contains("requestBody")) continue;
      const json& schema =
          operation.at("requestBody").at("content").at("application/json").at("schema");
      route.any_member = schema.value("additionalProperties", true);
      for (const auto& [name, property] : schema.at("properties").items())
        route.members.insert(name);
    }
  }
}

Status Contract::check(std::string_view method, const std::string& pattern,
                       const net::HttpRequest& request) const {
  const auto found = routes_.find(std::string(method) + " " + pattern);
  if (found == routes_.end()) return {};
  const Route& route = found->second;
  for (const auto& [name, value] : request.query) {
    if (route.parameters.contains(name)) continue;
    return fail(Errc::invalid_argument, in_quotes(name) + " is not a parameter of " + request.path +
                                            "; it takes: " + listed(route.parameters));
  }
  if (route.any_member) return {};
  const json body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) return {};
  for (const auto& [name, value] : body.items()) {
    if (route.members.contains(name)) continue;
    return fail(
        Errc::invalid_argument,
        in_quotes(name) + " is not a member of this body; it takes: " + listed(route.members));
  }
  return {};
}

}  // namespace fieldpost::hub

#include "hub/cli/client.h"

#include "net/client.h"

namespace fieldpost::hub {

using nlohmann::json;

Result<net::HttpResponse> Client::send(const std::string& method, const std::string& target,
                                       const std::string& body) {
  if (const auto run = local_ ? std::nullopt : running(directory_)) {
    FP_TRY(const Settings settings, load_settings(directory_));
    FP_TRY(const Keys keys, load_keys(directory_));
    net::ClientRequest request;
    request.method = method;
    request.host = run->address;
    request.port = run->port;
    request.server_name = settings.name;
    request.target = target;
    request.headers = {{"Authorization", "Bearer " + keys.admin_token}};
    request.body = body;
    // verify may take minutes, a first backup hours
    request.timeout_ms = target == "/v1/backup" ? 24 * 3'600'000 : 600'000;
    request.body_bytes_max = 256 * 1024 * 1024;
    FP_TRY(request.trust, net::trust_ca(keys.ca_pem));
    // It is at least 1970: an operator must reach the hub whose certificate's dates are to be mended.
    request.hub_time_at_least = Instant{1'000};
    FP_TRY(net::ClientResponse answer, net::http_request(std::move(request)));
    return std::move(answer.response);
  }
  if (!local_) {
    FP_TRY(local_, LocalHub::open(directory_));
  }
  net::HttpRequest request;
  request.method = method;
  request.target = target;
  request.body = body;
  request.remote = "local";
  FP_CHECK_OK(net::parse_target(request));
  return local_->call(std::move(request));
}

Result<json> Client::call(const std::string& method, const std::string& target, const json& body) {
  FP_TRY(const net::HttpResponse response, send(method, target, body.is_null() ? "" : body.dump()));
  json answer = json::parse(response.body, nullptr, false);
  if (response.status / 100 == 2) {
    if (answer.is_discarded()) return json(response.body);
    return answer;
  }
  std::string message = "the hub answered " + std::to_string(response.status);
  std::string code;
  if (answer.is_object() && answer.contains("error")) {
    message = answer["error"].value("message", message);
    code = answer["error"].value("code", code);
  }
  // As things stand, it may not be done; the same words may be right at another time.
  if (code == "conflict" || code == "not_allowed" || code == "locked")
    return fail(Errc::conflict, message);
  return fail(response.status < 500 ? Errc::invalid_argument : Errc::io, message);
}

Result<json> Client::whole(const std::string& list, const std::string& member) {
  constexpr const char* kPage = "1000";
  json all;
  std::string after;
  do {
    FP_TRY(json page,
           call("GET", net::make_target({"v1", list}, {{"limit", kPage}, {"after", after}})));
    after = page.value("next_after", "");
    page.erase("next_after");
    if (all.is_null()) {
      all = std::move(page);
      continue;
    }
    for (json& entry : page[member]) all[member].push_back(std::move(entry));
  } while (!after.empty());
  return all;
}

}  // namespace fieldpost::hub

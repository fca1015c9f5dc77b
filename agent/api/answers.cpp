#include "agent/api/answers.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

struct Row {
  Errc errc;
  int status;
  const char* code;
};
constexpr Row kRows[] = {
    {Errc::not_found, 404, "not_found"},
    {Errc::already_exists, 409, "already_exists"},
    {Errc::conflict, 409, "conflict"},
    {Errc::invalid_argument, 400, "invalid_argument"},
    {Errc::malformed, 400, "malformed"},
    {Errc::too_large, 413, "too_large"},
    {Errc::unsupported, 400, "unsupported"},
    {Errc::unauthorised, 403, "unauthorised"},
    {Errc::bad_signature, 400, "bad_signature"},
    {Errc::locked, 423, "locked"},
    {Errc::store_full, 507, "store_full"},
    {Errc::store_failed, 500, "store_failed"},
    {Errc::corrupt, 500, "corrupt"},
    {Errc::timeout, 504, "timeout"},
    {Errc::io, 500, "io"},
    {Errc::closed, 503, "closed"},
};

}  // namespace

net::HttpResponse json_response(const json& body, int status) {
  net::HttpResponse response;
  response.status = status;
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

net::HttpResponse to_response(const Error& error) {
  std::string text = error.detail.empty() ? error.message() : error.detail;
  if (error.is(Errc::store_full)) {
    text = "nothing was recorded: " + text +
           ". What was recorded before is here, can be read and is still sent. Make room (delete "
           "other files or drafts), then do this again";
  }
  for (const Row& row : kRows) {
    if (error.is(row.errc)) return net::error_response(row.status, row.code, text);
  }
  return net::error_response(500, "failed", error.message());
}

net::HttpResponse to_response(const Result<json>& result) {
  return result ? json_response(*result) : to_response(result.error());
}

net::HttpResponse to_response(const Result<Outcome>& outcome, int status) {
  if (!outcome) return to_response(outcome.error());
  if (outcome->faults.empty()) return json_response(outcome->body, status);
  std::string sentence = "not recorded:";
  for (const json& fault : outcome->faults) {
    if (fault["severity"] != "error") continue;
    const std::string path = fault["path"];
    sentence += (path.empty() ? " " : " " + path + ": ") + fault["message"].get<std::string>();
  }
  return json_response(
      {{"error", {{"code", "invalid"}, {"message", sentence}}}, {"faults", outcome->faults}}, 422);
}

Error error_of(const net::HttpResponse& response) {
  const json body = json::parse(response.body, nullptr, false);
  std::string code;
  std::string message =
      "the agent answered " + std::to_string(response.status) + " without saying why";
  if (body.is_object() && body.contains("error") && body["error"].is_object()) {
    code = body["error"].value("code", "");
    message = body["error"].value("message", message);
  }
  for (const Row& row : kRows) {
    if (code == row.code) return fail(row.errc, message);
  }
  return fail(response.status < 500 ? Errc::invalid_argument : Errc::io, message);
}

}  // namespace fieldpost::agent

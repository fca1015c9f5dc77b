// Every route of the API's document against callers that may not, do not know, or mean harm.
#include "tests/hub/api_fixture.h"
#include "tests/net/hub_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

struct Route {
  std::string method;
  std::string pattern;
  std::string path;   ///< with something in its places
  bool open = false;  ///< needs no token
  bool takes_body = false;
  bool any_member = true;
  json good;  ///< a body of the right form
};

std::string filled(std::string path) {
  const std::pair<const char*, const char*> places[] = {
      {"{id}", "0190b3c2-7f00-7000-8000-000000000000"},
      {"{unit}", "01-PPT"},
      {"{code}", "01-PPT"},
      {"{actor}", "00000000000000a1"},
      {"{counter}", "1"},
      {"{name}", "T07"}};
  for (const auto& [place, value] : places) {
    if (const auto at = path.find(place); at != std::string::npos)
      path.replace(at, std::strlen(place), value);
  }
  REQUIRE(path.find('{') == std::string::npos);  // a new kind of place: say above what stands in it
  return path;
}

json good_body(const std::string& pattern) {
  if (pattern == "/v1/records/{id}/resolve")
    return {{"path", "witness"}, {"value", "x"}, {"note", "why"}};
  if (pattern == "/v1/quarantine/{actor}/{counter}") return {{"ruling", "retry"}};
  if (pattern == "/v1/devices/{name}/move") return {{"unit", "01-PPT"}};
  if (pattern == "/v1/recovery/{id}") return {{"decision", "join"}, {"note", "why"}};
  if (pattern == "/v1/units/{code}") return {{"name", "Poipet"}};
  if (pattern == "/v1/retention/run") return {{"author", "operator"}};
  if (pattern == "/v1/holds")
    return {{"record", "0190b3c2-7f00-7000-8000-000000000000"},
            {"reason", "why"},
            {"author", "operator"}};
  if (pattern == "/v1/holds/{id}/lift") return {{"reason", "why"}, {"author", "operator"}};
  if (pattern == "/v1/backup") return {{"full", true}};
  if (pattern == "/v1/invitations") return {{"name", "T07"}, {"unit", "01-PPT"}};
  if (pattern == "/v1/enrol")
    return {{"secret", std::string(32, '0')},
            {"device", std::string(64, '1')},
            {"signature", std::string(128, '2')}};
  return nullptr;
}

std::vector<Route> routes() {
  std::vector<Route> all;
  const json document = json::parse(as_text(embedded_api().front().bytes));
  for (const auto& [pattern, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      Route route;
      route.method = method;
      for (char& c : route.method) c = static_cast<char>(std::toupper(c));
      route.pattern = pattern;
      route.path = filled(pattern);
      route.open = operation.contains("security") && operation["security"].empty();
      route.takes_body = operation.contains("requestBody");
      if (route.takes_body) {
        route.any_member = operation["requestBody"]["content"]["application/json"]["schema"].value(
            "additionalProperties", true);
      }
      if (route.takes_body) route.good = good_body(pattern);
      REQUIRE(route.good.is_null() !=
              route.takes_body);  // a new body: say above what is a good one
      all.push_back(std::move(route));
    }
  }
  return all;
}

std::string said(const json& answer) {
  if (!answer.is_object() || !answer.contains("error")) return {};
  return answer["error"].value("message", "");
}
std::string said(const net::HttpResponse& answer) {
  return said(json::parse(answer.body, nullptr, false));
}

/// Nothing of what was asked has been done.
void check_untouched(Hub& hub) {
  CHECK(hub.ask("GET", "/v1/units").second["units"].empty());
  CHECK(hub.ask("GET", "/v1/devices").second["devices"].empty());
  CHECK(hub.ask("GET", "/v1/records").second["records"].empty());
}

}  // namespace

TEST_CASE("only these routes answer without a token") {
  std::set<std::string> open;
  for (const Route& route : routes()) {
    if (route.open) open.insert(route.pattern);
  }
  CHECK(open == std::set<std::string>{"/healthz", "/readyz", "/v1/enrol", "/v1/openapi.json"});
}

TEST_CASE("without the token, or with a wrong one, no route that asks for it answers") {
  Hub hub;
  const std::string token = hub.keys.admin_token;
  const std::vector<std::string> wrong = {"",
                                          "Bearer",
                                          "Bearer ",
                                          "Bearer  " + token,
                                          token,
                                          "bearer " + token,
                                          "Basic " + token,
                                          "Bearer " + token + "x",
                                          "Bearer " + token + " ",
                                          "Bearer " + token.substr(1),
                                          "Bearer " + token.substr(0, token.size() - 1),
                                          "Bearer " + std::string(token.size(), 'x')};
  for (const Route& route : routes()) {
    if (route.open) continue;
    const std::string body = route.good.is_null() ? "" : route.good.dump();
    for (const std::string& header : wrong) {
      INFO(route.method << " " << route.path << " with \"" << header << "\"");
      const auto answer = hub.send(route.method, route.path, body, header);
      CHECK(answer.status == 401);
      CHECK(said(answer).find("administrator token") != std::string::npos);
      CHECK(answer.body.find(token) == std::string::npos);
      // Nor what stands in the query instead.
      CHECK(hub.send(route.method, route.path + "?token=" + token, body, header).status == 401);
    }
    const auto answer = hub.send(route.method, route.path, body, "Bearer " + token);
    INFO(route.method << " " << route.path << ": " << answer.body);
    CHECK(answer.status != 401);
  }
}

TEST_CASE("a refused caller has changed nothing") {
  Hub hub;
  for (const Route& route : routes()) {
    if (!route.open) hub.send(route.method, route.path, route.good.dump(), "Bearer wrong");
  }
  check_untouched(hub);
}

TEST_CASE("a method that a path does not take is refused, and those it takes are named") {
  Hub hub;
  const auto all = routes();
  for (const Route& route : all) {
    for (const char* method : {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "BREW"}) {
      const bool taken = std::any_of(all.begin(), all.end(), [&](const Route& other) {
        return other.pattern == route.pattern && other.method == method;
      });
      if (taken) continue;
      INFO(method << " " << route.path);
      const auto answer = hub.send(method, route.path, "", "Bearer " + hub.keys.admin_token);
      CHECK(answer.status == 405);
      REQUIRE(answer.header("Allow") != nullptr);
      CHECK(answer.header("Allow")->find(route.method) != std::string::npos);
      CHECK(said(answer).find(route.method) != std::string::npos);
    }
  }
  check_untouched(hub);
}

TEST_CASE("a body that is no JSON object is refused on every route that takes one") {
  Hub hub;
  for (const Route& route : routes()) {
    if (!route.takes_body) continue;
    std::string deep(10'000, '[');
    for (const std::string& body :
         {std::string(), std::string("{"), std::string("not json"), std::string("[]"),
          std::string("null"), std::string("5"), std::string("\"text\""), std::string("{\"a\":}"),
          std::string("{'note': 'why'}"), std::string("<xml/>"), std::string("\0\0", 2),
          std::string("\xff\xfe{\0}\0", 6), std::string("a=b&c=d"), route.good.dump() + "}",
          deep}) {
      INFO(route.method << " " << route.path << " ← " << body.substr(0, 40));
      const auto answer =
          hub.send(route.method, route.path, body, "Bearer " + hub.keys.admin_token);
      CHECK(answer.status == 400);
      CHECK_FALSE(said(answer).empty());
    }
  }
  check_untouched(hub);
  CHECK(hub.ask("GET", "/v1/status").first == 200);
}

TEST_CASE("a member or parameter that nobody knows is refused and named, not passed over") {
  Hub hub;
  for (const Route& route : routes()) {
    INFO(route.method << " " << route.path);
    if (route.takes_body && !route.any_member) {
      json body = route.good;
      body["nota"] = "a slip of the finger";
      const auto [status, answer] = hub.ask(route.method, route.path, body);
      CHECK(status == 400);
      CHECK(said(answer).find("\"nota\"") != std::string::npos);
    }
    if (route.method != "GET" || route.open || route.pattern == "/metrics") continue;
    const auto [status, answer] = hub.ask("GET", route.path + "?limt=5");
    CHECK(status == 400);
    CHECK(said(answer).find("\"limt\"") != std::string::npos);
  }
  const auto [status, answer] = hub.ask("GET", "/v1/records?limt=5");
  CHECK(said(answer).find("limit") != std::string::npos);
  check_untouched(hub);
}

TEST_CASE("what an enrolling tablet of a later version adds is passed over") {
  Hub hub;
  json body = good_body("/v1/enrol");
  body["something_new"] = 5;
  CHECK(hub.send("POST", "/v1/enrol", body.dump(), "").status == 403);  // only the proof is missing
}

TEST_CASE("a path that is almost one, or much more than one, is not found") {
  Hub hub;
  for (const char* path :
       {"/", "/v1", "/v1/", "/v1/records/", "/v1//records", "/V1/records", "/v1/records/a/b/c",
        "/v1/quarantine/00000000000000a1", "/v1/units/", "/v2/records"}) {
    INFO(path);
    const auto answer = hub.send("GET", path, "", "Bearer " + hub.keys.admin_token);
    CHECK((answer.status == 404 || answer.status == 405));
    CHECK_FALSE(said(answer).empty());
  }
}

namespace {

/// The API behind the server that stands before it in a running hub.
struct Served {
  Hub hub;
  fieldpost::test::HubFixture server;

  Served() {
    server.on_request = [this](net::HttpRequest request, const net::Responder& respond) {
      hub.api->handle(std::move(request), respond);
    };
  }
  Result<net::ClientResponse> send(const Route& route, std::string body) {
    net::ClientRequest request;
    request.method = route.method;
    request.host = "127.0.0.1";
    request.port = server.server.port();
    request.server_name = "hub.example";
    request.trust = server.target().trust;
    request.target = route.path;
    request.headers = {{"Authorization", "Bearer " + hub.keys.admin_token}};
    request.body = std::move(body);
    return server.request(std::move(request));
  }
};

}  // namespace

TEST_CASE("a body above the limit is refused before it is read, whatever the route") {
  Served served;
  const std::string large(net::ServerConfig{}.body_bytes_max + 1, ' ');
  for (const Route& route : routes()) {
    if (route.method == "GET") continue;
    INFO(route.method << " " << route.path);
    const auto answer = served.send(route, large);
    REQUIRE(answer.has_value());
    CHECK(answer->response.status == 413);
    CHECK(said(answer->response).find("too large") != std::string::npos);
  }
  // Just within it, it is read, and judged for what it is.
  for (const Route& route : routes()) {
    if (!route.takes_body) continue;
    INFO(route.method << " " << route.path);
    const auto answer = served.send(route, large.substr(1));
    REQUIRE(answer.has_value());
    CHECK(answer->response.status == 400);
  }
  check_untouched(served.hub);
}

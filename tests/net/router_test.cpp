#include "net/router.h"

#include "tests/support/catch.h"

using namespace fieldpost::net;

namespace {

struct Asked {
  Router router;
  std::string route;
  HttpRequest request;
  HttpResponse response;

  void add(std::string method, std::string pattern, std::size_t limit = 0) {
    router.add(
        method, pattern,
        [this, name = method + " " + pattern](HttpRequest taken, const Responder& respond) {
          route = name;
          request = std::move(taken);
          respond({});
        },
        limit);
  }
  std::string ask(std::string method, std::string target) {
    HttpRequest asked;
    asked.method = std::move(method);
    asked.target = std::move(target);
    REQUIRE(parse_target(asked));
    route.clear();
    router.handle(std::move(asked),
                  Responder([this](HttpResponse answer) { response = std::move(answer); }));
    return route;
  }
};

}  // namespace

TEST_CASE("literals win over names, names over the rest, whatever the order") {
  Asked api;
  api.add("GET", "/{page...}");
  api.add("GET", "/v1/records/{id}");
  api.add("GET", "/v1/records/new");
  api.add("POST", "/v1/records");
  api.add("GET", "/v1/{kind}/new");
  api.add("GET", "/");
  CHECK(api.ask("GET", "/") == "GET /");
  CHECK(api.ask("GET", "/v1/records/new") == "GET /v1/records/new");
  CHECK(api.ask("GET", "/v1/records/abc") == "GET /v1/records/{id}");
  CHECK(api.request.params.at("id") == "abc");
  CHECK(api.ask("GET", "/v1/units/new") == "GET /v1/{kind}/new");
  CHECK(api.ask("GET", "/css/a.css?v=1") == "GET /{page...}");
  CHECK(api.request.params.at("page") == "css/a.css");
  CHECK(api.ask("HEAD", "/v1/records/abc") == "GET /v1/records/{id}");
  CHECK(api.ask("POST", "/v1/records") == "POST /v1/records");
}

TEST_CASE("a name is one whole decoded segment and never empty") {
  Asked api;
  api.add("GET", "/v1/records/{id}/history");
  CHECK(api.ask("GET", "/v1/records/a%2Fb%20c/history") == "GET /v1/records/{id}/history");
  CHECK(api.request.params.at("id") == "a/b c");
  CHECK(api.ask("GET", "/v1/records//history").empty());
  CHECK(api.response.status == 404);
  CHECK(api.ask("GET", "/v1/records/a/b/history").empty());
  CHECK(api.ask("GET", "/v1/records/a/history/").empty());
}

TEST_CASE("404 and 405 are JSON errors, and 405 names what is allowed") {
  Asked api;
  api.add("GET", "/v1/records/{id}");
  api.add("PUT", "/v1/records/{id}");
  api.ask("DELETE", "/v1/records/1");
  CHECK(api.response.status == 405);
  CHECK(*api.response.header("Allow") == "GET, PUT");
  CHECK(api.response.body.find("{\"error\":{\"code\":\"method_not_allowed\",\"message\":") == 0);
  api.ask("GET", "/v2");
  CHECK(api.response.status == 404);
  CHECK(api.response.body.find("{\"error\":{\"code\":\"not_found\",\"message\":") == 0);
}

TEST_CASE("a route's own body limit is found by its request") {
  Asked api;
  api.add("POST", "/v1/import", 64'000'000);
  api.add("POST", "/v1/records");
  HttpRequest request;
  request.method = "POST";
  request.target = "/v1/import";
  REQUIRE(parse_target(request));
  CHECK(api.router.body_bytes_max(request) == 64'000'000);
  request.target = "/v1/records";
  REQUIRE(parse_target(request));
  CHECK(api.router.body_bytes_max(request) == 0);
  CHECK(api.router.routes() == std::vector<std::string>{"POST /v1/import", "POST /v1/records"});
}

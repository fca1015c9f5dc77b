#include "agent/api/guard.h"
#include "tests/support/catch.h"

using namespace fieldpost;

namespace {

const agent::ApiGate kGate{4711, "the-token"};

net::HttpRequest request(net::HttpHeaders headers) {
  net::HttpRequest made;
  made.method = "GET";
  made.target = "/v1/status";
  made.headers = std::move(headers);
  return made;
}

int status_of(net::HttpHeaders headers) {
  const auto refusal = agent::refuse(request(std::move(headers)), kGate);
  return refusal ? refusal->status : 200;
}

}  // namespace

TEST_CASE("the loopback API answers its own host, origin and token") {
  CHECK(status_of({{"Host", "127.0.0.1:4711"}, {"Authorization", "Bearer the-token"}}) == 200);
  CHECK(status_of({{"Host", "localhost:4711"},
                   {"Authorization", "Bearer the-token"},
                   {"Origin", "http://localhost:4711"}}) == 200);
}

TEST_CASE("another host is refused whatever token it brings") {
  CHECK(status_of({{"Host", "evil.example:4711"}, {"Authorization", "Bearer the-token"}}) == 403);
  CHECK(status_of({{"Host", "127.0.0.1:80"}, {"Authorization", "Bearer the-token"}}) == 403);
  CHECK(status_of({{"Host", "127.0.0.1"}, {"Authorization", "Bearer the-token"}}) == 403);
  CHECK(status_of({{"Authorization", "Bearer the-token"}}) == 403);
  CHECK(status_of({{"Host", "127.0.0.1:4711"},
                   {"Host", "evil.example"},
                   {"Authorization", "Bearer the-token"}}) == 403);
}

TEST_CASE("a page of another site is refused") {
  for (const char* origin : {"http://evil.example", "https://127.0.0.1:4711", "null",
                             "http://127.0.0.1:4711.evil.example"}) {
    CHECK(status_of({{"Host", "127.0.0.1:4711"},
                     {"Authorization", "Bearer the-token"},
                     {"Origin", origin}}) == 403);
  }
}

TEST_CASE("a missing or wrong token is 401 with a sentence") {
  CHECK(status_of({{"Host", "127.0.0.1:4711"}}) == 401);
  CHECK(status_of({{"Host", "127.0.0.1:4711"}, {"Authorization", "Bearer wrong"}}) == 401);
  CHECK(status_of({{"Host", "127.0.0.1:4711"}, {"Authorization", "Basic the-token"}}) == 401);
  const auto refusal = agent::refuse(request({{"Host", "127.0.0.1:4711"}}), kGate);
  REQUIRE(refusal);
  CHECK(refusal->body.find("api.token") != std::string::npos);
  CHECK(refusal->header("WWW-Authenticate") != nullptr);
  const auto empty = agent::refuse(
      request({{"Host", "127.0.0.1:4711"}, {"Authorization", "Bearer "}}), {4711, ""});
  CHECK(empty);  // a token that was never made opens nothing
}

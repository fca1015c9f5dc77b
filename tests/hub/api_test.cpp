// The hub's API over stores in memory: who is let in, what is refused and how, enrolment, readiness.
#include "tests/hub/api_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

TEST_CASE("only the administrator's token opens what is not public") {
  Hub hub;
  for (const char* token :
       {"", "Bearer ", "Bearer wrong", "a-token-that-nobody-can-guess-at-all"}) {
    CHECK(hub.send("GET", "/v1/status", "", token).status == 401);
    CHECK(hub.send("GET", "/metrics", "", token).status == 401);
    CHECK(hub.send("GET", "/nothing", "", token).status == 401);
  }
  CHECK(hub.ask("GET", "/v1/status").first == 200);
  for (const char* open : {"/healthz", "/readyz", "/v1/openapi.json"})
    CHECK(hub.send("GET", open, "", "").status == 200);
}

TEST_CASE("a bad request is answered with what is wrong, and the hub goes on") {
  Hub hub;
  CHECK(hub.ask("GET", "/v1/nothing").first == 404);
  CHECK(hub.ask("DELETE", "/v1/status").first == 405);
  for (const char* limit : {"0", "-1", "1001", "ten", "1e2", "99999999999999999999"}) {
    CHECK(hub.ask("GET", std::string("/v1/records?limit=") + limit).first == 400);
  }
  CHECK(hub.ask("GET", "/v1/records?compartment=elsewhere").first == 400);
  CHECK(hub.ask("GET", "/v1/records?after=x").first == 400);
  CHECK(hub.ask("GET", "/v1/records/x").first == 400);
  CHECK(hub.ask("GET", "/v1/records/0190b3c2-7f00-7000-8000-000000000000").first == 404);
  CHECK(hub.ask("PUT", "/v1/units/Poipet", json::object()).first == 400);
  // A member of the wrong type once ended the process.
  CHECK(hub.ask("PUT", "/v1/units/01-PPT", {{"name", 7}}).first == 400);
  CHECK(hub.ask("PUT", "/v1/units/01-PPT", {{"compartment", json::array()}}).first == 400);
  CHECK(hub.ask("POST", "/v1/quarantine/00000000000000a1/1", {{"ruling", 1}}).first == 400);
  CHECK(hub.ask("POST", "/v1/quarantine/00000000000000a1/1", {{"ruling", "accept"}, {"note", 5}})
            .first == 400);
  CHECK(hub.ask("POST", "/v1/quarantine/00000000000000a1/1", {{"ruling", "retry"}, {"author", 5}})
            .first == 400);
  CHECK(hub.ask("POST", "/v1/quarantine/00000000000000a1/1", {{"ruling", "retry"}}).first == 404);
  CHECK(hub.ask("POST", "/v1/quarantine/xyz/1", {{"ruling", "retry"}}).first == 400);
  CHECK(hub.ask("GET", "/v1/status").first == 200);
}

TEST_CASE("an enrolment code works once, in time, and for one device of a name") {
  Hub hub;
  REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", {{"name", "Poipet"}}).first == 200);
  REQUIRE(hub.ask("PUT", "/v1/units/01-RHB", {{"compartment", "health"}}).first == 200);
  CHECK(hub.ask("PUT", "/v1/units/01-PPT", {{"compartment", "health"}}).first == 409);
  CHECK(hub.ask("POST", "/v1/invitations", {{"name", "T07"}, {"unit", "09-XXX"}}).first == 404);
  const std::string secret = hub.invite("T07", "01-PPT");
  const std::string doubled = hub.invite("T07", "01-PPT");
  const auto [status, enrolled] = hub.enrol(secret, 1);
  REQUIRE(status == 200);
  CHECK(enrolled["compartment"] == "enforcement");
  const auto again = hub.enrol(secret, 1);  // a lost answer is given again, to the same device
  CHECK(again.first == 200);
  CHECK((again.second == enrolled));
  CHECK(hub.enrol(secret, 3).first == 404);
  CHECK(code_of(hub.enrol(doubled, 2).second) == "already_exists");
  CHECK(hub.ask("POST", "/v1/invitations", {{"name", "T07"}, {"unit", "01-PPT"}}).first == 409);
  CHECK(hub.enrol(hub.invite("R01", "01-RHB"), 3).second["compartment"] == "health");
  const std::string late = hub.invite("T08", "01-PPT");
  hub.now.ms += 61 * 60'000;
  CHECK(code_of(hub.enrol(late, 4).second) == "expired");
  const auto [ok, device] = hub.ask("GET", "/v1/devices/T07");
  CHECK(ok == 200);
  CHECK(device["compare"] == enrolled["compare"]);
}

TEST_CASE("a device that cannot prove its key is not enrolled, and the code stays good") {
  Hub hub;
  REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
  const std::string secret = hub.invite("T07", "01-PPT");
  const json forged = {
      {"secret", secret}, {"device", std::string(64, '1')}, {"signature", std::string(128, '2')}};
  CHECK(hub.send("POST", "/v1/enrol", forged.dump(), "").status == 403);
  CHECK(hub.send("POST", "/v1/enrol", "{\"secret\": 5}", "").status == 400);
  CHECK(hub.send("POST", "/v1/enrol", "[[[[", "").status == 400);
  CHECK(hub.enrol(secret, 1).first == 200);
}

TEST_CASE("a store that takes nothing shows in readyz, status and metrics") {
  Hub hub;
  REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
  CHECK(hub.send("GET", "/metrics", "", "Bearer " + hub.keys.admin_token)
            .body.find("fieldpost_hub_store_ready{compartment=\"enforcement\"} 1") !=
        std::string::npos);
  REQUIRE(hub.enrol(hub.invite("T07", "01-PPT"), 1).first == 200);
  Store& store = hub.stores[0];
  const storage::Device device = store.store->reader()->devices()->front();
  store.writer->run([&](storage::HubStore&) {
    store.kv.set_faults(
        {[](std::uint64_t, storage::UpdateKind) { return storage::CommitFate::full; }});
  });
  store.writer->contact(device);
  store.writer->stop();
  REQUIRE(store.writer->figures().fault);
  const auto ready = hub.send("GET", "/readyz", "", "");
  CHECK(ready.status == 503);
  CHECK(ready.body.find("enforcement") != std::string::npos);
  const json stores = hub.ask("GET", "/v1/status").second["stores"];
  CHECK(stores["enforcement"]["fault"].is_string());
  CHECK(stores["health"]["fault"].is_null());
  CHECK(hub.send("GET", "/metrics", "", "Bearer " + hub.keys.admin_token)
            .body.find("fieldpost_hub_store_ready{compartment=\"enforcement\"} 0") !=
        std::string::npos);
  CHECK(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 503);  // this writer stopped
}

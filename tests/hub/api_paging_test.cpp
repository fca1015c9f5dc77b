// Every list of the hub's API in pages: nothing left out, nothing twice, whatever arrives or is settled between.
#include "tests/hub/api_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

struct List {
  const char* path;
  const char* name;  ///< of the array in the answer
};
constexpr List kRecords{"/v1/records", "records"};
constexpr List kConflicts{"/v1/conflicts", "records"};
constexpr List kQuarantine{"/v1/quarantine", "quarantine"};
constexpr List kHeld{"/v1/held", "held"};
constexpr List kExport{"/v1/export/sealed", "visits"};  // of the health compartment only
constexpr List kLists[] = {kRecords, kConflicts, kQuarantine, kHeld};

std::string said_of(const json& answer) {
  return answer.contains("error") ? answer["error"].value("message", "") : "";
}

/// What tells one entry of a list from another.
std::string name_of(const json& entry) {
  if (entry.contains("id")) return entry["id"];
  return entry["actor"].get<std::string>() + ":" + std::to_string(entry["counter"].get<int>());
}

struct Walk {
  Hub& hub;
  List list;
  std::size_t limit;
  std::string filter = "";  ///< "&unit=01-PPT"
  std::string after = "";
  bool ended = false;
  std::vector<std::string> seen = {};

  /// One page; false when it was the last.
  bool step() {
    const std::string target = std::string(list.path) + "?limit=" + std::to_string(limit) + filter +
                               (after.empty() ? "" : "&after=" + after);
    const auto [status, page] = hub.ask("GET", target);
    INFO(target << ": " << page.dump());
    REQUIRE(status == 200);
    const json& entries = page[list.name];
    REQUIRE(entries.size() <= limit);
    for (const json& entry : entries) seen.push_back(name_of(entry));
    ended = !page.contains("next_after");
    if (ended) return false;
    REQUIRE(entries.size() == limit);  // only the last page may have room
    after = page["next_after"];
    return true;
  }
  std::vector<std::string> all() {
    while (step()) REQUIRE(seen.size() < 1'000);
    return seen;
  }
};

std::vector<std::string> all_at_once(Hub& hub, const List& list) {
  return Walk{hub, list, 1'000}.all();
}

/// Seven records in each of the four lists, four of police and three of the health unit.
struct Full {
  Hub hub;
  Chain one{hub, 0xA1};
  Chain two{hub, 0xB2};
  Chain clinic{hub, 0xC3, "02-MRU1", 1};
  Chain clinic_two{hub, 0xD4, "02-MRU1", 1};

  Full() {
    REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
    REQUIRE(hub.ask("PUT", "/v1/units/02-MRU1", {{"compartment", "health"}}).first == 200);
    for (std::uint8_t n = 1; n <= 7; ++n) add(n);
  }
  void add(std::uint8_t n) {
    const bool health = n % 2 == 0;
    Chain& first = health ? clinic : one;
    Chain& second = health ? clinic_two : two;
    const char* field = health ? "visit_type" : "direction";
    const auto good = [&](int which) -> model::Value {
      if (health) return std::string(which == 0 ? "intake" : "medical");
      return std::string(which == 0 ? "entry" : "exit");
    };
    // A conflict, a change in quarantine, and one that waits behind it.
    first.write(record_id(n), {{field, good(0)}});
    second.write(record_id(n), {{field, good(1)}});
    first.write(record_id(n), {{field, std::string("sideways")}});
    first.write(record_id(n), {{"state", std::string("final")}});
  }
};

}  // namespace

TEST_CASE("pages of any size give every entry once, in the same order, and say where they end") {
  Full full;
  for (const List& list : kLists) {
    const auto whole = all_at_once(full.hub, list);
    INFO(list.path);
    CHECK(whole.size() == 7);
    CHECK(std::set<std::string>(whole.begin(), whole.end()).size() == whole.size());
    for (std::size_t limit = 1; limit <= 8; ++limit) {
      INFO("limit " << limit);
      CHECK(Walk{full.hub, list, limit}.all() == whole);
    }
    // Of one compartment, likewise; together they are the whole.
    std::set<std::string> both;
    for (const char* name : {"enforcement", "health"}) {
      const auto part = Walk{full.hub, list, 2, std::string("&compartment=") + name}.all();
      CHECK(part.size() == (name == std::string("health") ? 3 : 4));
      both.insert(part.begin(), part.end());
    }
    CHECK(both.size() == 7);
  }
  for (const List& list : {kRecords, kConflicts}) {
    const auto whole = all_at_once(full.hub, list);
    CHECK(std::is_sorted(whole.begin(), whole.end()));
  }
}

TEST_CASE("an empty list is one page without a next one") {
  Hub hub;
  for (const List& list : kLists) {
    Walk walk{hub, list, 1};
    CHECK_FALSE(walk.step());
    CHECK(walk.seen.empty());
  }
}

TEST_CASE("the sealed visits leave in pages, each once, and no other record with them") {
  Full full;
  const auto whole = all_at_once(full.hub, kExport);
  CHECK(whole == std::vector<std::string>{to_text(record_id(2)), to_text(record_id(4)),
                                          to_text(record_id(6))});
  for (std::size_t limit = 1; limit <= 4; ++limit)
    CHECK(Walk{full.hub, kExport, limit}.all() == whole);
  CHECK(Walk{full.hub, kExport, 1, "&unit=02-MRU1"}.all() == whole);
  // Not "no visits": a mistyped unit, or one of the police.
  CHECK(full.hub.ask("GET", "/v1/export/sealed?unit=01-PPT").first == 404);
  CHECK(full.hub.ask("GET", "/v1/export/sealed?unit=09-XX1").first == 404);
  CHECK(full.hub.ask("GET", "/v1/export/sealed?limit=0").first == 400);
  CHECK(full.hub.ask("GET", "/v1/export/sealed?after=x").first == 400);
}

TEST_CASE("a filter and pages together leave nothing out") {
  Full full;
  CHECK(Walk{full.hub, kRecords, 1, "&unit=01-PPT"}.all().size() == 4);
  CHECK(Walk{full.hub, kRecords, 3, "&type=visit"}.all().size() == 3);
  CHECK(Walk{full.hub, kRecords, 2, "&type=visit&unit=01-PPT"}.all().empty());
  CHECK(
      Walk{full.hub, kRecords, 4, "&unit=01-PPT&type=stop&compartment=enforcement"}.all().size() ==
      4);
}

TEST_CASE("what arrives between two pages moves nothing that was there") {
  for (const List& list : kLists) {
    Full full;
    INFO(list.path);
    const auto before = all_at_once(full.hub, list);
    Walk walk{full.hub, list, 2};
    REQUIRE(walk.step());
    full.add(9);  // behind every page
    full.add(8);  // and in the other compartment
    full.one.write(record_id(0), {{"direction", std::string("entry")}});  // before the first
    REQUIRE(walk.step());
    full.add(10);
    const auto seen = walk.all();
    CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == seen.size());
    for (const std::string& name : before) CHECK(std::count(seen.begin(), seen.end(), name) == 1);
    // By record id: what is newer than the page is still met, what is older is met by the next walk.
    if (list.name == std::string("records")) {
      CHECK(seen.size() == 10);
      CHECK(seen.back() == to_text(record_id(10)));
    }
  }
}

TEST_CASE("what is settled between two pages is left out, and nothing beside it") {
  Full full;
  const auto settle = [&](const std::string& name) {
    std::string path = "/v1/quarantine/" + name;
    path.replace(path.find(':'), 1, "/");
    const auto [status, answer] =
        full.hub.ask("POST", path, {{"ruling", "accept"}, {"note", "he did go sideways"}});
    INFO(answer.dump());
    REQUIRE(status == 200);
  };
  const auto before = all_at_once(full.hub, kQuarantine);
  Walk walk{full.hub, kQuarantine, 3};
  REQUIRE(walk.step());
  settle(before[0]);
  settle(before[2]);  // the very entry that the cursor names
  settle(before[4]);
  auto expected = before;
  expected.erase(expected.begin() + 4);
  CHECK(walk.all() == expected);
  CHECK(all_at_once(full.hub, kQuarantine).size() == 4);
}

TEST_CASE("limits and cursors that are none are refused in a sentence that names them") {
  Full full;
  for (const List& list : kLists) {
    const std::string path = list.path;
    INFO(path);
    CHECK(full.hub.ask("GET", path + "?limit=1").second[list.name].size() == 1);
    CHECK(full.hub.ask("GET", path + "?limit=1000").second[list.name].size() == 7);
    CHECK(full.hub.ask("GET", path).second[list.name].size() == 7);
    for (const char* limit :
         {"0", "-1", "1001", "ten", "1e2", "5.0", "0x10", "5,5", "99999999999999999999"}) {
      const auto [status, answer] = full.hub.ask("GET", path + "?limit=" + limit);
      INFO(limit);
      CHECK(status == 400);
      CHECK(said_of(answer).find("limit") != std::string::npos);
    }
    for (const char* after :
         {"x", "0", "0190b3c2-7f00-7000-8000", "::", ":", "zzzzzzzzzzzzzzzz:1",
          "00000000000000a1:0", "00000000000000a1:-1", "00000000000000a1", "00000000000000a1:1:1",
          "0190b3c2-7f00-7000-8000-000000000000:00000000000000a1:x",
          "0190b3c2-7f00-7000-8000-000000000000:1"}) {
      const auto [status, answer] = full.hub.ask("GET", path + "?after=" + after);
      INFO(after);
      CHECK(status == 400);
      CHECK(said_of(answer).find("after") != std::string::npos);
    }
  }
}

TEST_CASE("a cursor of what is no longer there, or never was, is a place like any other") {
  Full full;
  CHECK(Walk{full.hub, kRecords, 2, "", "00000000-0000-7000-8000-000000000000"}.all().size() == 7);
  CHECK(Walk{full.hub, kRecords, 2, "", "ffffffff-ffff-7fff-bfff-ffffffffffff"}.all().empty());
  CHECK(Walk{full.hub, kConflicts, 2, "", to_text(record_id(3))}.all().size() == 4);
  CHECK(Walk{full.hub, kQuarantine, 2, "", "0000000000000001:1"}.all().size() == 7);
  CHECK(Walk{full.hub, kQuarantine, 2, "", "ffffffffffffffff:9223372036854775807"}.all().empty());
  CHECK(Walk{full.hub, kHeld, 2, "", "ffffffff-ffff-7fff-bfff-ffffffffffff:ffffffffffffffff:1"}
            .all()
            .empty());
}

// What an administrator decides over the API: conflicts and quarantine, each way, and what the proof says then.
#include "tests/hub/api_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

bool says(const json& answer, const char* words) {
  const std::string message =
      answer.contains("error") ? answer["error"].value("message", "") : std::string();
  return message.find(words) != std::string::npos;
}

/// Everything the hub holds can still be proven.
void check_proof(Hub& hub) {
  const auto [status, proof] = hub.ask("POST", "/v1/verify");
  INFO(proof.dump());
  CHECK(status == 200);
  CHECK(proof["verified"] == true);
}

/// One stop on which two officers disagree about the witness.
struct Disputed {
  Hub hub;
  Chain alice{hub, 0xA1};
  Chain bob{hub, 0xB0};
  RecordId id = record_id(1);
  std::string path = "/v1/records/" + to_text(id);
  model::Dot creation;
  model::Dot alices;
  model::Dot bobs;

  Disputed() {
    REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
    creation =
        alice.write(id, {{"direction", std::string("entry")}, {"state", std::string("final")}});
    const auto seen = alice.seen(id);
    hub.now.ms += 1'000;
    alices = alice.write(id, {{"witness", std::string("Chan Dara")}}, seen);
    bobs = bob.write(id, {{"witness", std::string("Meas Sophea")}}, seen);
  }
  std::pair<int, json> resolve(const json& body) {
    return hub.ask("POST", path + "/resolve", body);
  }
  json record() { return hub.ask("GET", path).second; }
};

}  // namespace

TEST_CASE("a conflict is settled by either of its values, or by a third one") {
  Disputed place;
  const json before = place.record();
  REQUIRE(before["conflicts"].size() == 1);
  REQUIRE(before["conflicts"][0]["siblings"].size() == 2);
  json decision = {{"path", "witness"}, {"note", "asked both"}, {"author", "OP-01"}};
  std::string expected;
  SECTION("the first") {
    decision["choose"] = model::to_text(place.alices);
    expected = "Chan Dara";
  }
  SECTION("the second, as it was read") {
    decision["choose"] = model::to_text(place.bobs);
    decision["version"] = before["version"];
    expected = "Meas Sophea";
  }
  SECTION("neither") {
    decision["value"] = "Sok Chea";
    expected = "Sok Chea";
  }
  SECTION("none at all") { decision["value"] = nullptr; }
  const auto [status, after] = place.resolve(decision);
  INFO(after.dump());
  REQUIRE(status == 200);
  CHECK(after["conflicts"].empty());
  CHECK(after["version"] != before["version"]);
  CHECK(after["document"]["state"] == "amended");
  if (expected.empty())
    CHECK_FALSE(after["document"].value("witness", json()).is_string());
  else
    CHECK(after["document"]["witness"] == expected);
  REQUIRE(after["document"]["amendments"].size() == 1);
  const json amendment = after["document"]["amendments"][0];
  CHECK(amendment["reason"] == "asked both");
  CHECK(amendment["by"] == "OP-01");
  CHECK(place.hub.ask("GET", "/v1/conflicts").second["records"].empty());
  // Nobody's words are gone: the history has them all, and who decided.
  const json history = place.hub.ask("GET", place.path + "/history").second["changes"];
  REQUIRE(history.size() == 4);
  CHECK(history.back()["author"] == "OP-01");
  CHECK(history.back()["reason"] == "asked both");
  check_proof(place.hub);
}

TEST_CASE("a decision on an older version is refused and says what to do") {
  Disputed place;
  const json read = place.record();
  // While the operator thinks, a tablet amends another field.
  place.alice.write(place.id, {{"grounds", std::string("a smell of solvent")}},
                    place.alice.seen(place.id));
  json decision = {{"path", "witness"},
                   {"choose", model::to_text(place.bobs)},
                   {"note", "asked both"},
                   {"version", read["version"]}};
  const auto [status, refused] = place.resolve(decision);
  CHECK(status == 409);
  CHECK(code_of(refused) == "conflict");
  CHECK(says(refused, "look at it again and decide again"));
  CHECK(place.record()["conflicts"].size() == 1);
  // Who does as told succeeds.
  decision["version"] = place.record()["version"];
  CHECK(place.resolve(decision).first == 200);
  // And a second decision on the same conflict, even on the newest version, finds none.
  decision["version"] = place.record()["version"];
  const auto [again, settled] = place.resolve(decision);
  CHECK(again == 409);
  CHECK(says(settled, "no conflict (any more)"));
  check_proof(place.hub);
}

TEST_CASE("a decision that is none is refused, and changes nothing") {
  Disputed place;
  const std::string choice = model::to_text(place.bobs);
  const json before = place.record();
  const auto refused = [&](const json& body, int status, const char* words) {
    const auto [got, answer] = place.resolve(body);
    INFO(body.dump() << " → " << answer.dump());
    CHECK(got == status);
    CHECK(says(answer, words));
  };
  const json good = {{"path", "witness"}, {"choose", choice}, {"note", "why"}};
  const auto but = [&](const char* member, const json& value) {
    json body = good;
    body[member] = value;
    return body;
  };
  const auto without = [&](const char* member) {
    json body = good;
    body.erase(member);
    return body;
  };
  refused(without("path"), 400, "\"path\"");
  refused(but("path", 5), 400, "\"path\"");
  refused(but("path", "direction"), 409, "no conflict");
  refused(but("path", "nowhere"), 409, "no conflict");
  refused(without("choose"), 400, "say which value");
  refused(but("choose", 5), 400, "say which value");
  refused(but("choose", "00000000000000ff:1"), 404, "no value 00000000000000ff:1");
  refused(but("choose", model::to_text(place.creation)), 404, "no value");
  refused(but("value", "Sok Chea"), 400, "not both");
  refused(without("note"), 400, "note");
  refused(but("note", "  "), 400, "note");
  refused(but("note", 5), 400, "\"note\"");
  refused(but("note", std::string(5'000, 'x')), 400, "shorten");
  refused(but("author", " "), 400, "\"author\"");
  refused(but("author", std::string(65, 'x')), 400, "\"author\"");
  refused(but("version", 5), 400, "\"version\"");
  refused(but("version", ""), 409, "look at it again");
  refused(but("version", "00000000000000a1:1"), 409, "look at it again");
  refused(but("reason", "why"), 400, "\"reason\"");
  json free = without("choose");
  free["value"] = 7;
  refused(free, 400, "witness");
  free["value"] = std::string(121, 'x');
  refused(free, 400, "witness");
  free["value"] = json{{"a", 1}};
  refused(free, 400, "value");
  CHECK(place.record() == before);
  CHECK(place.hub.ask("POST", "/v1/records/" + to_text(record_id(9)) + "/resolve", good).first ==
        404);
  CHECK(place.hub.ask("POST", "/v1/records/x/resolve", good).first == 400);
}

TEST_CASE("a health record is settled by one of its values, never by the hub's own words") {
  Hub hub;
  REQUIRE(hub.ask("PUT", "/v1/units/02-MRU1", {{"compartment", "health"}}).first == 200);
  Chain one(hub, 0xC1, "02-MRU1", 1);
  Chain two(hub, 0xC2, "02-MRU1", 1);
  const RecordId id = record_id(1);
  const auto first = one.write(id, {{"visit_type", std::string("intake")}});
  two.write(id, {{"visit_type", std::string("medical")}});
  const std::string path = "/v1/records/" + to_text(id) + "/resolve";
  const auto [no, refused] =
      hub.ask("POST", path, {{"path", "visit_type"}, {"value", "outreach"}, {"note", "why"}});
  CHECK(no == 403);
  CHECK(says(refused, "choose one of those in clear"));
  const auto [yes, settled] = hub.ask(
      "POST", path,
      {{"path", "visit_type"}, {"choose", model::to_text(first)}, {"note", "not to be stored"}});
  INFO(settled.dump());
  CHECK(yes == 200);
  CHECK(settled["document"]["visit_type"] == "intake");
  CHECK(settled.dump().find("not to be stored") == std::string::npos);
  CHECK(hub.ask("GET", "/v1/records/" + to_text(id) + "/history")
            .second.dump()
            .find("not to be stored") == std::string::npos);
  check_proof(hub);
}

namespace {

/// A stop, an edit in quarantine, and one that waits behind it.
struct Quarantined {
  Hub hub;
  Chain alice{hub, 0xA1};
  RecordId id = record_id(1);
  model::Dot bad;
  model::Dot behind;

  Quarantined() {
    REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
    alice.write(id, {{"direction", std::string("entry")}, {"state", std::string("draft")}});
    hub.now.ms += 1'000;
    bad = alice.write(id, {{"direction", std::string("sideways")}}, alice.seen(id));
    hub.now.ms += 1'000;
    model::VersionVector seen = alice.seen(id);
    seen.add(bad);
    behind = alice.write(id, {{"witness", std::string("Chan Dara")}}, seen);
    hub.now.ms += 60'000;
  }
  std::pair<int, json> rule(const model::Dot& dot, const json& body) {
    return hub.ask("POST", change_path(dot), body);
  }
  json document() { return hub.ask("GET", "/v1/records/" + to_text(id)).second["document"]; }
};

}  // namespace

TEST_CASE("what is in quarantine and what waits behind it are listed with reason and age") {
  Quarantined place;
  const json entries = place.hub.ask("GET", "/v1/quarantine").second["quarantine"];
  REQUIRE(entries.size() == 1);
  CHECK(entries[0]["record"] == to_text(place.id));
  CHECK(entries[0]["actor"] == place.bad.actor.hex());
  CHECK(entries[0]["counter"] == 2);
  CHECK(entries[0]["kind"] == "quarantined");
  CHECK(entries[0]["path"] == "direction");
  CHECK(entries[0]["device"] == place.alice.device().hex());
  CHECK(entries[0]["age_ms"] == 61'000);
  CHECK(entries[0]["reason"].get<std::string>().find("sideways") == std::string::npos);
  const json held = place.hub.ask("GET", "/v1/held").second["held"];
  REQUIRE(held.size() == 1);
  CHECK(held[0]["record"] == to_text(place.id));
  CHECK(held[0]["counter"] == 3);
  CHECK(held[0]["age_ms"] == 60'000);
  CHECK(held[0]["since"] == to_text(Instant{place.hub.now.ms - 60'000}));
  CHECK(held[0]["reason"] == "waits for this tablet's change 2");
  CHECK(held[0]["compartment"] == "enforcement");
  const json counts = place.hub.ask("GET", "/v1/status").second["stores"]["enforcement"];
  CHECK(counts["held"] == 1);
  CHECK(counts["quarantined"] == 1);
  check_proof(place.hub);
}

TEST_CASE("a change in quarantine is accepted, and what waited goes on") {
  Quarantined place;
  const auto [status, answer] =
      place.rule(place.bad, {{"ruling", "accept"}, {"note", "he did"}, {"author", "OP-01"}});
  INFO(answer.dump());
  CHECK(status == 200);
  CHECK(answer["settled"] == true);
  CHECK(answer["reason"].is_null());
  CHECK(place.document()["direction"] == "sideways");
  CHECK(place.document()["witness"] == "Chan Dara");
  CHECK_FALSE(
      place.hub.ask("GET", "/v1/records/" + to_text(place.id)).second["inconsistent"].empty());
  CHECK(place.hub.ask("GET", "/v1/quarantine").second["quarantine"].empty());
  CHECK(place.hub.ask("GET", "/v1/held").second["held"].empty());
  check_proof(place.hub);
}

TEST_CASE("a change in quarantine is rejected: undone, and what waited goes on") {
  Quarantined place;
  const auto [status, answer] =
      place.rule(place.bad, {{"ruling", "reject"}, {"note", "a slip"}, {"author", "OP-01"}});
  INFO(answer.dump());
  CHECK(status == 200);
  CHECK(answer["settled"] == true);
  CHECK(place.document()["direction"] == "entry");
  CHECK(place.document()["witness"] == "Chan Dara");
  CHECK(place.hub.ask("GET", "/v1/quarantine").second["quarantine"].empty());
  CHECK(place.hub.ask("GET", "/v1/held").second["held"].empty());
  const json history =
      place.hub.ask("GET", "/v1/records/" + to_text(place.id) + "/history").second["changes"];
  CHECK(std::any_of(history.begin(), history.end(), [](const json& change) {
    return change["author"] == "OP-01" && change.value("reason", "") == "rejected: a slip";
  }));
  check_proof(place.hub);
}

TEST_CASE("a new record that is rejected is void, with the reason") {
  Hub hub;
  REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
  Chain alice(hub, 0xA1);
  const auto bad = alice.write(
      record_id(1), {{"direction", std::string("sideways")}, {"state", std::string("final")}});
  CHECK(hub.ask("GET", "/v1/records/" + to_text(record_id(1))).first == 404);
  REQUIRE(
      hub.ask("POST", change_path(bad), {{"ruling", "reject"}, {"note", "no such road"}}).first ==
      200);
  const json document = hub.ask("GET", "/v1/records/" + to_text(record_id(1))).second["document"];
  CHECK(document["state"] == "void");
  CHECK(document["amendments"][0]["reason"].get<std::string>().find("no such road") !=
        std::string::npos);
  CHECK(document["amendments"][0]["by"] == "hub-operator");
  check_proof(hub);
}

TEST_CASE("a retry that finds the same fault settles nothing and says why") {
  Quarantined place;
  const auto [status, answer] = place.rule(place.bad, {{"ruling", "retry"}});
  CHECK(status == 200);
  CHECK(answer["settled"] == false);
  CHECK(answer["reason"].get<std::string>().find("Direction") != std::string::npos);
  CHECK(place.hub.ask("GET", "/v1/quarantine").second["quarantine"].size() == 1);
  CHECK(place.hub.ask("GET", "/v1/held").second["held"].size() == 1);
  check_proof(place.hub);
}

TEST_CASE("a retry under a form that has learnt the choice merges what waited") {
  Quarantined place;
  // The hub is updated: its form knows the choice now.
  const auto forms = embedded_schemas();
  std::vector<EmbeddedFile> files(forms.begin(), forms.end());
  std::string newer;
  for (EmbeddedFile& file : files) {
    if (file.name != "records/stop.json") continue;
    newer = std::string(as_text(file.bytes));
    const auto at = newer.find("\"internal\"");
    REQUIRE(at != std::string::npos);
    newer.insert(at, "\"sideways\", ");
    file.bytes = as_bytes(newer);
  }
  auto registry = schema::Registry::load(files);
  INFO((registry ? std::string() : registry.error().message()));
  REQUIRE(registry.has_value());
  place.hub.registry = *std::move(registry);
  const auto [status, answer] = place.rule(place.bad, {{"ruling", "retry"}});
  INFO(answer.dump());
  CHECK(status == 200);
  CHECK(answer["settled"] == true);
  CHECK(place.document()["direction"] == "sideways");
  CHECK(place.document()["witness"] == "Chan Dara");
  check_proof(place.hub);
}

TEST_CASE(
    "a ruling that is none, or on what is not in quarantine, is refused and changes nothing") {
  Quarantined place;
  const json good = {{"ruling", "accept"}, {"note", "why"}};
  const auto refused = [&](const model::Dot& dot, const json& body, int status, const char* words) {
    const auto [got, answer] = place.rule(dot, body);
    INFO(body.dump() << " → " << answer.dump());
    CHECK(got == status);
    CHECK(says(answer, words));
  };
  const auto but = [&](const char* member, const json& value) {
    json body = good;
    body[member] = value;
    return body;
  };
  refused(place.bad, {{"note", "why"}}, 400, "retry, accept or reject");
  refused(place.bad, but("ruling", "perhaps"), 400, "retry, accept or reject");
  refused(place.bad, but("ruling", 1), 400, "\"ruling\"");
  refused(place.bad, {{"ruling", "accept"}}, 400, "note");
  refused(place.bad, {{"ruling", "reject"}, {"note", " "}}, 400, "note");
  refused(place.bad, but("author", ""), 400, "\"author\"");
  refused(place.bad, but("reason", "why"), 400, "\"reason\"");
  // Merged long ago; held, not quarantined; never received; another's.
  refused({place.bad.actor, {1}}, good, 404, "not in quarantine");
  refused(place.behind, good, 400, "held");
  refused({place.bad.actor, {99}}, good, 404, "quarantine");
  refused({ActorId{0xEE}, {1}}, good, 404, "quarantine");
  CHECK(place.hub.ask("POST", "/v1/quarantine/xyz/1", good).first == 400);
  CHECK(place.hub.ask("POST", "/v1/quarantine/00000000000000a1/0", good).first == 400);
  CHECK(place.hub.ask("POST", "/v1/quarantine/00000000000000a1/x", good).first == 400);
  CHECK(place.document()["direction"] == "entry");
  CHECK(place.hub.ask("GET", "/v1/quarantine").second["quarantine"].size() == 1);
  CHECK(place.hub.ask("GET", "/v1/held").second["held"].size() == 1);
  // Once settled, a second ruling finds nothing.
  REQUIRE(place.rule(place.bad, good).first == 200);
  refused(place.bad, good, 404, "not in quarantine");
  check_proof(place.hub);
}

TEST_CASE("the digest of a unit follows its records and no other's") {
  Hub hub;
  REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
  REQUIRE(hub.ask("PUT", "/v1/units/01-BVL", json::object()).first == 200);
  REQUIRE(hub.ask("PUT", "/v1/units/02-MRU1", {{"compartment", "health"}}).first == 200);
  const auto digest = [&](const char* unit) {
    const auto [status, answer] = hub.ask("GET", std::string("/v1/digests/") + unit);
    REQUIRE(status == 200);
    CHECK(answer["unit"] == unit);
    return answer["digest"].get<std::string>();
  };
  const std::string empty = digest("01-PPT");
  CHECK(empty.size() == 64);
  CHECK(digest("01-BVL") == empty);
  CHECK(digest("02-MRU1") == empty);
  Chain alice(hub, 0xA1);
  alice.write(record_id(1), {{"direction", std::string("entry")}});
  const std::string first = digest("01-PPT");
  CHECK(first != empty);
  CHECK(digest("01-PPT") == first);
  CHECK(digest("01-BVL") == empty);
  alice.write(record_id(1), {{"witness", std::string("Chan Dara")}}, alice.seen(record_id(1)));
  CHECK(digest("01-PPT") != first);
  Chain clinic(hub, 0xC1, "02-MRU1", 1);
  clinic.write(record_id(2), {{"visit_type", std::string("intake")}});
  CHECK(digest("02-MRU1") != empty);
  const auto [status, unknown] = hub.ask("GET", "/v1/digests/09-XXX");
  CHECK(status == 404);
  CHECK(says(unknown, "09-XXX"));
}

TEST_CASE("a proof counts what it has looked at, and names the store that does not hold") {
  Disputed place;
  const auto [status, proof] = place.hub.ask("POST", "/v1/verify");
  CHECK(status == 200);
  CHECK(proof["verified"] == true);
  CHECK(proof["stores"]["enforcement"]["changes"] == 3);
  CHECK(proof["stores"]["enforcement"]["chains"] == 2);
  CHECK(proof["stores"]["enforcement"]["signatures"] == 3);
  CHECK(proof["stores"]["enforcement"]["records"] == 1);
  CHECK(proof["stores"]["health"]["changes"] == 0);
  // Somebody with the disk in hand takes one change out of the log.
  Store& store = place.hub.stores[0];
  store.writer->stop();
  REQUIRE(store.kv.update([&](storage::KvWrite& write) {
    return write.erase(storage::hub_tables::kLog,
                       storage::hub_tables::dot_key(place.creation.actor, place.creation.counter));
  }));
  const auto [again, broken] = place.hub.ask("POST", "/v1/verify");
  INFO(broken.dump());
  CHECK(again == 200);
  CHECK(broken["verified"] == false);
  CHECK(broken["stores"]["enforcement"]["fault"].get<std::string>().find(
            model::to_text(place.creation)) != std::string::npos);
  CHECK(broken["stores"]["health"]["changes"] == 0);
}

// Legal holds over the API: what is no hold is refused in a sentence and changes nothing; what is one keeps its record
// and all that this leads to, until it is lifted.
#include "tests/hub/api_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

constexpr std::int64_t kDayMs = 86'400'000;

RetentionSettings after_a_day(std::initializer_list<const char*> types) {
  RetentionSettings settings;
  for (const char* type : types) settings.types[type] = {1, RetentionPeriod::Unit::days};
  return settings;
}

std::string said(const json& answer) {
  return answer.contains("error") ? answer["error"].value("message", "") : std::string();
}

/// A case that leads to a stop, which leads to a seizure; a stop alone; all old enough to be erased.
struct Exhibits {
  Hub hub{after_a_day({"case", "stop", "seizure"})};
  Chain writer{hub, 0xA1};
  RecordId the_case = record_id(1);
  RecordId stop = record_id(2);
  RecordId seizure = record_id(3);
  RecordId alone = record_id(4);

  Exhibits() {
    REQUIRE(hub.ask("PUT", "/v1/units/01-PPT", json::object()).first == 200);
    write("seizure", seizure, {{"place", std::string("010801")}});
    write("stop", stop, link("seizure_links", seizure));
    write("stop", alone, {{"direction", std::string("entry")}});
    auto fields = link("links", stop);
    fields.push_back({"links/v3h1c2e1/kind", std::string("stop")});
    write("case", the_case, fields);
    hub.now.ms += 2 * kDayMs;
  }
  static std::vector<model::FieldValue> link(const std::string& list, const RecordId& to) {
    return {{list + "/v3h1c2e1/record_id", to_text(to)}};
  }
  void write(const char* type, const RecordId& id, std::vector<model::FieldValue> edits,
             model::VersionVector context = {}) {
    writer.type = type;
    writer.write(id, std::move(edits), std::move(context));
    REQUIRE(hub.ask("GET", "/v1/quarantine").second["quarantine"].empty());
  }
  static json body(const RecordId& record, const char* why = "case 71 is before the court") {
    return {{"record", to_text(record)}, {"reason", why}, {"author", "prosecutor-3"}};
  }
  std::string put(const RecordId& record, const char* why = "case 71 is before the court") {
    const auto [status, hold] = hub.ask("POST", "/v1/holds", body(record, why));
    INFO(hold.dump());
    REQUIRE(status == 200);
    return hold["id"];
  }
  std::pair<int, json> lift(const std::string& hold) {
    return hub.ask("POST", "/v1/holds/" + hold + "/lift",
                   {{"reason", "acquitted"}, {"author", "judge-1"}});
  }
  /// The hold that keeps each record, as a plan says; those that are due are not among them.
  std::map<std::string, std::string> kept() {
    const auto [status, plan] = hub.ask("GET", "/v1/retention/plan");
    REQUIRE(status == 200);
    std::map<std::string, std::string> found;
    for (const json& one : plan["kept"]) {
      CHECK(one["reason"] == "legal_hold");
      found[one["record"]] = one["hold"];
    }
    return found;
  }
  std::uint64_t due() {
    std::uint64_t all = 0;
    const json plan = hub.ask("GET", "/v1/retention/plan").second;
    for (const json& type : plan["types"]) all += type["due"].get<std::uint64_t>();
    return all;
  }
  /// Everything that a hold could have changed.
  std::string standing() {
    std::string text = hub.ask("GET", "/v1/holds").second.dump() +
                       hub.ask("GET", "/v1/retention/plan").second.dump();
    for (Store& store : hub.stores) {
      const auto ledger = store.store->reader()->ledger();
      text += " " + std::to_string(ledger->waiting.size());
    }
    return text;
  }
};

}  // namespace

TEST_CASE(
    "holds: what is none is refused in a sentence that names the fault, and changes nothing") {
  Exhibits place;
  const std::string kept = place.put(place.alone);
  const std::string before = place.standing();
  const json good = Exhibits::body(place.stop);
  struct Row {
    const char* member;
    json value;  ///< null: the member is left out
    int status;
    const char* says;
  };
  const std::string long_reason(1'025, 'x');
  const Row rows[] = {
      {"record", nullptr, 400, "id"},
      {"record", "", 400, "id"},
      {"record", "nonsense", 400, "id"},
      {"record", 5, 400, "\"record\""},
      {"record", json::array(), 400, "\"record\""},
      {"record", to_text(place.stop).substr(1), 400, "id"},
      {"record", to_text(place.stop) + "0", 400, "id"},
      {"record", "' or 1=1", 400, "id"},
      {"record", std::string(70'000, 'a'), 400, "\"record\""},
      {"record", to_text(record_id(9)), 404, "no record"},
      {"reason", nullptr, 400, "\"reason\" is needed"},
      {"reason", "", 400, "\"reason\" is needed"},
      {"reason", " \t\n", 400, "\"reason\" is needed"},
      {"reason", 7, 400, "\"reason\""},
      {"reason", json::object(), 400, "\"reason\""},
      {"reason", long_reason, 400, "\"reason\""},
      {"author", nullptr, 400, "\"author\" is needed"},
      {"author", "", 400, "\"author\" is needed"},
      {"author", "   ", 400, "\"author\" is needed"},
      {"author", true, 400, "\"author\""},
      {"author", std::string(65, 'x'), 400, "\"author\""},
      {"until", "2027-01-01", 400, "\"until\" is not a member"},
  };
  for (const Row& row : rows) {
    json body = good;
    if (row.value.is_null())
      body.erase(row.member);
    else
      body[row.member] = row.value;
    const auto [status, answer] = place.hub.ask("POST", "/v1/holds", body);
    INFO(body.dump().substr(0, 200) << " → " << status << " " << answer.dump());
    CHECK(status == row.status);
    CHECK(said(answer).find(row.says) != std::string::npos);
    CHECK(said(answer).size() < 400);
    // Lifting asks for the same words.
    if (std::string_view(row.member) != "record") {
      body.erase("record");
      const auto [lifting, told] = place.hub.ask("POST", "/v1/holds/" + kept + "/lift", body);
      INFO(told.dump());
      CHECK(lifting == row.status);
      CHECK(said(told).find(row.says) != std::string::npos);
    }
  }
  CHECK(place.standing() == before);
}

TEST_CASE("holds: one that is named wrongly is not lifted, and none other in its place") {
  Exhibits place;
  const std::string kept = place.put(place.alone);
  const std::string before = place.standing();
  std::string capitals = kept;
  std::transform(capitals.begin(), capitals.end(), capitals.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  const std::pair<std::string, int> rows[] = {
      {kept.substr(1), 400},       {kept + "0", 400},
      {kept + "00", 400},          {"zz", 400},
      {"0x" + kept, 400},          {to_text(place.alone), 400},
      {std::string(32, '0'), 404}, {std::string(5'000, 'a'), 400}};
  for (const auto& [id, expected] : rows) {
    const auto [status, answer] = place.lift(id);
    INFO(id.substr(0, 60) << " → " << status << " " << answer.dump().substr(0, 300));
    CHECK(status == expected);
    CHECK(said(answer).find("hold list") != std::string::npos);
    CHECK(said(answer).size() < 400);
  }
  CHECK(place.standing() == before);
  // As somebody may type it.
  CHECK(place.lift(capitals).first == 200);
}

TEST_CASE("holds: a hold follows what its record leads to, also what is added to it later") {
  Exhibits place;
  CHECK(place.kept().empty());
  CHECK(place.due() == 4);
  const std::string hold = place.put(place.the_case);
  CHECK(place.kept() == std::map<std::string, std::string>{{to_text(place.the_case), hold},
                                                           {to_text(place.stop), hold},
                                                           {to_text(place.seizure), hold}});
  CHECK(place.due() == 1);
  // Each says so itself, and names the record that the hold was put on.
  for (const RecordId& id : {place.the_case, place.stop, place.seizure}) {
    const json record = place.hub.ask("GET", "/v1/records/" + to_text(id)).second;
    REQUIRE(record["holds"].size() == 1);
    CHECK(record["holds"][0]["id"] == hold);
    CHECK(record["holds"][0]["record"] == to_text(place.the_case));
    CHECK(record["holds"][0]["author"] == "prosecutor-3");
  }
  CHECK_FALSE(place.hub.ask("GET", "/v1/records/" + to_text(place.alone)).second.contains("holds"));
  // The seizure turns out to be another stop's, too: that one is not led to. The case takes it up: now it is.
  place.write("case", place.the_case, {{"links/k7m2p9q4/record_id", to_text(place.alone)}},
              place.writer.seen(place.the_case));
  place.hub.now.ms += 2 * kDayMs;
  CHECK(place.kept().size() == 4);
  CHECK(place.due() == 0);
  const auto [status, ran] = place.hub.ask("POST", "/v1/retention/run", {{"author", "OP-1"}});
  CHECK(status == 200);
  CHECK(ran["changes"] == 0);
  CHECK(place.hub.ask("GET", "/v1/records").second["records"].size() == 4);
  // A link that is voided still leads there: what was once part of the case may be asked for.
  place.write(
      "case", place.the_case,
      {{"links/k7m2p9q4/void", true}, {"links/k7m2p9q4/void_reason", std::string("another's")}},
      place.writer.seen(place.the_case));
  place.hub.now.ms += 2 * kDayMs;
  CHECK(place.kept().size() == 4);
}

TEST_CASE("holds: lifted, it keeps nothing any more, and stays on the list") {
  Exhibits place;
  const std::string whole = place.put(place.the_case);
  place.hub.now.ms += 1'000;
  const std::string part = place.put(place.seizure, "the laboratory has it");
  CHECK(place.kept().size() == 3);
  const auto [status, lifted] = place.lift(whole);
  REQUIRE(status == 200);
  CHECK(lifted["lifted"]["author"] == "judge-1");
  CHECK(lifted["lifted"]["reason"] == "acquitted");
  // The other hold still keeps what is its own, and nothing that leads to it.
  CHECK(place.kept() == std::map<std::string, std::string>{{to_text(place.seizure), part}});
  CHECK(place.due() == 3);
  const std::string before = place.standing();
  const auto [again, refused] = place.lift(whole);
  CHECK(again == 409);
  CHECK(said(refused).find("was lifted by judge-1") != std::string::npos);
  CHECK(place.standing() == before);
  const json list = place.hub.ask("GET", "/v1/holds").second["holds"];
  REQUIRE(list.size() == 2);
  CHECK(list[0] == lifted);
  CHECK(list[1]["id"] == part);
  CHECK(list[1]["lifted"].is_null());
  // What was due goes; what is gone cannot be held, and its hold can still be lifted.
  const auto [ran, erased] = place.hub.ask("POST", "/v1/retention/run", {{"author", "OP-1"}});
  REQUIRE(ran == 200);
  CHECK(erased["changes"] == 3);
  const auto [late, told] = place.hub.ask("POST", "/v1/holds", Exhibits::body(place.stop));
  CHECK(late == 404);
  CHECK(said(told).find("was erased") != std::string::npos);
  CHECK(place.lift(part).first == 200);
  CHECK(place.kept().empty());
  CHECK(place.due() == 1);
  CHECK(place.hub.ask("POST", "/v1/retention/run", {{"author", "OP-1"}}).second["changes"] == 1);
  CHECK(place.hub.ask("GET", "/v1/records").second["records"].empty());
  CHECK(place.hub.ask("GET", "/v1/holds").second["holds"].size() == 2);
}

TEST_CASE("holds: two on one record: each has to be lifted") {
  Exhibits place;
  const std::string one = place.put(place.alone, "case 71");
  const std::string other = place.put(place.alone, "case 72");
  CHECK(one != other);
  CHECK(place.hub.ask("GET", "/v1/records/" + to_text(place.alone)).second["holds"].size() == 2);
  REQUIRE(place.lift(other).first == 200);
  CHECK(place.kept() == std::map<std::string, std::string>{{to_text(place.alone), one}});
  REQUIRE(place.lift(one).first == 200);
  CHECK(place.kept().empty());
}

TEST_CASE("holds: a sealed visit can be held, and each compartment lists its own") {
  Hub hub(after_a_day({"visit"}));
  REQUIRE(hub.ask("PUT", "/v1/units/01-RH1", {{"compartment", "health"}}).first == 200);
  Chain writer(hub, 0xB1, "01-RH1", 1);
  const RecordId held = record_id(1);
  const RecordId due = record_id(2);
  for (const RecordId& id : {held, due})
    writer.write(id, {{"visit_month", std::string("2026-03")}});
  hub.now.ms += 2 * kDayMs;
  const auto [status, hold] = hub.ask("POST", "/v1/holds", Exhibits::body(held));
  REQUIRE(status == 200);
  CHECK(hold["compartment"] == "health");
  CHECK(hub.ask("GET", "/v1/holds?compartment=health").second["holds"].size() == 1);
  CHECK(hub.ask("GET", "/v1/holds?compartment=enforcement").second["holds"].empty());
  CHECK(hub.ask("GET", "/v1/holds?compartment=both").first == 400);
  const json ran = hub.ask("POST", "/v1/retention/run", json::object()).second;
  CHECK(ran["types"][0]["erased"] == 1);
  CHECK(ran["types"][0]["kept"] == json{{"legal_hold", 1}});
  CHECK(hub.ask("GET", "/v1/records/" + to_text(held)).first == 200);
  const auto [gone, told] = hub.ask("GET", "/v1/records/" + to_text(due));
  CHECK(gone == 404);
  CHECK(said(told).find("was erased") != std::string::npos);
}

namespace {

/// One bit of the newest value of a table whose key begins so.
void rot(Exhibits& place, storage::TableId table, BytesView prefix) {
  REQUIRE(place.hub.stores[0].kv.update([&](storage::KvWrite& write) -> Status {
    FP_TRY(const auto key, write.last_key(table, prefix));
    FP_TRY(auto value, write.get(table, *key));
    Bytes changed = to_bytes(*value);
    changed.back() ^= 1;
    return write.put(table, *key, changed);
  }));
}

}  // namespace

TEST_CASE("holds: one that cannot be read keeps everything from being erased") {
  Exhibits place;
  place.put(place.the_case);
  rot(place, storage::hub_tables::kHolds, {});
  const auto planned = place.hub.ask("GET", "/v1/retention/plan");
  const auto ran = place.hub.ask("POST", "/v1/retention/run", json::object());
  for (const auto& [status, answer] : {planned, ran}) {
    CHECK(status == 500);
    CHECK(said(answer).find("nothing is erased until") != std::string::npos);
  }
  CHECK(place.hub.stores[0].store->reader()->counts()->erased == 0);
}

TEST_CASE("holds: a record on the way that is damaged stays, and what it leads to by its changes") {
  Exhibits place;
  place.put(place.the_case);
  rot(place, storage::hub_tables::kRecords, place.stop.view());
  REQUIRE(place.hub.ask("POST", "/v1/retention/run", json::object()).first == 200);
  const auto reader = place.hub.stores[0].store->reader();
  CHECK(reader->counts()->erased == 1);
  for (const RecordId& id : {place.the_case, place.stop, place.seizure})
    CHECK_FALSE(reader->erased(id)->has_value());
}

#include <fstream>
#include <iterator>
#include <set>

#include "agent/api/answers.h"
#include "agent/health/authority.h"
#include "keys/random.h"
#include "tests/agent/support.h"
#include "tests/support/catch.h"
#include "wire/codec.h"

using namespace fieldpost;
using nlohmann::json;

namespace {

/// One tablet and its API, in this process.
struct Tablet {
  test::TempDir dir;
  std::unique_ptr<agent::App> app;

  explicit Tablet(const std::string& unit = "01-PPT",
                  const std::string& compartment = "enforcement") {
    if (!crypto::init()) throw std::runtime_error("libsodium");
    test::enrol_without_hub(data(), unit, compartment);
    reopen();
  }
  agent::DataDirectory data() const { return {dir / "data"}; }
  void reopen() {
    app.reset();
    auto opened = agent::App::open({data(), 420});
    if (!opened) throw std::runtime_error(opened.error().message());
    app = std::move(*opened);
  }
  std::pair<int, json> ask(const std::string& method, const std::string& target,
                           const json& body = nullptr) {
    net::HttpRequest request;
    request.method = method;
    request.target = target;
    if (!net::parse_target(request)) return {400, {}};
    if (!body.is_null()) request.body = body.dump();
    net::HttpResponse answer;
    app->router().handle(std::move(request),
                         net::Responder([&](net::HttpResponse r) { answer = std::move(r); }));
    return {answer.status, json::parse(answer.body)};
  }
  json record(json document, int status = 201) {
    const auto [got, body] =
        ask("POST", "/v1/records", {{"document", std::move(document)}, {"author", "NP-2231"}});
    INFO(body.dump());
    REQUIRE(got == status);
    return body;
  }
};

/// Gives the tablet the grant of an authority made on the spot.
void admit(Tablet& tablet, const std::filesystem::path& keys) {
  const auto random = keys::system_random();
  auto identity = *agent::load_identity(tablet.data());
  REQUIRE(agent::make_authority(keys, random));
  REQUIRE(agent::add_unit(keys, identity.unit, random));
  const auto own = crypto::box_key_pair(identity.box_seed);
  const auto grant = agent::admit_device(keys, identity.unit, own.public_key, random);
  REQUIRE(grant);
  agent::HealthKeys held;
  held.recipients = grant->recipients;
  agent::HealthKeys::UnitKey unit;
  const auto seed = crypto::box_open(own, grant->unit_key_box);
  REQUIRE(seed);
  std::copy(seed->begin(), seed->end(), unit.seed.bytes.begin());
  unit.version = 1;
  held.unit_keys.push_back(unit);
  identity.health = held;
  REQUIRE(agent::save_identity(tablet.data(), identity));
  tablet.reopen();
}

std::string store_bytes(const Tablet& tablet) {
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tablet.data().store())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    all.append(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

}  // namespace

TEST_CASE("a stop is recorded with a number of its own and is there after a restart") {
  Tablet tablet;
  const json made = tablet.record(test::a_stop());
  CHECK(made["ref_no"].get<std::string>().starts_with("01-PPT-T07-"));
  CHECK(made["ref_no"].get<std::string>().ends_with("-00001"));
  CHECK(tablet.record(test::a_stop())["ref_no"].get<std::string>().ends_with("-00002"));
  tablet.reopen();
  const auto [status, shown] = tablet.ask("GET", "/v1/records/" + made["id"].get<std::string>());
  REQUIRE(status == 200);
  CHECK(shown["document"]["direction"] == "entry");
  CHECK(shown["document"]["vehicles"][0]["plate_norm"] == "2A1234");
  CHECK(shown["document"]["author"] == "NP-2231");
  CHECK(shown["words"] == "on this tablet");
  CHECK(tablet.record(test::a_stop())["ref_no"].get<std::string>().ends_with("-00003"));
}

TEST_CASE(
    "a stop that its form does not allow is refused with every fault named, and nothing is kept") {
  Tablet tablet;
  json stop = test::a_stop();
  stop["direction"] = "sideways";
  stop.erase("officer_id");
  const json refusal = tablet.record(stop, 422);
  CHECK(refusal["faults"].size() == 2);
  CHECK(refusal["error"]["message"].get<std::string>().find("direction") != std::string::npos);
  CHECK(tablet.ask("GET", "/v1/status").second["records"] == 0);
}

TEST_CASE("bad requests end in a sentence, never in a record") {
  Tablet tablet;
  for (const json& document :
       {json("text"), json::object(), json{{"type", "dream"}}, json{{"type", 7}}}) {
    const auto [status, body] =
        tablet.ask("POST", "/v1/records", {{"document", document}, {"author", "NP-2231"}});
    CHECK(status == 400);
    CHECK(body["error"]["message"].get<std::string>().size() > 20);
  }
  CHECK(tablet.ask("POST", "/v1/records", {{"document", test::a_stop()}}).first ==
        400);  // nobody is named
  CHECK(tablet.ask("GET", "/v1/records/not-an-id").first == 400);
  CHECK(tablet.ask("GET", "/v1/records/01950f3a-1001-7a4c-9b1e-5c2d8e7f0001").first == 404);
  CHECK(tablet.ask("GET", "/v1/records?limit=0").first == 400);
  CHECK(
      tablet.ask("POST", "/v1/records", {{"document", {{"type", "visit"}}}, {"author", "NP-2231"}})
          .first == 403);
  json other_unit = test::a_stop();
  other_unit["unit"] = "20-BVT";
  CHECK(
      tablet.ask("POST", "/v1/records", {{"document", other_unit}, {"author", "NP-2231"}}).first ==
      403);
}

TEST_CASE(
    "after final a change needs a reason, becomes an amendment, and a void record stays void") {
  Tablet tablet;
  const std::string path = "/v1/records/" + tablet.record(test::a_stop())["id"].get<std::string>();
  CHECK(tablet.ask("POST", path + "/edits", {{"set", {{"direction", "exit"}}}, {"author", "NP-1"}})
            .first == 400);
  const auto [status, amended] = tablet.ask(
      "POST", path + "/edits",
      {{"set", {{"direction", "exit"}}}, {"author", "NP-1"}, {"reason", "typed the wrong way"}});
  REQUIRE(status == 200);
  CHECK(amended["state"] == "amended");
  json shown = tablet.ask("GET", path).second;
  CHECK(shown["document"]["direction"] == "exit");
  REQUIRE(shown["document"]["amendments"].size() == 1);
  CHECK(shown["document"]["amendments"][0]["reason"] == "typed the wrong way");
  CHECK(shown["document"]["amendments"][0]["by"] == "NP-1");
  CHECK(shown["writers"]["direction"]["author"] == "NP-1");
  CHECK(shown["document"]["author"] == "NP-2231");
  CHECK(tablet
            .ask("POST", path + "/edits",
                 {{"set", {{"ref_no", "01-PPT-T07-2026-99999"}}},
                  {"author", "NP-1"},
                  {"reason", "a nicer one"}})
            .first == 400);
  REQUIRE(tablet.ask("POST", path + "/void", {{"author", "NP-1"}, {"reason", "recorded twice"}})
              .first == 200);
  shown = tablet.ask("GET", path).second;
  CHECK(shown["state"] == "void");
  CHECK(shown["document"]["amendments"].size() == 2);
  CHECK(tablet
            .ask("POST", path + "/edits",
                 {{"set", {{"direction", "entry"}}}, {"author", "NP-1"}, {"reason", "once more"}})
            .first == 409);
}

TEST_CASE(
    "two edits from the same opened form are siblings, marked, and settled by naming the field") {
  Tablet tablet;
  const std::string path = "/v1/records/" + tablet.record(test::a_stop())["id"].get<std::string>();
  const json opened = tablet.ask("GET", path).second["context"];
  for (const auto& [who, value] : {std::pair("NP-1", "warning"), std::pair("NP-2", "fine")}) {
    REQUIRE(tablet
                .ask("POST", path + "/edits",
                     {{"set", {{"outcome", value}}},
                      {"author", who},
                      {"reason", "seen on paper"},
                      {"context", opened}})
                .first == 200);
  }
  json shown = tablet.ask("GET", path).second;
  REQUIRE(shown["conflicts"].contains("outcome"));
  CHECK(shown["conflicts"]["outcome"].size() == 2);
  const std::string kept = shown["document"]["outcome"];
  REQUIRE(tablet
              .ask("POST", path + "/edits",
                   {{"set", {{"outcome", kept}}}, {"author", "NP-3"}, {"reason", "asked both"}})
              .first == 200);
  shown = tablet.ask("GET", path).second;
  CHECK_FALSE(shown["conflicts"].contains("outcome"));
  CHECK(shown["document"]["outcome"] == kept);
}

TEST_CASE(
    "a draft may lack everything, stays out of the chain, and becomes a record when complete") {
  Tablet tablet;
  const auto [status, draft] = tablet.ask("POST", "/v1/records",
                                          {{"document", {{"type", "stop"}, {"direction", "entry"}}},
                                           {"draft", true},
                                           {"author", "NP-2231"}});
  REQUIRE(status == 201);
  CHECK(draft["state"] == "draft");
  CHECK(tablet.ask("GET", "/v1/status").second["waiting"] == 0);
  const std::string path = "/v1/records/" + draft["id"].get<std::string>();
  CHECK(tablet.ask("POST", path + "/finalise", {{"author", "NP-2231"}}).first == 422);
  json patch = test::a_stop();
  patch.erase("type");
  const auto [done, record] = tablet.ask(
      "POST", path + "/edits", {{"patch", patch}, {"finalise", true}, {"author", "NP-2231"}});
  INFO(record.dump());
  REQUIRE(done == 200);
  CHECK(record["id"] == draft["id"]);
  const json now = tablet.ask("GET", "/v1/status").second;
  CHECK(now["drafts"] == 0);
  CHECK(now["waiting"] == 1);
}

TEST_CASE("an import run twice adds nothing, and a bad row stops no other") {
  Tablet tablet;
  json bad = test::a_stop();
  bad["direction"] = "sideways";
  json second = test::a_stop();
  second["stopped_at"] = "2026-03-14T08:00:00+07:00";
  const json rows = json::array({{{"line", 1}, {"external_id", "A"}, {"document", test::a_stop()}},
                                 {{"line", 2}, {"document", bad}},
                                 {{"line", 3}, {"document", second}},
                                 {{"line", 4}, {"document", second}}});
  auto [status, answer] = tablet.ask("POST", "/v1/import", {{"rows", rows}, {"author", "NP-2231"}});
  REQUIRE(status == 200);
  CHECK(answer["added"] == 2);
  CHECK(answer["present"] == 1);  // line 4 says what line 3 says
  REQUIRE(answer["refused"].size() == 1);
  CHECK(answer["refused"][0]["line"] == 2);
  const json digest = tablet.ask("GET", "/v1/digests").second;
  answer = tablet.ask("POST", "/v1/import", {{"rows", rows}, {"author", "NP-2231"}}).second;
  CHECK(answer["added"] == 0);
  CHECK(answer["present"] == 3);
  CHECK(tablet.ask("GET", "/v1/digests").second == digest);
  CHECK(tablet.ask("POST", "/v1/verify").second["verified"] == true);
}

TEST_CASE("an external_id that comes again with another time is recorded, and said") {
  Tablet tablet;
  using Told = std::tuple<int, int, std::set<int>>;
  const auto import = [&](const json& rows) {
    const auto [status, answer] =
        tablet.ask("POST", "/v1/import", {{"rows", rows}, {"author", "NP-2231"}});
    REQUIRE(status == 200);
    std::set<int> warned;
    for (const json& row : answer["warnings"]) {
      for (const json& fault : row["faults"]) {
        if (fault["rule"] == "external_id_again") warned.insert(row["line"].get<int>());
      }
    }
    return Told(answer["added"], answer["present"], warned);
  };
  json corrected = test::a_stop();
  corrected["stopped_at"] = "2026-03-14T06:10:00+07:00";
  const json first = {{"line", 1}, {"external_id", "A"}, {"document", test::a_stop()}};
  const json again = {{"line", 2}, {"external_id", "A"}, {"document", corrected}};
  const json other = {{"line", 3}, {"external_id", "B"}, {"document", corrected}};
  CHECK(import(json::array({first})) == Told{1, 0, {}});
  CHECK(import(json::array({again, other})) == Told{2, 0, {2}});
  CHECK(import(json::array({first, again, other})) == Told{0, 3, {}});  // known by now
  const json third = {{"line", 4}, {"external_id", "C"}, {"document", test::a_stop()}};
  const json fourth = {{"line", 5}, {"external_id", "C"}, {"document", corrected}};
  CHECK(import(json::array({third, fourth})) == Told{2, 0, {5}});  // within one file, too
  // Nothing names these but their content: another time is another stop.
  CHECK(import(json::array({{{"line", 6}, {"document", test::a_stop()}},
                            {{"line", 7}, {"document", corrected}}})) == Told{2, 0, {}});
}

TEST_CASE("a list goes through all records page by page, once each") {
  Tablet tablet;
  json rows = json::array();
  for (int i = 0; i < 25; ++i) {
    rows.push_back({{"line", i}, {"external_id", std::to_string(i)}, {"document", test::a_stop()}});
  }
  REQUIRE(
      tablet.ask("POST", "/v1/import", {{"rows", rows}, {"author", "NP-2231"}}).second["added"] ==
      25);
  std::set<std::string> seen;
  std::string after;
  int pages = 0;
  for (;; ++pages) {
    const json page = tablet.ask("GET", "/v1/records?type=stop&limit=10" + after).second;
    for (const json& entry : page["records"]) CHECK(seen.insert(entry["id"]).second);
    if (page["next"].is_null()) break;
    after = "&after=" + page["next"].get<std::string>();
  }
  CHECK(seen.size() == 25);
  CHECK(pages == 2);
}

TEST_CASE("without the authority's grant a visit is refused in a sentence") {
  Tablet tablet("02-MRU1", "health");
  const auto [status, body] =
      tablet.ask("POST", "/v1/records", {{"document", test::a_visit()}, {"author", "MRU-07"}});
  CHECK(status == 403);
  CHECK(body["error"]["message"].get<std::string>().find("grant") != std::string::npos);
  CHECK(tablet.ask("GET", "/v1/status").second["records"] == 0);
}

TEST_CASE(
    "a visit is read by its unit's tablet, and stands in clear neither in the change nor in the "
    "store") {
  Tablet tablet("02-MRU1", "health");
  const test::TempDir keys;
  admit(tablet, keys / "authority");
  const json made = tablet.record(test::a_visit());
  const json shown = tablet.ask("GET", "/v1/records/" + made["id"].get<std::string>()).second;
  CHECK(shown["document"]["client_pseudonym"] == test::a_visit()["client_pseudonym"]);
  CHECK(shown["document"]["secondary_drugs"][0]["drug"] == "alcohol");
  CHECK(shown["sealed"].empty());

  auto& store = tablet.app->store();
  REQUIRE(store.state().current() != nullptr);
  const ActorId actor = store.state().current()->actor;  // a copy: every verb renews the state
  const auto page = store.chain_page(actor, Sequence{1}, SIZE_MAX, 10);
  REQUIRE(page);
  REQUIRE(page->size() == 1);
  const std::string frame(as_text((*page)[0].frame));
  const std::string disk = store_bytes(tablet);
  for (const char* secret : {"7KQ2-M4TX", "meth_crystal", "C-2026-0412", "alcohol"}) {
    CHECK(frame.find(secret) == std::string::npos);
    CHECK(disk.find(secret) == std::string::npos);
  }
  CHECK(frame.find("2026-03") !=
        std::string::npos);  // what the statistics need is clear in the change
  CHECK(disk.find("02-MRU1") == std::string::npos);  // and even that is sealed on the tablet

  const std::string path = "/v1/records/" + made["id"].get<std::string>();
  REQUIRE(tablet
              .ask("POST", path + "/edits",
                   {{"set", {{"outcome", "dropped_out"}}},
                    {"author", "MRU-07"},
                    {"reason", "did not come back"}})
              .first == 200);
  CHECK(tablet.ask("GET", path).second["document"]["outcome"] == "dropped_out");
  const auto edited = store.chain_page(actor, Sequence{2}, SIZE_MAX, 10);
  REQUIRE(edited);
  CHECK(as_text((*edited)[0].frame).find("did not come back") == std::string_view::npos);
}

TEST_CASE("a second program is told who has the store") {
  Tablet tablet;
  const auto second = agent::App::open({tablet.data(), 420});
  REQUIRE_FALSE(second);
  CHECK(second.error().is(Errc::locked));
  CHECK(second.error().message().size() > 20);
}

#include <map>

#include "schema/node.h"
#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using nlohmann::json;

namespace {

/// The shipped files with one of them replaced.
Result<Registry> with(const std::string& name, const std::string& text) {
  std::vector<EmbeddedFile> files(embedded_schemas().begin(), embedded_schemas().end());
  files.push_back({name, as_bytes(text)});
  return Registry::load(files);
}

json stop_form() {
  for (const auto& file : embedded_schemas()) {
    if (file.name == "records/stop.json") return json::parse(as_text(file.bytes));
  }
  return {};
}

}  // namespace

TEST_CASE("the four forms that ship load, each in its compartment") {
  const Registry& registry = shipped();
  CHECK(registry.types() == std::vector<std::string_view>{"case", "seizure", "stop", "visit"});
  CHECK(registry.form("stop")->compartment() == Compartment::enforcement);
  CHECK(registry.form("visit")->compartment() == Compartment::health);
  CHECK(registry.form("visit")->sealed());
  CHECK_FALSE(registry.form("stop")->sealed());
  CHECK(registry.form("stop")->version() == 1);
  CHECK(registry.form("treatment") == nullptr);
  CHECK(registry.labels().has_language("km"));
}

TEST_CASE("a path leads to its leaf, and only a well-formed one does") {
  const Form& stop = *shipped().form("stop");
  REQUIRE(stop.find("direction") != nullptr);
  REQUIRE(stop.find("position/lat") != nullptr);
  CHECK(stop.find("position/lat")->scale == 7);
  REQUIRE(stop.find("vehicles/v3h1c2e1/plate") != nullptr);
  CHECK(stop.find("vehicles/v3h1c2e1/plate")->in_repeat);
  for (const char* bad :
       {"vehicles/plate", "vehicles", "vehicles/v3h1c2e1", "vehicles/v3h1c2ei/plate",
        "vehicles/v3h1c2e1/item_id", "position/x/lat", "position", "", "/", "a/b/c/d",
        "direction/x", "vehicles/v3h1c2e1/plate/x"}) {
    CAPTURE(bad);
    CHECK(stop.find(bad) == nullptr);
  }
  CHECK(stop.find(std::string(4000, 'a') + "/b") == nullptr);
}

TEST_CASE("the visit seals everything but the envelope, the state and the aggregate fields") {
  for (const Field& field : shipped().form("visit")->fields()) {
    CAPTURE(field.container, field.name);
    CHECK(field.sealed == !(field.envelope || field.aggregate || field.name == "state"));
  }
}

TEST_CASE("a repeat that is written once says so for its fields, void apart") {
  const Form& seizure = *shipped().form("seizure");
  CHECK(seizure.find("custody_events", "gross_mg")->merge == Merge::write_once);
  CHECK(seizure.find("custody_events", "void")->merge == Merge::conflict);
  CHECK(seizure.find("drug_items", "gross_mg")->merge == Merge::conflict);
  CHECK(seizure.find("", "schema_version")->merge == Merge::latest);
}

TEST_CASE("the digest depends on the forms and on nothing else") {
  auto changed_form = stop_form();
  changed_form["description"] = "Another.";
  CHECK(with("records/stop.json", changed_form.dump())->digest() != shipped().digest());
  CHECK(with("places/more.csv", "code,name_km,name_latin,lat,lon,valid_from\n")->digest() ==
        shipped().digest());
}

TEST_CASE("what is outside the subset is refused at load, and named") {
  const std::vector<std::pair<std::string, std::function<void(json&)>>> cases = {
      {"dependencies", [](json& f) { f["dependencies"] = json::object(); }},
      {"format", [](json& f) { f["properties"]["grounds"]["format"] = "email"; }},
      {"x-colour", [](json& f) { f["properties"]["grounds"]["x-colour"] = "red"; }},
      {"leads nowhere",
       [](json& f) {
         f["properties"]["grounds"] = {{"$ref", "#/definitions/nothing"}};
       }},
      {"ignored", [](json& f) { f["properties"]["stopped_at"]["maxLength"] = 5; }},
      {"\\d", [](json& f) { f["properties"]["checkpoint_code"]["pattern"] = "^\\d{2}$"; }},
      {"op le_ish", [](json& f) { f["x-rules"][0]["op"] = "le_ish"; }},
      {"is no field", [](json& f) { f["x-rules"][0]["left"] = "nowhere"; }},
      {"x-widget", [](json& f) { f["properties"]["grounds"]["x-widget"] = "hologram"; }},
      {"schemas/README.md", [](json& f) { f["properties"]["direction"]["x-ask"] = "first"; }},
      {"lists/nothing.json", [](json& f) { f["properties"]["legal_basis"]["x-list"] = "nothing"; }},
      {"back to itself",
       [](json& f) {
         f["definitions"]["person"]["properties"]["dob"] = {{"$ref", "#/definitions/person"}};
       }},
  };
  for (const auto& [named, spoil] : cases) {
    CAPTURE(named);
    json form = stop_form();
    spoil(form);
    const auto loaded = with("records/stop.json", form.dump());
    REQUIRE_FALSE(loaded);
    CHECK_THAT(loaded.error().detail, Catch::Contains(named));
    CHECK_THAT(loaded.error().detail, Catch::Contains("stop") || Catch::Contains("README"));
  }
}

TEST_CASE("every message names the field and says what to do, in both languages") {
  Fault fault;
  fault.rule = "enum";
  fault.rule_label = "error.enum";
  fault.path = "direction";
  fault.field_label = "stop.direction";
  fault.value = "sideways";
  CHECK(shipped().message(fault, "en") == "Direction: sideways is not one of the choices.");
  CHECK(shipped().message(fault, "en", false).find("sideways") == std::string::npos);
  const std::string khmer = shipped().message(fault, "km");
  CHECK(khmer.find("sideways") != std::string::npos);
  CHECK(khmer != shipped().message(fault, "en"));
  fault.value = "{field}{limit}";
  CHECK(shipped().message(fault, "en") == "Direction: {field}{limit} is not one of the choices.");
}

TEST_CASE("places are found by code and by name in either script") {
  const PlaceList& places = shipped().places();
  REQUIRE(places.find("01-PPT") != nullptr);
  CHECK(places.find("01-PPT")->lat == 136'610'000);
  CHECK(places.find_by_text(" poipet ")->code == "01-PPT");
  CHECK(places.find_by_text("ប៉ោយប៉ែត")->code == "01-PPT");
  CHECK(places.find_by_text("០១-ppt")->code == "01-PPT");
  CHECK(places.find_by_text("o'smach", "checkpoint") != nullptr);
  CHECK(places.find_by_text("Atlantis") == nullptr);
  CHECK(places.all("commune").empty());
  CHECK(places.all("checkpoint").size() >= 16);
}

TEST_CASE("a bad line of a gazetteer is named, and the rest is kept") {
  PlaceList places;
  const std::string csv =
      "code,name_km,name_latin,lat,lon,valid_from\r\n"
      "010203,\"ភូមិ\",Phum,13.5,102.97,2026-01-01\r\n"
      "0102x3,,Bad code,1,1,2026-01-01\r\n"
      "010204,,Bad date,1,1,2026-02-30\r\n"
      "010205,,\"Two\nlines\",91,1,2026-01-01\r\n"
      "010206,,Fine,1,1\r\n"
      "010203,,Renamed,13.5,102.97,2026-06-01\r\n"
      "010203,,Older,13.5,102.97,2020-06-01\r\n"
      "010207,,Precise,1.123456789,1,2026-01-01\r\n"
      "010208,\xFF,Broken,1,1,2026-01-01\r\n";
  const auto problems = places.add_csv(as_bytes(csv));
  std::vector<std::size_t> lines;
  lines.reserve(problems.size());
  for (const auto& problem : problems) lines.push_back(problem.line);
  CHECK(lines == std::vector<std::size_t>{3, 4, 5, 7, 10, 11});
  CHECK(places.size() == 1);
  CHECK(places.find("010203")->name_latin == "Renamed");
  CHECK(PlaceList().add_csv(as_bytes("code,name\n"))[0].line == 1);
}

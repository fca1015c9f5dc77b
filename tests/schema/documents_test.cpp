// Every document of tests/data/records against what it must report.
#include <filesystem>
#include <set>

#include "schema/check.h"
#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using nlohmann::json;

namespace {

using Reported = std::set<std::tuple<std::string, std::string, std::string>>;

/// Without the two marks that expected.json does not list: codes and sizes that are only flagged.
Reported reported(const std::vector<Fault>& faults) {
  Reported out;
  for (const Fault& fault : faults) {
    if (fault.rule == "unlisted" || fault.rule == "implausible") continue;
    out.emplace(fault.path, fault.rule, fault.severity == Severity::error ? "error" : "warn");
  }
  return out;
}

int check_folder(const std::string& folder) {
  const json expected = json_data("records/" + folder + "/expected.json");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(FIELDPOST_SOURCE_DIR) +
                                                               "/tests/data/records/" + folder)) {
    const std::string name = entry.path().filename();
    if (name == "expected.json") continue;
    ++count;
    Reported wanted;
    for (const auto& fault : expected.value(name, json::array())) {
      wanted.emplace(fault["field"], fault["rule"], fault["severity"]);
    }
    std::string file = "records/";
    const json document = json_data(file.append(folder).append("/").append(name));
    CAPTURE(name);
    const auto faults = check_document(shipped(), document.value("type", ""), document);
    CHECK(reported(faults) == wanted);
    for (const Fault& fault : faults) {
      for (const char* language : {"en", "km"}) {
        const std::string text = shipped().message(fault, language);
        CAPTURE(fault.rule, text);
        CHECK_FALSE(text.starts_with("error."));
        CHECK_FALSE(text.starts_with("rule."));
        CHECK(text.find('{') == std::string::npos);
      }
    }
  }
  return count;
}

std::set<std::string> rules(const json& document, Purpose purpose = Purpose::draft) {
  std::set<std::string> out;
  for (const Fault& fault :
       check_document(shipped(), document.value("type", ""), document, purpose))
    out.insert(fault.rule);
  return out;
}

}  // namespace

TEST_CASE("valid documents report only their warnings") { CHECK(check_folder("valid") >= 25); }
TEST_CASE("invalid documents report exactly what is wrong") {
  CHECK(check_folder("invalid") >= 60);
}

TEST_CASE("a draft may lack what finalising demands") {
  json stop = good_stop();
  stop["state"] = "draft";
  stop.erase("direction");
  CHECK(rules(stop).empty());
  CHECK(rules(stop, Purpose::finalise) == std::set<std::string>{"required"});
}

TEST_CASE("an unknown type is one fault with a message") {
  const auto faults = check_document(shipped(), "raid", json::object());
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].rule == "unknown_type");
  CHECK_THAT(shipped().message(faults[0], "en"), Catch::Contains("raid"));
}

TEST_CASE("codes that are not listed and sizes that are hard to believe are warnings") {
  json stop = good_stop();
  stop["legal_basis"] = "ANUKRET-42";
  stop["checkpoint_code"] = "01-BVL";
  stop["position"] = {{"lat", 1}, {"lon", 1}, {"accuracy_m", 900}, {"source", "gps"}};
  const auto faults = check_document(shipped(), "stop", stop);
  std::set<std::pair<std::string, std::string>> found;
  for (const Fault& fault : faults) {
    CHECK(fault.severity == Severity::warn);
    found.emplace(fault.path, fault.rule);
  }
  CHECK(found ==
        std::set<std::pair<std::string, std::string>>{{"legal_basis", "unlisted"},
                                                      {"checkpoint_code", "unlisted"},
                                                      {"position/accuracy_m", "implausible"}});
}

TEST_CASE("documents of odd shapes are reported, not trusted") {
  for (const char* text :
       {"[]", "null", "3", "{}", R"({"vehicles": 3})", R"({"vehicles": [3, null, {"item_id": 4}]})",
        R"({"position": []})", R"({"persons": {"item_id": "x"}})", R"({"schema_version": 1.5})",
        R"({"schema_version": 18446744073709551615})", R"({"state": {"a": {"b": []}}})"}) {
    CAPTURE(text);
    CHECK(has_error(check_document(shipped(), "stop", json::parse(text))));
    CHECK(has_error(check_document(shipped(), "stop", json::parse(text), Purpose::finalise)));
  }
}

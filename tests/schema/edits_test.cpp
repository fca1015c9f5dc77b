#include <algorithm>
#include <map>

#include "schema/check.h"
#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using nlohmann::json;

namespace {

model::Dot dot(std::uint64_t actor, std::uint64_t counter) {
  return {ActorId{actor}, Sequence{counter}};
}

model::Change change_of(const json& document, std::vector<model::FieldValue> edits, model::Dot at,
                        std::uint64_t prev, model::VersionVector context) {
  model::Change change;
  change.record = *record_id_from_text(document["id"].get<std::string>());
  change.dot = at;
  change.prev = Sequence{prev};
  change.type = document["type"];
  change.unit = document["unit"];
  change.context = std::move(context);
  change.edits = std::move(edits);
  change.author = document["author"];
  change.times.wall = Instant{1'773'447'120'000 + static_cast<std::int64_t>(at.counter.value)};
  return change;
}

model::Record record_of(const json& document) {
  auto edits = edits_from_document(shipped(), document["type"].get<std::string>(), document);
  REQUIRE(edits);
  const auto change = change_of(document, *edits, dot(1, 1), 0, {});
  REQUIRE(model::check_change(change));
  auto record = model::empty_record(change.record, change.type, change.unit);
  REQUIRE(model::apply(record, change) == model::Applied::applied);
  return record;
}

std::vector<std::string> paths(const std::vector<model::FieldValue>& edits) {
  std::vector<std::string> out;
  out.reserve(edits.size());
  for (const auto& edit : edits) out.push_back(edit.path);
  return out;
}

std::vector<model::FieldValue> must(Result<std::vector<model::FieldValue>> edits) {
  if (!edits) FAIL(edits.error().message());
  return *std::move(edits);
}

}  // namespace

TEST_CASE("a document becomes a record and comes back the same") {
  for (const char* name : {"stop-searched-arrest", "stop-traffic-short", "seizure-full-custody",
                           "seizure-everything-else", "case-major", "visit-full",
                           "visit-newer-form", "stop-voided-item"}) {
    CAPTURE(name);
    json document = json_data("records/valid/" + std::string(name) + ".json");
    const auto record = record_of(document);
    json back = to_document(shipped(), record).document;
    for (const char* key : {"schema_version"}) {
      back.erase(key);
      document.erase(key);
    }
    std::erase_if(document.get_ref<json::object_t&>(),
                  [](const auto& member) { return member.second == json::array(); });
    for (json* side : {&document, &back}) {
      for (auto& [key, value] : side->items()) {
        if (value.is_array() && !value.empty() && value[0].is_object()) {
          std::sort(value.begin(), value.end(),
                    [](const json& a, const json& b) { return a["item_id"] < b["item_id"]; });
        }
      }
    }
    CHECK(back == document);
    const json base = to_document(shipped(), record).document;
    CHECK(must(edits_from_document(shipped(), record.type, base, &base)).empty());
  }
}

TEST_CASE("only what differs becomes an edit") {
  const json base = good_stop();
  json next = base;
  next["direction"] = "exit";
  next["witness"] = nullptr;
  next.erase("grounds");
  next["position"] = {{"lat", 13.661}};
  next["vehicles"] = json::array({{{"item_id", "v9h9c9e9"}, {"plate", "២a-១២៣៤"}}});
  const auto edits = must(edits_from_document(shipped(), "stop", next, &base));
  const std::vector<std::string> changed = paths(edits);
  CHECK(std::find(changed.begin(), changed.end(), "direction") != changed.end());
  CHECK(std::find(changed.begin(), changed.end(), "grounds") == changed.end());
  for (const auto& edit : edits) {
    if (edit.path == "position/lat") CHECK(std::get<std::int64_t>(edit.value) == 136'610'000);
    if (edit.path == "vehicles/v9h9c9e9/plate")
      CHECK(std::get<std::string>(edit.value) == "2a-1234");
    if (edit.path == "vehicles/v9h9c9e9/plate_norm")
      CHECK(std::get<std::string>(edit.value) == "2A1234");
    if (edit.path == "witness") CHECK(base.contains("witness"));
  }
  CHECK(std::find(changed.begin(), changed.end(), "vehicles/v9h9c9e9/plate_norm") != changed.end());
}

TEST_CASE("null clears, absence leaves alone, and unknown fields stay") {
  json base = good_stop();
  base["schema_version"] = 2;
  base["drone"] = "yes";
  base["vehicles"][0]["electric"] = true;
  const std::string id = base["vehicles"][0]["item_id"];
  json next = {{"position", nullptr},
               {"outcome", nullptr},
               {"vehicles", {{{"item_id", id}, {"colour", nullptr}}}}};
  const auto edits = must(edits_from_document(shipped(), "stop", next, &base));
  for (const auto& edit : edits) CHECK(std::holds_alternative<model::Null>(edit.value));
  const auto changed = paths(edits);
  CHECK(std::find(changed.begin(), changed.end(), "position/lat") != changed.end());
  CHECK(std::find(changed.begin(), changed.end(), "drone") == changed.end());
  CHECK(must(edits_from_document(shipped(), "stop", base, &base)).empty());
  const auto all = paths(must(edits_from_document(shipped(), "stop", base)));
  CHECK(std::find(all.begin(), all.end(), "vehicles/" + id + "/electric") != all.end());
}

TEST_CASE("new items get an id, and shapes that are no record are refused by name") {
  EditOptions options;
  options.new_item_id = [] { return std::string("n3w1tem0"); };
  const json fresh = {{"vehicles", {{{"plate", "1A"}}}}};
  CHECK(paths(must(edits_from_document(shipped(), "stop", fresh, nullptr, options))) ==
        std::vector<std::string>{"vehicles/n3w1tem0/plate", "vehicles/n3w1tem0/plate_norm"});
  const std::vector<std::pair<json, std::string>> bad = {
      {fresh, "vehicles"},
      {{{"vehicles", {{{"item_id", "UPPER123"}}}}}, "vehicles"},
      {{{"vehicles", {{{"item_id", "v3h1c2e1"}}, {{"item_id", "v3h1c2e1"}}}}}, "v3h1c2e1"},
      {{{"persons", {{{"item_id", "p3rs0n01"}, {"age_estimate", 3.5}}}}},
       "persons/p3rs0n01/age_estimate"},
      {{{"position", {{"lat", 1.123456789}}}}, "position/lat"},
      {{{"position", 3}}, "position"},
      {{{"vehicles", {1, 2}}}, "vehicles"},
      {{{"Direction", "exit"}}, "Direction"},
      {{{"direction", {{"a", {{"b", 1}}}}}}, ""},
      {json::array(), ""},
  };
  for (const auto& [document, named] : bad) {
    CAPTURE(document.dump());
    const auto edits = edits_from_document(shipped(), "stop", document);
    if (document.is_object() && document.contains("direction"))
      continue;  // an object of a newer form
    REQUIRE_FALSE(edits);
    CHECK_THAT(edits.error().detail, Catch::Contains(named));
  }
}

TEST_CASE("JSON text is read strictly") {
  CHECK(parse_document(R"({"a": 1, "b": [true, null], "lat": 13.661})"));
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({"a": 1, "a": 2})", "twice"},
      {R"({"v": [{"a": 1, "a": 2}]})", "twice"},
      {R"({"a": 99999999999999999999})", "too large"},
      {R"({"a": 9223372036854775808})", "too large"},
      {R"([1])", "object"},
      {R"({"a": 1} x)", "JSON"},
      {R"({"a": )", "JSON"},
      {"{\"a\": \"\xFF\"}", "UTF-8"},
      {std::string(100'000, '['), "nested"},
      {"{\"a\":[[[[[[[[[]]]]]]]]]}", "nested"},
      {"", "JSON"},
  };
  for (const auto& [text, named] : bad) {
    CAPTURE(text.substr(0, 60));
    const auto parsed = parse_document(text);
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().detail, Catch::Contains(named));
  }
  CHECK(parse_document("{\"a\":\"" + std::string(5'000'000, 'x') + "\"}")
            .error()
            .is(Errc::too_large));
}

TEST_CASE("concurrent values are all reported, the shown one marked") {
  const json document = good_stop();
  auto record = record_of(document);
  const auto context = record.vv;
  const auto ours =
      change_of(document, {{"direction", std::string("exit")}}, dot(1, 2), 1, context);
  const auto theirs =
      change_of(document, {{"direction", std::string("internal")}}, dot(2, 3), 0, context);
  REQUIRE(model::apply(record, ours) == model::Applied::applied);
  REQUIRE(model::apply(record, theirs) == model::Applied::applied);
  const auto view = to_document(shipped(), record);
  REQUIRE(view.conflicts.size() == 2);
  CHECK(view.document["direction"] == "internal");
  CHECK(view.conflicts[0].value == "exit");
  CHECK_FALSE(view.conflicts[0].shown);
  CHECK(view.conflicts[1].shown);
}

TEST_CASE(
    "a hub that cannot open a visit skips what depends on sealed values, and reports the rest") {
  const json document = json_data("records/valid/visit-full.json");
  auto edits = must(edits_from_document(shipped(), "visit", document));
  model::Seal seal;
  seal.id.bytes.fill(7);
  std::map<std::string, model::Value> clear;
  for (auto& edit : edits) {
    const Field* field = shipped().form("visit")->find(edit.path);
    if (field == nullptr || !field->sealed) continue;
    clear[edit.path] = edit.value;
    edit.value = model::Sealed{seal.id, Bytes(64)};
  }
  auto change = change_of(document, edits, dot(1, 1), 0, {});
  change.seals = {seal};
  CHECK_FALSE(check_change(shipped(), change).has_value());
  auto record = model::empty_record(change.record, change.type, change.unit);
  REQUIRE(model::apply(record, change) == model::Applied::applied);

  const auto view = to_document(shipped(), record);
  CHECK_FALSE(view.sealed.empty());
  CHECK_FALSE(view.document.contains("client_pseudonym"));
  CHECK(view.document["consent"].empty());
  CHECK_FALSE(has_error(check_record(shipped(), record)));
  const Unseal unseal = [&](std::string_view path, const model::Sealed&) {
    return std::optional(clear.at(std::string(path)));
  };
  CHECK(to_document(shipped(), record, unseal).document["client_pseudonym"] ==
        document["client_pseudonym"]);
  CHECK_FALSE(has_error(check_record(shipped(), record, unseal)));

  auto worse = change_of(document, {{"visit_type", model::Null{}}}, dot(1, 2), 1, record.vv);
  REQUIRE(model::apply(record, worse) == model::Applied::applied);
  const auto faults = check_record(shipped(), record);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].path == "visit_type");
  CHECK(faults[0].rule == "required");
}

TEST_CASE("three spellings of a plate are one plate") {
  for (const char* text : {"2A-1234", "២A-១២៣៤", "2a 1234",
                           "2A\xC2\xA0"
                           "1234",
                           "2\xE2\x80\x8B"
                           "A.12/34",
                           "2A·1234"}) {
    CHECK(plate_norm(text) == "2A1234");
  }
  CHECK(plate_norm("1ខ-5678") == "1ខ5678");
}

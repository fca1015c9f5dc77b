// The messy checkpoint day, exactly as checkpoint-day.expected.json says.
#include "schema/import.h"

#include <set>

#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using nlohmann::json;

namespace {

ImportOptions options() {
  ImportOptions out;
  out.envelope = [](std::size_t line, std::string_view) {
    char id[40];
    std::snprintf(id, sizeof id, "0190a000-0000-7000-8000-%012zx", line);
    char ref[40];
    std::snprintf(ref, sizeof ref, "01-PPT-T07-2026-%05zu", line);
    return json{{"id", id},
                {"unit", "01-PPT"},
                {"author", "import"},
                {"ref_no", ref},
                {"captured_at", "2026-03-15T08:00:00+07:00"}};
  };
  return out;
}

std::vector<ImportedRow> import_all(std::string_view type, std::string_view csv) {
  auto import = CsvImport::open(shipped(), type, as_bytes(csv), options());
  if (!import) FAIL(import.error().message());
  std::vector<ImportedRow> rows;
  while (auto row = import->next()) rows.push_back(*std::move(row));
  return rows;
}

std::string refusal(std::string_view csv) {
  const auto import = CsvImport::open(shipped(), "stop", as_bytes(csv), options());
  return import ? "" : import.error().detail;
}

}  // namespace

TEST_CASE("the checkpoint day imports with exactly the listed errors") {
  const json expected = json_data("checkpoint-day.expected.json");
  std::set<json> errors, warnings, unlisted;
  std::size_t good = 0, persons = 0, vehicles = 0, same_plate = 0;
  for (const ImportedRow& row : import_all("stop", read_data("checkpoint-day.csv"))) {
    for (const Fault& fault : row.faults) {
      CHECK_FALSE(shipped().message(fault, "en").starts_with("error."));
      if (fault.rule == "unlisted") {
        unlisted.insert(json{{"line", row.line}, {"field", fault.path}, {"value", fault.value}});
      } else {
        (fault.severity == Severity::error ? errors : warnings)
            .insert(json{{"line", row.line}, {"field", fault.path}, {"rule", fault.rule}});
      }
    }
    if (!row.good()) continue;
    ++good;
    persons += row.document.value("persons", json::array()).size();
    for (const json& vehicle : row.document.value("vehicles", json::array())) {
      ++vehicles;
      same_plate +=
          vehicle.value("plate_norm", "") == expected["same_plate"]["plate_norm"].get<std::string>()
              ? 1
              : 0;
    }
  }
  const auto listed = [&](const char* key) {
    return std::set<json>(expected[key].begin(), expected[key].end());
  };
  CHECK(errors == listed("errors"));
  CHECK(warnings == listed("warnings"));
  CHECK(unlisted == listed("unlisted"));
  CHECK(good == expected["good_rows"]);
  CHECK(persons == expected["persons"]);
  CHECK(vehicles == expected["vehicles"]);
  CHECK(same_plate == expected["same_plate"]["rows"]);
}

TEST_CASE("the same file read twice gives the same rows") {
  const std::string csv = read_data("checkpoint-day.csv");
  const auto a = import_all("stop", csv);
  const auto b = import_all("stop", csv);
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i].document == b[i].document);
}

TEST_CASE("a header that is not the form's is refused, naming the column") {
  CHECK_THAT(refusal("external_id,speed\n"), Catch::Contains("speed"));
  CHECK_THAT(refusal("direction,direction\n"), Catch::Contains("twice"));
  CHECK_THAT(refusal("vehicles.plate\n"), Catch::Contains("vehicles.plate"));
  CHECK_THAT(refusal("vehicles.x.plate\n"), Catch::Contains("vehicles.x.plate"));
  CHECK_THAT(refusal("position.0.lat\n"), Catch::Contains("position.0.lat"));
  CHECK_FALSE(refusal("").empty());
  CHECK_FALSE(CsvImport::open(shipped(), "raid", as_bytes("a\n"), options()));
}

TEST_CASE("cells are read as people write them") {
  const auto rows = import_all("stop",
                               "state,more_than_outer_clothing,position.lat,position.lon,position."
                               "source,persons.2.age_estimate,stopped_at\n"
                               "draft,ទេ,13.661,១០២.៥៤៩,GPS,២៧,2026-03-14   07:05\n"
                               "draft,maybe,13.12345678,x,gps,2.5,\n");
  REQUIRE(rows.size() == 2);
  const json& document = rows[0].document;
  CHECK(document["more_than_outer_clothing"] == false);
  CHECK(document["position"]["lat"] == 136'610'000);
  CHECK(document["position"]["lon"] == 1'025'490'000);
  CHECK(document["position"]["source"] == "gps");
  CHECK(document["persons"][0]["item_id"] == "00000002");
  CHECK(document["persons"][0]["age_estimate"] == 27);
  CHECK(document["stopped_at"] == "2026-03-14T07:05+07:00");
  CHECK(rows[1].faults.size() == 4);
  for (const Fault& fault : rows[1].faults) CHECK(fault.rule == "type");
}

TEST_CASE("a path of the record is named as the column that a person wrote") {
  CHECK(column_of("persons/00000000/dob") == "persons.0.dob");
  CHECK(column_of("vehicles/00000012/plate") == "vehicles.12.plate");
  CHECK(column_of("persons/00000001") == "persons.1");
  CHECK(column_of("position/lat") == "position.lat");
  CHECK(column_of("direction") == "direction");
  CHECK(column_of("persons.0.dob") == "persons.0.dob");
  CHECK(column_of("persons/k4m2q7xz/dob") == "persons.k4m2q7xz.dob");
  CHECK(column_of("").empty());
}

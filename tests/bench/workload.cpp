#include "tests/bench/workload.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/ids.h"
#include "schema/calendar.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::bench {

using nlohmann::json;

namespace {

constexpr std::string_view kItemAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::string_view kCapitals = "ABCDEFGHJKLMNPQRSTUVWXYZ";
constexpr std::string_view kPseudonymAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::int64_t kFirstDayMs = 1'772'323'200'000;  // 2026-03-01
constexpr int kOffsetMinutes = 420;

}  // namespace

Workload::Workload(WorkloadOptions options)
    : options_(std::move(options)), engine_(options_.seed), now_ms_(kFirstDayMs) {}

std::string Workload::letters(std::string_view alphabet, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += alphabet[below(alphabet.size())];
  return out;
}
std::string Workload::digits(std::size_t count) { return letters("0123456789", count); }
std::string Workload::item_id() { return letters(kItemAlphabet, 8); }
/// A post has some forty officers.
std::string Workload::officer() { return "NP-" + std::to_string(2200 + below(40)); }
std::string Workload::exhibit() { return "PPT-26-" + digits(6) + "-" + letters("ABCD", 1); }
void Workload::advance() { now_ms_ += static_cast<std::int64_t>(20'000 + below(160'000)); }

std::string Workload::remark() {
  return pick(options_.words->grounds) + "; " + pick(options_.words->remarks) + ", " +
         pick({"bay ", "lane ", "log ", "page "}) + std::to_string(1 + below(90)) + ", km " +
         std::to_string(1000 + below(280'000)) + ".";
}

json Workload::envelope(const char* type) {
  advance();
  ++number_;
  std::array<std::uint8_t, 10> bits{};
  for (auto& byte : bits) byte = static_cast<std::uint8_t>(engine_());
  const std::string number = std::to_string(100'000 + number_).substr(1);
  return {{"id", to_text(make_record_id(Instant{now_ms_}, bits))},
          {"type", type},
          {"schema_version", 1},
          {"unit", options_.unit},
          {"author", officer()},
          {"state", "final"},
          {"ref_no", options_.unit + "-" + options_.device + "-2026-" + number}};
}

json Workload::position() {
  return {{"lat", 136'520'000 + static_cast<std::int64_t>(below(190'000))},
          {"lon", 1'025'540'000 + static_cast<std::int64_t>(below(190'000))},
          {"accuracy_m", 3 + below(25)},
          {"source", chance(90) ? "gps" : "network"}};
}

json Workload::vehicle() {
  const std::string plate =
      chance(70) ? std::to_string(1 + below(3)) + letters(kCapitals, 1) + "-" + digits(4)
                 : letters(kCapitals, 2) + "-" + digits(4);
  json out{{"item_id", item_id()},
           {"plate", plate},
           {"country", pick({"KH", "KH", "KH", "KH", "TH", "VN"})},
           {"class", pick({"motorcycle", "motorcycle", "car", "car", "van", "bus", "truck"})},
           {"colour", pick(options_.words->colours)}};
  if (chance(85)) out["chassis_no"] = letters("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 17);
  return out;
}

json Workload::person(bool suspect) {
  const Name& family = options_.words->families[below(options_.words->families.size())];
  const Name& given = options_.words->given[below(options_.words->given.size())];
  json out{{"item_id", item_id()},
           {"role",
            suspect ? "suspect" : pick({"driver", "driver", "driver", "passenger", "pedestrian"})},
           {"sex", pick({"male", "male", "male", "female"})},
           {"nationality", pick({"KH", "KH", "KH", "KH", "KH", "TH", "VN"})}};
  if (chance(80)) out["name_km"] = std::string(family.km) + " " + given.km;
  if (chance(70) || !out.contains("name_km"))
    out["name_latin"] = std::string(family.latin) + " " + given.latin;
  // Phones are written down where there is no other way to find somebody again.
  if (chance(85)) out["description"] = "tel 0" + digits(8);
  if (chance(60)) {
    out["dob"] =
        schema::instant_text(Instant{static_cast<std::int64_t>(below(15'000)) * 86'400'000}, 0)
            .substr(0, 10);
  } else {
    out["age_estimate"] = 18 + below(50);
  }
  const std::string document =
      pick({"national_id", "national_id", "national_id", "passport", "border_pass", "none"});
  out["document_type"] = document;
  if (document == "passport")
    out["document_no"] = "N" + digits(8);
  else if (document != "none")
    out["document_no"] = digits(9);
  out["status"] = "not_detained";
  if (suspect && chance(60)) {
    out["status"] = pick({"detained", "arrested", "released"});
    out["status_at"] = schema::instant_text(
        Instant{now_ms_ + static_cast<std::int64_t>(below(3'600) * 1000)}, kOffsetMinutes);
    out["status_authority"] = "Post " + options_.unit;
  }
  return out;
}

void Workload::add_search(json& stop) {
  const bool person = chance(40);
  stop["search_type"] = person ? "person_and_vehicle" : "vehicle";
  stop["searched_at"] = schema::instant_text(
      Instant{now_ms_ + static_cast<std::int64_t>(below(600) * 1000)}, kOffsetMinutes);
  stop["object_of_search"] = pick({"drugs", "drugs", "chemicals", "cash", "documents", "weapons"});
  stop["grounds"] = remark();
  stop["legal_basis"] = "DRUG-2012";
  if (person) stop["more_than_outer_clothing"] = chance(10);
  stop["receipt_given"] = pick({"paper", "qr", "refused", "impracticable"});
  if (stop["outcome"] != "no_action") stop["outcome_linked_to_object"] = chance(50);
}

json Workload::stop() {
  json out = envelope("stop");
  out["position"] = position();
  out["checkpoint_code"] = options_.unit;
  out["direction"] = pick({"entry", "entry", "exit", "internal"});
  out["stop_type"] = pick({"traffic", "traffic", "traffic", "person", "cargo"});
  out["stopped_at"] = schema::instant_text(Instant{now_ms_}, kOffsetMinutes);
  out["officer_id"] = out["author"];
  out["outcome"] = pick({"no_action", "no_action", "no_action", "warning", "fine", "referred"});
  out["search_type"] = "none";
  if (chance(95)) out["vehicles"].push_back(vehicle());
  out["persons"].push_back(person(false));
  if (chance(30)) out["persons"].push_back(person(false));
  if (chance(25)) add_search(out);
  return out;
}

json Workload::drug_item() {
  const std::uint64_t gross_mg = 200 + below(chance(10) ? 4'000'000 : 90'000);
  const std::string weigher = officer();
  std::string witness = officer();
  if (witness == weigher) witness = "NP-1187";
  json out{{"item_id", item_id()},
           {"drug", pick({"meth_crystal", "meth_tablet", "meth_tablet", "heroin", "ketamine",
                          "cannabis_herb"})},
           {"form", pick({"crystal", "tablet", "powder", "herb"})},
           {"quantity_basis", "weighed"},
           {"gross_mg", gross_mg},
           {"net_mg", gross_mg - gross_mg / 20 - below(50)},
           {"scale_id", "SC-0" + std::to_string(1 + below(6))},
           {"weighed_by", weigher},
           {"weigh_witness", witness},
           {"packages", 1 + below(12)},
           {"field_test", pick({"positive", "positive", "not_done", "inconclusive"})},
           {"exhibit_no", exhibit()},
           {"seal_no", "S-" + digits(6)}};
  if (chance(50)) out["packaging"] = pick(options_.words->packagings);
  if (chance(30)) out["logo"] = pick(options_.words->logos);
  return out;
}

json Workload::chemical_item() {
  json out{{"item_id", item_id()},
           {"substance", pick(options_.words->substances)},
           {"control", pick({"table_i", "table_ii", "national"})},
           {"weight_mg", 1000 * (500 + below(80'000))},
           {"exhibit_no", exhibit()},
           {"seal_no", "S-" + digits(6)}};
  return out;
}

json Workload::property_item() {
  json out{{"item_id", item_id()},
           {"status", "held"},
           {"exhibit_no", exhibit()},
           {"seal_no", "S-" + digits(6)}};
  if (chance(50)) {
    out["kind"] = "cash";
    out["amount_minor"] = 100 * (50 + below(90'000));
    out["amount_currency"] = pick({"KHR", "USD", "THB"});
  } else {
    out["kind"] = "phone";
    out["identifier"] = "IMEI " + digits(15);
    out["count"] = 1;
  }
  return out;
}

json Workload::seizure() {
  json out = envelope("seizure");
  out["position"] = position();
  out["seized_at"] = schema::instant_text(Instant{now_ms_}, kOffsetMinutes);
  out["place"] = pick(options_.words->places);
  out["seizing_agency"] = pick({"border_police", "border_police", "anti_drug_police", "customs"});
  out["detection_method"] =
      pick({"routine", "intelligence", "risk_profile", "dog", "xray", "tip_off"});
  out["transport_mode"] = pick({"road", "road", "river", "on_foot"});
  out["concealment"] = pick({"on_body", "luggage", "vehicle_structure", "cargo", "none"});
  const std::uint64_t items = 1 + (chance(45) ? 0 : below(4));
  for (std::uint64_t i = 0; i < items; ++i) {
    const std::uint64_t kind = i == 0 ? 0 : below(10);
    if (kind < 5)
      out["drug_items"].push_back(drug_item());
    else if (kind < 7)
      out["chemical_items"].push_back(chemical_item());
    else
      out["property_items"].push_back(property_item());
  }
  if (chance(60)) out["persons"].push_back(person(true));
  return out;
}

json Workload::visit() {
  json out = envelope("visit");
  const std::string at = schema::instant_text(Instant{now_ms_}, kOffsetMinutes);
  std::string pseudonym;
  for (int i = 0; i < 4; ++i) pseudonym += (i == 0 ? "" : "-") + letters(kPseudonymAlphabet, 4);
  const auto hex = [this](std::size_t n) { return letters("0123456789abcdef", n); };
  out["client_pseudonym"] = pseudonym;
  out["episode_id"] = hex(8) + "-" + hex(4) + "-4" + hex(3) + "-a" + hex(3) + "-" + hex(12);
  out["visit_at"] = at;
  out["visit_month"] = at.substr(0, 7);
  out["visit_type"] = pick({"outreach", "intake", "counselling", "medical", "follow_up"});
  out["setting"] = "mobile_unit";
  out["facility_code"] = "UNIT";
  out["commune_code"] = pick(options_.words->places);
  out["legal_status"] = "voluntary";
  out["referral_source"] = pick({"self", "family", "health", "commune"});
  out["ever_treated_before"] = pick({"yes", "no", "unknown"});
  out["age_band"] = pick({"20_24", "25_29", "30_34", "35_39", "40_44"});
  out["sex"] = pick({"male", "male", "female"});
  out["living_status"] = pick({"alone", "with_family", "with_others", "homeless"});
  out["labour_status"] = pick({"employed", "casual", "student", "unemployed"});
  out["education"] = pick({"none", "primary", "lower_secondary", "upper_secondary"});
  out["primary_drug"] = pick({"meth_crystal", "meth_tablet", "heroin"});
  out["route"] = pick({"smoke", "inhale", "inject"});
  out["days_used_last_30"] = below(31);
  out["age_first_use"] = 12 + below(8);
  if (chance(40)) {
    out["secondary_drugs"].push_back({{"item_id", item_id()},
                                      {"drug", "alcohol"},
                                      {"route", "oral"},
                                      {"days_used_last_30", below(31)},
                                      {"age_first_use", 12 + below(8)}});
  }
  out["ever_injected"] = out["route"] == "inject" ? "yes" : "no";
  out["hiv_tested"] = pick({"yes", "no"});
  out["hcv_tested"] = pick({"yes", "no"});
  out["interventions"] = {"counselling_individual"};
  if (chance(40)) out["interventions"].push_back("medical_check");
  out["next_visit"] = schema::instant_text(Instant{now_ms_ + 14 * 86'400'000LL}, 0).substr(0, 10);
  out["outcome"] = "continuing";
  out["consent"] = {
      {"id", "C-2026-" + digits(4)},
      {"scope", {"treatment", "statistics"}},
      {"given_at", schema::instant_text(Instant{now_ms_ - 3'600'000}, kOffsetMinutes)}};
  return out;
}

json Workload::mixed() { return chance(70) ? stop() : seizure(); }

std::string to_ndjson(const std::vector<json>& documents) {
  std::string out;
  for (const json& document : documents) out += document.dump() + "\n";
  return out;
}

WorkloadSize measure(const std::string& ndjson, std::size_t records) {
  const test::TempDir directory;
  const auto file = directory / "workload.ndjson";
  {
    std::ofstream out(file, std::ios::binary);
    out << ndjson;
  }
  const std::string command = "gzip -9 < '" + file.string() + "' | wc -c";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("gzip cannot be started");
  std::size_t bytes = 0;
  const int read = std::fscanf(pipe, "%zu", &bytes);
  const int ended = ::pclose(pipe);
  if (read != 1 || ended != 0 || bytes == 0) throw std::runtime_error("gzip did not answer");
  return {records, ndjson.size() - records, bytes};
}

}  // namespace fieldpost::bench

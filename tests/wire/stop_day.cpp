#include "tests/wire/stop_day.h"

#include <algorithm>

namespace fieldpost::test {

std::string StopDay::digits(std::size_t count) {
  std::string out;
  while (out.size() < count) out += static_cast<char>('0' + below(10));
  return out;
}

std::string StopDay::item_id() {
  std::string out;
  while (out.size() < 8) out += "abcdefghjkmnpqrstvwxyz0123456789"[below(32)];
  return out;
}

void StopDay::add_person(std::vector<model::FieldValue>& edits) {
  const auto at = "persons/" + item_id() + "/";
  edits.push_back({at + "age_estimate", static_cast<std::int64_t>(18 + below(50))});
  edits.push_back({at + "document_no", digits(9)});
  edits.push_back({at + "document_type", pick({"national_id", "passport", "border_pass"})});
  edits.push_back(
      {at + "name_km", pick({"សុខ", "ចាន់", "គឹម", "លី", "ហេង", "ម៉ៅ", "ឈុន", "ប៊ុន"}) + " " +
                           pick({"សុភា", "វណ្ណា", "ដារ៉ា", "សុផល", "ពិសិដ្ឋ", "ស្រីមុំ", "បុប្ផា", "រតនា"})});
  edits.push_back(
      {at + "name_latin",
       pick({"SOK", "CHAN", "KIM", "LY", "HENG", "MAO", "CHHUN", "BUN", "NGUON", "PICH"}) + " " +
           pick({"SOPHEA", "VANNA", "DARA", "SOPHAL", "PISETH", "SREYMOM", "BOPHA", "RATANA"})});
  edits.push_back({at + "nationality", pick({"KH", "KH", "KH", "TH", "VN"})});
  edits.push_back({at + "role", pick({"driver", "driver", "passenger", "pedestrian"})});
  edits.push_back({at + "sex", pick({"male", "male", "female"})});
  edits.push_back({at + "status", std::string("not_detained")});
}

model::Change StopDay::next() {
  now_ms_ += static_cast<std::int64_t>(20000 + below(120000));
  ++counter_;
  model::Change c;
  std::array<std::uint8_t, 10> random{};
  for (auto& byte : random) byte = static_cast<std::uint8_t>(engine_());
  c.record = make_record_id({now_ms_ - static_cast<std::int64_t>(below(60000))}, random);
  c.dot = {ActorId{0x6f1d2c3b4a596877}, Sequence{counter_}};
  c.type = "stop";
  c.unit = "01-PPT";
  c.author = "P-" + pick({"4417", "4418", "2093"});
  c.schema_version = 1;
  c.welcome = 12;
  c.times.wall = {now_ms_};
  c.times.boot = 0x9a3b2c1d4e5f6071;
  c.times.monotonic_ms = static_cast<std::uint64_t>(now_ms_ - 1772300000000);
  c.times.hub = model::HubTime{{1772310000000}, 9999000};
  auto& e = c.edits;
  const bool searched = below(3) == 0;
  e.push_back({"captured_at", now_ms_ - static_cast<std::int64_t>(below(60000))});
  e.push_back({"captured_offset_min", std::int64_t{420}});
  e.push_back({"checkpoint_code", std::string("01-PPT")});
  e.push_back({"direction", pick({"entry", "exit", "entry", "internal"})});
  e.push_back({"officer_id", c.author});
  e.push_back({"outcome", pick({"no_action", "no_action", "warning", "fine", "referred"})});
  e.push_back({"position/accuracy_m", static_cast<std::int64_t>(3 + below(30))});
  e.push_back({"position/lat", static_cast<std::int64_t>(13660000 + below(4000))});
  e.push_back({"position/lon", static_cast<std::int64_t>(102560000 + below(4000))});
  e.push_back({"position/source", std::string("gps")});
  e.push_back({"ref_no", "01-PPT-T07-2026-" + std::to_string(100000 + counter_).substr(1)});
  e.push_back({"search_type", std::string(searched ? "vehicle" : "none")});
  if (searched) {
    e.push_back({"object_of_search", pick({"drugs", "chemicals", "documents"})});
    e.push_back({"grounds", pick({"smell of chemicals from the rear of the vehicle",
                                  "nervous driver, contradictory answers",
                                  "matches a vehicle named in circular",
                                  "routine selection by the shift leader"}) +
                                " " + digits(3)});
  }
  e.push_back({"state", std::string("final")});
  e.push_back({"stop_type", pick({"traffic", "traffic", "person", "cargo"})});
  e.push_back({"stopped_at", now_ms_ - static_cast<std::int64_t>(below(90000))});
  const auto vehicle = "vehicles/" + item_id() + "/";
  e.push_back({vehicle + "class", pick({"motorcycle", "car", "van", "truck"})});
  e.push_back({vehicle + "colour", pick({"black", "white", "red", "silver", "blue"})});
  e.push_back({vehicle + "country", pick({"KH", "KH", "TH"})});
  const auto plate = pick({"2A", "1B", "2C", "1D", "2F"}) + "-" + digits(4);
  e.push_back({vehicle + "plate", plate});
  e.push_back({vehicle + "plate_normalised", plate.substr(0, 2) + plate.substr(3)});
  add_person(e);
  std::sort(e.begin(), e.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  for (auto& byte : c.salt.bytes) byte = static_cast<std::uint8_t>(engine_());
  return c;
}

}  // namespace fieldpost::test

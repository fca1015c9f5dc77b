#include "schema/questions.h"

#include <set>

#include "schema/check.h"
#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using nlohmann::json;

namespace {

AnswerContext context(std::string_view language = "en") {
  // 2026-03-14T13:30+07:00
  return {shipped(), language, *instant_from_text("2026-03-14T06:30:00Z"), 420};
}

const Question& named(const std::vector<Question>& all, std::string_view container,
                      std::string_view name) {
  for (const Question& question : all) {
    if (question.container == container && question.name == name) return question;
    for (const Question& member : question.item) {
      if (member.container == container && member.name == name) return member;
    }
  }
  FAIL("no question " << name);
  return all.front();
}

std::string answer(std::string_view type, std::string_view container, std::string_view name,
                   std::string_view text, std::string_view language = "en") {
  const auto all = questions(shipped(), type, language);
  auto parsed = parse_answer(named(all, container, name), text, context(language));
  if (!parsed) {
    CHECK(parsed.error().is(Errc::invalid_argument));
    return "refused";
  }
  std::string out = parsed->value.dump();
  for (const auto& [field, value] : parsed->also) out += " " + field + "=" + value.dump();
  return out;
}

}  // namespace

TEST_CASE("every form asks its questions in order, in both languages") {
  for (std::string_view type : shipped().types()) {
    CAPTURE(type);
    const auto english = questions(shipped(), type, "en");
    const auto khmer = questions(shipped(), type, "km");
    REQUIRE(english.size() == khmer.size());
    REQUIRE(english.size() >= 5);
    for (std::size_t i = 0; i < english.size(); ++i) {
      CAPTURE(english[i].name);
      CHECK(english[i].name == khmer[i].name);
      CHECK_FALSE(english[i].label.empty());
      CHECK(english[i].label.find('.') == std::string::npos);
      CHECK(english[i].label != khmer[i].label);
      CHECK(english[i].is_repeat() == !english[i].item.empty());
    }
  }
  const auto stop = questions(shipped(), "stop", "en");
  CHECK(stop.front().name == "checkpoint_code");
  CHECK(stop.front().options.size() >= 16);
  CHECK(stop[1].name == "direction");
  CHECK(stop.back().name == "receipt_given");
  CHECK(repeat_question(shipped(), "seizure", "custody_events", "en")->item.front().name ==
        "exhibit_no");
  CHECK_FALSE(repeat_question(shipped(), "seizure", "nothing", "en"));
}

TEST_CASE("questions appear with their conditions and know when they are required") {
  const auto all = questions(shipped(), "stop", "en");
  const Question& grounds = named(all, "", "grounds");
  json document = good_stop();
  document["search_type"] = "none";
  CHECK_FALSE(is_asked(grounds, document));
  CHECK_FALSE(is_required(shipped(), "stop", grounds, document));
  document["search_type"] = "vehicle";
  CHECK(is_asked(grounds, document));
  CHECK(is_required(shipped(), "stop", grounds, document));
  const auto seizure = questions(shipped(), "seizure", "en");
  const Question& count = named(seizure, "drug_items", "count");
  const json item = {{"item_id", "dr0g0001"}, {"quantity_basis", "counted"}};
  CHECK(is_asked(count, json::object(), &item));
  CHECK(is_required(shipped(), "seizure", count, {{"drug_items", {item}}}, "dr0g0001"));
  const auto visit = questions(shipped(), "visit", "en");
  CHECK(is_required(shipped(), "visit", named(visit, "consent", "id"), json::object()));
}

TEST_CASE("answers are understood as people give them") {
  CHECK(answer("stop", "", "direction", "2") == "\"exit\"");
  CHECK(answer("stop", "", "direction", "២") == "\"exit\"");
  CHECK(answer("stop", "", "direction", "EXIT") == "\"exit\"");
  CHECK(answer("stop", "", "direction",
               named(questions(shipped(), "stop", "km"), "", "direction").options[1].label,
               "km") == "\"exit\"");
  CHECK(answer("stop", "", "direction", "sideways") == "refused");
  CHECK(answer("stop", "", "direction", "9") == "refused");
  CHECK(answer("stop", "", "direction", "  ") == "null");
  CHECK(answer("stop", "", "checkpoint_code", "poipet") == "\"01-PPT\"");
  CHECK(answer("stop", "", "checkpoint_code", "ប៉ោយប៉ែត") == "\"01-PPT\"");
  CHECK(answer("stop", "", "checkpoint_code", "01-ZZZ") == "\"01-ZZZ\"");
  CHECK(answer("stop", "", "checkpoint_code", "nowhere at all") == "refused");
  CHECK(answer("stop", "", "stopped_at", "7:05") == "\"2026-03-14T07:05+07:00\"");
  CHECK(answer("stop", "", "stopped_at", "០៧:០៥") == "\"2026-03-14T07:05+07:00\"");
  CHECK(answer("stop", "", "stopped_at", "2026-03-13 23:10") == "\"2026-03-13T23:10+07:00\"");
  CHECK(answer("stop", "", "stopped_at", "25:00") == "refused");
  CHECK(answer("stop", "", "more_than_outer_clothing", "y") == "true");
  CHECK(answer("stop", "", "more_than_outer_clothing", "ទេ", "km") == "false");
  CHECK(answer("stop", "", "more_than_outer_clothing", "maybe") == "refused");
  CHECK(answer("stop", "", "grounds", "short") == "refused");
  CHECK(answer("stop", "vehicles", "plate", "២a-១២៣៤") == "\"2a-1234\" plate_norm=\"2A1234\"");
  CHECK(answer("stop", "persons", "age_estimate", "២៧") == "27");
  CHECK(answer("stop", "persons", "age_estimate", "121") == "refused");
  CHECK(answer("stop", "persons", "name_km", "សុខ ១") == "\"សុខ ១\"");
  CHECK(answer("visit", "", "visit_at", "09:00") ==
        "\"2026-03-14T09:00+07:00\" visit_month=\"2026-03\"");
  CHECK(answer("visit", "", "interventions", "1, 2").find(',') != std::string::npos);
}

TEST_CASE("weights, volumes and money say their unit") {
  CHECK(answer("seizure", "drug_items", "gross_mg", "2.5 kg") == "2500000");
  CHECK(answer("seizure", "drug_items", "gross_mg", "2.5KG") == "2500000");
  CHECK(answer("seizure", "drug_items", "gross_mg", "1200 g") == "1200000");
  CHECK(answer("seizure", "drug_items", "gross_mg", "០.៣៥ ក្រាម") == "350");
  CHECK(answer("seizure", "drug_items", "gross_mg", "350 mg") == "350");
  CHECK(answer("seizure", "drug_items", "gross_mg", "350") == "refused");
  CHECK(answer("seizure", "drug_items", "gross_mg", "0.0001 g") == "refused");
  CHECK(answer("seizure", "drug_items", "gross_mg", "-1 g") == "refused");
  CHECK(answer("seizure", "drug_items", "gross_mg", "9999999999999999999 kg") == "refused");
  CHECK(answer("seizure", "drug_items", "volume_ml", "2.5 l") == "2500");
  CHECK(answer("seizure", "drug_items", "volume_ml", "300") == "300");
  CHECK(answer("seizure", "property_items", "amount_minor", "12.50 usd") ==
        "1250 amount_currency=\"USD\"");
  CHECK(answer("seizure", "property_items", "amount_minor", "500 VND") ==
        "500 amount_currency=\"VND\"");
  CHECK(answer("seizure", "property_items", "amount_minor", "500") == "refused");
}

TEST_CASE("the terminal offers what it can know by itself") {
  const Form& stop = *shipped().form("stop");
  CHECK(default_answer(*stop.find("stopped_at"), context()) == "2026-03-14T13:30:00+07:00");
  CHECK(default_answer(*stop.find("search_type"), context()) == "none");
  CHECK(default_answer(*stop.find("officer_id"), context()).is_null());
  CHECK(stop.find("persons", "role")->default_kind.empty());
  CHECK(shipped().form("visit")->find("legal_status")->default_kind.empty());
}

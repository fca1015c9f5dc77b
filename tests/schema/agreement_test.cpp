// Our evaluator against valijson, and the narrow check against the whole one, on generated documents.
#include <filesystem>
#include <random>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "schema/check.h"
#include "schema/node.h"
#include "schema/validate.h"
#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using nlohmann::json;

namespace {

using Random = std::mt19937_64;

std::size_t pick(Random& random, std::size_t count) { return random() % count; }

/// Documents that come with the tests, the seeds of all mutations.
std::vector<json> seeds() {
  std::vector<json> out;
  for (const char* folder : {"valid", "invalid"}) {
    for (const auto& entry : std::filesystem::directory_iterator(std::string(FIELDPOST_SOURCE_DIR) +
                                                                 "/tests/data/records/" + folder)) {
      if (entry.path().filename() == "expected.json") continue;
      out.push_back(
          json_data(std::string("records/") + folder + "/" + entry.path().filename().string()));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

json odd_value(Random& random) {
  const std::vector<json> values = {"",
                                    "x",
                                    "entry",
                                    "final",
                                    "draft",
                                    "void",
                                    "ខ្មែរ",
                                    std::string(2100, 'x'),
                                    "2026-03-14T07:05+07:00",
                                    "2026-02-30",
                                    "KH",
                                    "0",
                                    0,
                                    1,
                                    -1,
                                    121,
                                    1'000'000'000'000'000'000,
                                    true,
                                    false,
                                    json::array(),
                                    json::array({"use"}),
                                    json::array({1, "x"}),
                                    "unknown",
                                    "weighed",
                                    "counted",
                                    "none",
                                    "other",
                                    "confirmed"};
  return values[pick(random, values.size())];
}

void mutate(Random& random, json& document, const Form& form) {
  const auto& fields = form.fields();
  const Field& field = fields[pick(random, fields.size())];
  json* holder = &document;
  if (!field.container.empty()) {
    json& container = document[field.container];
    if (field.in_repeat) {
      if (!container.is_array() || container.empty())
        container = json::array({{{"item_id", "t3st0001"}}});
      holder = &container[pick(random, container.size())];
    } else {
      holder = &container;
    }
    if (!holder->is_object()) return;
  }
  switch (pick(random, 4)) {
    case 0:
      holder->erase(field.name);
      break;
    case 1:
      if (!field.choices.empty() && field.type == LeafType::text) {
        (*holder)[field.name] = field.choices[pick(random, field.choices.size())];
        break;
      }
      [[fallthrough]];
    default:
      (*holder)[field.name] = odd_value(random);
  }
}

class Valijson {
 public:
  explicit Valijson(std::string_view type) {
    for (const auto& file : embedded_schemas()) {
      if (file.name == "records/" + std::string(type) + ".json")
        root_ = json::parse(as_text(file.bytes));
    }
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(root_), schema_);
  }
  bool accepts(const json& document) const {
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    return validator.validate(schema_, valijson::adapters::NlohmannJsonAdapter(document), nullptr);
  }

 private:
  json root_;
  valijson::Schema schema_;
};

}  // namespace

TEST_CASE("our evaluator and valijson agree on 2,000 documents") {
  Random random(20260314);
  const auto all = seeds();
  std::map<std::string, std::unique_ptr<Valijson>> second;
  for (auto type : shipped().types()) second.emplace(type, std::make_unique<Valijson>(type));
  int accepted = 0;
  for (int i = 0; i < 2000; ++i) {
    json document = all[pick(random, all.size())];
    const std::string type = document["type"];
    const Form& form = *shipped().form(type);
    for (std::size_t k = pick(random, 4); k > 0; --k) mutate(random, document, form);
    const bool ours = valid(*form.data().root, document);
    std::vector<Found> found;
    validate(*form.data().root, document, found);
    CAPTURE(document.dump());
    CHECK(ours == second[type]->accepts(document));
    CHECK(ours == found.empty());
    accepted += ours ? 1 : 0;
  }
  CHECK(accepted > 200);
  CHECK(accepted < 1800);
}

TEST_CASE("what the narrow check refuses, the whole check reports") {
  Random random(7);
  const auto all = seeds();
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    json document = all[pick(random, all.size())];
    const std::string type = document["type"];
    const Form& form = *shipped().form(type);
    mutate(random, document, form);
    document["schema_version"] = form.version();
    for (auto& [name, value] : document.items()) {
      // A voided item's other fields are left out of the effective document.
      if (!form.is_repeat(name) || !value.is_array()) continue;
      for (json& item : value) {
        if (item.is_object()) item.erase("void");
      }
    }
    const auto edits = edits_from_document(shipped(), type, document);
    if (!edits) continue;
    const json clean = *normalised(shipped(), type, document);
    const auto faults = check_document(shipped(), type, clean);
    for (const auto& edit : *edits) {
      const Field* field = form.find(edit.path);
      if (field != nullptr && field->sealed) continue;  // judged in clear by check_document only
      const auto fault = check_edit(form, edit, form.version());
      if (!fault || fault->rule == "x-nullable") continue;
      ++refused;
      CAPTURE(fault->path, fault->rule, clean.dump());
      CHECK(std::any_of(faults.begin(), faults.end(), [&](const Fault& f) {
        return f.path == fault->path && f.rule == fault->rule && f.severity == Severity::error;
      }));
    }
  }
  CHECK(refused > 500);
}

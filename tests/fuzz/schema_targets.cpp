// Forms, documents and tables that people and other programs write.
#include <nlohmann/json.hpp>

#include "base/embedded.h"
#include "base/text.h"
#include "schema/calendar.h"
#include "schema/check.h"
#include "schema/document.h"
#include "schema/import.h"
#include "schema/pattern.h"
#include "schema/questions.h"
#include "schema/sealed_json.h"
#include "schema/words.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_mutator.h"
#include "tests/wire/golden.h"
#include "tests/wire/random_values.h"
#include "wire/codec.h"

namespace fieldpost::fuzz {
namespace {

using namespace schema;
using nlohmann::json;

const Registry& shipped() {
  static const Registry registry = *Registry::load(embedded_schemas());
  return registry;
}

const std::vector<json>& valid_documents() {
  static const std::vector<json> all = documents_in("data/records/valid");
  return all;
}

std::vector<Bytes> counted_seeds(std::size_t count, std::string_view tail = {}) {
  std::vector<Bytes> seeds;
  for (std::size_t i = 0; i < count; ++i) {
    Bytes seed{static_cast<std::uint8_t>(i)};
    for (const char c : tail) seed.push_back(static_cast<std::uint8_t>(c));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

// ---- files of schemas/ ----

EmbeddedFile file(std::string_view name, std::string_view text) { return {name, as_bytes(text)}; }

/// Whatever loads can be asked about anything.
void take_registry(const Result<Registry>& registry) {
  if (!registry) {
    require_plain(registry.error());
    return require(registry.error().is(Errc::malformed) || registry.error().is(Errc::unsupported),
                   "a schema that does not load is malformed or unsupported");
  }
  for (const std::string_view type : registry->types()) {
    (void)questions(*registry, type, "en");
    (void)check_document(*registry, type, json::object(), Purpose::finalise);
    for (const Field& field : registry->form(type)->fields()) {
      const std::string path = field.container.empty() ? field.name
                               : field.in_repeat       ? field.container + "/k3x9d2m1/" + field.name
                                                       : field.container + "/" + field.name;
      require(registry->form(type)->find(path) == &field, "a form finds its own fields");
    }
  }
}

/// The parts of a shipped form that a small one needs: its root and some of its properties.
json small_form(std::string_view type, std::size_t first) {
  json form;
  for (const EmbeddedFile& shipped_file : embedded_schemas()) {
    if (shipped_file.name == "records/" + std::string(type) + ".json")
      form = json::parse(as_text(shipped_file.bytes));
  }
  json kept = json::object();
  std::size_t at = 0;
  for (const auto& [name, property] : form["properties"].items()) {
    if (at >= first && at < first + 4) kept[name] = property;
    ++at;
  }
  for (const char* name : {"id", "type", "unit", "state", "author", "schema_version"}) {
    if (form["properties"].contains(name)) kept[name] = form["properties"][name];
  }
  form["properties"] = kept;
  return form;
}

void take_schema_form(BytesView bytes) {
  static const std::vector<json> kForms = [] {
    std::vector<json> all;
    for (const char* type : {"case", "seizure", "stop", "visit"}) {
      for (const std::size_t first : {0U, 4U, 8U, 12U, 20U}) all.push_back(small_form(type, first));
    }
    return all;
  }();
  Input in(bytes);
  const json& base = kForms[in.below(kForms.size())];
  const std::string type = base["properties"]["type"]["const"];
  const std::string text = text_of(bent(base, in));
  std::vector<EmbeddedFile> files = {file("records/" + type + ".json", text)};
  take_registry(Registry::load(files));
}

void take_schema_file(BytesView bytes) {
  Input in(bytes);
  static const char* const kNames[] = {"records/x.json", "labels/en.json", "lists/units.json",
                                       "places/checkpoints.csv"};
  const char* name = kNames[in.below(4)];
  const std::string text(as_text(in.rest()));
  const EmbeddedFile files[] = {file(name, text)};
  take_registry(Registry::load(files));
}

std::vector<Bytes> schema_file_seeds() {
  const char* const kTexts[] = {"\x00{\"type\":\"object\",\"properties\":{}}",
                                "\x01{\"stop\":{\"text\":\"Stop\"}}",
                                "\x02{\"entries\":[{\"code\":\"KHR\",\"labels\":{\"en\":{\"text\":"
                                "\"riel\"}},\"minor_digits\":2}]}",
                                "\x03"
                                "code,name_km,name_latin,lat,lon,valid_from\n01-PPT,\"ប៉ោយប៉ែត\","
                                "Poipet,13.66,102.56,2026-01-01\n"};
  std::vector<Bytes> seeds;
  for (std::size_t i = 0; i < std::size(kTexts); ++i) {
    Bytes seed{static_cast<std::uint8_t>(i)};
    for (const char c : std::string_view(kTexts[i] + 1))
      seed.push_back(static_cast<std::uint8_t>(c));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

void take_pattern(BytesView bytes) {
  Input in(bytes);
  const std::size_t size = in.below(64);
  const std::string source(as_text(in.take(size)));
  const std::string text(as_text(in.rest()));
  if (!is_utf8(source)) return;  // it comes out of JSON
  const auto pattern = Pattern::compile(source);
  if (!pattern) {
    require_plain(pattern.error());
    return require(pattern.error().is(Errc::unsupported),
                   "a pattern outside the subset is refused");
  }
  const bool matches = pattern->matches(text);
  if (const auto length = pattern->fixed_length(); length && matches)
    require(text.size() == *length, "what matches has the pattern's length");
}

std::vector<Bytes> pattern_seeds() {
  std::vector<Bytes> seeds;
  for (const auto& [pattern, text] :
       {std::pair<std::string, std::string>{"^[0-9]{2}-[A-Z]{3}$", "01-PPT"},
        {"^(a|bc)?[x-z]{1,3}$", "bcxyz"},
        {"^[0-9]{4}-[0-9]{2}$", "2026-03"}}) {
    Bytes seed{static_cast<std::uint8_t>(pattern.size())};
    for (const char c : pattern + text) seed.push_back(static_cast<std::uint8_t>(c));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

// ---- documents ----

EditOptions with_item_ids() {
  EditOptions options;
  options.new_item_id = [n = 0]() mutable {
    std::string id = "00000000";
    id[7] = "0123456789abcdefghjkmnpqrstvwxyz"[n++ % 32];
    return id;
  };
  return options;
}

model::Change change_of(const std::string& type, std::vector<model::FieldValue> edits) {
  model::Change change;
  change.record = make_record_id(Instant{1'772'349'300'000}, {});
  change.dot = {ActorId{1}, Sequence{1}};
  change.type = type;
  change.unit = "01-PPT";
  change.author = "NP-2231";
  change.edits = std::move(edits);
  return change;
}

/// A record that a document became says the same again.
void take_edits(const std::string& type, const std::vector<model::FieldValue>& edits) {
  const model::Change change = change_of(type, edits);
  if (!model::check_change(change)) return;  // larger than a change may be: refused when it is made
  const auto fault = check_change(shipped(), change);
  model::Record record = model::empty_record(change.record, type, "01-PPT");
  require(model::apply(record, change) == model::Applied::applied, "the first change applies");
  const auto faults = check_record(shipped(), record);
  const DocumentView view = to_document(shipped(), record);
  const json exported = export_document(record, view);
  require(exported.is_object(), "a record is an object");
  if (fault || has_error(faults)) return;
  const auto again = edits_from_document(shipped(), type, view.document, &view.document);
  require(again.has_value() && again->empty(), "reading a record changes nothing");
}

void take_parsed(const std::string& type, const json& document) {
  for (const Purpose purpose : {Purpose::draft, Purpose::finalise}) {
    for (const Fault& fault : check_document(shipped(), type, document, purpose)) {
      require(!shipped().message(fault, "en").empty() && is_utf8(shipped().message(fault, "km")),
              "a fault has words");
    }
  }
  const auto options = with_item_ids();
  const auto normal = normalised(shipped(), type, document, options);
  if (!normal) return require_plain(normal.error());
  const auto twice = normalised(shipped(), type, *normal, options);
  require(twice.has_value() && *twice == *normal, "what is normalised stays as it is");
  (void)check_document(shipped(), type, *normal, Purpose::finalise);
  const auto edits = edits_from_document(shipped(), type, *normal, nullptr, options);
  if (!edits) return require_plain(edits.error());
  take_edits(type, *edits);
}

void take_document_text(std::string_view text, const std::string& type) {
  const auto document = parse_document(text);
  if (!document) return require_refusal(document.error());
  require(*parse_document(text_of(*document)) == *document, "a document survives its text");
  take_parsed(type, *document);
}

void take_document(BytesView bytes) {
  Input in(bytes);
  const json& base = valid_documents()[in.below(valid_documents().size())];
  const auto type = base["type"].get<std::string>();
  take_document_text(text_of(bent(base, in)), type);
}

void take_document_bytes(BytesView bytes) {
  Input in(bytes);
  static const char* const kTypes[] = {"stop", "seizure", "case", "visit"};
  const std::string type = kTypes[in.below(4)];
  take_document_text(as_text(in.rest()), type);
}

std::vector<Bytes> document_text_seeds() {
  std::vector<Bytes> seeds;
  for (const char* text :
       {"\x00{\"type\":\"stop\",\"direction\":\"entry\",\"persons\":[{\"role\":\"driver\"}]}",
        "\x01{\"drug_items\":[{\"net_mg\":12,\"item_id\":\"k3x9d2m1\"}]}",
        "\x00{\"position\":{\"lat\":13.661,\"lon\":-1e2}}"}) {
    Bytes seed{static_cast<std::uint8_t>(text[0])};
    for (const char c : std::string_view(text + 1)) seed.push_back(static_cast<std::uint8_t>(c));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

/// A record state from the wire, shown and exported: its fields may be none that a form knows.
void take_record_document(BytesView bytes) {
  const auto record = wire::decode_record(bytes);
  if (!record) return;
  (void)check_record(shipped(), *record);
  const DocumentView view = to_document(shipped(), *record);
  json exported = export_document(*record, view);
  require(exported.is_object(), "a record is an object");
  require(!text_of(exported).empty(), "and has a text");
  const std::vector<crypto::BoxKeyPair> nobody;
  const auto opened = open_sealed(exported, nobody);
  if (!opened) require_plain(opened.error());
}

std::vector<Bytes> record_document_seeds() {
  std::vector<Bytes> seeds = {*wire::encode_record(test::golden_record())};
  test::Random random(3);
  while (seeds.size() < 30) {
    auto bytes = *wire::encode_record(random.record());
    if (bytes.size() <= 800) seeds.push_back(std::move(bytes));
  }
  for (const json& document : valid_documents()) {
    const auto edits = edits_from_document(shipped(), document["type"].get<std::string>(), document,
                                           nullptr, with_item_ids());
    if (!edits) continue;
    const auto change = change_of(document["type"], *edits);
    auto record = model::empty_record(change.record, change.type, change.unit);
    if (model::apply(record, change) != model::Applied::applied) continue;
    auto bytes = *wire::encode_record(record);
    if (bytes.size() <= 1500) seeds.push_back(std::move(bytes));
  }
  return seeds;
}

void take_change_check(BytesView bytes) {
  const auto change = wire::decode_change(ActorId{1}, bytes);
  if (!change) return;
  if (const auto fault = check_change(shipped(), *change))
    require(is_utf8(shipped().message(*fault, "en", false)), "a fault has words");
  for (const auto& edit : change->edits) {
    if (const Form* form = shipped().form(change->type))
      (void)check_edit(*form, edit, change->schema_version);
  }
}

std::vector<Bytes> change_check_seeds() {
  std::vector<Bytes> seeds = {*wire::encode_change(test::golden_change()),
                              *wire::encode_change(test::golden_sealed_change())};
  for (const json& document : valid_documents()) {
    const auto edits = edits_from_document(shipped(), document["type"].get<std::string>(), document,
                                           nullptr, with_item_ids());
    if (!edits) continue;
    auto bytes = wire::encode_change(change_of(document["type"], *edits));
    if (bytes && bytes->size() <= 1500) seeds.push_back(*std::move(bytes));
  }
  return seeds;
}

// ---- exports that the health authority opens ----

const json& sealed_export() {
  static const json document = [] {
    auto record = model::empty_record(test::golden_change().record, "visit", "MU-03");
    model::apply(record, test::golden_sealed_change());
    return export_document(record, to_document(shipped(), record));
  }();
  return document;
}

void take_sealed_export(BytesView bytes) {
  static const std::vector<crypto::BoxKeyPair> kKeys = [] {
    crypto::Seed seed;
    seed.bytes.fill(3);
    return std::vector<crypto::BoxKeyPair>{crypto::box_key_pair(seed)};
  }();
  Input in(bytes);
  auto read = parse_document(text_of(bent(sealed_export(), in)));
  if (!read) return;
  json& document = *read;
  const auto closed = open_sealed(document, kKeys);
  if (!closed) {
    require_plain(closed.error());
    return require(closed.error().is(Errc::malformed) || closed.error().is(Errc::bad_signature),
                   "an export that does not open is malformed, or was changed");
  }
  require(*closed > 0 || !document.contains("seals"), "no seals stay when nothing is closed");
}

// ---- tables ----

void take_csv(BytesView bytes) {
  CsvReader reader(bytes);
  std::size_t line = 0;
  while (const auto record = reader.next()) {
    require(record->line > line, "lines ascend");
    line = record->line;
    require(record->problem.empty() || record->cells.empty(), "a broken record has no cells");
    require(record->cells.size() <= kCsvCellsMax, "cells are bounded");
    for (const std::string& cell : record->cells)
      require(cell.size() <= kCsvCellBytesMax, "a cell is bounded");
  }
}

void take_import(BytesView bytes) {
  Input in(bytes);
  static const char* const kTypes[] = {"stop", "seizure", "case", "visit"};
  const std::string type = kTypes[in.below(4)];
  const BytesView text = in.rest();
  ImportOptions options;
  options.envelope = [](std::size_t, std::string_view) {
    return json{{"id", "01a2104d-3df4-7b87-8207-f0c73086134d"}, {"unit", "01-PPT"}};
  };
  auto import = CsvImport::open(shipped(), type, text, options);
  if (!import) {
    require_plain(import.error());
    return require(import.error().is(Errc::invalid_argument), "a header that is wrong is named");
  }
  while (const auto row = import->next()) {
    for (const Fault& fault : row->faults)
      require(is_utf8(shipped().message(fault, "en")), "a fault has words");
    if (row->good()) require(row->document.is_object(), "a good row is a document");
  }
}

std::vector<Bytes> import_seeds() {
  Bytes stop{0};
  for (const char c :
       std::string_view("external_id,checkpoint_code,direction,stop_type,stopped_at,officer_id,"
                        "persons.0.role,persons.0."
                        "dob,position.lat\nB-1,01-PPT,entry,traffic,2026-03-14 "
                        "07:10,NP-1,driver,1990-01-31,13.66\n"
                        "B-2,\"01-PPT\",exit,traffic,2026-03-14T07:10:00+07:00,NP-2,,,\n"))
    stop.push_back(static_cast<std::uint8_t>(c));
  Bytes seizure{1};
  for (const char c : std::string_view("external_id,drug_items.0.drug,drug_items.0.net_mg,drug_"
                                       "items.1.drug\nX,heroin,12,cannabis\n"))
    seizure.push_back(static_cast<std::uint8_t>(c));
  return {stop, seizure};
}

void take_places(BytesView bytes) {
  PlaceList places;
  for (const PlaceProblem& problem : places.add_csv(bytes))
    require(problem.line > 0 && is_utf8(problem.text), "a problem has a line and words");
  for (const Place* place : places.all()) {
    require(places.find(place->code) == place, "a place is found by its code");
    (void)places.find_by_text(place->name_latin);
  }
}

std::vector<Bytes> places_seeds() {
  std::vector<Bytes> seeds;
  for (const EmbeddedFile& shipped_file : embedded_schemas()) {
    if (shipped_file.name.starts_with("places/"))
      seeds.push_back(to_bytes(
          shipped_file.bytes.first(std::min<std::size_t>(400, shipped_file.bytes.size()))));
  }
  return seeds;
}

// ---- answers at the terminal, and what people write there ----

void take_answer(BytesView bytes) {
  static const std::vector<Question> kQuestions = [] {
    std::vector<Question> all;
    for (const char* type : {"stop", "seizure", "case", "visit"}) {
      for (Question& question : questions(shipped(), type, "en")) {
        for (Question& of_item : question.item) all.push_back(of_item);
        all.push_back(std::move(question));
      }
    }
    std::erase_if(all, [](const Question& question) { return question.is_repeat(); });
    return all;
  }();
  Input in(bytes);
  const Question& question = kQuestions[in.below(kQuestions.size())];
  const AnswerContext context{shipped(), in.below(2) == 0 ? "en" : "km", Instant{1'772'349'300'000},
                              420};
  const auto answer = parse_answer(question, as_text(in.rest()), context);
  if (!answer) {
    require(!answer.error().detail.empty(), "a refusal says what was expected");
    return require(answer.error().is(Errc::invalid_argument), "and is about the input");
  }
  const auto value = value_from_json(answer->value);
  require(value.has_value(), "an answer is a value");
  require(to_json(*value) == answer->value, "and stays one");
}

std::vector<Bytes> answer_seeds() {
  std::vector<Bytes> seeds;
  for (std::uint8_t question = 0; question < 60; question += 3) {
    for (const char* text :
         {"1", "2.5 kg", "12.50 USD", "07:10", "yes", "2026-03-14 07:10", "១,2"}) {
      Bytes seed{question, 0};
      for (const char c : std::string_view(text)) seed.push_back(static_cast<std::uint8_t>(c));
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}

void take_words(BytesView bytes) {
  Input in(bytes);
  const std::size_t which = in.below(5);
  const std::string text(as_text(in.rest()));
  if (which == 0) {
    if (const auto days = days_of_date(text))
      require(date_text(*days) == text, "a date comes back");
  } else if (which == 1) {
    if (const auto instant = parse_instant(text)) {
      const auto again = parse_instant(instant_text(Instant{instant->ms}, 0));
      require(!again || again->ms / 1000 == instant->ms / 1000, "an instant comes back");
    }
  } else if (which == 2) {
    if (!is_utf8(text)) return;
    for (const int scale : {0, 2, 7}) {
      if (const auto value = scaled_from_text(text, scale); !value) require_plain(value.error());
    }
  } else if (which == 3) {
    if (is_utf8(text)) require(is_utf8(shortened(text)), "cut between characters");
    if (is_utf8(text)) require(is_utf8(plate_norm(text)), "a plate is UTF-8");
    (void)yes_or_no(text);
    (void)with_offset(text, 420);
  } else {
    (void)fill_in(text, {{"a", "{a}"}, {"b", "x"}});
    if (const auto parts = split_path(text))
      require(parts->container.size() + parts->item.size() + parts->name.size() <= text.size(),
              "a path's parts are parts of it");
    for (const std::string_view type : shipped().types()) (void)shipped().form(type)->find(text);
  }
}

std::vector<Bytes> word_seeds() {
  std::vector<Bytes> seeds;
  for (const auto& [which, text] : {std::pair<std::uint8_t, const char*>{0, "2026-02-28"},
                                    {1, "2026-03-14T07:05:00+07:00"},
                                    {2, "-13.6611234"},
                                    {3, "២A-១២៣៤"},
                                    {3, "2026-03-14 07:05"},
                                    {4, "vehicles/v3h1c2e1/plate"},
                                    {4, "{a} and {b} {c"}}) {
    Bytes seed{which};
    for (const char c : std::string_view(text)) seed.push_back(static_cast<std::uint8_t>(c));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace

std::vector<Target> targets() {
  std::vector<Target> all = {
      {"schema_form", take_schema_form,
       [] {
         return counted_seeds(20, {"\3\0\1\0\2\0\1\2", 8});
       },
       96},
      {"schema_file", take_schema_file, schema_file_seeds, 384},
      {"pattern", take_pattern, pattern_seeds, 128},
      {"document", take_document,
       [] {
         return counted_seeds(24, {"\2\0\7\0\2\0\5", 7});
       },
       128},
      {"document_text", take_document_bytes, document_text_seeds, 384},
      {"record_document", take_record_document, record_document_seeds, 1024},
      {"change_check", take_change_check, change_check_seeds, 1024},
      {"sealed_export", take_sealed_export,
       [] {
         return counted_seeds(1, {"\2\0\7\0\2\0\5", 7});
       },
       128},
      {"csv", take_csv, import_seeds, 256},
      {"import", take_import, import_seeds, 512},
      {"places", take_places, places_seeds, 384},
      {"answer", take_answer, answer_seeds, 64},
      {"words", take_words, word_seeds, 64},
  };
  for (Target& target : all) {
    for (const char* quick :
         {"pattern", "csv", "places", "answer", "words", "change_check", "record_document"})
      if (target.name == quick) target.derived = 15;
  }
  return all;
}

}  // namespace fieldpost::fuzz

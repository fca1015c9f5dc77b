// The narrow check, edit by edit, and how fast it is.
#include <chrono>

#include "schema/check.h"
#include "tests/schema/support.h"

using namespace fieldpost;
using namespace fieldpost::schema;
using model::Value;
using nlohmann::json;

namespace {

std::string verdict(std::string_view type, std::string path, Value value,
                    std::uint32_t version = 1) {
  model::Change change;
  change.type = type;
  change.schema_version = version;
  change.edits = {{std::move(path), std::move(value)}};
  const auto fault = check_change(shipped(), change);
  if (!fault) return "";
  CHECK_FALSE(shipped().message(*fault, "en").starts_with("error."));
  CHECK_FALSE(shipped().message(*fault, "km").starts_with("error."));
  return fault->rule + " " + fault->path;
}

Value text(std::string value) { return value; }
Value number(std::int64_t value) { return value; }
model::Sealed sealed() { return {SealId{}, Bytes(16)}; }

}  // namespace

TEST_CASE("one edit is judged by its own leaf") {
  CHECK(verdict("stop", "direction", text("exit")).empty());
  CHECK(verdict("stop", "direction", text("sideways")) == "enum direction");
  CHECK(verdict("stop", "direction", number(1)) == "type direction");
  CHECK(verdict("stop", "direction", Value(true)) == "type direction");
  CHECK(verdict("stop", "direction", model::Null{}).empty());
  CHECK(verdict("stop", "state", model::Null{}) == "x-nullable state");
  CHECK(verdict("stop", "grounds", text("short")) == "minLength grounds");
  CHECK(verdict("stop", "grounds", text("ក្រោមកៅអីឡាន")).empty());
  CHECK(verdict("stop", "grounds", text(std::string(2001, 'x'))) == "maxLength grounds");
  CHECK(verdict("stop", "checkpoint_code", text("1-PPT")) == "pattern checkpoint_code");
  CHECK(verdict("stop", "stopped_at", text("2026-02-30T07:00+07:00")) == "x-kind stopped_at");
  CHECK(verdict("stop", "stopped_at", text("yesterday")) == "pattern stopped_at");
  CHECK(verdict("stop", "position/lat", number(900'000'001)) == "maximum position/lat");
  CHECK(verdict("stop", "position/lat", number(-900'000'001)) == "minimum position/lat");
  CHECK(verdict("stop", "more_than_outer_clothing", Value(true)).empty());
  CHECK(verdict("stop", "more_than_outer_clothing", text("yes")) ==
        "type more_than_outer_clothing");
  CHECK(verdict("stop", "persons/p3rs0n01/age_estimate", number(121)) ==
        "maximum persons/p3rs0n01/age_estimate");
  CHECK(verdict("stop", "persons/p3rs0n0i/age_estimate", number(12)) ==
        "additionalProperties persons/p3rs0n0i/age_estimate");
  CHECK(verdict("stop", "persons/p3rs0n01/hiv", text("x")) ==
        "additionalProperties persons/p3rs0n01/hiv");
}

TEST_CASE("lists are judged member by member") {
  CHECK(verdict("case", "offence_types", Value(model::List{std::string("use")})).empty());
  CHECK(verdict("case", "offence_types", Value(model::List{})).empty());
  CHECK(verdict("case", "offence_types",
                Value(model::List{std::string("use"), std::string("arson")})) ==
        "enum offence_types/1");
  CHECK(verdict("case", "offence_types", Value(model::List{std::int64_t{4}})) ==
        "type offence_types/0");
  CHECK(verdict("case", "offence_types", Value(model::List(9, std::string("use")))) ==
        "maxItems offence_types");
  CHECK(verdict("case", "offence_types", text("use")) == "type offence_types");
}

TEST_CASE("unknown types and paths are refused, paths of a newer form are not") {
  CHECK(verdict("raid", "direction", text("exit")) == "unknown_type type");
  CHECK(verdict("stop", "drone", text("yes")) == "additionalProperties drone");
  CHECK(verdict("stop", "drone", text("yes"), 2).empty());
  CHECK(verdict("stop", "direction", text("sideways"), 2).empty());
  CHECK(verdict("stop", "direction", number(1), 2) == "type direction");
  CHECK(verdict("stop", "grounds", text("short"), 2) == "minLength grounds");
}

TEST_CASE("the envelope is never edited") {
  for (const char* path : {"id", "type", "unit", "schema_version"}) {
    CHECK(verdict("stop", path, text("stop")) == "x-envelope " + std::string(path));
  }
  CHECK(verdict("stop", "author", text("NP-1")).empty());
}

TEST_CASE("exactly what a visit seals is sealed") {
  CHECK(verdict("visit", "client_pseudonym", sealed()).empty());
  CHECK(verdict("visit", "client_pseudonym", text("7KQ2-M4TX-9ZB3-H0WD")) ==
        "x-sealed client_pseudonym");
  CHECK(verdict("visit", "client_pseudonym", model::Null{}).empty());
  CHECK(verdict("visit", "setting", sealed()) == "x-sealed setting");
  CHECK(verdict("visit", "setting", text("private")).empty());
  CHECK(verdict("visit", "secondary_drugs/s3c0nd01/drug", text("alcohol")) ==
        "x-sealed secondary_drugs/s3c0nd01/drug");
  CHECK(verdict("stop", "direction", sealed()) == "x-sealed direction");
  model::Change change;
  change.type = "visit";
  change.reason = std::string("the client said so");
  REQUIRE(check_change(shipped(), change).has_value());
  CHECK(check_change(shipped(), change)->rule == "x-sealed");
  CHECK(check_change(shipped(), change)->value.empty());
  change.reason = sealed();
  CHECK_FALSE(check_change(shipped(), change).has_value());
  change.type = "stop";
  CHECK(check_change(shipped(), change)->path == "reason");
}

TEST_CASE("how many changes a core checks, printed and not judged", "[bench]") {
  model::Change change;
  change.type = "stop";
  change.edits = *edits_from_document(shipped(), "stop", good_stop());
  constexpr int kRounds = 20'000;
  std::size_t faults = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) faults += check_change(shipped(), change).has_value() ? 1 : 0;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(faults == 0);
  const auto per_change_us = took.count() * 1e6 / kRounds;
  std::printf("check_change: %zu edits, %.2f us a change, %.0f changes/s\n", change.edits.size(),
              per_change_us, kRounds / took.count());
  const json document = good_stop();
  const auto begin_document = std::chrono::steady_clock::now();
  for (int i = 0; i < 500; ++i)
    faults += has_error(check_document(shipped(), "stop", document)) ? 1 : 0;
  const std::chrono::duration<double> document_took =
      std::chrono::steady_clock::now() - begin_document;
  CHECK(faults == 0);
  std::printf("check_document: %.1f us a document\n", document_took.count() * 1e6 / 500);
}

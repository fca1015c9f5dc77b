// The member "retention" of hub.json, and the calendar behind it.
#include <nlohmann/json.hpp>

#include "base/embedded.h"
#include "hub/retention/service.h"
#include "hub/retention/settings.h"
#include "tests/support/catch.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using nlohmann::json;

TEST_CASE("retention settings: periods are counted by the calendar") {
  struct Row {
    const char* now;
    RetentionPeriod period;
    const char* before;
    const char* words;
  };
  using Unit = RetentionPeriod::Unit;
  const Row rows[] = {
      {"2026-11-26T10:20:30.400Z", {5, Unit::years}, "2021-11-26T10:20:30.400Z", "5 years"},
      {"2024-02-29T12:00:00.000Z", {1, Unit::years}, "2023-02-28T12:00:00.000Z", "1 year"},
      {"2024-02-29T12:00:00.000Z", {4, Unit::years}, "2020-02-29T12:00:00.000Z", "4 years"},
      {"2026-03-31T00:00:00.000Z", {1, Unit::months}, "2026-02-28T00:00:00.000Z", "1 month"},
      {"2026-01-15T23:59:59.999Z", {18, Unit::months}, "2024-07-15T23:59:59.999Z", "18 months"},
      {"2026-03-01T00:00:00.000Z", {1, Unit::days}, "2026-02-28T00:00:00.000Z", "1 day"},
      {"2026-03-01T00:00:00.000Z", {400, Unit::days}, "2025-01-25T00:00:00.000Z", "400 days"},
      {"1970-01-02T00:00:00.000Z", {1, Unit::years}, "1969-01-02T00:00:00.000Z", "1 year"},
  };
  for (const Row& row : rows) {
    INFO(row.now << " " << row.words);
    CHECK(to_text(before_period(*instant_from_text(row.now), row.period)) == row.before);
    CHECK(to_text(row.period) == row.words);
  }
}

TEST_CASE("retention settings: what is wrong is named, with what it may be") {
  struct Row {
    const char* text;
    const char* says;
  };
  const Row rows[] = {
      {R"({"stop": 5})", "exactly one period"},
      {R"({"stop": {}})", "exactly one period"},
      {R"({"stop": {"years": 5, "days": 3}})", "exactly one period"},
      {R"({"stop": {"years": 0}})", "from 1 to 100"},
      {R"({"stop": {"years": -1}})", "from 1 to 100"},
      {R"({"stop": {"years": 2.5}})", "from 1 to 100"},
      {R"({"stop": {"months": 1201}})", "from 1 to 1200"},
      {R"({"stop": {"days": "30"}})", "from 1 to 36500"},
      {R"({"stop": {"weeks": 3}})", "\"weeks\""},
      {R"({"every_hours": 0})", "1 to 8760"},
      {R"({"every_hours": true})", "1 to 8760"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto read = retention_settings(json::parse(row.text));
    REQUIRE_FALSE(read);
    CHECK(read.error().is(Errc::malformed));
    CHECK_THAT(read.error().detail, Catch::Contains(row.says));
  }
}

TEST_CASE("retention settings: each type has its compartment's rule, and only known types") {
  const auto registry = schema::Registry::load(embedded_schemas()).value();
  const auto settings = retention_settings(
      json::parse(R"({"stop": {"years": 5}, "visit": {"days": 30}, "every_hours": 24})"));
  REQUIRE(settings);
  CHECK(settings->every_hours == 24);
  CHECK(check_retention_types(*settings, registry));
  const Instant now = *instant_from_text("2026-11-26T00:00:00.000Z");
  const auto enforcement = retention_rules(*settings, registry, "enforcement", now);
  REQUIRE(enforcement.size() == 1);
  CHECK(enforcement.at("stop").words == "stop: 5 years");
  CHECK(to_text(enforcement.at("stop").before) == "2021-11-26T00:00:00.000Z");
  CHECK(retention_rules(*settings, registry, "health", now).at("visit").words == "visit: 30 days");
  const auto unknown = retention_settings(json::parse(R"({"arrest": {"years": 5}})"));
  const Status refused = check_retention_types(*unknown, registry);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().detail,
             Catch::Contains("arrest") && Catch::Contains("case, seizure, stop, visit"));
}

TEST_CASE("retention by itself waits for a tablet that shares the hub's clock") {
  const Instant now = *instant_from_text("2036-11-26T00:00:00.000Z");
  constexpr std::int64_t kHour = 3'600'000;
  const auto heard = [&](std::int64_t hours_ago, std::int64_t hours_apart) {
    storage::Device device;
    device.status_at = Instant{now.ms - hours_ago * kHour};
    device.status = wire::AgentStatus{};
    device.status->wall = Instant{device.status_at->ms + hours_apart * kHour};
    return device;
  };
  const auto refusal = [&](const std::vector<storage::Device>& devices) {
    const Status vouched = vouched_for(devices, now);
    return vouched ? std::string() : vouched.error().detail;
  };
  constexpr std::int64_t kTenYears = 10 * 365 * 24;
  const storage::Device silent;
  CHECK_THAT(refusal({}), Catch::Contains("no tablet was heard of") && Catch::Contains("2036"));
  CHECK_THAT(refusal({silent, heard(kTenYears, 0)}), Catch::Contains("no tablet was heard of"));
  // The hub's clock jumped while they were connected.
  CHECK_THAT(refusal({heard(1, -kTenYears), heard(2, -kTenYears), heard(kTenYears, 0)}),
             Catch::Contains("none of the 2 tablets") && Catch::Contains("by hand"));
  // And back: what was heard of then is of no use now.
  CHECK_THAT(refusal({heard(-kTenYears, 0)}), Catch::Contains("no tablet was heard of"));
  CHECK_THAT(refusal({heard(1, 25), heard(169, 0)}), Catch::Contains("none of the 1 tablets"));
  CHECK(refusal({heard(1, -kTenYears), heard(167, -23)}).empty());
}

#include "hub/retention/settings.h"

#include <chrono>
#include <nlohmann/json.hpp>

namespace fieldpost::hub {

using nlohmann::json;

namespace {

constexpr const char* kEveryHours = "every_hours";
constexpr std::uint64_t kHoursMax = 8760;

struct UnitName {
  const char* name;
  const char* one;
  RetentionPeriod::Unit unit;
  unsigned most;
};
constexpr UnitName kUnits[] = {{"days", "day", RetentionPeriod::Unit::days, 36'500},
                               {"months", "month", RetentionPeriod::Unit::months, 1'200},
                               {"years", "year", RetentionPeriod::Unit::years, 100}};

Result<RetentionPeriod> period_of(const std::string& type, const json& value) {
  const auto bad = [&](const std::string& what) {
    return fail(Errc::malformed,
                "in \"retention\", \"" + type + "\" " + what +
                    "; write for example {\"years\": 5}, with \"days\", \"months\" or \"years\"");
  };
  if (!value.is_object() || value.size() != 1) return bad("must hold exactly one period");
  const std::string& name = value.begin().key();
  for (const UnitName& unit : kUnits) {
    if (name != unit.name) continue;
    const json& count = value.begin().value();
    const bool fits = count.is_number_unsigned() && count.get<std::uint64_t>() >= 1 &&
                      count.get<std::uint64_t>() <= unit.most;
    if (!fits)
      return bad(std::string("has \"") + name + "\" that is not a whole number from 1 to " +
                 std::to_string(unit.most));
    return RetentionPeriod{count.get<unsigned>(), unit.unit};
  }
  return bad("has the unknown member \"" + name + "\"");
}

}  // namespace

std::string to_text(const RetentionPeriod& period) {
  for (const UnitName& unit : kUnits) {
    if (unit.unit == period.unit)
      return std::to_string(period.count) + " " + (period.count == 1 ? unit.one : unit.name);
  }
  return {};
}

Instant before_period(Instant now, const RetentionPeriod& period) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(now.ms)};
  const sys_days day = floor<days>(at);
  if (period.unit == RetentionPeriod::Unit::days)
    return Instant{(at - days(period.count)).time_since_epoch().count()};
  const int months_back =
      static_cast<int>(period.count) * (period.unit == RetentionPeriod::Unit::years ? 12 : 1);
  year_month_day date = year_month_day(day) - months(months_back);
  if (!date.ok()) date = date.year() / date.month() / last;
  return Instant{(sys_days(date) + (at - day)).time_since_epoch().count()};
}

Result<RetentionSettings> retention_settings(const json& object) {
  RetentionSettings settings;
  for (const auto& [key, value] : object.items()) {
    if (key == kEveryHours) {
      const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() >= 1 &&
                        value.get<std::uint64_t>() <= kHoursMax;
      if (!fits)
        return fail(Errc::malformed,
                    "in \"retention\", \"every_hours\" must be a whole number from 1 to 8760; "
                    "leave it out to erase only when asked");
      settings.every_hours = value.get<unsigned>();
      continue;
    }
    FP_TRY(settings.types[key], period_of(key, value));
  }
  return settings;
}

Status check_retention_types(const RetentionSettings& settings, const schema::Registry& registry) {
  for (const auto& [type, period] : settings.types) {
    if (registry.form(type) != nullptr) continue;
    std::string known;
    for (const std::string_view name : registry.types())
      known += (known.empty() ? "" : ", ") + std::string(name);
    return fail(Errc::malformed, "hub.json: in \"retention\", there is no record type \"" + type +
                                     "\"; the types are " + known);
  }
  return {};
}

storage::RetentionRules retention_rules(const RetentionSettings& settings,
                                        const schema::Registry& registry,
                                        std::string_view compartment, Instant now) {
  const auto own =
      compartment == "health" ? schema::Compartment::health : schema::Compartment::enforcement;
  storage::RetentionRules rules;
  for (const auto& [type, period] : settings.types) {
    const schema::Form* form = registry.form(type);
    if (form == nullptr || form->compartment() != own) continue;
    rules[type] = {before_period(now, period), type + ": " + to_text(period)};
  }
  return rules;
}

}  // namespace fieldpost::hub

// How long records are kept: the member "retention" of hub.json.
//
// Thread rule: plain values and pure functions.
// Invariants: a type that is not named is kept for ever; nothing runs by itself unless "every_hours" says so.
//
//   "retention": {"stop": {"years": 5}, "visit": {"months": 18}, "every_hours": 24}
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "schema/registry.h"
#include "storage/retention.h"

namespace fieldpost::hub {

struct RetentionPeriod {
  enum class Unit : std::uint8_t { days, months, years };
  unsigned count = 0;  ///< 1 to 36500 days, 1200 months or 100 years
  Unit unit = Unit::years;
};
/// "5 years".
std::string to_text(const RetentionPeriod& period);
/// The same moment of the day so many days, months or years earlier; the last of the month where there is none.
Instant before_period(Instant now, const RetentionPeriod& period);

struct RetentionSettings {
  std::map<std::string, RetentionPeriod, std::less<>> types;
  unsigned every_hours =
      0;  ///< the running hub erases so often what is due, 1 to 8760; 0: only when asked
};

/// Errors: `malformed`, naming the member and what it may be.
Result<RetentionSettings> retention_settings(const nlohmann::json& object);
/// Errors: `malformed` for a type that no form describes, naming those that are.
Status check_retention_types(const RetentionSettings& settings, const schema::Registry& registry);

/// As of `now`, for the types of one compartment ("enforcement" or "health").
storage::RetentionRules retention_rules(const RetentionSettings& settings,
                                        const schema::Registry& registry,
                                        std::string_view compartment, Instant now);

}  // namespace fieldpost::hub

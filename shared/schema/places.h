// Places: provinces, checkpoints and whatever gazetteer is imported, from CSV.
//
// Thread rule: immutable after load.
// Invariants:
//   1. Of lines with one code, the one with the latest valid_from is current; later lines win ties.
//   2. A code that is not listed is accepted by everything that reads records, and flagged.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fieldpost::schema {

struct Place {
  std::string code;  ///< two, four, six or eight digits, or "01-PPT"
  std::string name_km;
  std::string name_latin;
  std::int32_t lat = 0;  ///< 1e-7 degrees; 0,0 when not given
  std::int32_t lon = 0;
  std::string valid_from;  ///< YYYY-MM-DD
};

struct PlaceProblem {
  std::size_t line = 0;  ///< physical line
  std::string text;      ///< what is wrong and what to do
};

class PlaceList {
 public:
  /// Adds the good lines of a CSV (code,name_km,name_latin,lat,lon,valid_from, in any order) and
  /// answers the others. A header that cannot be read is one problem, of line 1.
  std::vector<PlaceProblem> add_csv(BytesView csv);
  const Place* find(std::string_view code) const;
  /// By code, or by name in either script, ignoring case and spaces; nullptr when none or several.
  const Place* find_by_text(std::string_view text, std::string_view kind = {}) const;
  /// `kind` is an x-place word: "checkpoint" (01-PPT) or "commune" (six digits); empty is any.
  std::vector<const Place*> all(std::string_view kind = {}) const;
  std::size_t size() const { return places_.size(); }

 private:
  std::map<std::string, Place, std::less<>> places_;
};

/// "13.661" → 136610000. Errors: `malformed`, with the reason (not a number, more than 7 decimals…).
Result<std::int64_t> scaled_from_text(std::string_view text, int scale);

}  // namespace fieldpost::schema

#include "schema/places.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/text.h"
#include "schema/calendar.h"
#include "schema/csv.h"

namespace fieldpost::schema {

namespace {

constexpr std::array<std::string_view, 6> kColumns = {"code", "name_km", "name_latin",
                                                      "lat",  "lon",     "valid_from"};

bool all_digits(std::string_view text) {
  for (char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}

bool is_checkpoint(std::string_view code) {
  if (code.size() < 5 || code.size() > 11 || code[2] != '-' || !all_digits(code.substr(0, 2)))
    return false;
  const std::string_view rest = code.substr(3);
  return std::all_of(rest.begin(), rest.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

bool is_place_code(std::string_view code) {
  const bool gazetteer =
      all_digits(code) && code.size() >= 2 && code.size() <= 8 && code.size() % 2 == 0;
  return gazetteer || is_checkpoint(code);
}

bool is_kind(std::string_view code, std::string_view kind) {
  if (kind == "checkpoint") return is_checkpoint(code);
  if (kind == "commune") return code.size() == 6 && all_digits(code);
  return true;
}

/// For comparing what people type: ASCII letters small, digits ASCII, no spaces, hyphens or apostrophes.
std::string folded(std::string_view text) {
  std::string out;
  for (char c : ascii_digits(text)) {
    if (c == ' ' || c == '-' || c == '\'' || c == '\t') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  for (std::size_t at; (at = out.find("\xE2\x80\x8B")) != std::string::npos;) out.erase(at, 3);
  return out;
}

/// Where each of kColumns stands in the header, or what is wrong with it.
Result<std::array<std::size_t, 6>> positions(const CsvRecord& header) {
  std::array<std::size_t, 6> at{};
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    at[i] = header.cells.size();
    for (std::size_t k = 0; k < header.cells.size(); ++k) {
      if (header.cells[k] == kColumns[i]) at[i] = k;
    }
    if (at[i] == header.cells.size()) {
      return fail(Errc::malformed, "the header has no column " + std::string(kColumns[i]) +
                                       "; it must be code,name_km,name_latin,lat,lon,valid_from");
    }
  }
  return at;
}

Result<std::int32_t> coordinate(std::string_view name, std::string_view text, std::int64_t limit) {
  if (text.empty()) return 0;
  auto value = scaled_from_text(text, 7);
  if (!value) return fail(Errc::malformed, std::string(name) + ": " + value.error().detail);
  if (*value < -limit || *value > limit) {
    return fail(Errc::malformed,
                std::string(name) + " " + std::string(text) + " is not on this Earth");
  }
  return static_cast<std::int32_t>(*value);
}

Result<Place> place_of(const CsvRecord& record, const std::array<std::size_t, 6>& at,
                       std::size_t columns) {
  if (!record.problem.empty()) {
    return fail(Errc::malformed, record.problem == "csv.quote"
                                     ? "a quote is not closed, or text follows it"
                                     : "the line is too long");
  }
  if (record.cells.size() != columns) {
    return fail(Errc::malformed, std::to_string(record.cells.size()) + " columns, expected " +
                                     std::to_string(columns));
  }
  if (!record.bad_utf8.empty())
    return fail(Errc::malformed, "not valid UTF-8: save the file as UTF-8");
  Place place;
  place.code = ascii_digits(record.cells[at[0]]);
  place.name_km = record.cells[at[1]];
  place.name_latin = record.cells[at[2]];
  if (!is_place_code(place.code)) {
    return fail(Errc::malformed,
                "code '" + place.code + "' is neither 2, 4, 6 or 8 digits nor like 01-PPT");
  }
  if (place.name_km.empty() && place.name_latin.empty())
    return fail(Errc::malformed, "the place has no name");
  FP_TRY(place.lat, coordinate("lat", record.cells[at[3]], 900'000'000));
  FP_TRY(place.lon, coordinate("lon", record.cells[at[4]], 1'800'000'000));
  place.valid_from = ascii_digits(record.cells[at[5]]);
  if (!days_of_date(place.valid_from)) {
    return fail(Errc::malformed,
                "valid_from '" + place.valid_from + "' is not a date like 2026-01-31");
  }
  return place;
}

}  // namespace

std::vector<PlaceProblem> PlaceList::add_csv(BytesView csv) {
  CsvReader reader(csv);
  const auto header = reader.next();
  if (!header) return {{1, "the file is empty"}};
  const auto at = positions(*header);
  if (!at) return {{header->line, at.error().detail}};
  std::vector<PlaceProblem> problems;
  while (auto record = reader.next()) {
    auto place = place_of(*record, *at, header->cells.size());
    if (!place) {
      problems.push_back({record->line, place.error().detail});
      continue;
    }
    const auto known = places_.find(place->code);
    if (known != places_.end() && known->second.valid_from > place->valid_from) continue;
    const std::string code = place->code;
    places_[code] = *std::move(place);
  }
  return problems;
}

const Place* PlaceList::find(std::string_view code) const {
  const auto found = places_.find(code);
  return found == places_.end() ? nullptr : &found->second;
}

const Place* PlaceList::find_by_text(std::string_view text, std::string_view kind) const {
  const std::string wanted = folded(trimmed(text));
  if (wanted.empty()) return nullptr;
  const Place* found = nullptr;
  for (const auto& [code, place] : places_) {
    if (!is_kind(code, kind)) continue;
    if (folded(code) == wanted) return &place;
    if (folded(place.name_latin) != wanted && folded(place.name_km) != wanted) continue;
    if (found != nullptr) return nullptr;
    found = &place;
  }
  return found;
}

std::vector<const Place*> PlaceList::all(std::string_view kind) const {
  std::vector<const Place*> out;
  for (const auto& [code, place] : places_) {
    if (is_kind(code, kind)) out.push_back(&place);
  }
  return out;
}

Result<std::int64_t> scaled_from_text(std::string_view text, int scale) {
  const std::string ascii = ascii_digits(trimmed(text));
  std::string_view digits = ascii;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  const std::size_t point = digits.find('.');
  std::string_view whole = digits.substr(0, point);
  std::string_view part =
      point == std::string_view::npos ? std::string_view() : digits.substr(point + 1);
  if (!all_digits(whole) || (point != std::string_view::npos && !all_digits(part))) {
    return fail(Errc::malformed, "'" + ascii + "' is not a number like 12.5");
  }
  while (part.size() > static_cast<std::size_t>(scale) && part.ends_with('0'))
    part.remove_suffix(1);
  if (part.size() > static_cast<std::size_t>(scale)) {
    return fail(Errc::malformed,
                "'" + ascii + "' has more than " + std::to_string(scale) + " decimals");
  }
  std::string all = std::string(whole) + std::string(part);
  all.append(static_cast<std::size_t>(scale) - part.size(), '0');
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(all.data(), all.data() + all.size(), value);
  if (code != std::errc{} || end != all.data() + all.size()) {
    return fail(Errc::malformed, "'" + ascii + "' is too large");
  }
  return negative ? -value : value;
}

}  // namespace fieldpost::schema

// What the hub hands on without being able to read it: the sealed visits, for the health authority.
#include "hub/api/routes.h"
#include "schema/sealed_json.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

constexpr std::string_view kVisit = "visit";
/// Ids looked at in one read.
constexpr std::size_t kIdsRead = 256;

/// An empty file for a mistyped unit would be taken for "no visits".
Status check_unit(const storage::HubReader& reader, std::string_view code) {
  FP_TRY(const auto units, reader.units());
  for (const storage::Unit& unit : units) {
    if (unit.code == code) return {};
  }
  return fail(Errc::not_found, "no health unit " + std::string(code) +
                                   "; `fieldpost-hub unit list` names the units and what they are");
}

}  // namespace

Result<json> ExportRoutes::sealed(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const std::size_t limit, limit_of(request));
  FP_TRY(RecordId at, after_of(request));
  const auto unit = request.query_value("unit");
  json visits = json::array();
  RecordId last;
  for (std::size_t store = 0; store < api.parts_.stores.size(); ++store) {
    // Visits are the health compartment's; no other record ever leaves by this way.
    if (api.parts_.stores[store].name != "health") continue;
    if (!unit.empty()) FP_CHECK_OK(check_unit(*api.readers_[store], unit));
    for (;;) {
      FP_TRY(const auto ids, api.readers_[store]->ids_after(at, kIdsRead));
      if (ids.empty()) break;
      for (const RecordId& id : ids) {
        at = id;
        FP_TRY(const auto record, api.readers_[store]->record(id));
        if (!record || record->type != kVisit || (!unit.empty() && record->unit != unit)) continue;
        if (visits.size() == limit)  // one more than asked for: there is a next page
          return json{{"visits", std::move(visits)}, {"next_after", to_text(last)}};
        visits.push_back(
            schema::export_document(*record, schema::to_document(*api.parts_.registry, *record)));
        last = id;
      }
    }
  }
  return json{{"visits", std::move(visits)}};
}

void ExportRoutes::add(Api& api) {
  api.add("GET", "/v1/export/sealed", [&api](const net::HttpRequest& r) { return sealed(api, r); });
}

}  // namespace fieldpost::hub

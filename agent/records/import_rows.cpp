// Many records at once, safe to run twice: ids are derived from what identifies a row, not drawn.
// That is its external_id with the time of its event, or without one its whole content.
#include <set>

#include "agent/records/desk.h"
#include "base/limits.h"
#include "schema/sealed_json.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

/// When the row happened; its id carries this time so that ids stay ordered by it.
Instant event_time(const json& document) {
  for (const char* name : {"stopped_at", "seized_at", "visit_at", "opened_at", "captured_at"}) {
    const auto found = document.find(name);
    if (found == document.end() || !found->is_string()) continue;
    const auto at = instant_from_text(found->get_ref<const std::string&>());
    if (at && at->ms > 0) return *at;
  }
  return Instant{0};
}

/// The device's own namespace: two tablets that import the same paper make two records, visibly.
RecordId derived_id(const DeviceId& device, const std::string& type, const std::string& external_id,
                    const json& document) {
  const std::string key =
      external_id.empty() ? "content:" + document.dump() : "external:" + external_id;
  const Hash hash =
      crypto::hash("fieldpost.v1.import-id", {device.view(), as_bytes(type + "\n" + key)});
  std::array<std::uint8_t, 10> bits{};
  std::copy_n(hash.bytes.begin(), bits.size(), bits.begin());
  return make_record_id(event_time(document), bits);
}

/// The number may be a corrected row's or that of a book that counts from 1 again; only people know. A record
/// too many is seen and voided, one too few is never missed: so it is recorded, and said.
json named_before() {
  return {{"path", "external_id"},
          {"rule", "external_id_again"},
          {"severity", "warn"},
          {"message",
           "A record with this external_id and another time is here already. Both are kept: if the "
           "time was corrected in the file, void the earlier record."}};
}

/// Where a row stood; 0 when that is not said.
json line_of(const json& row) {
  const auto line = row.find("line");
  return line != row.end() && line->is_number_integer() ? *line : json(0);
}

/// Items of an imported row get the same ids each time.
std::function<std::string()> derived_items(const RecordId& id) {
  return [id, n = std::uint8_t{0}]() mutable {
    const std::array<std::uint8_t, 1> number{n++};
    const Hash hash = crypto::hash("fieldpost.v1.import-item", {id.view(), number});
    return to_base32(hash.view().subspan(0, 5));
  };
}

}  // namespace

Result<Outcome> Desk::import_rows(const json& rows, const std::string& type, const Asker& asker) {
  if (!rows.is_array())
    return fail(Errc::invalid_argument, "'rows' must be a list of {line, document}");
  Outcome outcome;
  std::uint64_t added = 0;
  std::uint64_t present = 0;
  json refused = json::array();
  json warned = json::array();
  std::set<RecordId> seen;
  ImportedIds batch_ids;
  std::uint64_t ref_counter = parts_.store->state().ref_counter;
  sync::ChangeBatch batch(*parts_.store, times_now(), parts_.random);
  const auto refuse = [&](const json& row, json faults) {
    refused.push_back({{"line", line_of(row)}, {"faults", std::move(faults)}});
  };
  for (const json& row : rows) {
    if (!row.is_object() || !row.contains("document") || !row["document"].is_object()) {
      return fail(Errc::invalid_argument, "every row must be an object with a 'document'");
    }
    json document = row["document"];
    if (!document.contains("type") && !type.empty()) document["type"] = type;
    const std::string row_type =
        document.contains("type") && document["type"].is_string() ? document["type"] : "";
    const std::string external =
        row.contains("external_id") && row["external_id"].is_string() ? row["external_id"] : "";
    const bool named = !document.contains("id") && !external.empty();
    if (!document.contains("id")) {
      document["id"] = to_text(derived_id(parts_.identity->device(), row_type, external, document));
    }
    const auto id =
        record_id_from_text(document["id"].is_string() ? document["id"].get<std::string>() : "");
    if (id) {
      FP_TRY(const auto known, parts_.store->load(*id));
      if (known || seen.contains(*id)) {
        ++present;
        continue;
      }
    }
    if (document.contains(schema::kConflictsMember)) {
      refuse(row,
             json::array({{{"path", schema::kConflictsMember},
                           {"rule", "unsettled"},
                           {"severity", "error"},
                           {"message",
                            "this export holds a record with unsettled conflicts: settle them "
                            "where it comes from, or take out \"conflicts\" to record only the "
                            "shown values"}}}));
      continue;
    }
    bool again = false;
    if (id && named) {
      FP_CHECK_OK(imported_.load(*parts_.store));
      again = imported_.contains(*id) || batch_ids.contains(*id);
    }
    auto prepared =
        prepare(std::move(document), asker, ref_counter, derived_items(id ? *id : RecordId{}));
    if (!prepared) {
      const bool rows_own =
          prepared.error().is(Errc::invalid_argument) || prepared.error().is(Errc::malformed) ||
          prepared.error().is(Errc::unauthorised) || prepared.error().is(Errc::too_large);
      if (!rows_own) return std::move(prepared).error();
      refuse(row, json::array({{{"path", ""},
                                {"rule", "refused"},
                                {"severity", "error"},
                                {"message", prepared.error().detail}}}));
      continue;
    }
    if (schema::has_error(prepared->faults)) {
      refuse(row, fault_list(prepared->faults, asker.language));
      continue;
    }
    if (auto dot = batch.add(prepared->request); !dot) {
      refuse(row, json::array({{{"path", ""},
                                {"rule", "too_large"},
                                {"severity", "error"},
                                {"message", dot.error().detail}}}));
      continue;
    }
    json warnings = fault_list(prepared->faults, asker.language);
    if (again) warnings.push_back(named_before());
    if (!warnings.empty())
      warned.push_back({{"line", line_of(row)}, {"faults", std::move(warnings)}});
    seen.insert(prepared->id);
    batch_ids.add(prepared->id);
    ++added;
  }
  FP_CHECK_OK(batch.commit(ref_counter));
  for (const RecordId& id : seen) imported_.add(id);
  if (added > 0 && parts_.recorded) parts_.recorded();
  outcome.body = {{"added", added},
                  {"present", present},
                  {"refused", std::move(refused)},
                  {"warnings", std::move(warned)}};
  return outcome;
}

}  // namespace fieldpost::agent

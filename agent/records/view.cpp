// Reading records: one whole, many in short, digests.
#include "agent/records/desk.h"
#include "schema/json_fields.h"
#include "schema/sealed_json.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

/// Records looked at in one call, so that a filter that matches nothing does not hold the thread.
constexpr std::size_t kLooksMax = 2'000;

std::string kind_word(wire::ExceptionKind kind) {
  switch (kind) {
    case wire::ExceptionKind::quarantined:
      return "quarantined";
    case wire::ExceptionKind::held:
      return "held";
    case wire::ExceptionKind::accepted:
      return "accepted";
    case wire::ExceptionKind::rejected:
      return "rejected";
    case wire::ExceptionKind::unauthorised:
      return "unauthorised";
  }
  return "unknown";
}

std::string exception_words(const wire::ChangeException& e) {
  const std::string where = e.path.empty() ? "" : " (" + e.path + ")";
  std::string why = e.detail.empty() ? e.rule : e.detail;
  if (!why.ends_with('.')) why += '.';  // some reasons are whole sentences, some are not
  switch (e.kind) {
    case wire::ExceptionKind::quarantined:
      return "The hub keeps this change aside" + where + ": " + why +
             " An operator decides; later edits of this record wait.";
    case wire::ExceptionKind::held:
      return "The hub waits for an earlier change of this record: " + why;
    case wire::ExceptionKind::accepted:
      return "An operator accepted this change.";
    case wire::ExceptionKind::rejected:
      return "An operator rejected this change" + where + ": " + why;
    case wire::ExceptionKind::unauthorised:
      return "The hub did not take this change" + where + ": " + why;
  }
  return why;
}

bool is_open(wire::ExceptionKind kind) {
  return kind == wire::ExceptionKind::quarantined || kind == wire::ExceptionKind::held ||
         kind == wire::ExceptionKind::unauthorised;
}

json vector_json(const model::VersionVector& vv) {
  json list = json::array();
  for (const auto& entry : vv.entries()) list.push_back({entry.actor.hex(), entry.counter.value});
  return list;
}

}  // namespace

std::string place_of(const storage::RecordView& view, bool online) {
  if (view.damaged) return "damaged";
  for (const auto& own : view.own) {
    if (own.exception && is_open(own.exception->kind)) return "attention";
  }
  if (view.at_hub) return "at_hub";
  const bool waits = std::any_of(view.own.begin(), view.own.end(),
                                 [](const storage::OwnChange& own) { return !own.acked; });
  if (!waits && view.lost_at_hub) return "lost_at_hub";
  return online ? "sending" : "on_tablet";
}

std::string place_words(std::string_view place, std::string_view language) {
  const bool km = language == "km";
  if (place == "damaged")
    return km ? "ខូចនៅលើថេប្លេតនេះ កំពុងទាញយកម្ដងទៀត" : "damaged on this tablet; fetching it again";
  if (place == "draft") return km ? "សេចក្តីព្រាង" : "draft";
  if (place == "attention") return km ? "ត្រូវការការយកចិត្តទុកដាក់" : "needs attention";
  if (place == "at_hub") return km ? "នៅមជ្ឈមណ្ឌល" : "at the hub";
  if (place == "lost_at_hub")
    return km ? "មជ្ឈមណ្ឌលបានបាត់វា តែវានៅទីនេះ" : "lost at the hub, kept here";
  if (place == "sending") return km ? "កំពុងផ្ញើ" : "sending";
  return km ? "នៅលើថេប្លេតនេះ" : "on this tablet";
}

json Desk::summary(const storage::RecordView& view, const std::string& language,
                   bool document) const {
  const model::Record& record = view.record;
  const auto shown = schema::to_document(*parts_.registry, record, unseal(record));
  const schema::Form* form = parts_.registry->form(record.type);
  const std::string place = place_of(view, parts_.online && parts_.online());
  json out{{"id", to_text(record.id)},
           {"type", record.type},
           {"unit", record.unit},
           {"state", schema::text_or_empty(shown.document, "state")},
           {"place", place},
           {"words", place_words(place, language)},
           {"conflicts", !shown.conflicts.empty()}};
  json title = json::array();
  if (form != nullptr) {
    for (const auto& name : form->title_fields()) {
      if (shown.document.contains(name)) title.push_back(shown.document[name]);
    }
  }
  out["title"] = std::move(title);
  if (document) {
    out["document"] = shown.document;
    if (!shown.sealed.empty()) schema::add_sealed(record, shown.sealed, out["document"]);
  }
  return out;
}

json Desk::draft_summary(const storage::Draft& draft, const std::string& language,
                         bool document) const {
  auto body = draft_document(draft);
  const json empty = json::object();
  const json& shown = body ? *body : empty;
  json title = json::array();
  if (const schema::Form* form = parts_.registry->form(draft.type)) {
    for (const auto& name : form->title_fields()) {
      if (shown.contains(name)) title.push_back(shown[name]);
    }
  }
  json out{{"id", to_text(draft.id)},
           {"type", draft.type},
           {"unit", schema::text_or_empty(shown, "unit")},
           {"state", "draft"},
           {"place", "draft"},
           {"words", place_words("draft", language)},
           {"conflicts", false},
           {"title", std::move(title)}};
  if (document) out["document"] = shown;
  return out;
}

Result<json> Desk::list(const ListQuery& query, const std::string& language) const {
  json records = json::array();
  if (query.drafts && (query.state.empty() || query.state == "draft")) {
    FP_TRY(const auto drafts, parts_.store->drafts());
    for (const auto& draft : drafts) {
      if (!query.type.empty() && draft.type != query.type) continue;
      records.push_back(draft_summary(draft, language, query.documents));
    }
  }
  if (query.state == "draft") return json{{"records", std::move(records)}, {"next", nullptr}};
  FP_TRY(const auto ids, parts_.store->ids_after(query.after, kLooksMax));
  json next = nullptr;
  std::size_t taken = 0;
  for (const auto& id : ids) {
    if (taken == query.limit) break;
    next = to_text(id);
    FP_TRY(const auto view, parts_.store->load(id));
    // Of a damaged one nobody may know the type: it is listed rather than missed.
    const bool other_type = view && !query.type.empty() && view->record.type != query.type &&
                            !(view->damaged && view->record.type.empty());
    if (!view || other_type) continue;
    json entry = summary(*view, language, query.documents);
    if (!query.state.empty() && entry["state"] != query.state && entry["place"] != query.state)
      continue;
    if (query.documents && entry["conflicts"] == true) {
      const model::Record& record = view->record;
      entry["document"] = schema::export_document(
          record, schema::to_document(*parts_.registry, record, unseal(record)));
    }
    records.push_back(std::move(entry));
    ++taken;
  }
  const bool at_end = ids.size() < kLooksMax && (ids.empty() || next == to_text(ids.back()));
  return json{{"records", std::move(records)}, {"next", at_end ? json(nullptr) : next}};
}

Result<json> Desk::show(const RecordId& id, const std::string& language) const {
  FP_TRY(const auto view, parts_.store->load(id));
  if (!view) {
    FP_TRY(const auto found, draft(id));
    if (found) return draft_summary(*found, language, true);
    return fail(Errc::not_found, "there is no record " + to_text(id) +
                                     " on this tablet; 'fieldpost-agent list' shows them");
  }
  const model::Record& record = view->record;
  json out = summary(*view, language, true);
  const auto shown = schema::to_document(*parts_.registry, record, unseal(record));
  const storage::OwnActor* current = parts_.store->state().current();
  out["context"] = {{"under", current != nullptr ? current->actor.hex() : ActorId{}.hex()},
                    {"seen", vector_json(record.vv)}};
  out["sealed"] = shown.sealed;
  out["conflicts"] = schema::conflicts_json(record, shown);
  json writers = json::object();
  for (const auto& field : model::shown_fields(record)) {
    writers[std::string(field.path)] = {{"author", field.group->meta.author},
                                        {"at", to_text(field.group->meta.time.at)}};
  }
  out["writers"] = std::move(writers);
  json exceptions = json::array();
  for (const auto& own : view->own) {
    if (!own.exception) continue;
    exceptions.push_back({{"dot", model::to_text(own.change.dot)},
                          {"kind", kind_word(own.exception->kind)},
                          {"rule", own.exception->rule},
                          {"path", own.exception->path},
                          {"words", exception_words(*own.exception)}});
  }
  out["exceptions"] = std::move(exceptions);
  if (view->damaged) {
    json words = json::array();
    FP_TRY(const auto damages, parts_.store->damages());
    for (const storage::Damage& damage : damages) {
      if (damage.record == id && !damage.settled) words.push_back(damage_words(damage));
    }
    out["damage"] = std::move(words);
  }
  std::uint64_t waiting = 0;
  for (const auto& own : view->own) waiting += own.acked ? 0 : 1;
  out["changes_waiting"] = waiting;
  out["faults"] =
      fault_list(schema::check_record(*parts_.registry, record, unseal(record)), language);
  return out;
}

Result<json> Desk::digests() const {
  json out = json::object();
  std::vector<std::string> units{home_unit()};
  for (const auto& grant : parts_.store->state().grants) {
    if (grant.unit != units.front()) units.push_back(grant.unit);
  }
  for (const auto& unit : units) {
    FP_TRY(const auto digest, parts_.store->digest(unit));
    out[unit] = digest.hex();
  }
  return out;
}

}  // namespace fieldpost::agent

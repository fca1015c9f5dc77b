// Changing what is there: drafts freely, final records with a reason and an amendment.
#include <algorithm>

#include "agent/records/desk.h"
#include "agent/records/patch.h"
#include "base/text.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kReasonCharactersMin = 3;  ///< as the forms demand of an amendment

/// A field the form lets nobody change once it is set; answers the first that the edits would.
const schema::Field* rewritten(const schema::Form& form, const model::Record& record,
                               const std::vector<model::FieldValue>& edits) {
  for (const auto& edit : edits) {
    const schema::Field* field = form.find(edit.path);
    if (field == nullptr || field->merge != schema::Merge::write_once) continue;
    const model::Value* now = model::shown(record, edit.path);
    if (now != nullptr && !std::holds_alternative<model::Null>(*now)) return field;
  }
  return nullptr;
}

}  // namespace

Result<Outcome> Desk::edit_draft(const storage::Draft& draft, const EditOrder& order,
                                 const Asker& asker) {
  FP_TRY(json document, draft_document(draft));
  const schema::Form* form = parts_.registry->form(draft.type);
  if (form == nullptr)
    return fail(Errc::unsupported, "this program has no form '" + draft.type + "'");
  FP_CHECK_OK(apply_patch(document, order.patch, [this] { return new_item_id(); }));
  PathSetter setter(*form, document, [this] { return new_item_id(); });
  for (const auto& [path, value] : order.set.items()) FP_CHECK_OK(setter.set(path, value));
  if (!order.finalise) return store_draft(std::move(document), *form, asker);
  document["state"] = "final";
  std::uint64_t ref_counter = parts_.store->state().ref_counter;
  FP_TRY(Prepared prepared,
         prepare(document, asker, ref_counter, [this] { return new_item_id(); }));
  // What was typed is not lost because something else is still missing.
  if (schema::has_error(prepared.faults))
    FP_CHECK_OK(store_draft(std::move(document), *form, asker));
  return commit_new(std::move(prepared), ref_counter, true, asker);
}

Result<Outcome> Desk::change_record(const storage::RecordView& view, const EditOrder& order,
                                    const char* kind, const Asker& asker) {
  FP_CHECK_OK(ensure_unit(view.record.unit));
  const model::Record& record = view.record;
  if (view.damaged) {
    return fail(Errc::conflict, "record " + to_text(record.id) +
                                    " was damaged on this tablet's disk and is not whole here: it "
                                    "is changed once the hub has delivered it again, or on another "
                                    "tablet. Write what is new into a new record meanwhile");
  }
  FP_TRY(const schema::Form* form, form_for({{"type", record.type}}));
  if (asker.author.empty()) {
    return fail(
        Errc::invalid_argument,
        "nobody is named as author of the change: give your badge or staff id with --author");
  }
  if (code_points(order.reason) < kReasonCharactersMin) {
    return fail(Errc::invalid_argument,
                "a final record changes only with a reason: say it with --reason \"…\"");
  }
  const auto before = schema::to_document(*parts_.registry, record, unseal(record));
  if (!before.sealed.empty()) {
    return fail(Errc::unauthorised,
                "this record is sealed to keys that this tablet does not hold (" +
                    before.sealed.front() + "): it can only be changed by its own unit");
  }
  if (schema::text_or_empty(before.document, "state") == "void") {
    return fail(Errc::conflict,
                "record " + to_text(record.id) + " is void; a void record is not changed any more");
  }
  json document = before.document;
  FP_CHECK_OK(apply_patch(document, order.patch, [this] { return new_item_id(); }));
  PathSetter setter(*form, document, [this] { return new_item_id(); });
  std::vector<std::string> touched;
  for (const auto& [path, value] : order.set.items()) {
    FP_TRY(auto stored, setter.set(path, value));
    touched.push_back(std::move(stored));
  }
  if (document == before.document && touched.empty() && std::string_view(kind) == "amended") {
    return fail(Errc::invalid_argument,
                "nothing would change: give path=value, or --json with the fields to change");
  }
  document["state"] = std::string_view(kind) == "void" ? "void" : "amended";
  // The envelope's own: what a patch says of it does not count.
  const json version = before.document.value("schema_version", json());
  document["schema_version"] = std::max<std::uint64_t>(
      form->version(),
      version.is_number_integer() && version > 0 ? version.get<std::uint64_t>() : 1);
  json& amendments = document["amendments"];
  if (!amendments.is_array()) amendments = json::array();
  amendments.push_back({{"item_id", new_item_id()},
                        {"kind", kind},
                        {"reason", order.reason},
                        {"by", asker.author},
                        {"at", now_text()}});

  schema::EditOptions options;
  options.new_item_id = [this] { return new_item_id(); };
  FP_TRY(const json clean, schema::normalised(*parts_.registry, record.type, document, options));
  const auto faults =
      schema::check_document(*parts_.registry, record.type, clean, schema::Purpose::draft);
  Outcome outcome;
  if (schema::has_error(faults)) {
    outcome.faults = fault_list(faults, asker.language);
    return outcome;
  }
  sync::EditRequest request;
  FP_TRY(request.edits, schema::edits_from_document(*parts_.registry, record.type, clean,
                                                    &before.document, options));
  // Naming a field in conflict settles it, also in favour of the value already shown.
  for (const auto& path : touched) {
    const bool there = std::any_of(request.edits.begin(), request.edits.end(),
                                   [&](const auto& e) { return e.path == path; });
    const auto siblings = model::siblings(record, path);
    if (there || siblings.size() < 2) continue;
    const model::Value* value = model::shown(record, path);
    if (const auto* sealed = std::get_if<model::Sealed>(value)) {
      const auto open = unseal(record);
      if (const auto clear = open(path, *sealed)) request.edits.push_back({path, *clear});
    } else {
      request.edits.push_back({path, *value});
    }
  }
  std::sort(request.edits.begin(), request.edits.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  if (const schema::Field* field = rewritten(*form, record, request.edits)) {
    return fail(Errc::invalid_argument,
                "'" + field->name + "' is written once and cannot be changed afterwards" +
                    (field->in_repeat ? ": void the item with a reason and add a new one" : ""));
  }
  request.record = record.id;
  request.type = record.type;
  request.unit = record.unit;
  if (order.context) {
    FP_TRY(request.context,
           parts_.store->renamed(record.id, order.context->seen, order.context->under));
  }
  request.author = asker.author;
  request.reason = order.reason;
  request.schema_version = form->version();
  FP_CHECK_OK(seal(*form, request));
  sync::ChangeBatch batch(*parts_.store, times_now(), parts_.random);
  FP_TRY(const auto dot, batch.add(request));
  FP_CHECK_OK(batch.commit());
  if (parts_.recorded) parts_.recorded();
  outcome.body = {{"id", to_text(record.id)},
                  {"type", record.type},
                  {"state", document["state"]},
                  {"ref_no", schema::text_or_empty(document, "ref_no")},
                  {"dot", model::to_text(dot)},
                  {"edits", request.edits.size()},
                  {"warnings", fault_list(faults, asker.language)}};
  return outcome;
}

Result<Outcome> Desk::edit(const RecordId& id, const EditOrder& order, const Asker& asker) {
  FP_TRY(const auto view, parts_.store->load(id));
  if (view) return change_record(*view, order, "amended", asker);
  FP_TRY(const auto found, draft(id));
  if (found) return edit_draft(*found, order, asker);
  return fail(Errc::not_found, "there is no record " + to_text(id) +
                                   " on this tablet; 'fieldpost-agent list' shows them");
}

Result<Outcome> Desk::void_record(const RecordId& id, const std::string& reason,
                                  const Asker& asker) {
  FP_TRY(const auto view, parts_.store->load(id));
  if (!view) {
    FP_TRY(const auto found, draft(id));
    if (found)
      return fail(Errc::conflict, "record " + to_text(id) +
                                      " is still a draft: 'fieldpost-agent discard ID' removes it");
    return fail(Errc::not_found, "there is no record " + to_text(id) +
                                     " on this tablet; 'fieldpost-agent list' shows them");
  }
  EditOrder order;
  order.reason = reason;
  return change_record(*view, order, "void", asker);
}

}  // namespace fieldpost::agent

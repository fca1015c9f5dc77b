// New records: filled in, checked, sealed, stored.
#include "agent/records/desk.h"
#include "agent/records/patch.h"
#include "schema/calendar.h"
#include "schema/json_fields.h"
#include "wire/codec.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

/// How far back in the own chain the last answers are looked for: a shift's work.
constexpr std::uint64_t kLastAnswersBack = 64;

RecordId new_record_id(const RandomSource& random, Instant now) {
  std::array<std::uint8_t, 10> bytes{};
  random(bytes);
  return make_record_id(now, bytes);
}

}  // namespace

/// What the device fills in itself, where the document does not say it.
Status Desk::fill(json& document, const schema::Form& form, const Asker& asker) {
  if (!document.contains("id"))
    document["id"] = to_text(new_record_id(parts_.random, parts_.clock().wall));
  if (!document.contains("unit")) document["unit"] = home_unit();
  if (!document.contains("author")) {
    if (asker.author.empty()) {
      return fail(Errc::invalid_argument,
                  "nobody is named as author: give your badge or staff id with --author (or "
                  "FIELDPOST_AGENT_AUTHOR)");
    }
    document["author"] = asker.author;
  }
  if (!document.contains("schema_version")) document["schema_version"] = form.version();
  if (!document.contains("captured_at")) document["captured_at"] = now_text();
  if (!document["unit"].is_string())
    return fail(Errc::invalid_argument, "unit: a text belongs here");
  if (!document["author"].is_string())
    return fail(Errc::invalid_argument, "author: a text belongs here");
  return ensure_unit(document["unit"].get<std::string>());
}

Result<Desk::Prepared> Desk::prepare(json document, const Asker& asker, std::uint64_t& ref_counter,
                                     const std::function<std::string()>& new_item_id) {
  FP_TRY(const schema::Form* form, form_for(document));
  const bool captured_here = !document.contains("captured_at");
  FP_CHECK_OK(fill(document, *form, asker));
  const bool numbered_here = !document.contains("ref_no") && form->find("ref_no") != nullptr;
  if (numbered_here) document["ref_no"] = next_ref_no(ref_counter + 1);
  if (!document.contains("state")) document["state"] = "final";
  // The check below judges it as final, whatever it says: an import may bring amended and void records, no other.
  const std::string state = schema::text_or_empty(document, "state");
  if (state != "final" && state != "amended" && state != "void") {
    return fail(Errc::invalid_argument,
                "state: a new record is final (or, imported, amended or void); leave 'state' out");
  }

  Prepared made;
  made.type = std::string(form->type());
  schema::EditOptions options;
  options.new_item_id = new_item_id;
  const std::string author = document["author"].get<std::string>();
  options.author = author;
  FP_TRY(made.document, schema::normalised(*parts_.registry, made.type, document, options));
  if (!made.document["id"].is_string())
    return fail(Errc::invalid_argument, "id: a UUID belongs here");
  auto id = record_id_from_text(made.document["id"].get<std::string>());
  if (!id) return fail(Errc::invalid_argument, "id: " + id.error().detail);
  made.id = *id;
  made.ref_no = schema::text_or_empty(made.document, "ref_no");
  made.faults =
      schema::check_document(*parts_.registry, made.type, made.document, schema::Purpose::finalise);
  if (schema::has_error(made.faults)) return made;

  json stored = made.document;
  // The change itself says when it was made; a time of its own would only repeat it.
  if (captured_here) stored.erase("captured_at");
  made.request.record = made.id;
  made.request.type = made.type;
  made.request.unit = made.document["unit"].get<std::string>();
  made.request.author = author;
  made.request.schema_version = form->version();
  FP_TRY(made.request.edits,
         schema::edits_from_document(*parts_.registry, made.type, stored, nullptr, options));
  // Nothing was there that a null could clear, and the hub would meet fields that no form has.
  std::erase_if(made.request.edits,
                [](const auto& edit) { return std::holds_alternative<model::Null>(edit.value); });
  FP_CHECK_OK(seal(*form, made.request));
  if (numbered_here) ++ref_counter;
  return made;
}

Result<Outcome> Desk::store_draft(json document, const schema::Form& form, const Asker& asker) {
  FP_CHECK_OK(fill(document, form, asker));
  document["state"] = "draft";
  schema::EditOptions options;
  options.new_item_id = [this] { return new_item_id(); };
  FP_TRY(document, schema::normalised(*parts_.registry, form.type(), document, options));
  auto id =
      record_id_from_text(document["id"].is_string() ? document["id"].get<std::string>() : "");
  if (!id) return fail(Errc::invalid_argument, "id: " + id.error().detail);
  FP_TRY(const auto known, parts_.store->load(*id));
  if (known)
    return fail(Errc::already_exists,
                "record " + to_text(*id) + " is there already and final: use 'edit'");
  storage::Draft draft;
  draft.id = *id;
  draft.type = std::string(form.type());
  draft.saved = parts_.clock().wall;
  draft.body = to_bytes(as_bytes(document.dump()));
  FP_CHECK_OK(parts_.store->put_draft(draft));
  const auto faults =
      schema::check_document(*parts_.registry, draft.type, document, schema::Purpose::finalise);
  Outcome outcome;
  outcome.body = {{"id", to_text(*id)},
                  {"type", draft.type},
                  {"state", "draft"},
                  {"warnings", fault_list(faults, asker.language)}};
  return outcome;
}

Result<Outcome> Desk::commit_new(Prepared prepared, std::uint64_t ref_counter, bool was_draft,
                                 const Asker& asker) {
  Outcome outcome;
  if (schema::has_error(prepared.faults)) {
    outcome.faults = fault_list(prepared.faults, asker.language);
    return outcome;
  }
  FP_TRY(const auto known, parts_.store->load(prepared.id));
  if (known)
    return fail(Errc::already_exists,
                "record " + to_text(prepared.id) + " is there already: use 'edit' to change it");
  sync::ChangeBatch batch(*parts_.store, times_now(), parts_.random);
  FP_TRY(const auto dot, batch.add(prepared.request));
  std::vector<RecordId> finished;
  if (was_draft) finished.push_back(prepared.id);
  FP_CHECK_OK(batch.commit(ref_counter, finished));
  if (parts_.recorded) parts_.recorded();
  outcome.body = {{"id", to_text(prepared.id)},
                  {"type", prepared.type},
                  {"state", prepared.document["state"]},
                  {"ref_no", prepared.ref_no},
                  {"dot", model::to_text(dot)},
                  {"warnings", fault_list(prepared.faults, asker.language)}};
  return outcome;
}

Result<Outcome> Desk::create(json document, bool draft, const Asker& asker) {
  FP_TRY(const schema::Form* form, form_for(document));
  if (draft) return store_draft(std::move(document), *form, asker);
  if (document.contains("state") && document["state"] != "final") {
    return fail(Errc::invalid_argument,
                "a new record is final or, with --draft, a draft; leave 'state' out");
  }
  std::uint64_t ref_counter = parts_.store->state().ref_counter;
  FP_TRY(Prepared prepared,
         prepare(std::move(document), asker, ref_counter, [this] { return new_item_id(); }));
  return commit_new(std::move(prepared), ref_counter, false, asker);
}

Result<Outcome> Desk::finalise(const RecordId& id, const Asker& asker) {
  FP_TRY(const auto found, draft(id));
  if (!found)
    return fail(Errc::not_found,
                "there is no draft " + to_text(id) + "; 'list --state draft' shows them");
  FP_TRY(json document, draft_document(*found));
  document["state"] = "final";
  std::uint64_t ref_counter = parts_.store->state().ref_counter;
  FP_TRY(Prepared prepared,
         prepare(std::move(document), asker, ref_counter, [this] { return new_item_id(); }));
  return commit_new(std::move(prepared), ref_counter, true, asker);
}

Status Desk::discard_draft(const RecordId& id) {
  FP_TRY(const auto found, draft(id));
  if (!found) {
    // A damaged one can be dismissed, too.
    FP_TRY(const auto damages, parts_.store->damages());
    const bool damaged =
        std::any_of(damages.begin(), damages.end(), [&](const storage::Damage& damage) {
          return damage.kind == storage::Damage::Kind::draft && damage.record == id &&
                 !damage.settled;
        });
    if (!damaged) return fail(Errc::not_found, "there is no draft " + to_text(id));
  }
  return parts_.store->erase_draft(id);
}

Result<json> Desk::defaults(const std::string& type) {
  FP_TRY(const schema::Form* form, form_for({{"type", type}}));
  json last = json::object();
  const storage::OwnActor* own = parts_.store->state().current();
  if (own != nullptr && own->head.value > 0) {
    const std::uint64_t first =
        own->head.value > kLastAnswersBack ? own->head.value - kLastAnswersBack + 1 : 1;
    const auto page =
        parts_.store->chain_page(own->actor, Sequence{first}, SIZE_MAX, kLastAnswersBack);
    // Only offers: a damaged change must not keep anybody from recording.
    if (!page && !page.error().is(Errc::corrupt)) return page.error();
    for (const auto& entry : page ? *page : std::vector<storage::ChainEntry>()) {
      const auto change = wire::decode_change(own->actor, entry.frame);
      if (!change || change->type != type) continue;
      for (const auto& edit : change->edits) {
        const schema::Field* field = form->find(edit.path);
        if (field == nullptr || field->default_kind != "last" || field->in_repeat) continue;
        if (std::holds_alternative<model::Sealed>(edit.value))
          continue;  // never offered to the next client
        last[edit.path] = schema::to_json(edit.value);
      }
    }
  }
  return json{{"type", type},
              {"last", std::move(last)},
              {"unit", home_unit()},
              {"device", parts_.identity->device_name},
              {"offset_minutes", parts_.offset_minutes}};
}

}  // namespace fieldpost::agent

#include "agent/records/desk.h"

#include "agent/health/sealing.h"
#include "schema/calendar.h"

namespace fieldpost::agent {

using nlohmann::json;

Desk::Desk(Parts parts) : parts_(std::move(parts)) {
  if (parts_.identity->health) unit_keys_ = unit_key_pairs(*parts_.identity->health);
}

schema::Unseal Desk::unseal_with_keys(const model::Record& record) const {
  return unseal_with(record, unit_keys_);
}

Result<const schema::Form*> Desk::form_for(const json& document) const {
  if (!document.is_object()) return fail(Errc::invalid_argument, "a record is a JSON object");
  const auto type = document.find("type");
  std::string known;
  for (const auto name : parts_.registry->types())
    known += (known.empty() ? "" : ", ") + std::string(name);
  if (type == document.end() || !type->is_string()) {
    return fail(Errc::invalid_argument, "the record has no 'type'; this tablet knows " + known);
  }
  const schema::Form* form = parts_.registry->form(type->get_ref<const std::string&>());
  if (form == nullptr) {
    return fail(Errc::invalid_argument,
                "there is no form '" + type->get<std::string>() + "'; this tablet knows " + known);
  }
  const std::string_view compartment =
      form->compartment() == schema::Compartment::health ? "health" : "enforcement";
  if (compartment != parts_.identity->compartment) {
    return fail(Errc::unauthorised,
                "a " + std::string(form->type()) + " belongs to " + std::string(compartment) +
                    ", and this tablet is enrolled for " + parts_.identity->compartment +
                    ": use a tablet of that service");
  }
  return form;
}

Status Desk::ensure_unit(const std::string& unit) const {
  if (unit == parts_.identity->unit) return {};
  for (const auto& grant : parts_.store->state().grants) {
    if (grant.unit == unit) return {};
  }
  return fail(Errc::unauthorised, "unit '" + unit + "' is not this tablet's (" +
                                      parts_.identity->unit +
                                      "): leave 'unit' out, or record it on a tablet of that unit");
}

Status Desk::seal(const schema::Form& form, sync::EditRequest& request) {
  if (!form.sealed()) return {};
  if (!parts_.identity->health) {
    return fail(Errc::unauthorised,
                "visits cannot be recorded yet: this tablet holds no grant of the health "
                "authority. Show it the key "
                "printed by 'fieldpost-agent health key', then run 'fieldpost-agent health accept "
                "GRANT.json'");
  }
  if (parts_.identity->health->recipients.unit != request.unit) {
    return fail(Errc::unauthorised, "the health authority's grant is for unit '" +
                                        parts_.identity->health->recipients.unit + "', not for '" +
                                        request.unit + "'");
  }
  return seal_request(form, parts_.identity->health->recipients, parts_.random, request);
}

Result<std::optional<storage::Draft>> Desk::draft(const RecordId& id) const {
  FP_TRY(auto drafts, parts_.store->drafts());
  for (auto& draft : drafts) {
    if (draft.id == id) return std::optional<storage::Draft>(std::move(draft));
  }
  return std::optional<storage::Draft>();
}

Result<json> Desk::draft_document(const storage::Draft& draft) const {
  return schema::parse_document(as_text(draft.body));
}

std::string Desk::next_ref_no(std::uint64_t counter) const {
  const auto& state = parts_.store->state();
  const std::string year = to_text(parts_.clock().wall).substr(0, 4);
  std::string number = std::to_string(counter);
  if (number.size() < 5) number.insert(0, 5 - number.size(), '0');
  std::string ref =
      parts_.identity->unit + "-" + parts_.identity->device_name + "-" + year + "-" + number;
  // A cloned or restored store gives its numbers out twice: from then on they carry a suffix.
  for (const auto& actor : state.actors) {
    if (!actor.forked && (!actor.closed || actor.outlived)) continue;
    std::string suffix = state.current()->actor.hex().substr(0, 4);
    for (char& c : suffix) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    return ref.append("-").append(suffix);
  }
  return ref;
}

std::string Desk::new_item_id() const {
  std::array<std::uint8_t, 5> bytes{};
  parts_.random(bytes);
  return to_base32(bytes);
}

model::ChangeTimes Desk::times_now() const {
  std::optional<sync::HubAnchor> anchor;
  if (parts_.anchor) anchor = parts_.anchor();
  return sync::change_times(parts_.clock(), anchor);
}

std::string Desk::now_text() const {
  const Instant now{parts_.clock().wall.ms / 1000 * 1000};
  return schema::instant_text(now, parts_.offset_minutes);
}

json Desk::fault_list(const std::vector<schema::Fault>& faults, const std::string& language) const {
  json list = json::array();
  for (const auto& fault : faults) {
    list.push_back({{"path", fault.path},
                    {"rule", fault.rule},
                    {"severity", fault.severity == schema::Severity::error ? "error" : "warn"},
                    {"message", parts_.registry->message(fault, language)}});
  }
  return list;
}

}  // namespace fieldpost::agent

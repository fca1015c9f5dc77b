// Retention: what is due, erasing it; and the legal holds that keep records from it.
#include "base/limits.h"
#include "base/text.h"
#include "hub/api/decision.h"
#include "hub/api/routes.h"
#include "schema/references.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

json hold_json(const storage::LegalHold& hold, const std::string& compartment) {
  json out = {{"id", hold.id.hex()},    {"record", to_text(hold.record)},
              {"at", to_text(hold.at)}, {"author", hold.author},
              {"reason", hold.reason},  {"compartment", compartment},
              {"lifted", json(nullptr)}};
  if (hold.lift)
    out["lifted"] = {{"at", to_text(hold.lift->at)},
                     {"author", hold.lift->author},
                     {"reason", hold.lift->reason}};
  return out;
}

json look_json(const RetentionLook& look, const char* due) {
  json types = json::array();
  for (const RetentionOfType& type : look.types) {
    json one = {{"type", type.type},       {"compartment", type.compartment},
                {"rule", type.rule.words}, {"before", to_text(type.rule.before)},
                {due, type.due},           {"young", type.young},
                {"kept", json::object()}};
    for (const auto& [reason, count] : type.kept) one["kept"][reason] = count;
    if (std::string_view(due) == "due")
      one["oldest"] = type.oldest ? json(to_text(*type.oldest)) : json(nullptr);
    types.push_back(std::move(one));
  }
  json kept = json::array();
  for (const RetentionKept& one : look.kept) {
    kept.push_back({{"record", to_text(one.record)},
                    {"reason", storage::name_of(one.keeps)},
                    {"hold", one.hold ? json(one.hold->hex()) : json(nullptr)}});
  }
  return {{"as_of", to_text(look.at)}, {"types", std::move(types)}, {"kept", std::move(kept)}};
}

Result<std::string> required(const json& body, const char* name, std::size_t bytes_max) {
  FP_TRY(std::string text, text_member(body, name, "", bytes_max));
  if (trimmed(text).empty())
    return fail(Errc::invalid_argument,
                std::string("member \"") + name + "\" is needed: a legal hold says who and why");
  return text;
}

Error no_retention() { return fail(Errc::not_found, "this hub erases nothing by itself"); }

void busy(const net::Responder& respond) {
  respond(net::error_response(
      503, "busy", "a long reading runs and another waits already; try again when they are done"));
}

}  // namespace

Result<json> RetentionRoutes::holds_of(const Api& api, std::size_t store, const RecordId& id) {
  json out = json::array();
  FP_TRY(const auto holds, api.readers_[store]->holds());
  if (holds.empty()) return out;
  const std::string& name = api.parts_.stores[store].name;
  for (const storage::LegalHold& hold : holds) {
    if (hold.record == id && !hold.lift) out.push_back(hold_json(hold, name));
  }
  if (!out.empty()) return out;
  FP_TRY(const auto kept, api.readers_[store]->kept_by_holds([&](const model::Record& record) {
    return schema::references(*api.parts_.registry, record);
  }));
  const auto by = kept.find(id);
  for (const storage::LegalHold& hold : holds) {
    if (by != kept.end() && hold.id == by->second) out.push_back(hold_json(hold, name));
  }
  return out;
}

Result<json> RetentionRoutes::show(const Api& api, const net::HttpRequest&) {
  if (api.parts_.retention == nullptr) return no_retention();
  FP_TRY(const RetentionSettings settings, api.parts_.retention->settings());
  json types = json::array();
  json erased = json::object();
  const Instant now = api.parts_.clock();
  for (std::size_t store = 0; store < api.parts_.stores.size(); ++store) {
    const std::string& name = api.parts_.stores[store].name;
    for (const auto& [type, rule] : retention_rules(settings, *api.parts_.registry, name, now))
      types.push_back({{"type", type},
                       {"compartment", name},
                       {"rule", rule.words},
                       {"before", to_text(rule.before)}});
    FP_TRY(const auto counts, api.readers_[store]->counts());
    erased[name] = counts.erased;
  }
  const RetentionService::Standing standing = api.parts_.retention->standing();
  return json{
      {"types", std::move(types)},
      {"every_hours", settings.every_hours == 0 ? json(nullptr) : json(settings.every_hours)},
      {"erased", std::move(erased)},
      {"last_run_at", standing.last_run ? json(to_text(*standing.last_run)) : json(nullptr)},
      {"last_run_erased", standing.last_run ? json(standing.last_erased) : json(nullptr)},
      {"fault", standing.last_error.empty() ? json(nullptr) : json(standing.last_error)}};
}

void RetentionRoutes::plan(Api& api, const net::HttpRequest& request,
                           const net::Responder& respond) {
  if (auto sound = api.contract_.check("GET", "/v1/retention/plan", request); !sound)
    return respond(error_answer(sound.error()));
  if (api.parts_.retention == nullptr) return respond(error_answer(no_retention()));
  // It may read every record: on the thread of the proofs, so that nobody waits for it.
  const bool taken = api.proofs_.post([&api, respond] {
    const auto look = api.parts_.retention->plan();
    respond(look ? json_response(look_json(*look, "due")) : error_answer(look.error()));
  });
  if (!taken) busy(respond);
}

void RetentionRoutes::run(Api& api, const net::HttpRequest& request,
                          const net::Responder& respond) {
  if (auto sound = api.contract_.check("POST", "/v1/retention/run", request); !sound)
    return respond(error_answer(sound.error()));
  const json body = body_of(request);
  if (!body.is_object())
    return respond(error_answer(fail(Errc::malformed, "the body must be {} or {\"author\"}")));
  const auto author = author_of(body);
  if (!author) return respond(error_answer(author.error()));
  if (api.parts_.retention == nullptr) return respond(error_answer(no_retention()));
  const bool taken = api.proofs_.post([&api, author = *author, respond] {
    const auto look = api.parts_.retention->run(author);
    if (!look) return respond(error_answer(look.error()));
    json answer = look_json(*look, "erased");
    answer["changes"] = look->changes;
    respond(json_response(answer));
  });
  if (!taken) busy(respond);
}

Result<json> RetentionRoutes::holds(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const auto stores, api.asked(request));
  std::vector<std::pair<Instant, json>> found;
  for (const std::size_t store : stores) {
    FP_TRY(const auto holds, api.readers_[store]->holds());
    for (const storage::LegalHold& hold : holds)
      found.emplace_back(hold.at, hold_json(hold, api.parts_.stores[store].name));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  json all = json::array();
  for (auto& [at, hold] : found) all.push_back(std::move(hold));
  return json{{"holds", std::move(all)}};
}

Result<json> RetentionRoutes::add_hold(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object())
    return fail(Errc::malformed,
                "the body must be a JSON object {\"record\", \"reason\", \"author\"}");
  storage::LegalHold hold;
  FP_TRY(const std::string record, text_member(body, "record", "", limits::kNameBytesMax));
  FP_TRY(hold.reason, required(body, "reason", limits::kReasonBytesMax / 2));
  FP_TRY(hold.author, required(body, "author", limits::kNameBytesMax));
  FP_TRY(const auto found, api.find(record));
  hold.id = random_id<storage::HoldId>(api.parts_.random);
  hold.record = found.second.id;
  hold.at = api.parts_.clock();
  const std::size_t store = found.first;
  Status put = fail(Errc::closed, "the hub is stopping");
  api.parts_.stores[store].writer->run([&](storage::HubStore& s) { put = s.add_hold(hold); });
  FP_CHECK_OK(put);
  if (api.parts_.backups != nullptr) api.parts_.backups->carry_ledger();
  return hold_json(hold, api.parts_.stores[store].name);
}

Result<json> RetentionRoutes::lift_hold(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object())
    return fail(Errc::malformed, "the body must be a JSON object {\"reason\", \"author\"}");
  const std::string& text = request.params.at("id");
  const auto bytes = from_hex(text);
  const auto id = bytes ? storage::HoldId::from(*bytes) : Result<storage::HoldId>(bytes.error());
  if (!id)
    return fail(Errc::invalid_argument,
                "a legal hold's id is 32 hexadecimal digits, as "
                "`fieldpost-hub hold list` shows it");
  storage::LegalHold::Lift lift;
  FP_TRY(lift.reason, required(body, "reason", limits::kReasonBytesMax / 2));
  FP_TRY(lift.author, required(body, "author", limits::kNameBytesMax));
  lift.at = api.parts_.clock();
  Error last = fail(Errc::not_found, "no legal hold " + text);
  for (std::size_t store = 0; store < api.parts_.stores.size(); ++store) {
    const auto lifted = api.write<storage::LegalHold>(
        store, [&](storage::HubStore& s) { return s.lift_hold(*id, lift); });
    if (lifted) {
      if (api.parts_.backups != nullptr) api.parts_.backups->carry_ledger();
      return hold_json(*lifted, api.parts_.stores[store].name);
    }
    if (!lifted.error().is(Errc::not_found)) return lifted.error();
    last = lifted.error();
  }
  return last;
}

void RetentionRoutes::add(Api& api) {
  api.add("GET", "/v1/retention", [&api](const net::HttpRequest& r) { return show(api, r); });
  api.router_.add("GET", "/v1/retention/plan",
                  [&api](const net::HttpRequest& request, const net::Responder& respond) {
                    plan(api, request, respond);
                  });
  api.router_.add("POST", "/v1/retention/run",
                  [&api](const net::HttpRequest& request, const net::Responder& respond) {
                    run(api, request, respond);
                  });
  api.add("GET", "/v1/holds", [&api](const net::HttpRequest& r) { return holds(api, r); });
  api.add("POST", "/v1/holds", [&api](const net::HttpRequest& r) { return add_hold(api, r); });
  api.add("POST", "/v1/holds/{id}/lift",
          [&api](const net::HttpRequest& r) { return lift_hold(api, r); });
}

}  // namespace fieldpost::hub

// Conflicts, quarantine and held changes: what waits for a person, and the person's decisions.
#include <algorithm>
#include <tuple>

#include "base/limits.h"
#include "base/text.h"
#include "hub/api/decision.h"
#include "hub/api/routes.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

json quarantine_json(const storage::QuarantineEntry& entry, std::string_view compartment,
                     Instant now) {
  const wire::ChangeException& e = entry.exception;
  return {{"actor", e.actor.hex()},
          {"counter", e.counter.value},
          {"record", to_text(e.record)},
          {"kind", e.kind == wire::ExceptionKind::unauthorised ? "unauthorised" : "quarantined"},
          {"rule", e.rule},
          {"path", e.path},
          {"reason", e.detail},
          {"device", entry.device.hex()},
          {"compartment", compartment},
          {"received_at", to_text(entry.received)},
          {"age_ms", now.ms - entry.received.ms}};
}

/// The amendment item that every change after `final` carries.
void add_amendment(std::vector<model::FieldValue>& edits, const RandomSource& random,
                   const std::string& author, const std::string& note, Instant at) {
  std::array<std::uint8_t, 5> id{};
  random(id);
  const std::string item = "amendments/" + to_base32(id) + "/";
  edits.push_back({item + "at", to_text(at)});
  edits.push_back({item + "by", author});
  edits.push_back({item + "kind", std::string("amended")});
  edits.push_back({item + "reason", note});
  edits.push_back({"state", std::string("amended")});
}

/// The value that settles a conflict: one of the siblings, or a new one.
Status chosen_value(const json& body, const model::Record& record, const std::string& path,
                    bool clear, storage::HubStore::HubEdit& edit) {
  if (body.contains("value") && body.contains("choose"))
    return fail(Errc::invalid_argument, "give \"choose\" or \"value\", not both");
  if (body.contains("value")) {
    if (!clear)
      return fail(Errc::unauthorised,
                  "the hub can seal no value: choose one of those in clear, or let a tablet of " +
                      record.unit + " settle it with fieldpost-agent edit");
    auto value = schema::value_from_json(body["value"]);
    if (!value) return fail(Errc::invalid_argument, "value: " + value.error().detail);
    edit.edits.push_back({path, std::move(*value)});
    return {};
  }
  const json chosen = body.value("choose", json());
  if (!chosen.is_string())
    return fail(Errc::invalid_argument,
                "say which value: \"choose\": \"ACTOR:COUNTER\", or \"value\"");
  for (const model::Sibling& sibling : model::siblings(record, path)) {
    if (model::to_text(sibling.group->dot) != chosen.get_ref<const std::string&>()) continue;
    if (std::holds_alternative<model::Sealed>(*sibling.value)) {
      return fail(Errc::unauthorised,
                  "this value is sealed, and who settles a conflict must be able to read it: on a "
                  "tablet of " +
                      record.unit + ", fieldpost-agent edit " + to_text(record.id) +
                      " with the field " + path + " and a reason");
    }
    edit.edits.push_back({path, *sibling.value});
    return {};
  }
  return fail(Errc::not_found, "no value " + chosen.get<std::string>() + " of " + path +
                                   "; `fieldpost-hub conflicts` lists them");
}

/// What the forms say of the record's change as the store will write it.
Status check_edits(const schema::Registry& registry, const model::Record& record,
                   const storage::HubStore::HubEdit& edit) {
  model::Change probe;
  probe.record = record.id;
  probe.type = record.type;
  probe.unit = record.unit;
  probe.edits = edit.edits;
  // As the store will write it: a field of a newer form is settled like any other.
  for (const model::DotGroup& group : record.groups)
    probe.schema_version = std::max(probe.schema_version, group.meta.schema_version);
  if (const auto fault = schema::check_change(registry, probe)) {
    return fail(Errc::invalid_argument, fault->path + ": " + registry.message(*fault, "en"));
  }
  return {};
}

std::optional<model::Dot> dot_from(std::string_view actor_hex, std::string_view counter_text) {
  const auto actor = actor_from_text(actor_hex);
  const auto counter = integer_from_text(counter_text);
  if (!actor || !counter || *counter < 1) return std::nullopt;
  return model::Dot{*actor, Sequence{static_cast<std::uint64_t>(*counter)}};
}

/// "/v1/quarantine/ACTOR/COUNTER". Errors: `invalid_argument`.
Result<model::Dot> dot_of(const net::HttpRequest& request) {
  const auto dot = dot_from(request.params.at("actor"), request.params.at("counter"));
  if (dot) return *dot;
  return fail(Errc::invalid_argument,
              "name the change as /v1/quarantine/ACTOR/COUNTER (16 hexadecimal digits, a number)");
}

/// "after" of the quarantine: "ACTOR:COUNTER". Errors: `invalid_argument`.
Result<model::Dot> dot_after(const net::HttpRequest& request) {
  const auto text = request.query_value("after");
  if (text.empty()) return model::Dot{};
  const auto colon = std::min(text.find(':'), text.size() - 1);
  const auto dot = dot_from(text.substr(0, colon), text.substr(colon + 1));
  if (dot) return *dot;
  return fail(Errc::invalid_argument,
              "after must be ACTOR:COUNTER, as \"next_after\" of a page said");
}

/// "after" of what is held: "RECORD:ACTOR:COUNTER". Errors: `invalid_argument`.
Result<storage::HeldEntry> held_after(const net::HttpRequest& request) {
  const auto text = request.query_value("after");
  storage::HeldEntry after;
  if (text.empty()) return after;
  const auto parts = split(text, ':');
  const auto record = record_id_from_text(parts.front());
  const auto dot = parts.size() == 3 ? dot_from(parts[1], parts[2]) : std::optional<model::Dot>{};
  if (!record || !dot) {
    return fail(Errc::invalid_argument,
                "after must be RECORD:ACTOR:COUNTER, as \"next_after\" of a page said");
  }
  return storage::HeldEntry{*record, dot->actor, dot->counter, {}};
}

/// One page out of what every store has after a cursor, at most limit + 1 of each: in order, with the
/// cursor of the next page when there is one.
template <class Entry>
struct Page {
  std::size_t limit;
  std::vector<std::pair<Entry, std::size_t>> found;  ///< with its store

  void add(std::vector<Entry> entries, std::size_t store) {
    for (Entry& entry : entries) found.emplace_back(std::move(entry), store);
  }
  /// True when there is more.
  template <class Key>
  bool cut(const Key& key) {
    std::sort(found.begin(), found.end(),
              [&](const auto& a, const auto& b) { return key(a.first) < key(b.first); });
    const bool more = found.size() > limit;
    if (more) found.erase(found.begin() + static_cast<std::ptrdiff_t>(limit), found.end());
    return more;
  }
};

Result<storage::HubStore::Ruling> ruling_of(const std::string& text) {
  if (text == "retry") return storage::HubStore::Ruling::retry;
  if (text == "accept") return storage::HubStore::Ruling::accept;
  if (text == "reject") return storage::HubStore::Ruling::reject;
  return fail(Errc::invalid_argument, "ruling must be retry, accept or reject");
}

}  // namespace

Result<json> DecisionRoutes::conflicts(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const std::size_t limit, limit_of(request));
  FP_TRY(const auto stores, api.asked(request));
  FP_TRY(const RecordId after, after_of(request));
  Page<RecordId> page{limit, {}};
  for (std::size_t store : stores) {
    FP_TRY(auto ids, api.readers_[store]->conflicts(after, limit + 1));
    page.add(std::move(ids), store);
  }
  const bool more = page.cut([](const RecordId& id) { return id; });
  json records = json::array();
  for (const auto& [id, store] : page.found) {
    FP_TRY(const auto record, api.readers_[store]->record(id));
    if (record) records.push_back(record_json(*api.parts_.registry, *record));
  }
  json out = {{"records", std::move(records)}};
  if (more) out["next_after"] = to_text(page.found.back().first);
  return out;
}

Result<json> DecisionRoutes::resolve(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object() || !body.contains("path") || !body["path"].is_string()) {
    return fail(Errc::malformed,
                "the body must be a JSON object {\"path\", \"choose\" or \"value\", \"note\", "
                "\"version\"}");
  }
  FP_TRY(const auto found, api.find(request.params.at("id")));
  const auto& [store, record] = found;
  const bool clear = api.parts_.stores[store].name != "health";
  const std::string path = body["path"];
  FP_TRY(const std::string note, note_of(body, true));
  if (body.contains("version") && !body["version"].is_string())
    return fail(Errc::invalid_argument, "member \"version\" must be the text that the record has");
  if (body.contains("version") && body["version"] != version_text(record.vv)) {
    return fail(Errc::conflict,
                "the record changed since it was read; look at it again and decide again");
  }
  if (model::siblings(record, path).size() < 2) {
    // Settled meanwhile, or never one: this path is for conflicts and not a way to edit records.
    return fail(
        Errc::conflict,
        path + " of this record has no conflict (any more); `fieldpost-hub conflicts` lists them");
  }
  storage::HubStore::HubEdit edit;
  edit.record = record.id;
  edit.expected = record.vv;
  FP_TRY(edit.author, author_of(body));
  const sync::TimeReading now = api.parts_.times();
  edit.times = times_of(now);
  edit.salt = random_id<Salt>(api.parts_.random).bytes;
  FP_CHECK_OK(chosen_value(body, record, path, clear, edit));
  const model::Value* state = model::shown(record, "state");
  const bool finished = state != nullptr && *state != model::Value(std::string("draft"));
  if (clear) {
    edit.reason = note;
    if (finished && path != "state")
      add_amendment(edit.edits, api.parts_.random, edit.author, note, now.wall);
  }
  std::sort(edit.edits.begin(), edit.edits.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  FP_CHECK_OK(check_edits(*api.parts_.registry, record, edit));
  FP_TRY(const auto result, api.write<storage::BatchResult>(store, [&](storage::HubStore& s) {
    return s.edit(edit, api.hub_actors_[store], api.signer());
  }));
  api.parts_.stores[store].writer->announce(result);
  FP_TRY(const auto after, api.find(request.params.at("id")));
  return record_json(*api.parts_.registry, after.second);
}

Result<json> DecisionRoutes::quarantine(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const std::size_t limit, limit_of(request));
  FP_TRY(const auto stores, api.asked(request));
  FP_TRY(const model::Dot after, dot_after(request));
  Page<storage::QuarantineEntry> page{limit, {}};
  for (std::size_t store : stores) {
    FP_TRY(auto found, api.readers_[store]->quarantine(limit + 1, after));
    page.add(std::move(found), store);
  }
  const auto dot = [](const storage::QuarantineEntry& entry) {
    return model::Dot{entry.exception.actor, entry.exception.counter};
  };
  const bool more = page.cut(dot);
  json entries = json::array();
  const Instant now = api.parts_.clock();
  for (const auto& [entry, store] : page.found)
    entries.push_back(quarantine_json(entry, api.parts_.stores[store].name, now));
  json out = {{"quarantine", std::move(entries)}};
  if (more) out["next_after"] = model::to_text(dot(page.found.back().first));
  return out;
}

Result<json> DecisionRoutes::rule(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object())
    return fail(Errc::malformed,
                "the body must be a JSON object {\"ruling\", \"note\", \"author\"}");
  storage::HubStore::RulingInput input;
  FP_TRY(const model::Dot dot, dot_of(request));
  input.actor = dot.actor;
  input.counter = dot.counter;
  FP_TRY(const std::string ruling, text_member(body, "ruling", "", limits::kNameBytesMax));
  FP_TRY(input.ruling, ruling_of(ruling));
  FP_TRY(input.note, note_of(body, input.ruling != storage::HubStore::Ruling::retry));
  FP_TRY(input.author, author_of(body));
  input.times = times_of(api.parts_.times());
  input.salt = random_id<Salt>(api.parts_.random).bytes;
  for (std::size_t store = 0; store < api.parts_.stores.size(); ++store) {
    FP_TRY(const auto entry, api.readers_[store]->log(input.actor, input.counter));
    if (!entry) continue;
    input.clear_texts = api.parts_.stores[store].name != "health";
    if (const auto change = wire::decode_change(input.actor, entry->frame)) {
      if (const auto fault = schema::check_change(*api.parts_.registry, *change)) {
        input.still = wire::ChangeException{input.actor,
                                            input.counter,
                                            change->record,
                                            wire::ExceptionKind::quarantined,
                                            fault->rule,
                                            fault->path,
                                            api.parts_.registry->message(*fault, "en", false)};
      }
    }
    FP_TRY(const auto result, api.write<storage::BatchResult>(store, [&](storage::HubStore& s) {
      return s.rule(input, api.hub_actors_[store], api.signer());
    }));
    api.parts_.stores[store].writer->announce(result);
    const bool stays = input.ruling == storage::HubStore::Ruling::retry && input.still;
    return json{{"ruling", ruling},
                {"settled", !stays},
                {"reason", stays ? json(input.still->detail) : json(nullptr)}};
  }
  return fail(Errc::not_found, "no change " + model::to_text(dot) +
                                   " in quarantine; `fieldpost-hub quarantine` lists them");
}

Result<json> DecisionRoutes::held(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const std::size_t limit, limit_of(request));
  FP_TRY(const auto stores, api.asked(request));
  FP_TRY(const storage::HeldEntry after, held_after(request));
  Page<storage::HeldEntry> page{limit, {}};
  for (std::size_t store : stores) {
    FP_TRY(auto found, api.readers_[store]->held(limit + 1, after));
    page.add(std::move(found), store);
  }
  const bool more = page.cut([](const storage::HeldEntry& held) {
    return std::tuple(held.record, held.actor, held.counter);
  });
  json entries = json::array();
  const Instant now = api.parts_.clock();
  for (const auto& [held, store] : page.found) {
    FP_TRY(const auto why, api.readers_[store]->exceptions(held.actor, held.counter, held.counter));
    entries.push_back({{"record", to_text(held.record)},
                       {"actor", held.actor.hex()},
                       {"counter", held.counter.value},
                       {"since", to_text(held.since)},
                       {"age_ms", now.ms - held.since.ms},
                       {"reason", why.empty() ? "" : why.front().detail},
                       {"compartment", api.parts_.stores[store].name}});
  }
  json out = {{"held", std::move(entries)}};
  if (more) {
    const storage::HeldEntry& last = page.found.back().first;
    out["next_after"] = to_text(last.record) + ":" + model::to_text({last.actor, last.counter});
  }
  return out;
}

void DecisionRoutes::add(Api& api) {
  api.add("GET", "/v1/conflicts", [&api](const net::HttpRequest& r) { return conflicts(api, r); });
  api.add("POST", "/v1/records/{id}/resolve",
          [&api](const net::HttpRequest& r) { return resolve(api, r); });
  api.add("GET", "/v1/quarantine",
          [&api](const net::HttpRequest& r) { return quarantine(api, r); });
  api.add("POST", "/v1/quarantine/{actor}/{counter}",
          [&api](const net::HttpRequest& r) { return rule(api, r); });
  api.add("GET", "/v1/held", [&api](const net::HttpRequest& r) { return held(api, r); });
}

}  // namespace fieldpost::hub

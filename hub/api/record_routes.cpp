#include <algorithm>

#include "base/text.h"
#include "hub/api/routes.h"
#include "model/time_interval.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

std::string_view clock_text(model::ClockKind kind) {
  switch (kind) {
    case model::ClockKind::wall:
      return "device clock, not compared with the hub";
    case model::ClockKind::hub:
      return "hub time carried forward by the device";
    case model::ClockKind::receipt:
      return "hub clock";
  }
  return "unknown";
}

/// The members that say when a change was made, as far as it can be said.
json interval_json(const model::TimeInterval& interval) {
  const auto number = [](const std::optional<std::int64_t>& ms) {
    return ms ? json(*ms) : json(nullptr);
  };
  return {{"earliest", interval.earliest ? json(to_text(*interval.earliest)) : json(nullptr)},
          {"latest", to_text(interval.latest)},
          {"error_ms", number(interval.error_ms)},
          {"clock_error_ms", number(interval.wall_error_ms)},
          {"outside", interval.outside}};
}

/// What bounds the change in the log; null when it is not there or unreadable. A clock that the change itself does
/// not compare with the hub's is said to be off as much as its device last reported.
json interval_json(const storage::HubReader& reader, const storage::LogEntry& entry,
                   const model::Change& change) {
  model::TimeInterval interval =
      model::time_interval(change.times, model::welcome_time(change.welcome), entry.received);
  json out = interval_json(interval);
  if (interval.wall_error_ms) return out;
  const auto actor = reader.actor(entry.actor);
  if (!actor || !*actor) return out;
  const auto device = reader.device((*actor)->device);
  if (!device || !*device) return out;
  if (const auto error = clock_error_ms(**device)) out["device_clock_error_ms"] = *error;
  return out;
}

json sibling_interval(const storage::HubReader& reader, const model::Dot& dot) {
  const auto entry = reader.log(dot.actor, dot.counter);
  if (!entry || !*entry) return nullptr;
  const auto change = wire::decode_change((*entry)->actor, (*entry)->frame);
  if (!change) return nullptr;
  return interval_json(reader, **entry, *change);
}

json sibling_json(const schema::SiblingView& sibling, const storage::HubReader* reader) {
  json out = {{"value", sibling.value},
              {"sealed", sibling.sealed},
              {"author", sibling.author},
              {"time", to_text(sibling.time.at)},
              {"clock", clock_text(sibling.time.clock)},
              {"actor", sibling.dot.actor.hex()},
              {"counter", sibling.dot.counter.value},
              {"shown", sibling.shown}};
  if (reader != nullptr && sibling.time.clock != model::ClockKind::receipt) {
    if (json interval = sibling_interval(*reader, sibling.dot); !interval.is_null())
      out["interval"] = std::move(interval);
  }
  return out;
}

json history_json(const storage::HubReader& reader, const storage::LogEntry& entry) {
  // No change is without bytes: the store could not read this one.
  if (entry.frame.empty()) {
    return {{"actor", entry.actor.hex()},
            {"counter", entry.counter.value},
            {"unreadable", "it was damaged on the hub's disk; `fieldpost-hub damaged` says more"}};
  }
  json out = {{"actor", entry.actor.hex()},
              {"counter", entry.counter.value},
              {"received_at", to_text(entry.received)},
              {"hash", wire::change_hash(entry.frame).hex()}};
  const auto change = wire::decode_change(entry.actor, entry.frame);
  if (!change) {
    out["unreadable"] = change.error().detail;
    return out;
  }
  out["author"] = change->author;
  const model::EstimatedTime time = model::estimate(change->times);
  out["time"] = to_text(time.at);
  out["clock"] = clock_text(time.clock);
  out["interval"] = interval_json(reader, entry, *change);
  if (!std::holds_alternative<model::Null>(change->reason))
    out["reason"] = schema::to_json(change->reason);
  json& edits = out["edits"] = json::object();
  for (const model::FieldValue& edit : change->edits) {
    const bool sealed = std::holds_alternative<model::Sealed>(edit.value);
    edits[edit.path] = sealed ? json{{"sealed", true}} : schema::to_json(edit.value);
  }
  return out;
}

}  // namespace

std::string version_text(const model::VersionVector& vv) {
  std::string text;
  for (const auto& entry : vv.entries()) {
    if (!text.empty()) text += ',';
    text += model::to_text({entry.actor, entry.counter});
  }
  return text;
}

json record_json(const schema::Registry& registry, const model::Record& record,
                 const storage::HubReader* reader) {
  const schema::DocumentView view = schema::to_document(registry, record);
  json conflicts = json::array();
  for (const schema::SiblingView& sibling : view.conflicts) {
    if (conflicts.empty() || conflicts.back()["path"] != sibling.path) {
      conflicts.push_back({{"path", sibling.path}, {"siblings", json::array()}});
    }
    conflicts.back()["siblings"].push_back(sibling_json(sibling, reader));
  }
  json faults = json::array();
  for (const schema::Fault& fault : schema::check_record(registry, record)) {
    if (fault.severity != schema::Severity::error) continue;
    faults.push_back(
        {{"path", fault.path}, {"rule", fault.rule}, {"message", registry.message(fault, "en")}});
  }
  json out = {{"id", to_text(record.id)},  {"type", record.type},
              {"unit", record.unit},       {"version", version_text(record.vv)},
              {"document", view.document}, {"conflicts", conflicts},
              {"sealed", view.sealed},     {"inconsistent", faults}};
  if (const auto state = wire::encode_record(record)) out["state_hex"] = to_hex(*state);
  return out;
}

Result<json> RecordRoutes::list(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const std::size_t limit, limit_of(request));
  FP_TRY(const auto stores, api.asked(request));
  const auto unit = request.query_value("unit");
  const auto type = request.query_value("type");
  FP_TRY(const RecordId after, after_of(request));
  std::vector<std::pair<RecordId, json>> found;
  for (std::size_t store : stores) {
    RecordId at = after;
    std::size_t taken = 0;
    while (taken <= limit) {  // one more than asked for: is there a next page?
      FP_TRY(const auto ids, api.readers_[store]->ids_after(at, 256));
      if (ids.empty()) break;
      at = ids.back();
      for (const RecordId& id : ids) {
        FP_TRY(const auto record, api.readers_[store]->record(id));
        if (!record || (!unit.empty() && record->unit != unit) ||
            (!type.empty() && record->type != type))
          continue;
        found.emplace_back(id, record_json(*api.parts_.registry, *record));
        if (++taken > limit) break;
      }
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  const bool more = found.size() > limit;
  if (more) found.resize(limit);
  json records = json::array();
  for (auto& [id, record] : found) records.push_back(std::move(record));
  json out = {{"records", std::move(records)}};
  if (more) out["next_after"] = to_text(found.back().first);
  return out;
}

Result<json> RecordRoutes::show(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const auto found, api.find(request.params.at("id")));
  json out = record_json(*api.parts_.registry, found.second, api.readers_[found.first].get());
  out["compartment"] = api.parts_.stores[found.first].name;
  FP_TRY(const auto decided, api.readers_[found.first]->recovered(found.second.id));
  for (const storage::RecoveredEntry& entry : decided)
    out["recovered"].push_back(recovered_json(entry));
  FP_TRY(json holds, RetentionRoutes::holds_of(api, found.first, found.second.id));
  if (!holds.empty()) out["holds"] = std::move(holds);
  return out;
}

Result<json> RecordRoutes::history(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const auto found, api.find(request.params.at("id")));
  json changes = json::array();
  FP_TRY(const auto entries, api.readers_[found.first]->history(found.second.id));
  for (const storage::LogEntry& entry : entries)
    changes.push_back(history_json(*api.readers_[found.first], entry));
  return json{{"id", to_text(found.second.id)}, {"changes", std::move(changes)}};
}

void RecordRoutes::add(Api& api) {
  api.add("GET", "/v1/records", [&api](const net::HttpRequest& r) { return list(api, r); });
  api.add("GET", "/v1/records/{id}", [&api](const net::HttpRequest& r) { return show(api, r); });
  api.add("GET", "/v1/records/{id}/history",
          [&api](const net::HttpRequest& r) { return history(api, r); });
}

}  // namespace fieldpost::hub

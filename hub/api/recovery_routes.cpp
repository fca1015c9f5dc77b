// What tablets still hold and this hub has lost: shown, and an operator's decision on it.
#include <algorithm>

#include "base/limits.h"
#include "hub/api/decision.h"
#include "hub/api/routes.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

Result<storage::HubStore::Recovery> decision_of(const std::string& text) {
  if (text == "join") return storage::HubStore::Recovery::join;
  if (text == "refuse") return storage::HubStore::Recovery::refuse;
  if (text == "release") return storage::HubStore::Recovery::release;
  return fail(Errc::invalid_argument, "decision must be join, refuse or release");
}

std::string_view kind_text(storage::RecoveredEntry::Kind kind) {
  switch (kind) {
    case storage::RecoveredEntry::Kind::joined:
      return "joined";
    case storage::RecoveredEntry::Kind::refused:
      return "refused";
    case storage::RecoveredEntry::Kind::released:
      return "predecessors lost";
    case storage::RecoveredEntry::Kind::differing:
      return "signed change that says otherwise";
  }
  return "unknown";
}

/// Of one record's held changes, so many are listed.
constexpr std::size_t kWaitingMax = 256;

/// The changes of a record that wait for a predecessor: they refer to what was lost, or to what is in quarantine.
Result<json> waiting_json(const storage::HubReader& reader, const RecordId& id) {
  FP_TRY(const auto held, reader.held(kWaitingMax, {id, {}, {}, {}}));
  json waiting = json::array();
  for (const storage::HeldEntry& one : held) {
    if (one.record != id) break;
    FP_TRY(const auto why, reader.exceptions(one.actor, one.counter, one.counter));
    waiting.push_back({{"actor", one.actor.hex()},
                       {"counter", one.counter.value},
                       {"since", to_text(one.since)},
                       {"reason", why.empty() ? "" : why.front().detail}});
  }
  return waiting;
}

Result<json> decided_json(const storage::HubReader& reader, const RecordId& id) {
  FP_TRY(const auto entries, reader.recovered(id));
  json decided = json::array();
  for (const storage::RecoveredEntry& entry : entries) decided.push_back(recovered_json(entry));
  return decided;
}

/// Why there is nothing to decide: the record is unknown, whole, or was decided on.
Error nothing_waits(const std::vector<storage::RecoveredEntry>& decided, bool here, bool held,
                    const storage::HubStore::RecoveryInput& input) {
  const bool release = input.decision == storage::HubStore::Recovery::release;
  const std::string name = "record " + to_text(input.record);
  if (held)
    return fail(Errc::conflict,
                "no copy of " + name +
                    " waits here, but changes of it are held: `fieldpost-hub held` "
                    "says for what; `fieldpost-hub recovery release` gives that up");
  using Kind = storage::RecoveredEntry::Kind;
  const auto last = std::find_if(decided.rbegin(), decided.rend(), [&](const auto& entry) {
    return release ? entry.kind == Kind::released
                   : entry.kind == Kind::joined || entry.kind == Kind::refused;
  });
  if (last != decided.rend()) {
    const std::string what =
        last->kind == Kind::joined    ? "what tablets sent of " + name + " was joined"
        : last->kind == Kind::refused ? "what tablets sent of " + name + " was refused"
                                      : "what changes of " + name + " waited for was given up";
    return fail(Errc::conflict, what + " by " + last->author + " at " + to_text(last->at) +
                                    "; nothing of it waits now");
  }
  if (here)
    return fail(Errc::conflict,
                name +
                    (release ? " has no held change: nothing waits for what was lost"
                             : " has no copy that waits for a decision") +
                    "; `fieldpost-hub recovery` lists what does");
  return fail(Errc::not_found, "no " + name +
                                   " at this hub, nor a tablet's copy of it; `fieldpost-hub "
                                   "recovery` lists what waits");
}

}  // namespace

json recovered_json(const storage::RecoveredEntry& entry) {
  json out = {{"kind", kind_text(entry.kind)},
              {"at", to_text(entry.at)},
              {"author", entry.author},
              {"note", entry.note}};
  if (!entry.device.is_zero()) out["device"] = entry.device.hex();
  return out;
}

Result<json> RecoveryRoutes::list(const Api& api, const net::HttpRequest& request) {
  FP_TRY(const std::size_t limit, limit_of(request));
  FP_TRY(const auto stores, api.asked(request));
  FP_TRY(const RecordId after, after_of(request));
  // By record: all copies of one stand together.
  std::map<RecordId, json> found;
  for (const std::size_t store : stores) {
    const storage::HubReader& reader = *api.readers_[store];
    FP_TRY(const auto staged, reader.staged(limit + 1, after));
    for (const storage::StagedState& one : staged) {
      json& entry = found[one.state.id];
      if (entry.is_null()) {
        FP_TRY(const auto here, reader.record(one.state.id));
        entry = {{"record", to_text(one.state.id)},
                 {"type", one.state.type},
                 {"unit", one.state.unit},
                 {"compartment", api.parts_.stores[store].name},
                 {"missing", false},
                 {"copies", json::array()},
                 {"here", here ? record_json(*api.parts_.registry, *here) : json(nullptr)}};
      }
      if (entry["waiting"].is_null()) {
        FP_TRY(entry["waiting"], waiting_json(reader, one.state.id));
        FP_TRY(entry["decided"], decided_json(reader, one.state.id));
      }
      FP_TRY(const bool lacks, reader.lacks(one.state));
      if (lacks) entry["missing"] = true;
      FP_TRY(const auto device, reader.device(one.device));
      FP_TRY(const Bytes canonical, wire::encode_record(one.state));
      entry["copies"].push_back({{"device", one.device.hex()},
                                 {"bytes", canonical.size()},
                                 {"device_name", device ? device->name : ""},
                                 {"received_at", to_text(one.received)},
                                 {"state", record_json(*api.parts_.registry, one.state)}});
    }
  }
  json entries = json::array();
  json out;
  for (auto& [id, entry] : found) {
    if (entries.size() == limit) {
      out["next_after"] = entries.back()["record"];
      break;
    }
    entries.push_back(std::move(entry));
  }
  out["recovery"] = std::move(entries);
  return out;
}

Result<json> RecoveryRoutes::decide(const Api& api, const net::HttpRequest& request) {
  const json body = body_of(request);
  if (!body.is_object())
    return fail(Errc::malformed,
                "the body must be a JSON object {\"decision\", \"note\", \"author\"}");
  storage::HubStore::RecoveryInput input;
  const auto id = record_id_from_text(request.params.at("id"));
  if (!id) return fail(Errc::invalid_argument, "a record's id is needed: " + id.error().detail);
  input.record = *id;
  FP_TRY(const std::string decision, text_member(body, "decision", "", limits::kNameBytesMax));
  FP_TRY(input.decision, decision_of(decision));
  FP_TRY(input.note, note_of(body, true));
  FP_TRY(input.author, author_of(body));
  input.times = times_of(api.parts_.times());
  input.salt = random_id<Salt>(api.parts_.random).bytes;
  for (std::size_t store = 0; store < api.parts_.stores.size(); ++store) {
    input.clear_texts = api.parts_.stores[store].name != "health";
    const auto result = api.write<storage::BatchResult>(store, [&](storage::HubStore& s) {
      return s.recover(input, api.hub_actors_[store], api.signer());
    });
    if (!result) {
      if (!result.error().is(Errc::not_found)) return result.error();
      continue;
    }
    api.parts_.stores[store].writer->announce(*result);
    FP_TRY(const auto record, api.readers_[store]->record(input.record));
    return json{{"decision", decision},
                {"record", record ? record_json(*api.parts_.registry, *record) : json(nullptr)}};
  }
  std::vector<storage::RecoveredEntry> decided;
  bool here = false;
  bool held = false;
  for (const auto& reader : api.readers_) {
    FP_TRY(const auto entries, reader->recovered(input.record));
    decided.insert(decided.end(), entries.begin(), entries.end());
    FP_TRY(const auto record, reader->record(input.record));
    here = here || record;
    FP_TRY(const auto waiting, reader->held(1, {input.record, {}, {}, {}}));
    held = held || (!waiting.empty() && waiting.front().record == input.record);
  }
  return nothing_waits(decided, here, held, input);
}

void RecoveryRoutes::add(Api& api) {
  api.add("GET", "/v1/recovery", [&api](const net::HttpRequest& r) { return list(api, r); });
  api.add("POST", "/v1/recovery/{id}",
          [&api](const net::HttpRequest& r) { return decide(api, r); });
}

}  // namespace fieldpost::hub

// Backups: making one, and which there are.
#include "hub/api/routes.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

json time_or_null(const std::optional<Instant>& time) {
  return time ? json(to_text(*time)) : json(nullptr);
}

json made_json(const backup::Made& made) {
  return {{"number", made.number},
          {"time", to_text(made.time)},
          {"entries", made.entries},
          {"plain_bytes", made.plain_bytes},
          {"chunks", made.chunks},
          {"chunks_written", made.chunks_written},
          {"bytes_written", made.bytes_written},
          {"removed", made.removed},
          {"damaged", made.damaged},
          {"repaired", made.repaired},
          {"lost", made.lost}};
}

json listed_json(const backup::Listed& one) {
  json out = {{"number", one.number}, {"restorable", one.restorable()}};
  if (!one.restorable()) out["fault"] = one.fault;
  if (!one.manifest) return out;
  out["time"] = to_text(one.manifest->time);
  out["entries"] = one.manifest->entries();
  out["plain_bytes"] = one.manifest->plain_bytes();
  out["file_bytes"] = one.file_bytes;
  json damaged = json::array();
  for (const backup::StoreCopy& store : one.manifest->stores) {
    for (const std::string& place : store.damaged) damaged.push_back(place);
  }
  out["damaged"] = std::move(damaged);
  return out;
}

Error no_backups() { return fail(Errc::not_found, "this hub makes no backups"); }

}  // namespace

json standing_json(const backup::Standing& standing) {
  json out = {{"configured", standing.settings.has_value()}};
  if (!standing.settings) return out;
  out["directory"] = standing.settings->directory;
  out["every_hours"] = standing.settings->every_hours;
  out["keep"] = standing.settings->keep;
  out["known"] = standing.known;
  out["running"] = standing.running;
  out["newest"] = standing.newest ? json(*standing.newest) : json(nullptr);
  out["newest_at"] = time_or_null(standing.newest_at);
  out["oldest_at"] = time_or_null(standing.oldest_at);
  out["restorable"] = standing.restorable;
  out["broken"] = standing.broken;
  out["last_attempt_at"] = time_or_null(standing.last_attempt);
  out["ledger_fault"] = standing.ledger_fault.empty() ? json(nullptr) : json(standing.ledger_fault);
  out["fault"] = standing.last_error.empty() ? json(nullptr) : json(standing.last_error);
  return out;
}

net::HttpResponse BackupRoutes::list(const Api& api) {
  if (api.parts_.backups == nullptr) return error_answer(no_backups());
  const auto backups = api.parts_.backups->list();
  if (!backups) return error_answer(backups.error());
  json all = json::array();
  for (const backup::Listed& one : *backups) all.push_back(listed_json(one));
  return json_response(
      {{"backups", std::move(all)}, {"backup", standing_json(api.parts_.backups->standing())}});
}

void BackupRoutes::make(Api& api, const net::HttpRequest& request, const net::Responder& respond) {
  if (auto sound = api.contract_.check("POST", "/v1/backup", request); !sound)
    return respond(error_answer(sound.error()));
  const json body = body_of(request);
  const bool sound = body.is_object() && (!body.contains("full") || body["full"].is_boolean());
  if (!sound)
    return respond(error_answer(
        fail(Errc::invalid_argument, "the body must be {} or {\"full\": true or false}")));
  if (api.parts_.backups == nullptr) return respond(error_answer(no_backups()));
  const auto taken = api.parts_.backups->request(
      body.value("full", false), [respond](const Result<backup::Made>& made) {
        respond(made ? json_response(made_json(*made)) : error_answer(made.error()));
      });
  if (!taken) respond(error_answer(taken.error()));
}

void BackupRoutes::add(Api& api) {
  api.router_.add("GET", "/v1/backups",
                  [&api](const net::HttpRequest& request, const net::Responder& respond) {
                    if (auto sound = api.contract_.check("GET", "/v1/backups", request); !sound)
                      return respond(error_answer(sound.error()));
                    // On a thread of its own: a disk that sleeps or a share that hangs keeps nobody else waiting.
                    if (!api.listings_.post([&api, respond] { respond(list(api)); }))
                      respond(net::error_response(503, "busy",
                                                  "the backups are being listed already; try "
                                                  "again in a moment"));
                  });
  api.router_.add("POST", "/v1/backup",
                  [&api](const net::HttpRequest& request, const net::Responder& respond) {
                    make(api, request, respond);
                  });
}

}  // namespace fieldpost::hub

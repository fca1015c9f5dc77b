// What the hub says of itself: health, status, digests, verification, metrics, its API document.
#include <algorithm>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/embedded.h"
#include "hub/api/routes.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

net::HttpResponse text_response(std::string text, std::string type = "text/plain; charset=utf-8") {
  net::HttpResponse response;
  response.content_type = std::move(type);
  response.body = std::move(text);
  return response;
}

/// What is set aside is told apart: in quarantine is what waits for an operator.
Result<std::uint64_t> split_refused(const storage::HubReader& reader, storage::HubCounts& counts) {
  if (counts.quarantined == 0) return std::uint64_t{0};
  FP_TRY(const std::uint64_t refused, reader.refused());
  counts.quarantined -= std::min(counts.quarantined, refused);
  return refused;
}

json counts_json(const storage::HubCounts& counts, std::uint64_t refused) {
  return {{"records", counts.records},         {"changes", counts.changes},
          {"conflicts", counts.conflicts},     {"held", counts.held},
          {"quarantined", counts.quarantined}, {"refused", refused},
          {"store_bytes", counts.store_bytes}, {"store_map_bytes", counts.map_bytes},
          {"room_bytes", counts.room_bytes},   {"damaged", counts.damaged},
          {"mended", counts.mended},           {"staged", counts.staged},
          {"erased", counts.erased},           {"holds", counts.holds}};
}

struct Metrics {
  prometheus::Registry registry;

  void gauge(const char* name, const char* help, double value,
             const prometheus::Labels& labels = {}) {
    // Register() answers the family that exists when the name does.
    prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
  }
  void counter(const char* name, const char* help, double value,
               const prometheus::Labels& labels = {}) {
    prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels).Increment(
        value);
  }
  void store(const prometheus::Labels& labels, const Result<storage::HubCounts>& counts,
             const Writer::Figures& writer);
};

void Metrics::store(const prometheus::Labels& labels, const Result<storage::HubCounts>& counts,
                    const Writer::Figures& writer) {
  if (counts) {
    gauge("fieldpost_hub_records", "Records stored.", static_cast<double>(counts->records), labels);
    gauge("fieldpost_hub_changes", "Changes in the log.", static_cast<double>(counts->changes),
          labels);
    gauge("fieldpost_hub_conflicts", "Records with an unsettled conflict.",
          static_cast<double>(counts->conflicts), labels);
    gauge("fieldpost_hub_held", "Changes that wait for predecessors.",
          static_cast<double>(counts->held), labels);
    gauge("fieldpost_hub_quarantined", "Changes in quarantine that wait for an operator.",
          static_cast<double>(counts->quarantined), labels);
    gauge("fieldpost_hub_erased_records", "Records erased by retention.",
          static_cast<double>(counts->erased), labels);
    gauge("fieldpost_hub_store_bytes", "Bytes of the store in use.",
          static_cast<double>(counts->store_bytes), labels);
    gauge("fieldpost_hub_store_room_bytes", "Bytes that may still be stored.",
          static_cast<double>(counts->room_bytes), labels);
    gauge("fieldpost_hub_damaged_values", "Stored values that were damaged and cannot be mended.",
          static_cast<double>(counts->damaged), labels);
    gauge("fieldpost_hub_mended_records", "Damaged records that were rebuilt from their changes.",
          static_cast<double>(counts->mended), labels);
  }
  gauge("fieldpost_hub_store_ready", "1 while the store can be read and takes records.",
        counts && !writer.fault ? 1 : 0, labels);
  counter("fieldpost_hub_commits_total", "Commits since start.",
          static_cast<double>(writer.commits), labels);
  counter("fieldpost_hub_merged_changes_total", "Changes merged since start.",
          static_cast<double>(writer.changes), labels);
  counter("fieldpost_hub_write_failures_total", "Commits that failed since start.",
          static_cast<double>(writer.failures), labels);
  gauge("fieldpost_hub_mailbox_bytes", "Bytes waiting for the writer.",
        static_cast<double>(writer.mailbox_bytes), labels);
}

/// Thrown out of a verification when the hub stops: the store's verb knows no other way to end early.
struct Stopped {};

struct Proof {
  bool good = true;
  json stores = json::object();
};

Proof prove(const std::vector<StoreParts>& stores, const std::atomic<bool>& stopping) {
  Proof proof;
  for (const StoreParts& store : stores) {
    const auto report = store.store->reader()->verify([&](std::uint64_t) {
      if (stopping) throw Stopped{};
    });
    if (!report) {
      proof.good = false;
      proof.stores[store.name] = {{"fault", report.error().message()}};
      continue;
    }
    proof.stores[store.name] = {{"chains", report->actors},
                                {"changes", report->changes},
                                {"signatures", report->signatures},
                                {"records", report->records},
                                {"gaps", report->gaps},
                                {"missing", report->missing},
                                {"erased", report->erased},
                                {"erased_changes", report->erased_changes}};
  }
  return proof;
}

}  // namespace

Result<json> StateRoutes::status(const Api& api, const net::HttpRequest&) {
  json stores = json::object();
  json warnings = json::array();
  std::size_t devices = 0;
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    FP_TRY(auto counts, api.readers_[i]->counts());
    FP_TRY(const std::uint64_t refused, split_refused(*api.readers_[i], counts));
    json& store = stores[api.parts_.stores[i].name] = counts_json(counts, refused);
    const auto fault = api.parts_.stores[i].writer->figures().fault;
    store["fault"] = fault ? json(fault->message()) : json(nullptr);
    for (std::string& alarm : store_alarms(api.parts_.stores[i].name, counts, fault))
      warnings.push_back(std::move(alarm));
    FP_TRY(const auto found, api.readers_[i]->devices());
    devices += found.size();
  }
  json reading = nullptr;
  if (api.parts_.scrubber != nullptr) {
    const Scrubber::Figures figures = api.parts_.scrubber->figures();
    reading = {{"passes", figures.passes},
               {"values", figures.values},
               {"last", figures.last ? json(to_text(*figures.last)) : json(nullptr)}};
  }
  json backup = nullptr;
  if (api.parts_.backups != nullptr) backup = standing_json(api.parts_.backups->standing());
  return json{{"name", api.parts_.settings.name},
              {"backup", std::move(backup)},
              {"warnings", std::move(warnings)},
              {"read_through", std::move(reading)},
              {"hub", api.parts_.stores.front().store->identity().hub.hex()},
              {"as_of", to_text(api.parts_.clock())},
              {"running", api.parts_.sync != nullptr},
              {"connected_devices",
               api.parts_.sync != nullptr ? json(api.parts_.sync->sessions()) : json(nullptr)},
              {"devices", devices},
              {"stores", std::move(stores)}};
}

Result<json> StateRoutes::digest(const Api& api, const net::HttpRequest& request) {
  const std::string& unit = request.params.at("unit");
  for (const auto& reader : api.readers_) {
    FP_TRY(const auto units, reader->units());
    for (const storage::Unit& known : units) {
      if (known.code != unit) continue;
      FP_TRY(const Hash digest, reader->digest(unit));
      return json{{"unit", unit}, {"digest", digest.hex()}};
    }
  }
  return fail(Errc::not_found, "no unit " + unit + "; `fieldpost-hub unit list` names them");
}

void StateRoutes::verify(Api& api, const net::Responder& respond) {
  // Minutes on a large store: on a thread and with readers of its own, so that nobody waits for it.
  const bool taken = api.proofs_.post([&api, respond] {
    try {
      const Proof proof = prove(api.parts_.stores, api.stopping_);
      net::HttpResponse response;
      response.body = json{{"verified", proof.good}, {"stores", proof.stores}}.dump(
                          -1, ' ', false, json::error_handler_t::replace) +
                      "\n";
      respond(std::move(response));
    } catch (const Stopped&) {
      respond(net::error_response(503, "stopping", "the hub stops; verify again when it runs"));
    }
  });
  if (!taken)
    respond(net::error_response(
        503, "busy",
        "a verification runs and another waits already; try again when they are done"));
}

Result<json> StateRoutes::damaged(const Api& api, const net::HttpRequest&) {
  json list = json::array();
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    FP_TRY(const auto damages, api.readers_[i]->damages());
    for (const storage::HubDamage& damage : damages) {
      const bool change = damage.kind == storage::HubDamage::Kind::change;
      list.push_back({{"compartment", api.parts_.stores[i].name},
                      {"kind", change ? "change" : "record"},
                      {"name", change ? model::to_text(damage.dot) : to_text(damage.record)},
                      {"found", damage.found ? json(to_text(*damage.found)) : json(nullptr)},
                      {"mended", damage.mended},
                      {"words", storage::damage_words(damage)},
                      {"stored_bytes", to_hex(damage.raw)}});
    }
  }
  return json{{"damaged", std::move(list)}};
}

void StateRoutes::repair(Api& api, const net::Responder& respond) {
  const bool taken = api.proofs_.post([&api, respond] {
    json stores = json::object();
    bool sound = true;
    for (const StoreParts& store : api.parts_.stores) {
      const auto found =
          read_through(store, api.parts_.clock,
                       [&api](const storage::RepairReport&) { return !api.stopping_.load(); });
      if (!found) return respond(error_answer(found.error()));
      sound = sound && found->repairs.records_lost == 0 && found->repairs.log_damaged == 0;
      stores[store.name] = {{"values", found->values},
                            {"records_mended", found->repairs.records_mended},
                            {"records_lost", found->repairs.records_lost},
                            {"log_damaged", found->repairs.log_damaged}};
    }
    net::HttpResponse response;
    response.body = json{{"sound", sound}, {"stores", std::move(stores)}}.dump() + "\n";
    respond(std::move(response));
  });
  if (!taken)
    respond(net::error_response(
        503, "busy",
        "a verification runs and another waits already; try again when they are done"));
}

std::string StateRoutes::metrics(const Api& api) {
  Metrics metrics;
  for (std::size_t i = 0; i < api.readers_.size(); ++i) {
    const StoreParts& store = api.parts_.stores[i];
    auto counts = api.readers_[i]->counts();
    if (counts && !split_refused(*api.readers_[i], *counts))
      counts = fail(Errc::corrupt, "the exceptions cannot be read");
    metrics.store({{"compartment", store.name}}, counts, store.writer->figures());
  }
  if (api.parts_.sync != nullptr) {
    metrics.gauge("fieldpost_hub_connected_devices", "Sync connections open.",
                  static_cast<double>(api.parts_.sync->sessions()));
  }
  if (api.parts_.backups != nullptr) {
    const backup::Standing standing = api.parts_.backups->standing();
    if (standing.newest_at)
      metrics.gauge("fieldpost_hub_backup_newest_seconds",
                    "When the newest restorable backup was made, in seconds since 1970.",
                    static_cast<double>(standing.newest_at->ms) / 1000);
    metrics.gauge("fieldpost_hub_backup_ok",
                  "1 when backups are configured and the last attempt did not fail.",
                  standing.settings && standing.last_error.empty() ? 1 : 0);
  }
  if (api.parts_.counters != nullptr) {
    metrics.gauge("fieldpost_hub_connections_open", "TCP connections open.",
                  static_cast<double>(api.parts_.counters->connections_open));
    metrics.gauge("fieldpost_hub_strangers_open",
                  "TCP connections of peers that have not proven who they are.",
                  static_cast<double>(api.parts_.counters->strangers_open));
    metrics.gauge("fieldpost_hub_streams_open", "Sync connections open, strangers' too.",
                  static_cast<double>(api.parts_.counters->streams_open));
    metrics.counter("fieldpost_hub_strangers_dropped_total",
                    "Connections of strangers that made room for newer ones, since start.",
                    static_cast<double>(api.parts_.counters->strangers_dropped));
    metrics.counter("fieldpost_hub_connections_refused_total",
                    "Connections closed at once, for lack of places, since start.",
                    static_cast<double>(api.parts_.counters->connections_refused));
    metrics.counter("fieldpost_hub_handshakes_failed_total", "TLS handshakes failed since start.",
                    static_cast<double>(api.parts_.counters->handshakes_failed));
  }
  return prometheus::TextSerializer().Serialize(metrics.registry.Collect());
}

void StateRoutes::add(Api& api) {
  api.router_.add("GET", "/healthz", [](const net::HttpRequest&, const net::Responder& respond) {
    respond(text_response("ok\n"));
  });
  api.router_.add("GET", "/readyz", [&api](const net::HttpRequest&, const net::Responder& respond) {
    if (const auto why = api.not_ready())
      return respond(net::error_response(503, "not_ready", *why));
    respond(text_response("ready\n"));
  });
  api.router_.add(
      "GET", "/v1/openapi.json", [](const net::HttpRequest&, const net::Responder& respond) {
        respond(
            text_response(std::string(as_text(embedded_api().front().bytes)), "application/json"));
      });
  api.add("GET", "/v1/status", [&api](const net::HttpRequest& r) { return status(api, r); });
  api.add("GET", "/v1/digests/{unit}",
          [&api](const net::HttpRequest& r) { return digest(api, r); });
  api.router_.add(
      "POST", "/v1/verify",
      [&api](const net::HttpRequest&, const net::Responder& respond) { verify(api, respond); });
  api.add("GET", "/v1/damaged", [&api](const net::HttpRequest& r) { return damaged(api, r); });
  api.router_.add(
      "POST", "/v1/repair",
      [&api](const net::HttpRequest&, const net::Responder& respond) { repair(api, respond); });
  api.router_.add(
      "GET", "/metrics", [&api](const net::HttpRequest&, const net::Responder& respond) {
        respond(text_response(metrics(api), "text/plain; version=0.0.4; charset=utf-8"));
      });
}

}  // namespace fieldpost::hub

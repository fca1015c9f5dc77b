// What the hub says of itself: health, status, digests, verification, metrics, its API document.
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <thread>

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

json counts_json(const storage::HubCounts& counts) {
  return {{"records", counts.records},         {"changes", counts.changes},         {"conflicts", counts.conflicts},
          {"held", counts.held},               {"quarantined", counts.quarantined}, {"store_bytes", counts.store_bytes},
          {"store_map_bytes", counts.map_bytes}};
}

struct Metrics {
  prometheus::Registry registry;

  void gauge(const char* name, const char* help, double value, const prometheus::Labels& labels = {}) {
    // Register() answers the family that exists when the name does.
    prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
  }
};

}  // namespace

void StateRoutes::add(Api& api) {
  api.router_.add("GET", "/healthz", [](const net::HttpRequest&, const net::Responder& respond) { respond(text_response("ok\n")); });
  api.router_.add("GET", "/readyz", [&api](const net::HttpRequest&, const net::Responder& respond) {
    const std::lock_guard lock(api.mutex_);
    for (const auto& reader : api.readers_) {
      if (!reader->counts()) return respond(net::error_response(503, "not_ready", "a store does not answer"));
    }
    respond(text_response("ready\n"));
  });
  api.router_.add("GET", "/v1/openapi.json", [](const net::HttpRequest&, const net::Responder& respond) {
    respond(text_response(std::string(as_text(embedded_api().front().bytes)), "application/json"));
  });
  api.add("GET", "/v1/status", [&api](const net::HttpRequest&) -> Result<json> {
    json stores = json::object();
    std::size_t devices = 0;
    const std::lock_guard lock(api.mutex_);
    for (std::size_t i = 0; i < api.readers_.size(); ++i) {
      FP_TRY(const auto counts, api.readers_[i]->counts());
      stores[api.parts_.stores[i].name] = counts_json(counts);
      FP_TRY(const auto found, api.readers_[i]->devices());
      devices += found.size();
    }
    return json{{"name", api.parts_.settings.name},
                {"hub", api.parts_.stores.front().store->identity().hub.hex()},
                {"as_of", to_text(api.parts_.clock())},
                {"running", api.parts_.sync != nullptr},
                {"connected_devices", api.parts_.sync != nullptr ? json(api.parts_.sync->sessions()) : json(nullptr)},
                {"devices", devices},
                {"stores", std::move(stores)}};
  });
  api.add("GET", "/v1/digests/{unit}", [&api](const net::HttpRequest& request) -> Result<json> {
    const std::string& unit = request.params.at("unit");
    const std::lock_guard lock(api.mutex_);
    for (const auto& reader : api.readers_) {
      FP_TRY(const auto units, reader->units());
      for (const storage::Unit& known : units) {
        if (known.code != unit) continue;
        FP_TRY(const Hash digest, reader->digest(unit));
        return json{{"unit", unit}, {"digest", digest.hex()}};
      }
    }
    return fail(Errc::not_found, "no unit " + unit);
  });
  api.router_.add("POST", "/v1/verify", [&api](const net::HttpRequest&, const net::Responder& respond) {
    // Minutes on a large store: on a thread and with readers of its own, so that nobody waits for it.
    std::vector<std::unique_ptr<storage::HubReader>> readers;
    for (const StoreParts& store : api.parts_.stores) readers.push_back(store.store->reader());
    std::thread([&api, respond, readers = std::move(readers)] {
      json out = json::object();
      bool good = true;
      for (std::size_t i = 0; i < readers.size(); ++i) {
        const auto report = readers[i]->verify([](std::uint64_t) {});
        const std::string& name = api.parts_.stores[i].name;
        if (!report) {
          good = false;
          out[name] = {{"fault", report.error().message()}};
          continue;
        }
        out[name] = {{"chains", report->actors}, {"changes", report->changes}, {"signatures", report->signatures}, {"records", report->records}};
      }
      net::HttpResponse response;
      response.body = json{{"verified", good}, {"stores", out}}.dump() + "\n";
      respond(std::move(response));
    }).detach();
  });
  api.router_.add("GET", "/metrics", [&api](const net::HttpRequest&, const net::Responder& respond) {
    Metrics metrics;
    {
      const std::lock_guard lock(api.mutex_);
      for (std::size_t i = 0; i < api.readers_.size(); ++i) {
        const prometheus::Labels labels = {{"compartment", api.parts_.stores[i].name}};
        const auto counts = api.readers_[i]->counts();
        const Writer::Figures writer = api.parts_.stores[i].writer->figures();
        if (counts) {
          metrics.gauge("fieldpost_hub_records", "Records stored.", static_cast<double>(counts->records), labels);
          metrics.gauge("fieldpost_hub_changes", "Changes in the log.", static_cast<double>(counts->changes), labels);
          metrics.gauge("fieldpost_hub_conflicts", "Records with an unsettled conflict.", static_cast<double>(counts->conflicts), labels);
          metrics.gauge("fieldpost_hub_held", "Changes that wait for predecessors.", static_cast<double>(counts->held), labels);
          metrics.gauge("fieldpost_hub_quarantined", "Changes in quarantine.", static_cast<double>(counts->quarantined), labels);
          metrics.gauge("fieldpost_hub_store_bytes", "Bytes of the store in use.", static_cast<double>(counts->store_bytes), labels);
        }
        metrics.gauge("fieldpost_hub_commits_total", "Commits since start.", static_cast<double>(writer.commits), labels);
        metrics.gauge("fieldpost_hub_merged_changes_total", "Changes merged since start.", static_cast<double>(writer.changes), labels);
        metrics.gauge("fieldpost_hub_write_failures_total", "Commits that failed since start.", static_cast<double>(writer.failures), labels);
        metrics.gauge("fieldpost_hub_mailbox_bytes", "Bytes waiting for the writer.", static_cast<double>(writer.mailbox_bytes), labels);
      }
    }
    if (api.parts_.sync != nullptr) {
      metrics.gauge("fieldpost_hub_connected_devices", "Sync connections open.", static_cast<double>(api.parts_.sync->sessions()));
    }
    if (api.parts_.counters != nullptr) {
      metrics.gauge("fieldpost_hub_connections_open", "TCP connections open.", static_cast<double>(api.parts_.counters->connections_open));
      metrics.gauge("fieldpost_hub_handshakes_failed_total", "TLS handshakes failed since start.", static_cast<double>(api.parts_.counters->handshakes_failed));
    }
    respond(text_response(prometheus::TextSerializer().Serialize(metrics.registry.Collect()), "text/plain; version=0.0.4; charset=utf-8"));
  });
}

}  // namespace fieldpost::hub

// The families of routes; each adds its own to the Api. See hub/api/openapi.json for the contract.
//
// Thread rule: `add` once, while the Api is made; the handlers on the Api's threads.
#pragma once

#include "hub/api/api.h"

namespace fieldpost::hub {

struct RecordRoutes {
  static void add(Api& api);

 private:
  static Result<nlohmann::json> list(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> show(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> history(const Api& api, const net::HttpRequest& request);
};
struct DeviceRoutes {
  static void add(Api& api);

 private:
  static Result<nlohmann::json> units(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> put_unit(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> devices(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> device(const Api& api, const net::HttpRequest& request);
  /// The one of this name or id, and its store. Errors: `not_found`; `invalid_argument` when two have the name.
  static Result<std::pair<std::size_t, storage::Device>> named(const Api& api,
                                                               const std::string& name);
  /// Those of one store, with what was heard of them up to this moment.
  static Result<std::vector<storage::Device>> heard(const Api& api, std::size_t store);
  static Result<nlohmann::json> move(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> invite(const Api& api, const net::HttpRequest& request);
  /// The store of a unit in which the name is free. Errors: `not_found`, `already_exists`.
  static Result<std::size_t> store_of_unit(const Api& api, const std::string& unit,
                                           const std::string& device_name);
  static Result<nlohmann::json> enrol(const Api& api, const net::HttpRequest& request);
};
struct DecisionRoutes {
  static void add(Api& api);

 private:
  static Result<nlohmann::json> conflicts(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> resolve(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> quarantine(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> rule(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> held(const Api& api, const net::HttpRequest& request);
};
struct RecoveryRoutes {
  static void add(Api& api);

 private:
  static Result<nlohmann::json> list(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> decide(const Api& api, const net::HttpRequest& request);
};
struct StateRoutes {
  static void add(Api& api);

 private:
  static Result<nlohmann::json> status(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> digest(const Api& api, const net::HttpRequest& request);
  static void verify(Api& api, const net::Responder& respond);
  static Result<nlohmann::json> damaged(const Api& api, const net::HttpRequest& request);
  static void repair(Api& api, const net::Responder& respond);
  static std::string metrics(const Api& api);
};
struct ExportRoutes {
  static void add(Api& api);

 private:
  static Result<nlohmann::json> sealed(const Api& api, const net::HttpRequest& request);
};
struct BackupRoutes {
  static void add(Api& api);

 private:
  static net::HttpResponse list(const Api& api);
  static void make(Api& api, const net::HttpRequest& request, const net::Responder& respond);
};

struct RetentionRoutes {
  static void add(Api& api);
  /// The holds that keep a record now: its own, and those of records that lead to it.
  static Result<nlohmann::json> holds_of(const Api& api, std::size_t store, const RecordId& id);

 private:
  static Result<nlohmann::json> show(const Api& api, const net::HttpRequest& request);
  static void plan(Api& api, const net::HttpRequest& request, const net::Responder& respond);
  static void run(Api& api, const net::HttpRequest& request, const net::Responder& respond);
  static Result<nlohmann::json> holds(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> add_hold(const Api& api, const net::HttpRequest& request);
  static Result<nlohmann::json> lift_hold(const Api& api, const net::HttpRequest& request);
};

/// An answer of status 200; what is no UTF-8 in it is replaced.
net::HttpResponse json_response(const nlohmann::json& answer);
/// What status says of the backups.
nlohmann::json standing_json(const backup::Standing& standing);
/// "actor:counter,…", what a client must send back to prove it decided on what it saw.
std::string version_text(const model::VersionVector& vv);
/// A record for people and scripts: document, conflicts with every sibling, sealed paths, raw state.
/// With `reader`, each value of a conflict also has the interval in which its change was made.
nlohmann::json record_json(const schema::Registry& registry, const model::Record& record,
                           const storage::HubReader* reader = nullptr);
/// A device's wall clock minus hub time, as of its last report.
std::optional<std::int64_t> clock_error_ms(const storage::Device& device);
/// What was decided on a record's losses.
nlohmann::json recovered_json(const storage::RecoveredEntry& entry);
/// The code both sides compare after enrolment: 8 characters, "abcd-efgh".
std::string compare_code(const HubId& hub, const DeviceId& device);

}  // namespace fieldpost::hub

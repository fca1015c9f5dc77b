// The hub's JSON API: every act of the command line and of scripts, in one place.
//
// Thread rule: handlers run on any connection's thread; the shared readers are behind a mutex (this is
// an administrator's API, not the sync path).
// Invariants:
//   1. Everything but /healthz, /readyz, /v1/enrol and /v1/openapi.json asks for the administrator token.
//   2. An answer is JSON (or Prometheus text); an error is {"error":{"code","message"}} in a sentence that
//      says what, where and what to do.
//   3. Health records appear as the hub has them: sealed.
#pragma once

#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>

#include "hub/io/sync_service.h"
#include "hub/store/layout.h"
#include "net/router.h"
#include "net/server.h"
#include "schema/check.h"
#include "sync/time_reading.h"

namespace fieldpost::hub {

struct ApiParts {
  std::vector<StoreParts> stores;
  SyncService* sync = nullptr;                       ///< absent when the command line opened the store itself
  const net::ServerCounters* counters = nullptr;
  const schema::Registry* registry = nullptr;
  const Keys* keys = nullptr;
  Settings settings;
  RandomSource random;
  std::function<Instant()> clock;
  std::function<sync::TimeReading()> times;
  std::uint16_t port = 0;                            ///< the one in enrolment codes
};

class Api {
 public:
  explicit Api(ApiParts parts);
  /// Answers one request; checks the token unless `trusted`.
  void handle(net::HttpRequest request, net::Responder respond, bool trusted = false) const;
  const net::Router& router() const { return router_; }

 private:
  friend struct RecordRoutes;
  friend struct DeviceRoutes;
  friend struct DecisionRoutes;
  friend struct StateRoutes;

  using Answer = std::function<Result<nlohmann::json>(const net::HttpRequest&)>;
  void add(std::string_view method, std::string_view pattern, Answer answer);
  bool authorised(const net::HttpRequest& request) const;
  bool open_path(const net::HttpRequest& request) const;

  /// Runs `body` on the writer of a store and waits.
  template <class T>
  Result<T> write(std::size_t store, const std::function<Result<T>(storage::HubStore&)>& body) const {
    Result<T> result = fail(Errc::closed, "the hub is stopping");
    parts_.stores[store].writer->run([&](storage::HubStore& s) { result = body(s); });
    return result;
  }
  /// The stores a request is about: all, or the one its `compartment` parameter names.
  Result<std::vector<std::size_t>> asked(const net::HttpRequest& request) const;
  /// Where a record is. Errors: `not_found`.
  Result<std::pair<std::size_t, model::Record>> find(const std::string& id) const;
  storage::HubStore::SignHead signer() const;

  ApiParts parts_;
  net::Router router_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<storage::HubReader>> readers_;
  std::vector<ActorId> hub_actors_;  ///< a new one for each start and store
};

/// The status an error answers with.
net::HttpResponse error_answer(const Error& error);
nlohmann::json body_of(const net::HttpRequest& request);
/// A text member of a body; `otherwise` when it is absent. Errors: `invalid_argument` when it is no text.
Result<std::string> text_member(const nlohmann::json& body, const char* name, std::string_view otherwise = {});
/// "limit" of a request. Errors: `invalid_argument`.
Result<std::size_t> limit_of(const net::HttpRequest& request);

}  // namespace fieldpost::hub

// The hub's JSON API: every act of the command line and of scripts, in one place.
//
// Thread rule: `handle` from any thread. Handlers run on threads of the Api's own, one after the other: a
// list of a thousand records or a wait for the writer must not keep a network thread from its tablets.
// Enrolment, verification and the list of backups have a thread each, so that neither a stranger nor a long
// proof nor a slow disk blocks an operator; /healthz, /readyz and the API document are answered at once.
// Invariants:
//   1. Everything but /healthz, /readyz, /v1/enrol and /v1/openapi.json asks for the administrator token.
//   2. An answer is JSON (or Prometheus text); an error is {"error":{"code","message"}} in a sentence that
//      says what, where and what to do.
//   3. Health records appear as the hub has them: sealed.
//   4. At most kWaitingMax requests wait; above it the answer is 503.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>

#include "hub/api/contract.h"
#include "hub/api/worker.h"
#include "hub/backup/service.h"
#include "hub/io/scrubber.h"
#include "hub/io/sync_service.h"
#include "hub/retention/service.h"
#include "hub/store/layout.h"
#include "net/router.h"
#include "net/server.h"
#include "schema/check.h"
#include "sync/time_reading.h"

namespace fieldpost::hub {

struct ApiParts {
  std::vector<StoreParts> stores;
  SyncService* sync = nullptr;  ///< absent when the command line opened the store itself
  backup::BackupService* backups = nullptr;  ///< absent in tests of other things
  RetentionService* retention = nullptr;     ///< likewise
  const net::ServerCounters* counters = nullptr;
  const Scrubber* scrubber = nullptr;  ///< likewise
  const schema::Registry* registry = nullptr;
  const Keys* keys = nullptr;
  Settings settings;
  RandomSource random;
  std::function<Instant()> clock;
  std::function<sync::TimeReading()> times;
  std::uint16_t port = 0;  ///< the one in enrolment codes
};

class Api {
 public:
  static constexpr std::size_t kWaitingMax = 64;

  explicit Api(ApiParts parts);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;
  /// Answers one request; checks the token unless `trusted`.
  void handle(net::HttpRequest request, const net::Responder& respond, bool trusted = false);
  const net::Router& router() const { return router_; }

 private:
  friend struct RecordRoutes;
  friend struct DeviceRoutes;
  friend struct DecisionRoutes;
  friend struct RecoveryRoutes;
  friend struct StateRoutes;
  friend struct ExportRoutes;
  friend struct BackupRoutes;
  friend struct RetentionRoutes;

  using Answer = std::function<Result<nlohmann::json>(const net::HttpRequest&)>;
  void add(std::string_view method, std::string_view pattern, Answer answer);
  bool authorised(const net::HttpRequest& request) const;

  /// Runs `body` on the writer of a store and waits.
  template <class T>
  Result<T> write(std::size_t store,
                  const std::function<Result<T>(storage::HubStore&)>& body) const {
    Result<T> result = fail(Errc::closed, "the hub is stopping");
    parts_.stores[store].writer->run([&](storage::HubStore& s) { result = body(s); });
    return result;
  }
  /// The stores a request is about: all, or the one its `compartment` parameter names.
  Result<std::vector<std::size_t>> asked(const net::HttpRequest& request) const;
  /// Where a record is. Errors: `not_found`.
  Result<std::pair<std::size_t, model::Record>> find(const std::string& id) const;
  storage::HubStore::SignHead signer() const;

  /// Why the hub is not ready, or nothing.
  std::optional<std::string> not_ready() const;

  ApiParts parts_;
  const Contract contract_;
  net::Router router_;
  std::vector<std::unique_ptr<storage::HubReader>> readers_;  ///< of the operators' thread
  mutable std::mutex ready_mutex_;
  std::vector<std::unique_ptr<storage::HubReader>> ready_readers_;  ///< behind ready_mutex_
  std::vector<ActorId> hub_actors_;  ///< a new one for each start and store
  std::atomic<bool> stopping_{false};
  // Last: their threads end before anything they use.
  Worker operators_{kWaitingMax};
  Worker enrolments_{kWaitingMax};
  Worker proofs_{1};
  Worker listings_{4};
};

/// The status an error answers with.
net::HttpResponse error_answer(const Error& error);
nlohmann::json body_of(const net::HttpRequest& request);
/// A member that must be a text of at most `bytes_max` if it is there. Errors: `invalid_argument`.
Result<std::string> text_member(const nlohmann::json& body, const char* name,
                                std::string_view fallback, std::size_t bytes_max);
/// "limit" of a request. Errors: `invalid_argument`.
Result<std::size_t> limit_of(const net::HttpRequest& request);
/// "after" of a request; the first of all ids without it. Errors: `invalid_argument`.
Result<RecordId> after_of(const net::HttpRequest& request);

}  // namespace fieldpost::hub

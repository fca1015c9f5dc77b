#include "hub/api/api.h"

#include "base/text.h"
#include "hub/api/routes.h"

namespace fieldpost::hub {

using nlohmann::json;

net::HttpResponse error_answer(const Error& error) {
  struct Row {
    Errc code;
    int status;
    const char* name;
  };
  static constexpr Row kRows[] = {
      {Errc::not_found, 404, "not_found"},
      {Errc::already_exists, 409, "already_exists"},
      {Errc::conflict, 409, "conflict"},
      {Errc::unauthorised, 403, "not_allowed"},
      {Errc::bad_signature, 403, "bad_signature"},
      {Errc::invalid_argument, 400, "invalid"},
      {Errc::malformed, 400, "malformed"},
      {Errc::too_large, 413, "too_large"},
      {Errc::unsupported, 400, "unsupported"},
      {Errc::expired, 410, "expired"},
      {Errc::closed, 503, "stopping"},
      {Errc::store_full, 507, "store_full"},
      {Errc::store_failed, 503, "store_failed"},
      {Errc::locked, 409, "locked"},
  };
  for (const Row& row : kRows) {
    if (error.is(row.code)) return net::error_response(row.status, row.name, error.detail);
  }
  return net::error_response(500, "internal", error.message());
}

json body_of(const net::HttpRequest& request) {
  if (net::nested_too_deep(request.body)) return json(json::value_t::discarded);
  return json::parse(request.body, nullptr, false);
}

Result<std::string> text_member(const json& body, const char* name, std::string_view fallback,
                                std::size_t bytes_max) {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return std::string(fallback);
  if (!found->is_string())
    return fail(Errc::invalid_argument, std::string("member \"") + name + "\" must be a text");
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > bytes_max) {
    return fail(Errc::invalid_argument, std::string("member \"") + name + "\" is above " +
                                            std::to_string(bytes_max) + " bytes; shorten it");
  }
  return text;
}

Result<std::size_t> limit_of(const net::HttpRequest& request) {
  const auto text = request.query_value("limit");
  if (text.empty()) return std::size_t{100};
  const auto value = integer_from_text(text);
  if (!value || *value < 1 || *value > 1000) {
    return fail(Errc::invalid_argument, "limit must be a whole number from 1 to 1000");
  }
  return static_cast<std::size_t>(*value);
}

Result<RecordId> after_of(const net::HttpRequest& request) {
  const auto text = request.query_value("after");
  if (text.empty()) return RecordId{};
  auto id = record_id_from_text(text);
  if (!id)
    return fail(Errc::invalid_argument,
                "after: " + id.error().detail + "; give what \"next_after\" of a page said");
  return *id;
}

Api::Api(ApiParts parts) : parts_(std::move(parts)) {
  for (const StoreParts& store : parts_.stores) {
    readers_.push_back(store.store->reader());
    ready_readers_.push_back(store.store->reader());
    hub_actors_.push_back(random_actor(parts_.random));
  }
  RecordRoutes::add(*this);
  DeviceRoutes::add(*this);
  DecisionRoutes::add(*this);
  RecoveryRoutes::add(*this);
  StateRoutes::add(*this);
  ExportRoutes::add(*this);
  BackupRoutes::add(*this);
  RetentionRoutes::add(*this);
}

Api::~Api() { stopping_ = true; }

void Api::add(std::string_view method, std::string_view pattern, Answer answer) {
  router_.add(
      method, pattern,
      [this, method = std::string(method), pattern = std::string(pattern),
       answer = std::move(answer)](const net::HttpRequest& request, const net::Responder& respond) {
        if (net::nested_too_deep(request.body)) {
          return respond(net::error_response(
              400, "malformed",
              "the body nests deeper than " + std::to_string(net::kJsonNestingMax) + " levels"));
        }
        if (auto sound = contract_.check(method, pattern, request); !sound)
          return respond(error_answer(sound.error()));
        auto result = answer(request);
        if (!result) return respond(error_answer(result.error()));
        respond(json_response(*result));
      });
}

net::HttpResponse json_response(const json& answer) {
  net::HttpResponse response;
  // A record may hold text that came broken: it is shown with replacement characters, not refused.
  response.body = answer.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

bool Api::authorised(const net::HttpRequest& request) const {
  const std::string* header = request.header("Authorization");
  const std::string expected = "Bearer " + parts_.keys->admin_token;
  return header != nullptr && crypto::equal_secret(as_bytes(*header), as_bytes(expected));
}

void Api::handle(net::HttpRequest request, const net::Responder& respond, bool trusted) {
  const bool at_once =
      request.path == "/healthz" || request.path == "/readyz" || request.path == "/v1/openapi.json";
  if (at_once) return router_.handle(std::move(request), respond);
  const bool enrolment = request.path == "/v1/enrol";
  if (!trusted && !enrolment && !authorised(request)) {
    return respond(net::error_response(
        401, "token_missing",
        "this needs the administrator token: send \"Authorization: Bearer TOKEN\"; the hub "
        "keeps it in keys/admin.token of its data directory"));
  }
  if (!enrolment && request.known) request.known();
  Worker& worker = enrolment ? enrolments_ : operators_;
  const bool taken = worker.post([this, request = std::move(request), respond]() mutable {
    try {
      router_.handle(std::move(request), respond);
    } catch (const json::exception& wrong) {
      // The last net: what these say names types and members, never values.
      respond(net::error_response(
          400, "malformed",
          std::string("the body does not have the form this path takes: ") + wrong.what()));
    }
  });
  if (!taken)
    respond(net::error_response(503, "busy", "too many requests wait; try again in a moment"));
}

std::optional<std::string> Api::not_ready() const {
  const std::lock_guard lock(ready_mutex_);
  for (std::size_t i = 0; i < ready_readers_.size(); ++i) {
    const StoreParts& store = parts_.stores[i];
    if (!ready_readers_[i]->counts())
      return "the " + store.name + " store cannot be read; look at the hub's log";
    // Anyone may ask this path: the reason, with its file names, is in /v1/status.
    if (store.writer->figures().fault)
      return "the " + store.name + " store takes no records; `fieldpost-hub status` says why";
  }
  return std::nullopt;
}

Result<std::vector<std::size_t>> Api::asked(const net::HttpRequest& request) const {
  const auto name = request.query_value("compartment");
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < parts_.stores.size(); ++i) {
    if (name.empty() || parts_.stores[i].name == name) found.push_back(i);
  }
  if (found.empty())
    return fail(Errc::invalid_argument, "compartment must be enforcement or health");
  return found;
}

Result<std::pair<std::size_t, model::Record>> Api::find(const std::string& text) const {
  auto id = record_id_from_text(text);
  if (!id) return fail(Errc::invalid_argument, id.error().detail);
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    FP_TRY(auto record, readers_[i]->record(*id));
    if (record) return std::pair<std::size_t, model::Record>(i, std::move(*record));
    FP_TRY(const auto erased, readers_[i]->erased(*id));
    if (erased)
      return fail(Errc::not_found, "record " + text + " was erased at " + to_text(erased->at) +
                                       " (" + erased->rule + ")");
  }
  return fail(Errc::not_found,
              "no record " + text + " at this hub; `fieldpost-hub records` lists them");
}

storage::HubStore::SignHead Api::signer() const {
  return [this](ActorId actor, Sequence n, const Hash& head) {
    const auto device = DeviceId::from(parts_.keys->signing.public_key.view());
    return wire::sign_head(parts_.keys->signing, *device, actor, n, head);
  };
}

}  // namespace fieldpost::hub

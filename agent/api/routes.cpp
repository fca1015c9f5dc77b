#include "agent/api/routes.h"

#include <memory>

#include "agent/api/answers.h"
#include "base/text.h"

namespace fieldpost::agent {

using net::HttpRequest;
using net::Responder;
using nlohmann::json;

namespace {

/// A batch of imported rows, or a gazetteer.
constexpr std::size_t kLargeBodyBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kListMax = 1'000;

Result<json> body_of(const HttpRequest& request) {
  if (request.body.empty()) return json(json::object());
  FP_TRY(json body, schema::parse_document(request.body));
  if (!body.is_object()) return fail(Errc::malformed, "the request's body must be a JSON object");
  return body;
}

Result<std::string> text_member(const json& body, const char* name) {
  if (!body.contains(name) || body[name].is_null()) return std::string();
  if (!body[name].is_string())
    return fail(Errc::invalid_argument, std::string("'") + name + "' must be a text");
  return body[name].get<std::string>();
}

Result<Asker> asker_of(const json& body) {
  Asker asker;
  FP_TRY(asker.author, text_member(body, "author"));
  FP_TRY(auto language, text_member(body, "lang"));
  if (!language.empty()) asker.language = std::move(language);
  if (asker.language != "en" && asker.language != "km") {
    return fail(Errc::invalid_argument, "'lang' is en or km, not '" + asker.language + "'");
  }
  return asker;
}

Result<RecordId> id_of(const HttpRequest& request) {
  const std::string& text = request.params.at("id");
  auto id = record_id_from_text(text);
  if (!id)
    return fail(Errc::invalid_argument,
                "'" + text + "' is no record id (" + id.error().detail + "); 'list' shows them");
  return *id;
}

std::string language_of(const HttpRequest& request) {
  return request.query_value("lang") == "km" ? "km" : "en";
}

Result<std::optional<Desk::Opened>> context_of(const json& body) {
  if (!body.contains("context")) return std::optional<Desk::Opened>();
  const auto wrong = [] {
    return fail(Errc::invalid_argument,
                "'context' is what 'show' answered, as it was: {\"under\", \"seen\": [[actor, "
                "counter]]}");
  };
  const json& context = body["context"];
  if (!context.is_object() || !context.contains("under") || !context.contains("seen") ||
      !context["under"].is_string() || !context["seen"].is_array())
    return wrong();
  Desk::Opened opened;
  const auto under = actor_from_text(context["under"].get_ref<const std::string&>());
  if (!under) return wrong();
  opened.under = *under;
  std::vector<model::VersionVector::Entry> entries;
  for (const json& pair : context["seen"]) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() ||
        !pair[1].is_number_integer())
      return wrong();
    const auto actor = actor_from_text(pair[0].get_ref<const std::string&>());
    if (!actor || pair[1].get<std::int64_t>() < 1) return wrong();
    entries.push_back({*actor, Sequence{pair[1].get<std::uint64_t>()}});
  }
  auto vv = model::VersionVector::from_entries(std::move(entries));
  if (!vv) return wrong();
  opened.seen = *std::move(vv);
  return std::optional<Desk::Opened>(std::move(opened));
}

Result<json> list(const Desk& desk, const HttpRequest& request) {
  Desk::ListQuery query;
  query.type = request.query_value("type");
  query.state = request.query_value("state");
  query.documents = request.query_value("documents") == "1";
  if (!query.type.empty() && desk.registry().form(query.type) == nullptr) {
    return fail(Errc::invalid_argument, "there is no record type '" + query.type + "'");
  }
  if (const auto limit = request.query_value("limit"); !limit.empty()) {
    const auto number = integer_from_text(limit);
    if (!number || *number < 1 || *number > static_cast<std::int64_t>(kListMax)) {
      return fail(Errc::invalid_argument,
                  "'limit' is a number from 1 to " + std::to_string(kListMax));
    }
    query.limit = static_cast<std::size_t>(*number);
  }
  if (const auto after = request.query_value("after"); !after.empty()) {
    auto id = record_id_from_text(after);
    if (!id) return fail(Errc::invalid_argument, "'after' is a record id: " + id.error().detail);
    query.after = *id;
    query.drafts = false;
  }
  return desk.list(query, language_of(request));
}

Result<Outcome> create(Desk& desk, const HttpRequest& request) {
  FP_TRY(json body, body_of(request));
  FP_TRY(const Asker asker, asker_of(body));
  if (!body.contains("document"))
    return fail(Errc::invalid_argument, "'document' is missing: the record to make");
  const bool draft = body.contains("draft") && body["draft"] == true;
  return desk.create(std::move(body["document"]), draft, asker);
}

Result<Outcome> edit(Desk& desk, const HttpRequest& request) {
  FP_TRY(const RecordId id, id_of(request));
  FP_TRY(const json body, body_of(request));
  FP_TRY(const Asker asker, asker_of(body));
  Desk::EditOrder order;
  if (body.contains("set")) order.set = body["set"];
  if (body.contains("patch")) order.patch = body["patch"];
  if (!order.set.is_object() || !order.patch.is_object()) {
    return fail(Errc::invalid_argument,
                "'set' (path → value) and 'patch' (part of a document) must be objects");
  }
  FP_TRY(order.reason, text_member(body, "reason"));
  FP_TRY(order.context, context_of(body));
  order.finalise = body.contains("finalise") && body["finalise"] == true;
  return desk.edit(id, order, asker);
}

Result<Outcome> void_record(Desk& desk, const HttpRequest& request) {
  FP_TRY(const RecordId id, id_of(request));
  FP_TRY(const json body, body_of(request));
  FP_TRY(const Asker asker, asker_of(body));
  FP_TRY(const auto reason, text_member(body, "reason"));
  return desk.void_record(id, reason, asker);
}

Result<Outcome> finalise(Desk& desk, const HttpRequest& request) {
  FP_TRY(const RecordId id, id_of(request));
  FP_TRY(const json body, body_of(request));
  FP_TRY(const Asker asker, asker_of(body));
  return desk.finalise(id, asker);
}

Result<json> discard(Desk& desk, const HttpRequest& request) {
  FP_TRY(const RecordId id, id_of(request));
  FP_CHECK_OK(desk.discard_draft(id));
  return json{{"id", to_text(id)}, {"state", "discarded"}};
}

Result<json> show(const Desk& desk, const HttpRequest& request) {
  FP_TRY(const RecordId id, id_of(request));
  return desk.show(id, language_of(request));
}

Result<Outcome> import_rows(Desk& desk, const HttpRequest& request) {
  FP_TRY(const json body, body_of(request));
  FP_TRY(const Asker asker, asker_of(body));
  FP_TRY(const auto type, text_member(body, "type"));
  if (!body.contains("rows"))
    return fail(Errc::invalid_argument, "'rows' is missing: a list of {line, document}");
  return desk.import_rows(body["rows"], type, asker);
}

Result<json> import_places(const ApiParts& parts, const HttpRequest& request) {
  FP_TRY(const json body, body_of(request));
  FP_TRY(const auto name, text_member(body, "name"));
  FP_TRY(const auto csv, text_member(body, "csv"));
  return parts.import_places(name, csv);
}

}  // namespace

net::Router make_router(ApiParts made) {
  const auto parts = std::make_shared<const ApiParts>(std::move(made));
  Desk& desk = *parts->desk;
  net::Router router;
  router.add("GET", "/v1/status", [parts](const HttpRequest&, const Responder& respond) {
    respond(to_response(parts->status()));
  });
  router.add("GET", "/v1/records", [&desk](const HttpRequest& request, const Responder& respond) {
    respond(to_response(list(desk, request)));
  });
  router.add("POST", "/v1/records", [&desk](const HttpRequest& request, const Responder& respond) {
    respond(to_response(create(desk, request), 201));
  });
  router.add("GET", "/v1/records/{id}",
             [&desk](const HttpRequest& request, const Responder& respond) {
               respond(to_response(show(desk, request)));
             });
  router.add("POST", "/v1/records/{id}/edits",
             [&desk](const HttpRequest& request, const Responder& respond) {
               respond(to_response(edit(desk, request)));
             });
  router.add("POST", "/v1/records/{id}/void",
             [&desk](const HttpRequest& request, const Responder& respond) {
               respond(to_response(void_record(desk, request)));
             });
  router.add("POST", "/v1/records/{id}/finalise",
             [&desk](const HttpRequest& request, const Responder& respond) {
               respond(to_response(finalise(desk, request)));
             });
  router.add("DELETE", "/v1/records/{id}",
             [&desk](const HttpRequest& request, const Responder& respond) {
               respond(to_response(discard(desk, request)));
             });
  router.add("GET", "/v1/forms/{type}/defaults",
             [&desk](const HttpRequest& request, const Responder& respond) {
               respond(to_response(desk.defaults(request.params.at("type"))));
             });
  router.add(
      "POST", "/v1/import",
      [&desk](const HttpRequest& request, const Responder& respond) {
        respond(to_response(import_rows(desk, request)));
      },
      kLargeBodyBytesMax);
  router.add(
      "POST", "/v1/places",
      [parts](const HttpRequest& request, const Responder& respond) {
        respond(to_response(import_places(*parts, request)));
      },
      kLargeBodyBytesMax);
  router.add("GET", "/v1/digests", [&desk](const HttpRequest&, const Responder& respond) {
    respond(to_response(desk.digests()));
  });
  router.add("POST", "/v1/verify", [parts](const HttpRequest&, const Responder& respond) {
    respond(to_response(parts->verify()));
  });
  router.add("GET", "/v1/damaged", [parts](const HttpRequest&, const Responder& respond) {
    respond(to_response(parts->damaged()));
  });
  router.add("POST", "/v1/sync", [parts](const HttpRequest&, const Responder& respond) {
    if (!parts->dial_now)
      return respond(
          net::error_response(409, "conflict", "no daemon runs: 'fieldpost-agent run' starts one"));
    parts->dial_now();
    respond(json_response({{"dialling", true}}, 202));
  });
  return router;
}

}  // namespace fieldpost::agent

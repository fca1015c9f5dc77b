// enroll CODE: this tablet makes its keys and introduces itself to the hub.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/api/answers.h"
#include "agent/cli/enrolment_code.h"
#include "agent/cli/session.h"
#include "agent/store/hub_time.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "keys/secret_file.h"
#include "net/client.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

/// Eight characters that both sides show: people compare them.
std::string compare_code(const HubId& hub, const DeviceId& device) {
  const std::string text =
      to_base32(crypto::hash("fieldpost.v1.compare", {hub.view(), device.view()}).view());
  return text.substr(0, 4) + "-" + text.substr(4, 4);
}

struct Told {
  json body;
  std::string ca_pem;
  std::optional<Instant> certificate_end;
};

Result<Told> ask_hub(const EnrolmentCode& code, const Identity& identity) {
  const auto key = crypto::signing_key(identity.device_seed);
  const DeviceId device = identity.device();
  const auto signature = crypto::sign(key, "fieldpost.v1.enrol", {code.secret, device.view()});
  net::ClientRequest request;
  request.method = "POST";
  request.host = code.host;
  request.port = code.port;
  request.target = "/v1/enrol";
  FP_TRY(request.trust, net::trust_fingerprint(code.ca));
  request.body = json{
      {"secret", to_hex(code.secret)},
      {"device", device.hex()},
      {"signature", signature.hex()},
      {"box_key", crypto::box_key_pair(identity.box_seed).public_key.hex()},
      {"app_version",
       kAppVersion}}.dump();
  FP_TRY(auto answer, net::http_request(std::move(request)));
  if (answer.response.status != 200) {
    const Error error = error_of(answer.response);
    return Error(error.code, "the hub refused: " + error.detail);
  }
  auto body = json::parse(answer.response.body, nullptr, false);
  if (!body.is_object())
    return fail(Errc::malformed,
                "the hub's answer is not JSON: is " + code.host + " a fieldpost-hub?");
  return Told{std::move(body), std::move(answer.ca_pem), answer.certificate_end};
}

/// The keys this tablet will have, on disk before any hub hears of them: if the answer is lost, the code
/// is spent on these very keys, and the hub gives the same answer to them again. The same for every
/// code that is tried: one mistyped in between must not cost them.
Status prepare_keys(const DataDirectory& data, const RandomSource& random, Identity& identity) {
  const auto found = keys::read_secret_file(data.enrolment());
  if (!found && !found.error().is(Errc::not_found)) return found.error();
  if (found) {
    const json earlier = json::parse(as_text(*found), nullptr, false);
    const auto device = schema::seed_field(earlier, "device_seed");
    const auto box = schema::seed_field(earlier, "box_seed");
    if (device && box) {
      identity.device_seed = *device;
      identity.box_seed = *box;
      return {};
    }
  }
  random(identity.device_seed.bytes);
  random(identity.box_seed.bytes);
  const json fresh{{"device_seed", to_hex(identity.device_seed.view())},
                   {"box_seed", to_hex(identity.box_seed.view())}};
  return keys::write_secret_file(data.enrolment(), as_bytes(fresh.dump(2) + "\n"));
}

Result<std::string> enroll(const AppOptions& options, const std::string& text) {
  const DataDirectory& data = options.data;
  FP_TRY(const EnrolmentCode code, parse_enrolment_code(text));
  if (std::filesystem::exists(data.identity())) {
    return fail(Errc::already_exists, "this tablet is enrolled already (" +
                                          data.identity().string() +
                                          "): give another folder with --data for another tablet");
  }
  FP_CHECK_OK(keys::make_private_directory(data.path));
  const RandomSource random = keys::system_random();
  Identity identity;
  FP_CHECK_OK(prepare_keys(data, random, identity));
  identity.host = code.host;
  identity.port = code.port;
  FP_TRY(const Told told, ask_hub(code, identity));
  const json& answer = told.body;
  identity.ca_pem = told.ca_pem;
  FP_TRY(identity.hub, schema::id_field<HubId>(answer, "hub"));
  FP_TRY(identity.device_name, schema::text_field(answer, "device_name"));
  FP_TRY(identity.unit, schema::text_field(answer, "unit"));
  FP_TRY(identity.compartment, schema::text_field(answer, "compartment"));
  if (answer.contains("epoch")) {
    FP_TRY(identity.epoch, schema::id_field<Epoch>(answer, "epoch"));
  }
  FP_TRY(identity.server_name, schema::text_field(answer, "server_name"));
  if (identity.compartment != "enforcement" && identity.compartment != "health") {
    return fail(Errc::unsupported, "the hub answered a compartment this program does not know: '" +
                                       identity.compartment + "'");
  }
  std::string compare = compare_code(identity.hub, identity.device());
  FP_TRY(const auto shown, schema::text_field(answer, "compare"));
  if (shown != compare)
    return fail(Errc::bad_signature,
                "the hub's answer does not belong to this tablet's key: ask for a new code");
  // Heard over the pinned connection: from here on certificates are not judged by this tablet's own clock.
  if (const auto hub_ms = schema::integer_field(answer, "hub_time_ms", 0, INT64_MAX)) {
    FP_TRY(const std::uint64_t boot, keys::boot_id());
    FP_CHECK_OK(save_hub_time(
        data, sync::up_to({{Instant{*hub_ms}, keys::monotonic_ms()}, boot}, told.certificate_end)));
  }
  FP_CHECK_OK(save_identity(data, identity));
  std::error_code ignored;  // left over, it holds nothing that identity.json does not
  std::filesystem::remove(data.enrolment(), ignored);
  FP_CHECK_OK(api_token(data, random));
  FP_TRY(auto app, App::open(options));
  return compare;
}

}  // namespace

void add_enroll(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("enroll", "join a hub with the code its operator gives you");
  auto code = std::make_shared<std::string>();
  command->add_option("CODE", *code, "HOST:PORT/LETTERS; dashes and case do not matter")
      ->required();
  command->footer(
      "Example:\n  fieldpost-agent enroll hub.example:8443/4k7q-m2xt-…\nThen compare the short "
      "code shown with the one "
      "on the operator's screen: they must be equal.");
  command->callback([&session, code] {
    session.run([&]() -> Status {
      FP_TRY(const auto options, session.options());
      FP_TRY(const auto compare, enroll(options, *code));
      FP_TRY(const auto identity, load_identity(options.data));
      if (session.json) {
        std::cout << json{{"device_name", identity.device_name},
                          {"unit", identity.unit},
                          {"compare", compare},
                          {"compartment", identity.compartment},
                          {"device", identity.device().hex()}}
                         .dump()
                  << '\n';
      } else {
        std::cout << "Enrolled as " << identity.device_name << " of unit " << identity.unit << " ("
                  << identity.compartment << ").\nCompare with the operator's screen: " << compare
                  << '\n';
      }
      return {};
    });
  });
}

}  // namespace fieldpost::agent

// enroll CODE: this tablet makes its keys and introduces itself to the hub.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/api/answers.h"
#include "agent/cli/session.h"
#include "base/text.h"
#include "keys/random.h"
#include "keys/secret_file.h"
#include "net/client.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kFingerprintBytes = 32;
constexpr std::size_t kSecretBytes = 16;

struct Code {
  std::string host;
  std::uint16_t port = 0;
  Fingerprint ca;
  Bytes secret;
};

Result<Code> parse_code(std::string_view text) {
  const auto wrong = [](const std::string& why) {
    return fail(Errc::invalid_argument,
                "this is no enrolment code (" + why +
                    "): type it as the hub's operator gave it, HOST:PORT/LETTERS");
  };
  const std::string_view bare = trimmed(text);
  const std::size_t slash = bare.find('/');
  if (slash == std::string_view::npos) return wrong("there is no '/' in it");
  const std::string_view address = bare.substr(0, slash);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return wrong("HOST:PORT must stand before the '/'");
  const auto port = integer_from_text(address.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return wrong("the port is not a number from 1 to 65535");
  const auto bytes = from_base32(bare.substr(slash + 1));
  if (!bytes || bytes->size() != kFingerprintBytes + kSecretBytes) {
    return wrong("its letters are mistyped or not complete");
  }
  Code code;
  code.host = std::string(address.substr(0, colon));
  if (code.host.size() > 2 && code.host.front() == '[')
    code.host = code.host.substr(1, code.host.size() - 2);
  code.port = static_cast<std::uint16_t>(*port);
  std::copy_n(bytes->begin(), kFingerprintBytes, code.ca.bytes.begin());
  code.secret.assign(bytes->begin() + kFingerprintBytes, bytes->end());
  return code;
}

/// Eight characters that both sides show: people compare them.
std::string compare_code(const HubId& hub, const DeviceId& device) {
  const std::string text =
      to_base32(crypto::hash("fieldpost.v1.compare", {hub.view(), device.view()}).view());
  return text.substr(0, 4) + "-" + text.substr(4, 4);
}

Result<json> ask_hub(const Code& code, const Identity& identity, std::string& ca_pem) {
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
  ca_pem = answer.ca_pem;
  auto body = json::parse(answer.response.body, nullptr, false);
  if (!body.is_object())
    return fail(Errc::malformed,
                "the hub's answer is not JSON: is " + code.host + " a fieldpost-hub?");
  return body;
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
  FP_TRY(const Code code, parse_code(text));
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
  FP_TRY(const json answer, ask_hub(code, identity, identity.ca_pem));
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

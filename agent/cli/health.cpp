// health key, health accept: how a rehab unit's tablet comes to seal and read its visits.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/cli/input.h"
#include "agent/cli/session.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

Status show_key(Session& session) {
  FP_TRY(const auto options, session.options());
  FP_TRY(const auto identity, load_identity(options.data));
  const auto key = crypto::box_key_pair(identity.box_seed).public_key;
  if (session.json) {
    std::cout << json{{"device_key", key.hex()},
                      {"fingerprint", fingerprint_of(key)},
                      {"unit", identity.unit}}
                     .dump()
              << '\n';
  } else {
    std::cout << "Device key: " << key.hex() << "\nFingerprint: " << fingerprint_of(key)
              << "\nThe health authority admits it with: fieldpost-health device admit --unit "
              << identity.unit << " --device-key " << key.hex() << '\n';
  }
  return {};
}

/// The grant, checked against the pin, this tablet's key and this tablet's unit; joined to what is held.
Result<HealthKeys> accept(const Identity& identity, const json& object, const std::string& pin) {
  FP_TRY(const Grant grant, grant_from_json(object));
  const Recipients& recipients = grant.recipients;
  if (!same_fingerprint(pin, recipients.authority)) {
    return fail(Errc::unauthorised,
                "the grant is signed by another authority (" +
                    fingerprint_of(recipients.authority) +
                    ") than the one named: check the fingerprint with the health authority");
  }
  if (identity.health && identity.health->recipients.authority != recipients.authority) {
    return fail(Errc::conflict, "this tablet is pinned to the authority " +
                                    fingerprint_of(identity.health->recipients.authority) +
                                    "; a tablet that changes its authority is enrolled anew");
  }
  if (recipients.unit != identity.unit) {
    return fail(Errc::invalid_argument, "the grant is for unit '" + recipients.unit +
                                            "', this tablet belongs to '" + identity.unit + "'");
  }
  const auto own = crypto::box_key_pair(identity.box_seed);
  if (grant.device_box != own.public_key) {
    return fail(Errc::invalid_argument,
                "the grant is for another tablet: give the authority the key that 'fieldpost-agent "
                "health key' prints here");
  }
  auto seed_bytes = crypto::box_open(own, grant.unit_key_box);
  HealthKeys::UnitKey key;
  if (!seed_bytes || seed_bytes->size() != key.seed.bytes.size())
    return fail(Errc::malformed, "the unit's key in the grant does not open: ask for a new grant");
  std::copy(seed_bytes->begin(), seed_bytes->end(), key.seed.bytes.begin());
  if (crypto::box_key_pair(key.seed).public_key != recipients.unit_box) {
    return fail(
        Errc::malformed,
        "the unit's key in the grant is not the one its statement names: ask for a new grant");
  }
  key.version = recipients.version;
  HealthKeys keys = identity.health.value_or(HealthKeys{});
  std::erase_if(keys.unit_keys, [&](const auto& held) { return held.version == key.version; });
  keys.unit_keys.push_back(std::move(key));
  if (!identity.health || identity.health->recipients.version <= recipients.version)
    keys.recipients = recipients;
  return keys;
}

Status accept_file(Session& session, const std::string& file, const std::string& pin) {
  FP_TRY(const auto options, session.options());
  FP_TRY(auto identity, load_identity(options.data));
  if (identity.compartment != "health") {
    return fail(Errc::invalid_argument, "this tablet is enrolled for " + identity.compartment +
                                            "; only a rehab unit's tablet takes a health grant");
  }
  FP_TRY(const json object, read_json_input(file));
  FP_TRY(identity.health, accept(identity, object, pin));
  FP_CHECK_OK(save_identity(options.data, identity));
  if (session.json) {
    std::cout
        << json{{"unit", identity.unit}, {"version", identity.health->recipients.version}}.dump()
        << '\n';
  } else {
    std::cout << "Accepted: visits of unit " << identity.unit
              << " are sealed to the authority and to the unit's key, version "
              << identity.health->recipients.version << ".\n";
  }
  if (read_run_file(options.data))
    std::cerr << "note: a running 'fieldpost-agent run' learns of it when it is started again.\n";
  return {};
}

}  // namespace

void add_health(CLI::App& app, Session& session) {
  auto* health =
      app.add_subcommand("health", "the keys with which a rehab unit's visits are sealed");
  health->require_subcommand(1);
  auto* key =
      health->add_subcommand("key", "print this tablet's key, for the health authority to admit");
  key->callback([&session] { session.run([&] { return show_key(session); }); });

  struct Options {
    std::string file;
    std::string authority;
  };
  auto options = std::make_shared<Options>();
  auto* accept_command = health->add_subcommand("accept", "take the health authority's grant");
  accept_command
      ->add_option("GRANT", options->file, "the file made by 'fieldpost-health device admit'")
      ->required();
  accept_command
      ->add_option("--authority", options->authority,
                   "the authority's fingerprint, told to you in person")
      ->required();
  accept_command->footer(
      "Example:\n  fieldpost-agent health accept grant.json --authority 7kq2-m4tx-9zb3-h0wd-…");
  accept_command->callback([&session, options] {
    session.run([&] { return accept_file(session, options->file, options->authority); });
  });
}

}  // namespace fieldpost::agent

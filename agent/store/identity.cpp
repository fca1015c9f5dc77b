#include "agent/store/identity.h"

#include <nlohmann/json.hpp>

#include "keys/secret_file.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

DeviceId Identity::device() const {
  DeviceId id;
  id.bytes = crypto::signing_key(device_seed).public_key.bytes;
  return id;
}

namespace {

Result<HealthKeys> health_from_json(const json& object) {
  HealthKeys keys;
  const auto recipients = object.find("recipients");
  if (recipients == object.end()) return fail(Errc::malformed, "health.recipients is missing");
  FP_TRY(keys.recipients, recipients_from_json(*recipients));
  const auto list = object.find("unit_keys");
  if (list == object.end() || !list->is_array())
    return fail(Errc::malformed, "health.unit_keys is missing");
  for (const json& entry : *list) {
    HealthKeys::UnitKey key;
    FP_TRY(const auto version, schema::integer_field(entry, "version", 1, UINT32_MAX));
    key.version = static_cast<std::uint32_t>(version);
    FP_TRY(key.seed, schema::seed_field(entry, "seed"));
    keys.unit_keys.push_back(std::move(key));
  }
  return keys;
}

json health_to_json(const HealthKeys& keys) {
  json list = json::array();
  for (const auto& key : keys.unit_keys)
    list.push_back({{"version", key.version}, {"seed", to_hex(key.seed.view())}});
  return {{"recipients", to_json(keys.recipients)}, {"unit_keys", std::move(list)}};
}

Result<Identity> from_json(const json& object) {
  Identity identity;
  FP_TRY(identity.host, schema::text_field(object, "host"));
  FP_TRY(const auto port, schema::integer_field(object, "port", 1, 65535));
  identity.port = static_cast<std::uint16_t>(port);
  FP_TRY(identity.server_name, schema::text_field(object, "server_name"));
  FP_TRY(identity.ca_pem, schema::text_field(object, "ca_pem"));
  FP_TRY(identity.hub, schema::id_field<HubId>(object, "hub"));
  FP_TRY(identity.device_seed, schema::seed_field(object, "device_seed"));
  FP_TRY(identity.box_seed, schema::seed_field(object, "box_seed"));
  FP_TRY(identity.device_name, schema::text_field(object, "device_name"));
  FP_TRY(identity.unit, schema::text_field(object, "unit"));
  FP_TRY(identity.compartment, schema::text_field(object, "compartment"));
  if (object.contains("epoch")) {
    FP_TRY(identity.epoch, schema::id_field<Epoch>(object, "epoch"));
  }
  if (const auto health = object.find("health"); health != object.end()) {
    FP_TRY(identity.health, health_from_json(*health));
  }
  return identity;
}

}  // namespace

Result<Identity> load_identity(const DataDirectory& data) {
  auto bytes = keys::read_secret_file(data.identity());
  if (!bytes && bytes.error().is(Errc::not_found)) {
    return fail(Errc::not_found,
                "this tablet is not enrolled (no " + data.identity().string() +
                    "): ask the hub's operator for a code and run 'fieldpost-agent enroll CODE'");
  }
  if (!bytes) return std::move(bytes).error();
  const json object = json::parse(as_text(*bytes), nullptr, false);
  if (!object.is_object())
    return fail(Errc::malformed, data.identity().string() + " is not a JSON object");
  auto identity = from_json(object);
  if (!identity)
    return fail(Errc::malformed, data.identity().string() + ": " + identity.error().detail);
  return identity;
}

Status save_identity(const DataDirectory& data, const Identity& identity) {
  json object{{"host", identity.host},
              {"port", identity.port},
              {"server_name", identity.server_name},
              {"ca_pem", identity.ca_pem},
              {"hub", identity.hub.hex()},
              {"device_seed", to_hex(identity.device_seed.view())},
              {"box_seed", to_hex(identity.box_seed.view())},
              {"device_name", identity.device_name},
              {"unit", identity.unit},
              {"compartment", identity.compartment}};
  if (identity.epoch) object["epoch"] = identity.epoch->hex();
  if (identity.health) object["health"] = health_to_json(*identity.health);
  return keys::write_secret_file(data.identity(), as_bytes(object.dump(2) + "\n"));
}

}  // namespace fieldpost::agent

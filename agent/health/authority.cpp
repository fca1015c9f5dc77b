#include "agent/health/authority.h"

#include "base/limits.h"
#include "keys/secret_file.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

Result<json> read_secret_json(const std::filesystem::path& path) {
  FP_TRY(const auto bytes, keys::read_secret_file(path));
  auto object = json::parse(as_text(bytes), nullptr, false);
  if (!object.is_object()) return fail(Errc::malformed, path.string() + " is not a JSON object");
  return object;
}

Status write_secret_json(const std::filesystem::path& path, const json& object) {
  return keys::write_secret_file(path, as_bytes(object.dump(2) + "\n"));
}

bool is_unit_code(const std::string& unit) {
  if (unit.empty() || unit.size() > limits::kNameBytesMax) return false;
  return unit.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == std::string::npos;
}

std::filesystem::path unit_file(const std::filesystem::path& folder, const std::string& unit) {
  return folder / ("unit-" + unit + ".json");
}

Error bad_unit(const std::string& unit) {
  return fail(Errc::invalid_argument,
              "'" + unit + "' is no unit code such as 02-MRU1 (capitals, digits and -)");
}

}  // namespace

Result<Authority> load_authority(const std::filesystem::path& folder) {
  auto object = read_secret_json(folder / "authority.json");
  if (!object && object.error().is(Errc::not_found)) {
    return fail(Errc::not_found, "there are no keys in '" + folder.string() +
                                     "': 'fieldpost-health key init --dir " + folder.string() +
                                     "' makes them");
  }
  if (!object) return std::move(object).error();
  FP_TRY(const auto signing, schema::seed_field(*object, "signing_seed"));
  FP_TRY(const auto box, schema::seed_field(*object, "box_seed"));
  return Authority{crypto::signing_key(signing), crypto::box_key_pair(box)};
}

Result<Authority> make_authority(const std::filesystem::path& folder, const RandomSource& random) {
  FP_CHECK_OK(keys::make_private_directory(folder));
  if (std::filesystem::exists(folder / "authority.json")) {
    return fail(
        Errc::already_exists,
        "'" + folder.string() + "' holds an authority's keys already; they are never overwritten");
  }
  crypto::Seed signing;
  crypto::Seed box;
  random(signing.bytes);
  random(box.bytes);
  FP_CHECK_OK(write_secret_json(
      folder / "authority.json",
      {{"signing_seed", to_hex(signing.view())}, {"box_seed", to_hex(box.view())}}));
  return Authority{crypto::signing_key(signing), crypto::box_key_pair(box)};
}

Result<Recipients> add_unit(const std::filesystem::path& folder, const std::string& unit,
                            const RandomSource& random) {
  if (!is_unit_code(unit)) return bad_unit(unit);
  FP_TRY(const Authority authority, load_authority(folder));
  json versions = json::array();
  if (std::filesystem::exists(unit_file(folder, unit))) {
    FP_TRY(const json object, read_secret_json(unit_file(folder, unit)));
    if (!object.contains("versions") || !object["versions"].is_array())
      return fail(Errc::malformed, unit_file(folder, unit).string() + ": 'versions' is missing");
    versions = object["versions"];
  }
  crypto::Seed seed;
  random(seed.bytes);
  Recipients recipients;
  recipients.unit = unit;
  recipients.version = static_cast<std::uint32_t>(versions.size()) + 1;
  recipients.authority_box = authority.box.public_key;
  recipients.unit_box = crypto::box_key_pair(seed).public_key;
  sign_recipients(authority.signing, recipients);
  versions.push_back({{"seed", to_hex(seed.view())}, {"recipients", to_json(recipients)}});
  FP_CHECK_OK(write_secret_json(unit_file(folder, unit),
                                {{"unit", unit}, {"versions", std::move(versions)}}));
  return recipients;
}

Result<Grant> admit_device(const std::filesystem::path& folder, const std::string& unit,
                           const crypto::PublicKey& device_box, const RandomSource& random) {
  if (!is_unit_code(unit)) return bad_unit(unit);
  FP_TRY(const Authority authority, load_authority(folder));
  auto object = read_secret_json(unit_file(folder, unit));
  if (!object && object.error().is(Errc::not_found)) {
    return fail(Errc::not_found, "unit '" + unit + "' has no key yet: 'fieldpost-health unit add " +
                                     unit + "' makes it");
  }
  if (!object) return std::move(object).error();
  const json versions = object->value("versions", json::array());
  if (!versions.is_array() || versions.empty())
    return fail(Errc::malformed, unit_file(folder, unit).string() + " holds no version");
  FP_TRY(const auto recipients,
         recipients_from_json(versions.back().value("recipients", json::object())));
  FP_TRY(const auto seed, schema::seed_field(versions.back(), "seed"));
  crypto::Seed ephemeral;
  random(ephemeral.bytes);
  return make_grant(authority.signing, recipients, device_box, seed, ephemeral);
}

}  // namespace fieldpost::agent

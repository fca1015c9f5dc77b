#include "agent/health/statement.h"

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "schema/json_fields.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::string_view kRecipientsTag = "fieldpost.v1.health-recipients";
constexpr std::string_view kGrantTag = "fieldpost.v1.health-grant";

std::array<std::uint8_t, 4> little_endian(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
}

}  // namespace

void sign_recipients(const crypto::SigningKey& authority, Recipients& recipients) {
  recipients.authority = authority.public_key;
  const auto version = little_endian(recipients.version);
  recipients.signature = crypto::sign(authority, kRecipientsTag,
                                      {recipients.authority_box.view(), recipients.unit_box.view(),
                                       version, as_bytes(recipients.unit)});
}

Grant make_grant(const crypto::SigningKey& authority, const Recipients& recipients,
                 const crypto::PublicKey& device_box, const crypto::Seed& unit_seed,
                 const crypto::Seed& ephemeral) {
  Grant grant;
  grant.recipients = recipients;
  grant.device_box = device_box;
  grant.unit_key_box = crypto::box_seal(ephemeral, device_box, unit_seed.view());
  grant.signature = crypto::sign(
      authority, kGrantTag, {device_box.view(), recipients.signature.view(), grant.unit_key_box});
  return grant;
}

std::string fingerprint_of(const crypto::PublicKey& key) {
  const Hash hash = crypto::hash("fieldpost.v1.fingerprint", {key.view()});
  const std::string text = to_base32(hash.view().subspan(0, 15));  // 24 characters, 120 bits
  std::string grouped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i != 0 && i % 4 == 0) grouped += '-';
    grouped += text[i];
  }
  return grouped;
}

bool same_fingerprint(std::string_view typed, const crypto::PublicKey& key) {
  const auto a = from_base32(typed);
  const auto b = from_base32(fingerprint_of(key));
  return a && b && *a == *b;
}

json to_json(const Recipients& r) {
  return {{"kind", "fieldpost-health-recipients"},
          {"unit", r.unit},
          {"version", r.version},
          {"authority", r.authority.hex()},
          {"authority_box", r.authority_box.hex()},
          {"unit_box", r.unit_box.hex()},
          {"signature", r.signature.hex()}};
}

json to_json(const Grant& grant) {
  return {{"kind", "fieldpost-health-grant"},
          {"recipients", to_json(grant.recipients)},
          {"device_box", grant.device_box.hex()},
          {"unit_key_box", to_hex(grant.unit_key_box)},
          {"signature", grant.signature.hex()}};
}

Result<Recipients> recipients_from_json(const json& object) {
  Recipients r;
  FP_TRY(r.unit, schema::text_field(object, "unit"));
  if (r.unit.empty() || r.unit.size() > limits::kNameBytesMax)
    return fail(Errc::malformed, "'unit' is empty or too long");
  FP_TRY(const auto version, schema::integer_field(object, "version", 1, 1'000'000));
  r.version = static_cast<std::uint32_t>(version);
  FP_TRY(r.authority, schema::id_field<crypto::PublicKey>(object, "authority"));
  FP_TRY(r.authority_box, schema::id_field<crypto::PublicKey>(object, "authority_box"));
  FP_TRY(r.unit_box, schema::id_field<crypto::PublicKey>(object, "unit_box"));
  FP_TRY(r.signature, schema::id_field<crypto::Signature>(object, "signature"));
  const auto version_bytes = little_endian(r.version);
  if (!crypto::verify(
          r.authority, r.signature, kRecipientsTag,
          {r.authority_box.view(), r.unit_box.view(), version_bytes, as_bytes(r.unit)})) {
    return fail(
        Errc::bad_signature,
        "the recipients statement was not signed by the authority it names, or was changed");
  }
  return r;
}

Result<Grant> grant_from_json(const json& object) {
  Grant grant;
  if (!object.is_object() || !object.contains("recipients")) {
    return fail(Errc::malformed, "this is no grant: 'recipients' is missing");
  }
  FP_TRY(grant.recipients, recipients_from_json(object["recipients"]));
  FP_TRY(grant.device_box, schema::id_field<crypto::PublicKey>(object, "device_box"));
  FP_TRY(grant.unit_key_box, schema::hex_field(object, "unit_key_box"));
  FP_TRY(grant.signature, schema::id_field<crypto::Signature>(object, "signature"));
  if (!crypto::verify(
          grant.recipients.authority, grant.signature, kGrantTag,
          {grant.device_box.view(), grant.recipients.signature.view(), grant.unit_key_box})) {
    return fail(Errc::bad_signature,
                "the grant was not signed by the authority it names, or was changed");
  }
  return grant;
}

}  // namespace fieldpost::agent

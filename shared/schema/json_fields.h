// Members of a JSON object that a program of ours wrote or was given, read with their faults named.
//
// Thread rule: free functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "crypto/crypto.h"

namespace fieldpost::schema {

/// A text member of a document that anybody may have written: whatever else stands there counts as no text.
inline std::string text_or_empty(const nlohmann::json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

/// Errors of all below: `malformed`, naming the member.
inline Result<std::string> text_field(const nlohmann::json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_string()) {
    return fail(Errc::malformed, std::string("'") + name + "' must be a text");
  }
  return found->get<std::string>();
}

inline Result<std::int64_t> integer_field(const nlohmann::json& object, const char* name,
                                          std::int64_t least, std::int64_t most) {
  const std::string what = std::string("'") + name + "' must be a whole number from " +
                           std::to_string(least) + " to " + std::to_string(most);
  if (!object.is_object() || !object.contains(name) || !object[name].is_number_integer()) {
    return fail(Errc::malformed, what);
  }
  const auto value = object[name].get<std::int64_t>();
  if (value < least || value > most) return fail(Errc::malformed, what);
  return value;
}

inline Result<Bytes> hex_field(const nlohmann::json& object, const char* name) {
  FP_TRY(const auto text, text_field(object, name));
  auto bytes = from_hex(text);
  if (!bytes) return fail(Errc::malformed, std::string("'") + name + "' must be hexadecimal");
  return bytes;
}

template <class Id>
Result<Id> id_field(const nlohmann::json& object, const char* name) {
  FP_TRY(const auto bytes, hex_field(object, name));
  auto id = Id::from(bytes);
  if (!id) return fail(Errc::malformed, std::string("'") + name + "': " + id.error().detail);
  return *id;
}

inline Result<crypto::Seed> seed_field(const nlohmann::json& object, const char* name) {
  using SeedId = ByteId<32, struct SeedIdTag>;
  FP_TRY(const auto id, id_field<SeedId>(object, name));
  crypto::Seed seed;
  seed.bytes = id.bytes;
  return seed;
}

}  // namespace fieldpost::schema

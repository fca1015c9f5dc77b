// The parts that changes and record states share: values, fields, seals, vectors, origins.
//
// Thread rule: free functions.
// Invariants:
//   1. A sealed value names its seal by index in the seals of its change or dot group, so that a list
//      can never be mistaken for it: it is the only map among the values.
#pragma once

#include <span>

#include "model/record.h"
#include "wire/pack.h"
#include "wire/reader.h"

namespace fieldpost::wire {

/// `seals` must hold the seal of every Sealed value (model::check_change says so).
void put_value(Writer& out, const model::Value& value, const std::vector<model::Seal>& seals);
void put_fields(Writer& out, const std::vector<model::FieldValue>& fields,
                const std::vector<model::Seal>& seals);
void put_seals(Writer& out, const std::vector<model::Seal>& seals);
void put_vector(Writer& out, const model::VersionVector& vv);
void put_origin(Writer& out, const model::Origin& origin);

/// Sealed values get the *index* of their seal until `resolve_seals` puts the id in its place: the
/// seals of a body may stand behind its fields.
struct SealUse {
  model::Sealed* value;
  std::uint64_t index;
};

/// `use` is filled when the value is sealed.
void get_value(Reader& in, model::Value& value, std::optional<std::uint64_t>& seal_index);
void get_fields(Reader& in, std::vector<model::FieldValue>& fields, std::vector<SealUse>& uses);
void get_seals(Reader& in, std::vector<model::Seal>& seals);
void get_vector(Reader& in, model::VersionVector& vv);
void get_origin(Reader& in, model::Origin& origin);
void resolve_seals(Reader& in, const std::vector<SealUse>& uses,
                   const std::vector<model::Seal>& seals);

/// Time stamps in records are carried as the difference to the time inside the record's UUIDv7, modulo
/// 2^64: small numbers for new records, and every pair of instants has one.
inline std::int64_t record_time_ms(const RecordId& id) {
  std::uint64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | id.bytes[i];
  return static_cast<std::int64_t>(ms);
}
inline std::int64_t wrapped_difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
inline std::int64_t wrapped_sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

}  // namespace fieldpost::wire

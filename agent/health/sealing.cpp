#include "agent/health/sealing.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <memory>

#include "agent/store/identity.h"
#include "wire/seal.h"

namespace fieldpost::agent {

namespace {

/// The room a field's values take when sealed: what the form says is its longest, so that no answer
/// of a choice, no number and no date is told by its size. 0 for texts and lists: size classes only.
std::size_t room_of(const schema::Field& field) {
  const auto integer_room = [](std::int64_t value) { return wire::plain_size(value); };
  switch (field.type) {
    case schema::LeafType::boolean:
      return wire::plain_size(true);
    case schema::LeafType::integer:
      if (!field.minimum || !field.maximum)
        return integer_room(std::numeric_limits<std::int64_t>::min());
      return std::max(integer_room(*field.minimum), integer_room(*field.maximum));
    case schema::LeafType::list:
      return 0;
    case schema::LeafType::text:
      break;
  }
  if (field.fixed_length) return wire::plain_size(std::string(*field.fixed_length, 'x'));
  std::size_t room = 0;
  for (const std::string& choice : field.choices) room = std::max(room, wire::plain_size(choice));
  return room;
}

}  // namespace

Status seal_request(const schema::Form& form, const Recipients& recipients,
                    const RandomSource& random, sync::EditRequest& request) {
  crypto::SymmetricKey content;
  random(content.bytes);
  const SealId id = random_id<SealId>(random);
  bool used = false;
  for (auto& edit : request.edits) {
    const schema::Field* field = form.find(edit.path);
    if (!(field != nullptr ? field->sealed : form.sealed())) continue;
    const std::size_t room = field != nullptr ? room_of(*field) : 0;
    FP_TRY(auto sealed, wire::seal_value(content, id, request.record, edit.path, edit.value, room));
    edit.value = std::move(sealed);
    used = true;
  }
  if (form.sealed() && !std::holds_alternative<model::Null>(request.reason)) {
    FP_TRY(auto sealed,
           wire::seal_value(content, id, request.record, wire::kReasonPath, request.reason));
    request.reason = std::move(sealed);
    used = true;
  }
  if (!used) return {};
  crypto::Seed ephemeral;
  random(ephemeral.bytes);
  const std::array to{recipients.authority_box, recipients.unit_box};
  FP_TRY(auto seal, wire::make_seal(id, content, ephemeral, to));
  request.seals.push_back(std::move(seal));
  return {};
}

std::vector<crypto::BoxKeyPair> unit_key_pairs(const HealthKeys& keys) {
  std::vector<crypto::BoxKeyPair> pairs;
  pairs.reserve(keys.unit_keys.size());
  for (const auto& key : keys.unit_keys) pairs.push_back(crypto::box_key_pair(key.seed));
  return pairs;
}

schema::Unseal unseal_with(const model::Record& record,
                           const std::vector<crypto::BoxKeyPair>& keys) {
  if (keys.empty()) return {};
  struct Cache {
    std::map<SealId, std::optional<crypto::SymmetricKey>> content;
  };
  auto cache = std::make_shared<Cache>();
  const auto content_key = [&record, &keys,
                            cache](const SealId& id) -> const std::optional<crypto::SymmetricKey>& {
    const auto known = cache->content.find(id);
    if (known != cache->content.end()) return known->second;
    std::optional<crypto::SymmetricKey> found;
    for (const auto& group : record.groups) {
      for (const auto& seal : group.seals) {
        if (seal.id != id || found) continue;
        for (const auto& key : keys) {
          if (auto opened = wire::open_seal(seal, key)) found = *opened;
        }
      }
    }
    return cache->content.emplace(id, found).first->second;
  };
  return [&record, content_key](std::string_view path,
                                const model::Sealed& sealed) -> std::optional<model::Value> {
    const auto& key = content_key(sealed.seal);
    if (!key) return std::nullopt;
    auto value = wire::open_value(*key, record.id, path, sealed);
    if (!value) return std::nullopt;
    return *std::move(value);
  };
}

}  // namespace fieldpost::agent

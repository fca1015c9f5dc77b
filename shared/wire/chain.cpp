// Hash chains and the signatures over their heads. Numbers are hashed as 8 bytes, big-endian.
#include <array>

#include "wire/codec.h"

namespace fieldpost::wire {
namespace {

constexpr std::string_view kChainStartTag = "fieldpost.v1.chain-start";
constexpr std::string_view kChainTag = "fieldpost.v1.chain";
constexpr std::string_view kChangeTag = "fieldpost.v1.change";
constexpr std::string_view kStateTag = "fieldpost.v1.state";
constexpr std::string_view kHeadTag = "fieldpost.v1.head";
constexpr std::string_view kGapTag = "fieldpost.v1.gap";
constexpr std::string_view kOrderTag = "fieldpost.v1.order";

std::array<std::uint8_t, 8> big_endian(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 8; i-- > 0; value >>= 8) bytes[i] = static_cast<std::uint8_t>(value);
  return bytes;
}

template <std::size_t N, class Tag>
crypto::PublicKey public_key(const ByteId<N, Tag>& id) {
  static_assert(N == crypto::PublicKey::kSize);
  return {id.bytes};
}

}  // namespace

Hash chain_start(const HubId& hub, const DeviceId& device, ActorId actor) {
  return crypto::hash(kChainStartTag, {hub.view(), device.view(), big_endian(actor.value)});
}

Hash change_hash(BytesView change_frame) { return crypto::hash(kChangeTag, {change_frame}); }

Hash chain_next_hashed(const Hash& previous, const Hash& change_hash) {
  return crypto::hash(kChainTag, {previous.view(), change_hash.view()});
}

Hash chain_next(const Hash& previous, BytesView change_frame) {
  return chain_next_hashed(previous, change_hash(change_frame));
}

Hash state_digest(BytesView canonical) { return crypto::hash(kStateTag, {canonical}); }

crypto::Signature sign_head(const crypto::SigningKey& key, const DeviceId& device, ActorId actor,
                            Sequence n, const Hash& head) {
  return crypto::sign(key, kHeadTag,
                      {device.view(), big_endian(actor.value), big_endian(n.value), head.view()});
}

bool verify_head(const DeviceId& device, ActorId actor, Sequence n, const Hash& head,
                 const crypto::Signature& signature) {
  return crypto::verify(public_key(device), signature, kHeadTag,
                        {device.view(), big_endian(actor.value), big_endian(n.value), head.view()});
}

void sign_gap(const crypto::SigningKey& key, const DeviceId& device, Gap& gap) {
  gap.signature =
      crypto::sign(key, kGapTag,
                   {device.view(), big_endian(gap.actor.value), big_endian(gap.from.value),
                    big_endian(gap.to.value), gap.hash.view()});
}

bool verify_gap(const DeviceId& device, const Gap& gap) {
  return crypto::verify(public_key(device), gap.signature, kGapTag,
                        {device.view(), big_endian(gap.actor.value), big_endian(gap.from.value),
                         big_endian(gap.to.value), gap.hash.view()});
}

void sign_order(const crypto::SigningKey& key, const HubId& hub, const DeviceId& device,
                Order& order) {
  const std::uint8_t kind_size[] = {static_cast<std::uint8_t>(order.kind.size())};
  order.signature = crypto::sign(key, kOrderTag,
                                 {hub.view(), device.view(), big_endian(order.id), kind_size,
                                  as_bytes(order.kind), order.body});
}

bool verify_order(const HubId& hub, const DeviceId& device, const Order& order) {
  const std::uint8_t kind_size[] = {static_cast<std::uint8_t>(order.kind.size())};
  return crypto::verify(public_key(hub), order.signature, kOrderTag,
                        {hub.view(), device.view(), big_endian(order.id), kind_size,
                         as_bytes(order.kind), order.body});
}

}  // namespace fieldpost::wire

// Encoding and decoding: canonical msgpack, every check before the value is trusted.
//
// Thread rule: free functions without state.
// Invariants:
//   1. Decode means validate: size, order, duplicates, ranges, overflow, depth, trailing bytes, UTF-8
//      and canonical form; limits (base/limits.h) are checked before allocation.
//   2. encode(decode(b)) == b for every accepted b without extension keys (64 and above), which are
//      checked for form, passed over and not kept. Record states have no extension keys.
//   3. Errors name what and where ("push.changes[3]: …") and never quote a payload.
#pragma once

#include "model/change.h"
#include "model/record.h"
#include "wire/messages.h"

namespace fieldpost::wire {

// ---- changes ----

/// The part of a change frame that is readable even when the body is not.
struct FramedChange {
  RecordId record;
  Sequence counter;
  Sequence prev;
  Bytes body;
};

/// Canonical bytes of a change as it stands in a chain (its actor is the chain's).
/// Errors: what model::check_change says.
Result<Bytes> encode_change(const model::Change& change);
/// Errors: `malformed`, `too_large`. Succeeds for any body bytes.
Result<FramedChange> decode_change_frame(BytesView frame);
/// The whole change. Errors: as above, and for the body.
Result<model::Change> decode_change(ActorId actor, BytesView frame);

// ---- record states ----

/// Canonical bytes: equal records have equal bytes.
Result<Bytes> encode_record(const model::Record& record);
Result<model::Record> decode_record(BytesView bytes);
/// BLAKE2b-256 over tag "fieldpost.v1.state" and the canonical bytes.
Hash state_digest(BytesView canonical);

// ---- hash chain and signatures (tags in schemas/wire-v1.md) ----

/// h(0) = hash("fieldpost.v1.chain-start", hub ‖ device ‖ actor).
Hash chain_start(const HubId& hub, const DeviceId& device, ActorId actor);
/// h(n) = hash("fieldpost.v1.chain", h(n−1) ‖ hash("fieldpost.v1.change", bytes(change n))).
Hash chain_next(const Hash& previous, BytesView change_frame);
/// The same, of a change of which only its hash is left.
Hash chain_next_hashed(const Hash& previous, const Hash& change_hash);
Hash change_hash(BytesView change_frame);

crypto::Signature sign_head(const crypto::SigningKey& key, const DeviceId& device, ActorId actor,
                            Sequence n, const Hash& head);
bool verify_head(const DeviceId& device, ActorId actor, Sequence n, const Hash& head,
                 const crypto::Signature& signature);

/// Over tag "fieldpost.v1.gap", device ‖ actor ‖ from ‖ to ‖ hash. Sets or checks `gap.signature`.
void sign_gap(const crypto::SigningKey& key, const DeviceId& device, Gap& gap);
bool verify_gap(const DeviceId& device, const Gap& gap);

/// Over tag "fieldpost.v1.order", hub ‖ device ‖ id ‖ one byte: size of kind ‖ kind ‖ body.
void sign_order(const crypto::SigningKey& key, const HubId& hub, const DeviceId& device,
                Order& order);
bool verify_order(const HubId& hub, const DeviceId& device, const Order& order);

// ---- messages ----

/// "push", "state_chunk": stable, for metrics and logs.
std::string_view message_name(const Message& message);

/// The bytes of any message. Hello and Welcome get a signature of zeros here, which verifies nowhere:
/// use the two functions below.
Bytes encode_message(const Message& message);
Bytes encode_hello(const Hello& hello, const Challenge& challenge, const ChannelBinding& binding,
                   const crypto::SigningKey& device_key);
Bytes encode_welcome(const Welcome& welcome, const Challenge& challenge, const Hello& hello,
                     const ChannelBinding& binding, const crypto::SigningKey& hub_key);

/// A decoded message, with what is needed to check a signature of Hello or Welcome.
struct Decoded {
  Message message;
  Bytes signed_body;            ///< Hello, Welcome: the exact bytes the signature is over
  crypto::Signature signature;  ///< Hello, Welcome
};
Result<Decoded> decode_message(BytesView bytes);

bool verify_hello(const Decoded& hello, const Challenge& challenge, const ChannelBinding& binding);
bool verify_welcome(const Decoded& welcome, const Challenge& challenge, const Hello& sent,
                    const ChannelBinding& binding);

}  // namespace fieldpost::wire

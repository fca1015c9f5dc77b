// Messages: an array of the type number and the body. Hello and welcome carry their body as bytes,
// with a signature beside it, so that what was signed is never encoded anew.
#include <array>

#include "wire/body_attachments.h"
#include "wire/body_control.h"
#include "wire/body_handshake.h"
#include "wire/body_records.h"
#include "wire/codec.h"

namespace fieldpost::wire {
namespace {

constexpr std::string_view kHelloTag = "fieldpost.v1.hello";
constexpr std::string_view kWelcomeTag = "fieldpost.v1.welcome";

/// Type numbers are 1 + the place in the variant: never reorder it, only append.
template <class T, std::size_t I = 0>
constexpr std::uint64_t type_number() {
  if constexpr (std::is_same_v<std::variant_alternative_t<I, Message>, T>) {
    return I + 1;
  } else {
    return type_number<T, I + 1>();
  }
}
static_assert(type_number<Challenge>() == 1 && type_number<Push>() == 4 &&
              type_number<AttachFetch>() == 22 && type_number<Recovered>() == 24);

constexpr std::array<std::string_view, std::variant_size_v<Message>> kNames = {
    "challenge",    "hello",         "welcome",      "push",         "ack",        "confirm",
    "rewind",       "deliver",       "got",          "state_chunk",  "status",     "ping",
    "pong",         "bye",           "error",        "hash_query",   "hash_reply", "gap",
    "attach_offer", "attach_offset", "attach_chunk", "attach_fetch", "recover",    "recovered"};

template <class T>
constexpr bool kSigned = std::is_same_v<T, Hello> || std::is_same_v<T, Welcome>;

template <class T>
void put_body(Writer& out, const T& message) {
  BodyWriter body(out);
  describe(body, message);
  body.finish();
}

template <class T>
Bytes encode_signed(const crypto::Signature& signature, BytesView body) {
  Writer out(body.size() + 80);
  out.array(3);
  out.unsigned_integer(type_number<T>());
  out.blob(body);
  out.blob(signature.view());
  return std::move(out).take();
}

std::size_t expected_bytes(const Message& message) {
  std::size_t bytes = 256;
  if (const auto* push = std::get_if<Push>(&message)) {
    for (const auto& change : push->changes) bytes += change.size() + 5;
  } else if (const auto* deliver = std::get_if<Deliver>(&message)) {
    for (const auto& state : deliver->states) bytes += state.size() + 5;
  } else if (const auto* recovered = std::get_if<Recovered>(&message)) {
    for (const auto& state : recovered->states) bytes += state.size() + 5;
  }
  return bytes;
}

/// Every frame of a push has its place: the counter that follows from `first`.
void check_frames(Reader& in, const Push& push) {
  for (std::size_t i = 0; i < push.changes.size() && in.ok(); ++i) {
    Reader frame(push.changes[i]);
    frame.array_of(4);
    frame.blob_of(RecordId::kSize);
    const auto counter = frame.unsigned_integer();
    const auto prev = frame.unsigned_integer();
    frame.blob(limits::kChangeBytesMax);
    frame.finish();
    if (!frame.ok()) {
      const auto error = frame.error();
      in.fail(error.is(Errc::too_large) ? Errc::too_large : Errc::malformed, error.detail);
    } else if (counter != push.first.value + i) {
      in.fail(Errc::malformed, "counters are not consecutive");
    } else if (prev >= counter) {
      in.fail(Errc::malformed, "prev is not below the counter");
    }
    in.within(i);
    in.within("changes");
  }
}

template <class T>
void get_body(Reader& in, T& message) {
  BodyReader body(in);
  describe(body, message);
  body.finish();
  if constexpr (std::is_same_v<T, Push>) check_frames(in, message);
}

template <class T>
void get_message(Reader& in, Decoded& decoded, std::size_t parts) {
  auto& message = decoded.message.emplace<T>();
  if (parts != (kSigned<T> ? 3 : 2)) in.fail(Errc::malformed, "wrong number of parts");
  if constexpr (kSigned<T>) {
    decoded.signed_body = to_bytes(in.blob(limits::kMessageBytesMax));
    const auto signature = in.blob_of(crypto::Signature::kSize);
    if (!in.ok()) return;
    std::copy(signature.begin(), signature.end(), decoded.signature.bytes.begin());
    Reader body(decoded.signed_body);
    get_body(body, message);
    body.finish();
    if (!body.ok()) {
      const auto error = body.error();
      in.fail(error.is(Errc::too_large) ? Errc::too_large : Errc::malformed, error.detail);
    }
  } else {
    get_body(in, message);
  }
  in.finish();
}

template <std::size_t... I>
void dispatch(Reader& in, Decoded& decoded, std::uint64_t type, std::size_t parts,
              std::index_sequence<I...>) {
  using Get = void (*)(Reader&, Decoded&, std::size_t);
  static constexpr Get kGet[] = {&get_message<std::variant_alternative_t<I, Message>>...};
  kGet[type - 1](in, decoded, parts);
  in.within(kNames[type - 1]);
}

crypto::PublicKey public_key(BytesView id) {
  crypto::PublicKey key;
  std::copy(id.begin(), id.end(), key.bytes.begin());
  return key;
}

}  // namespace

Bytes encode_message(const Message& message) {
  Writer out(expected_bytes(message));
  std::visit(
      [&]<class T>(const T& m) {
        out.array(kSigned<T> ? 3 : 2);
        out.unsigned_integer(type_number<T>());
        if constexpr (kSigned<T>) {
          // A signature of zeros: verifies nowhere. The real ones come from encode_hello, encode_welcome.
          Writer body;
          put_body(body, m);
          out.blob(body.view());
          out.blob(crypto::Signature{}.view());
        } else {
          put_body(out, m);
        }
      },
      message);
  return std::move(out).take();
}

Bytes encode_hello(const Hello& hello, const Challenge& challenge, const ChannelBinding& binding,
                   const crypto::SigningKey& device_key) {
  Writer body(1024);
  put_body(body, hello);
  const auto signature = crypto::sign(device_key, kHelloTag,
                                      {challenge.nonce.view(), challenge.hub.view(),
                                       challenge.epoch.view(), binding.view(), body.view()});
  return encode_signed<Hello>(signature, body.view());
}

bool verify_hello(const Decoded& decoded, const Challenge& challenge,
                  const ChannelBinding& binding) {
  const auto* hello = std::get_if<Hello>(&decoded.message);
  if (hello == nullptr) return false;
  return crypto::verify(public_key(hello->device.view()), decoded.signature, kHelloTag,
                        {challenge.nonce.view(), challenge.hub.view(), challenge.epoch.view(),
                         binding.view(), decoded.signed_body});
}

Bytes encode_welcome(const Welcome& welcome, const Challenge& challenge, const Hello& hello,
                     const ChannelBinding& binding, const crypto::SigningKey& hub_key) {
  Writer body(1024);
  put_body(body, welcome);
  const auto signature =
      crypto::sign(hub_key, kWelcomeTag,
                   {challenge.hub.view(), challenge.epoch.view(), hello.device.view(),
                    hello.agent_nonce.view(), binding.view(), body.view()});
  return encode_signed<Welcome>(signature, body.view());
}

bool verify_welcome(const Decoded& decoded, const Challenge& challenge, const Hello& sent,
                    const ChannelBinding& binding) {
  if (!std::holds_alternative<Welcome>(decoded.message)) return false;
  return crypto::verify(public_key(challenge.hub.view()), decoded.signature, kWelcomeTag,
                        {challenge.hub.view(), challenge.epoch.view(), sent.device.view(),
                         sent.agent_nonce.view(), binding.view(), decoded.signed_body});
}

std::string_view message_name(const Message& message) { return kNames[message.index()]; }

Result<Decoded> decode_message(BytesView bytes) {
  if (bytes.size() > limits::kMessageBytesMax) {
    return fail(Errc::too_large,
                "a message over " + std::to_string(limits::kMessageBytesMax) + " bytes");
  }
  Reader in(bytes);
  const auto parts = in.array(3);
  const auto type = in.unsigned_integer();
  if (!in.ok()) return in.error();
  if (type == 0 || type > kNames.size()) {
    return fail(Errc::unsupported, "message type " + std::to_string(type) + " is not known to v1");
  }
  Decoded decoded;
  dispatch(in, decoded, type, parts, std::make_index_sequence<std::variant_size_v<Message>>{});
  if (!in.ok()) return in.error();
  return decoded;
}

}  // namespace fieldpost::wire

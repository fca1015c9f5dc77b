// What v1 promises between builds of different age (schemas/wire-v1.md §6.2): a peer that says more than this
// one knows, in every message and in both directions.
#include "tests/support/catch.h"
#include "tests/support/sync_world.h"
#include "tests/sync/checks.h"
#include "wire/codec.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// One key more in a body: 100, with a list that nests.
void extend_body(Bytes& body, std::size_t header_at) {
  REQUIRE((body[header_at] & 0xf0) == 0x80);
  REQUIRE((body[header_at] & 0x0f) < 15);
  ++body[header_at];
  for (const std::uint8_t byte : {0x64, 0x92, 0x01, 0x91, 0xa5}) body.push_back(byte);
  for (const char c : {'l', 'a', 't', 'e', 'r'}) body.push_back(static_cast<std::uint8_t>(c));
}

/// Speaks as builds to come might: every message has a key that nobody knows yet, signed ones under their
/// sender's signature.
struct NewerPeers {
  SyncWorld& world;
  Tablet& tablet;
  wire::Challenge challenge;
  wire::Hello hello;
  std::set<std::string> said;

  Bytes extended(BytesView frame) {
    Bytes message = *compressor().decode_frame(frame);
    const auto decoded = *wire::decode_message(message);
    said.insert(std::string(wire::message_name(decoded.message)));
    if (const auto* c = std::get_if<wire::Challenge>(&decoded.message)) challenge = *c;
    if (decoded.signed_body.empty()) {
      extend_body(message, 2);
      return compressor().encode_frame(message);
    }
    Bytes body = decoded.signed_body;
    extend_body(body, 0);
    const auto& binding = tablet.link->binding;
    crypto::Signature signature;
    if (const auto* h = std::get_if<wire::Hello>(&decoded.message)) {
      hello = *h;
      signature = crypto::sign(tablet.identity.key, "fieldpost.v1.hello",
                               {challenge.nonce.view(), challenge.hub.view(),
                                challenge.epoch.view(), binding.view(), body});
    } else {
      signature = crypto::sign(world.hub_key(), "fieldpost.v1.welcome",
                               {challenge.hub.view(), challenge.epoch.view(), hello.device.view(),
                                hello.agent_nonce.view(), binding.view(), body});
    }
    Bytes out{0x93, message[1], 0xc5, static_cast<std::uint8_t>(body.size() >> 8),
              static_cast<std::uint8_t>(body.size() & 0xff)};
    if (body.size() < 256) out = {0x93, message[1], 0xc4, static_cast<std::uint8_t>(body.size())};
    out.insert(out.end(), body.begin(), body.end());
    out.push_back(0xc4);
    out.push_back(64);
    out.insert(out.end(), signature.bytes.begin(), signature.bytes.end());
    return compressor().encode_frame(out);
  }

  bool move() {
    Connection& link = *tablet.link;
    if (!link.down.empty()) {
      link.down.front() = extended(link.down.front());
      return world.move_down(tablet);
    }
    if (!link.up.empty()) {
      link.up.front() = extended(link.up.front());
      return world.move_up(tablet);
    }
    return world.write(true) || world.hear_writer(link);
  }
};

}  // namespace

TEST_CASE("peers that say more than this build knows sync as others do") {
  SyncWorld world(7);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  const RecordId theirs = world.record(two, {field("direction", std::string("entry"))});
  world.connect(two);
  world.settle();
  world.cut(two);
  const RecordId mine = world.record(one, {field("direction", std::string("exit"))});
  world.connect(one);
  NewerPeers peers{world, one, {}, {}, {}};
  for (int i = 0; i < 200 && one.link && peers.move(); ++i) {
  }
  INFO((one.closed ? one.closed->message() : std::string("open")));
  REQUIRE(one.link);
  CHECK(one.in_sync());
  CHECK(one.view(theirs).record.id == theirs);
  CHECK(one.view(mine).at_hub);
  CHECK(one.digest() == world.hub_digest("PPT"));
  CHECK(world.verify_hub().has_value());
  for (const char* name :
       {"challenge", "hello", "welcome", "push", "ack", "deliver", "got", "status"}) {
    INFO(name);
    CHECK(peers.said.contains(name));
  }
}

TEST_CASE("a hub of a later version is refused in a sentence, and hears nothing") {
  SyncWorld world(8);
  Tablet& one = world.add_tablet("T01", "PPT");
  world.record(one, {field("direction", std::string("exit"))});
  world.connect(one);
  auto challenge = std::get<wire::Challenge>(open_frame(one.link->down.front()).message);
  challenge.version = 2;
  one.link->down.front() = frame_of(challenge);
  world.move_down(one);
  REQUIRE(one.closed);
  CHECK(one.closed->is(Errc::unsupported));
  CHECK(one.closed_for_good);
  CHECK(one.closed->detail.find("version 2") != std::string::npos);
  CHECK(one.last_link->sent_up.messages.count("hello") == 0);
  CHECK(one.waiting() == 1);
}

// What the hub sends ahead of a tablet's answers: bounded by bytes, too, so that a peer that does not read costs
// little; and nobody waits for ever because another unit's deliveries filled the window.
#include <deque>
#include <utility>

#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

constexpr std::size_t kRecords = 12;
constexpr std::size_t kChanges = 13;  ///< of each record; together it goes in chunks
constexpr std::size_t kFields = 3;    ///< of each change
constexpr std::size_t kTextBytes = 16'000;
constexpr std::size_t kStateBytesMax = kChanges * kFields * (kTextBytes + 100);

/// Text that does not compress: as sealed values are.
std::string noise(SyncWorld& world) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
  std::string text(kTextBytes, ' ');
  for (char& c : text) c = kLetters[world.dice().below(kLetters.size())];
  return text;
}

/// Frame bytes of deliveries on their way to one tablet, or not yet answered by it.
class Unanswered {
 public:
  explicit Unanswered(SyncWorld& world) {
    world.tap = [this](Connection&, bool up, BytesView frame) {
      const wire::Decoded decoded = open_frame(frame);
      if (up && std::holds_alternative<wire::Got>(decoded.message)) {
        REQUIRE_FALSE(sent_.empty());
        bytes_ -= sent_.front();
        sent_.pop_front();
      }
      if (up) return;
      // Large states go ahead of the delivery that answers for them.
      const bool delivers = std::holds_alternative<wire::Deliver>(decoded.message);
      if (!delivers && !std::holds_alternative<wire::StateChunk>(decoded.message)) return;
      ahead_ += frame.size();
      bytes_ += frame.size();
      most_ = std::max(most_, bytes_);
      if (delivers) sent_.push_back(std::exchange(ahead_, 0));
    };
  }
  std::size_t most() const { return most_; }

 private:
  std::deque<std::size_t> sent_;
  std::size_t ahead_ = 0;
  std::size_t bytes_ = 0;
  std::size_t most_ = 0;
};

}  // namespace

TEST_CASE(
    "a tablet that answers late is sent no more than the window's bytes ahead, and gets all") {
  SyncWorld world(1);
  Tablet& writer = world.add_tablet("T01", "PPT");
  Tablet& reader = world.add_tablet("T02", "PPT");
  for (std::size_t i = 0; i < kRecords; ++i) {
    const RecordId id = world.record(writer, {field("note", noise(world))});
    for (std::size_t change = 0; change < kChanges; ++change) {
      std::vector<model::FieldValue> fields;
      for (std::size_t n = 0; n < kFields; ++n)
        fields.push_back(field("page" + std::to_string(change * kFields + n), noise(world)));
      REQUIRE(world.edit(writer, id, std::move(fields)));
    }
  }
  world.sync(writer);
  REQUIRE(writer.in_sync());

  Unanswered unanswered(world);
  world.connect(reader);
  // The hub speaks until it has nothing more to say; only then the tablet is heard.
  for (bool moved = true; moved;) {
    moved = false;
    while (world.move_down(reader)) moved = true;
    while (world.move_up(reader)) moved = true;
    while (world.writer_has_work() && world.write(true)) moved = true;
    while (world.hear_writer(*reader.link)) moved = true;
  }
  CHECK(reader.in_sync());
  CHECK(reader.digest() == world.hub_digest("PPT"));
  // It was the bytes that held it back: eight deliveries of this size would be far more.
  CHECK(unanswered.most() > limits::kDeliverWindowBytes);
  CHECK(unanswered.most() <= limits::kDeliverWindowBytes + kStateBytesMax + limits::kFrameBytesMax);
  heal_and_check(world);
}

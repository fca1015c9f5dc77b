// Random valid changes, records and messages from one seed: what property tests feed the codec with.
#pragma once

#include <random>

#include "model/record.h"
#include "wire/messages.h"

namespace fieldpost::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool coin() { return below(2) == 0; }
  /// Numbers of every size, the bounds among them.
  std::uint64_t number() {
    switch (below(6)) {
      case 0:
        return below(3);
      case 1:
        return UINT64_MAX - below(2);
      default:
        return engine_() >> below(64);
    }
  }
  std::uint64_t positive() { return std::max<std::uint64_t>(1, number()); }
  std::int64_t signed_number() { return static_cast<std::int64_t>(coin() ? number() : ~number()); }

  template <class Id>
  Id id() {
    Id id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(engine_());
    return id;
  }
  Bytes bytes(std::size_t least, std::size_t most) {
    Bytes out(least + below(most - least + 1));
    for (auto& byte : out) byte = static_cast<std::uint8_t>(engine_());
    return out;
  }
  /// UTF-8, Khmer and four-byte characters among it; at most `most` bytes.
  std::string text(std::size_t least, std::size_t most);
  std::string path();

  model::Change change();
  model::Record record();
  wire::Message message();

 private:
  std::string name() { return text(1, 64); }
  Instant instant() { return {signed_number()}; }
  model::Value value(const std::vector<model::Seal>& seals);
  std::vector<model::FieldValue> fields(std::size_t least, const std::vector<model::Seal>& seals);
  std::vector<model::Seal> seals();
  void drop_unused(std::vector<model::Seal>& seals, const std::vector<model::FieldValue>& fields,
                   const model::Value* reason);
  std::vector<model::VersionVector::Entry> entries(std::size_t most);
  wire::AgentStatus status();
  wire::ChangeException exception();
  wire::Hello hello();
  wire::Welcome welcome();
  wire::Push push();
  wire::Message small_message(std::size_t index);

  std::mt19937_64 engine_;
};

}  // namespace fieldpost::test

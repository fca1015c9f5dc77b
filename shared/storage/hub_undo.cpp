#include <algorithm>

#include "crypto/crypto.h"
#include "storage/kv_hub_store.h"
#include "storage/pack.h"

namespace fieldpost::storage {

namespace {

/// A salt for the n-th change of one decision: the caller's randomness, spread.
Salt nth_salt(const std::array<std::uint8_t, 16>& seed, std::uint64_t n) {
  const Hash full = crypto::hash("fieldpost.v1.hub-salt", {seed, Packer().u64(n).bytes()});
  Salt salt;
  std::memcpy(salt.bytes.data(), full.bytes.data(), salt.bytes.size());
  return salt;
}

/// Adds an edit that restores an earlier sibling, with the seal it needs.
void restore(model::Change& change, const std::string& path, const model::Sibling& sibling) {
  change.edits.push_back({path, *sibling.value});
  const auto* sealed = std::get_if<model::Sealed>(sibling.value);
  if (sealed == nullptr) return;
  const bool present = std::any_of(change.seals.begin(), change.seals.end(),
                                   [&](const model::Seal& s) { return s.id == sealed->seal; });
  if (present) return;
  for (const model::Seal& seal : sibling.group->seals) {
    if (seal.id == sealed->seal) change.seals.push_back(seal);
  }
  std::sort(change.seals.begin(), change.seals.end(),
            [](const model::Seal& a, const model::Seal& b) { return a.id < b.id; });
}

/// Voiding takes an amendment item that says who, when and why (schemas/README.md).
void add_amendment(const UndoInput& input, std::vector<model::FieldValue>& edits) {
  const std::string item =
      "amendments/" + to_base32(BytesView(nth_salt(input.salt, ~0ULL).bytes).first(5)) + "/";
  edits.push_back({item + "at", to_text(input.times.wall)});
  edits.push_back({item + "by", input.author});
  edits.push_back({item + "kind", std::string("void")});
  edits.push_back({item + "reason", input.reason});
}

}  // namespace

std::vector<model::Change> undo_changes(const UndoInput& input) {
  std::vector<model::FieldValue> creation;
  const bool created = input.before.vv.empty();
  if (created) {
    if (!input.faulty_path.empty() && input.faulty_path != "state") {
      creation.push_back({input.faulty_path, model::Null{}});
    }
    creation.push_back({"state", std::string("void")});
    if (!input.reason.empty()) add_amendment(input, creation);
    std::sort(creation.begin(), creation.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
  }
  std::size_t rounds = 1;
  for (const model::FieldValue& edit : input.rejected.edits) {
    rounds = std::max(rounds, model::siblings(input.before, edit.path).size());
  }
  if (created) rounds = 1;
  std::vector<model::Change> changes;
  Sequence counter = input.hub_head;
  Sequence prev = input.after.vv[input.hub_actor];
  for (std::size_t round = 0; round < rounds; ++round) {
    model::Change change;
    change.record = input.rejected.record;
    change.type = input.rejected.type;
    change.unit = input.rejected.unit;
    change.dot = {input.hub_actor, counter = counter.next()};
    change.prev = prev;
    prev = counter;
    change.context = input.after.vv;
    change.author = input.author;
    change.times = input.times;
    change.schema_version = input.rejected.schema_version;
    if (!input.reason.empty()) change.reason = input.reason;
    change.salt = nth_salt(input.salt, round);
    if (created) change.edits = creation;
    for (const model::FieldValue& edit : input.rejected.edits) {
      if (created) break;
      const auto earlier = model::siblings(input.before, edit.path);
      if (round < earlier.size()) {
        restore(change, edit.path, earlier[round]);
      } else if (round == 0) {
        change.edits.push_back({edit.path, model::Null{}});
      }
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace fieldpost::storage

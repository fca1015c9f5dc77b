#include "tests/support/oracle.h"

namespace fieldpost::test {

namespace {

using namespace fieldpost::model;

// NOLINTBEGIN(readability-use-anyofallof): the oracle is plain on purpose

bool covered(const VersionVector& context, const Dot& dot) {
  for (const auto& entry : context.entries()) {
    if (entry.actor == dot.actor && entry.counter.value >= dot.counter.value) return true;
  }
  return false;
}

bool edits(const Change& change, const std::string& path) {
  for (const FieldValue& field : change.edits) {
    if (field.path == path) return true;
  }
  return false;
}

EstimatedTime time_of(const ChangeTimes& times) {
  if (!times.hub || times.hub->monotonic_ms > times.monotonic_ms)
    return {times.wall, ClockKind::wall};
  __int128 at = times.hub->at.ms;
  at += times.monotonic_ms - times.hub->monotonic_ms;
  if (at > INT64_MAX) at = INT64_MAX;
  return {{static_cast<std::int64_t>(at)}, ClockKind::hub};
}

bool uses(const DotGroup& group, const SealId& seal) {
  for (const FieldValue& field : group.fields) {
    if (field.value.index() == 5 && std::get<Sealed>(field.value).seal == seal) return true;
  }
  return false;
}

// NOLINTEND(readability-use-anyofallof)

}  // namespace

std::set<Dot> Oracle::admitted() const {
  std::set<Dot> in;
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& [dot, change] : received_) {
      bool ready = !in.contains(dot);
      if (change->prev.value != 0 && !in.contains(Dot{dot.actor, change->prev})) ready = false;
      for (const auto& entry : change->context.entries()) {
        if (!in.contains(Dot{entry.actor, entry.counter})) ready = false;
      }
      if (ready) {
        in.insert(dot);
        grew = true;
      }
    }
  }
  return in;
}

std::set<Dot> Oracle::received() const {
  std::set<Dot> out;
  for (const auto& [dot, change] : received_) out.insert(dot);
  return out;
}

Record Oracle::record() const {
  Record record;
  record.id.bytes.fill(0x51);
  record.type = "stop";
  record.unit = "PPT";
  const std::set<Dot> in = admitted();
  std::map<ActorId, Sequence> newest;
  for (const Dot& dot : in) {
    newest[dot.actor] = dot.counter;  // a set is sorted: the last one is the largest
    const Change& change = *received_.at(dot);
    DotGroup group;
    group.dot = dot;
    group.meta = {change.author, time_of(change.times), change.schema_version, change.origin};
    for (const FieldValue& field : change.edits) {
      bool survives = true;
      for (const Dot& other : in) {
        const Change& later = *received_.at(other);
        if (edits(later, field.path) && covered(later.context, dot)) survives = false;
      }
      if (survives) group.fields.push_back(field);
    }
    for (const Seal& seal : change.seals) {
      if (uses(group, seal.id)) group.seals.push_back(seal);
    }
    if (!group.fields.empty()) record.groups.push_back(group);
  }
  std::vector<VersionVector::Entry> entries;
  entries.reserve(newest.size());
  for (const auto& [actor, counter] : newest) entries.push_back({actor, counter});
  record.vv = *VersionVector::from_entries(entries);
  return record;
}

std::map<std::string, ExpectedField> expected_fields(const Record& record) {
  std::map<std::string, ExpectedField> fields;
  std::map<std::string, Instant> times;
  for (const DotGroup& group : record.groups) {
    for (const FieldValue& field : group.fields) {
      const Instant at = group.meta.time.at;
      const auto [it, first] =
          fields.try_emplace(field.path, ExpectedField{group.dot, field.value, 1, false});
      ExpectedField& known = it->second;
      if (first) {
        times[field.path] = at;
        continue;
      }
      ++known.siblings;
      if (!(known.value == field.value)) known.conflict = true;
      // Groups come in the order of their dots: on a tie of times the later one wins.
      if (at >= times[field.path]) {
        times[field.path] = at;
        known.dot = group.dot;
        known.value = field.value;
      }
    }
  }
  return fields;
}

}  // namespace fieldpost::test

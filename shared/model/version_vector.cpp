#include "model/version_vector.h"

#include <algorithm>

namespace fieldpost::model {

namespace {

auto find(auto& entries, ActorId actor) {
  return std::lower_bound(entries.begin(), entries.end(), actor,
                          [](const VersionVector::Entry& e, ActorId a) { return e.actor < a; });
}

}  // namespace

std::string to_text(const Dot& dot) {
  return dot.actor.hex() + ":" + std::to_string(dot.counter.value);
}

Result<VersionVector> VersionVector::from_entries(std::vector<Entry> entries) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].counter.value == 0) {
      return fail(Errc::malformed, "version vector holds a zero counter");
    }
    if (entries[i].actor.value == 0) {
      return fail(Errc::malformed, "version vector holds the actor zero");
    }
    if (i > 0 && !(entries[i - 1].actor < entries[i].actor)) {
      return fail(Errc::malformed, "version vector is not sorted by actor, or repeats one");
    }
  }
  VersionVector vv;
  vv.entries_ = std::move(entries);
  return vv;
}

Sequence VersionVector::operator[](ActorId actor) const {
  const auto it = find(entries_, actor);
  return it != entries_.end() && it->actor == actor ? it->counter : Sequence{};
}

bool VersionVector::covers(const VersionVector& other) const {
  return std::all_of(other.entries_.begin(), other.entries_.end(), [&](const Entry& entry) {
    return covers(Dot{entry.actor, entry.counter});
  });
}

std::partial_ordering VersionVector::compare(const VersionVector& other) const {
  const bool above = covers(other);
  const bool below = other.covers(*this);
  if (above && below) return std::partial_ordering::equivalent;
  if (above) return std::partial_ordering::greater;
  if (below) return std::partial_ordering::less;
  return std::partial_ordering::unordered;
}

void VersionVector::add(const Dot& dot) {
  if (dot.counter.value == 0 || dot.actor.value == 0) return;
  const auto it = find(entries_, dot.actor);
  if (it != entries_.end() && it->actor == dot.actor) {
    it->counter = std::max(it->counter, dot.counter);
  } else {
    entries_.insert(it, Entry{dot.actor, dot.counter});
  }
}

void VersionVector::merge(const VersionVector& other) {
  for (const Entry& entry : other.entries_) add(Dot{entry.actor, entry.counter});
}

}  // namespace fieldpost::model

// apply, hold and join: the merge itself.
#include <algorithm>
#include <optional>
#include <type_traits>

#include "base/planted.h"
#include "model/record.h"

namespace fieldpost::model {

namespace {

/// Drops the seals that no remaining field uses.
void prune_seals(DotGroup& group) {
  std::erase_if(group.seals, [&](const Seal& seal) {
    return std::none_of(group.fields.begin(), group.fields.end(), [&](const FieldValue& field) {
      const auto* sealed = std::get_if<Sealed>(&field.value);
      return sealed != nullptr && sealed->seal == seal.id;
    });
  });
}

/// Removes from `group` every field whose path is edited. Both are sorted by path.
void remove_edited(DotGroup& group, const std::vector<FieldValue>& edits) {
  auto edit = edits.begin();
  const auto before = group.fields.size();
  std::erase_if(group.fields, [&](const FieldValue& field) {
    while (edit != edits.end() && edit->path < field.path) ++edit;
    return edit != edits.end() && edit->path == field.path;
  });
  if (group.fields.size() != before) prune_seals(group);
}

DotGroup group_of(const Change& change) {
  DotGroup group;
  group.dot = change.dot;
  group.meta = {change.author, estimate(change.times), change.schema_version, change.origin};
  group.seals = change.seals;
  group.fields = change.edits;
  prune_seals(group);  // a sealed reason is history, not state
  return group;
}

static_assert(std::is_nothrow_move_constructible_v<DotGroup> &&
              std::is_nothrow_move_assignable_v<DotGroup>);

/// For one more; as push_back would grow it.
void make_room(std::vector<DotGroup>& groups) {
  if (groups.size() == groups.capacity())
    groups.reserve(std::max<std::size_t>(1, 2 * groups.size()));
}

auto lower_bound(std::vector<DotGroup>& groups, const Dot& dot) {
  return std::lower_bound(groups.begin(), groups.end(), dot,
                          [](const DotGroup& g, const Dot& d) { return g.dot < d; });
}

/// The fields that two records hold under one dot: those both have. A field of one only was
/// replaced on the other side, whose vector covers the dot.
DotGroup common(DotGroup mine, const DotGroup& theirs) {
  auto other = theirs.fields.begin();
  std::erase_if(mine.fields, [&](const FieldValue& field) {
    while (other != theirs.fields.end() && other->path < field.path) ++other;
    return other == theirs.fields.end() || other->path != field.path;
  });
  prune_seals(mine);
  return mine;
}

}  // namespace

Applied classify(const Record& record, const Change& change) {
  if (change.record != record.id || change.type != record.type || change.unit != record.unit) {
    return Applied::mismatch;
  }
  if (record.vv.covers(change.dot)) return Applied::already_known;
  if (record.vv[change.dot.actor] != change.prev) return Applied::held_for_predecessor;
  if (!record.vv.covers(change.context)) return Applied::held_for_context;
  return Applied::applied;
}

Applied apply(Record& record, const Change& change) {
  const Applied verdict = classify(record, change);
  if (verdict != Applied::applied) return verdict;
  // All that takes memory first: from remove_edited on nothing can fail.
  std::optional<DotGroup> group;
  if (!change.edits.empty()) {
    group = group_of(change);
    make_room(record.groups);
  }
  record.vv.add(change.dot);
  for (DotGroup& earlier : record.groups) {
    if (change.context.covers(earlier.dot) || planted(Bug::last_write_wins))
      remove_edited(earlier, change.edits);
  }
  std::erase_if(record.groups, [](const DotGroup& earlier) { return earlier.fields.empty(); });
  if (group) record.groups.insert(lower_bound(record.groups, change.dot), *std::move(group));
  return Applied::applied;
}

Drained drain(Record& record, std::vector<Change>& waiting) {
  Drained drained;
  // A change must not be applied and then not be named.
  drained.applied.reserve(waiting.size());
  drained.known.reserve(waiting.size());
  drained.mismatched.reserve(waiting.size());
  bool moved = true;
  while (moved && !waiting.empty()) {
    moved = false;
    for (auto it = waiting.begin(); it != waiting.end();) {
      switch (apply(record, *it)) {
        case Applied::applied:
          drained.applied.push_back(it->dot);
          moved = true;
          break;
        case Applied::already_known:
          drained.known.push_back(it->dot);
          break;
        case Applied::mismatch:
          drained.mismatched.push_back(it->dot);
          break;
        case Applied::held_for_predecessor:
        case Applied::held_for_context:
          ++it;
          continue;
      }
      it = waiting.erase(it);
    }
  }
  return drained;
}

Status join(Record& into, const Record& other) {
  if (into.id != other.id || into.type != other.type || into.unit != other.unit) {
    return fail(Errc::conflict, "two records with different id, type or unit cannot be joined");
  }
  // All that takes memory first: once something of `into` is moved nothing can fail.
  VersionVector vv = into.vv;
  vv.merge(other.vv);
  std::vector<DotGroup> new_here;
  for (const DotGroup& group : other.groups)
    if (!into.vv.covers(group.dot) || planted(Bug::join_resurrects)) new_here.push_back(group);
  std::vector<DotGroup> groups;
  groups.reserve(into.groups.size() + new_here.size());
  auto next_new = new_here.begin();
  auto mine = into.groups.begin();
  auto theirs = other.groups.begin();
  while (mine != into.groups.end() || theirs != other.groups.end()) {
    const bool take_mine =
        theirs == other.groups.end() || (mine != into.groups.end() && mine->dot < theirs->dot);
    const bool take_theirs =
        mine == into.groups.end() || (theirs != other.groups.end() && theirs->dot < mine->dot);
    if (take_mine) {
      if (planted(Bug::join_resurrects) ||
          (!other.vv.covers(mine->dot) && !planted(Bug::join_forgets_siblings)))
        groups.push_back(std::move(*mine));
      ++mine;
    } else if (take_theirs) {
      if (!into.vv.covers(theirs->dot) || planted(Bug::join_resurrects))
        groups.push_back(std::move(*next_new++));
      ++theirs;
    } else {
      DotGroup both = common(std::move(*mine), *theirs);
      if (!both.fields.empty()) groups.push_back(std::move(both));
      ++mine;
      ++theirs;
    }
  }
  into.groups = std::move(groups);
  into.vv = std::move(vv);
  return {};
}

}  // namespace fieldpost::model

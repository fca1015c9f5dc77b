#include "model/record.h"

#include <algorithm>

#include "base/limits.h"
#include "model/check.h"

namespace fieldpost::model {

namespace {

/// The order by which one of several siblings is shown: later estimated time, then actor, then counter.
bool shown_before(const DotGroup& a, const DotGroup& b) {
  if (a.meta.time.at != b.meta.time.at) return a.meta.time.at > b.meta.time.at;
  if (a.dot.actor != b.dot.actor) return a.dot.actor > b.dot.actor;
  return a.dot.counter > b.dot.counter;
}

const FieldValue* find_field(const DotGroup& group, std::string_view path) {
  const auto it =
      std::lower_bound(group.fields.begin(), group.fields.end(), path,
                       [](const FieldValue& f, std::string_view p) { return f.path < p; });
  return it != group.fields.end() && it->path == path ? &*it : nullptr;
}

}  // namespace

Record empty_record(const RecordId& id, std::string type, std::string unit) {
  return Record{id, std::move(type), std::move(unit), {}, {}};
}

Status check_record(const Record& record) {
  FP_CHECK_OK(check_name("type", record.type));
  FP_CHECK_OK(check_name("unit", record.unit));
  if (record.vv.size() > limits::kVectorEntriesMax) {
    return fail(Errc::too_large, "the version vector has too many actors");
  }
  if (record.groups.size() > limits::kGroupsMax)
    return fail(Errc::too_large, "too many dot groups");
  for (std::size_t i = 0; i < record.groups.size(); ++i) {
    const DotGroup& group = record.groups[i];
    if (i > 0 && !(record.groups[i - 1].dot < group.dot)) {
      return fail(Errc::malformed, "dot groups are not sorted by dot, or repeat one");
    }
    if (group.dot.counter.value == 0 || !record.vv.covers(group.dot)) {
      return fail(Errc::malformed, "a dot group that the version vector does not cover");
    }
    if (group.fields.empty()) return fail(Errc::malformed, "an empty dot group");
    FP_CHECK_OK(check_name("author", group.meta.author));
    FP_CHECK_OK(check_fields(group.fields));
    FP_CHECK_OK(check_seals(group.seals, group.fields, nullptr));
  }
  return {};
}

std::vector<Sibling> siblings(const Record& record, std::string_view path) {
  std::vector<Sibling> found;
  for (const DotGroup& group : record.groups) {
    if (const FieldValue* field = find_field(group, path)) found.push_back({&group, &field->value});
  }
  return found;
}

std::vector<ShownField> shown_fields(const Record& record) {
  std::vector<ShownField> all;
  for (const DotGroup& group : record.groups) {
    for (const FieldValue& field : group.fields) {
      all.push_back(ShownField{field.path, &field.value, &group, 1, false});
    }
  }
  std::sort(all.begin(), all.end(), [](const ShownField& a, const ShownField& b) {
    if (a.path != b.path) return a.path < b.path;
    return shown_before(*a.group, *b.group);
  });
  std::vector<ShownField> out;
  out.reserve(all.size());
  for (const ShownField& field : all) {
    if (out.empty() || out.back().path != field.path) {
      out.push_back(field);
      continue;
    }
    ++out.back().sibling_count;
    if (!(*out.back().value == *field.value)) out.back().conflict = true;
  }
  return out;
}

const Value* shown(const Record& record, std::string_view path) {
  const Sibling* best = nullptr;
  const std::vector<Sibling> all = siblings(record, path);
  for (const Sibling& sibling : all) {
    if (best == nullptr || shown_before(*sibling.group, *best->group)) best = &sibling;
  }
  return best != nullptr ? best->value : nullptr;
}

std::vector<std::string> conflicts(const Record& record) {
  std::vector<std::string> paths;
  if (record.groups.size() < 2) return paths;
  for (const ShownField& field : shown_fields(record)) {
    if (field.conflict) paths.emplace_back(field.path);
  }
  return paths;
}

}  // namespace fieldpost::model

#include "model/change.h"

#include <algorithm>
#include <limits>

#include "base/limits.h"
#include "base/text.h"
#include "model/check.h"

namespace fieldpost::model {

namespace {

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? std::numeric_limits<std::int64_t>::max()
               : std::numeric_limits<std::int64_t>::min();
}

}  // namespace

EstimatedTime estimate(const ChangeTimes& times) {
  if (!times.hub || times.monotonic_ms < times.hub->monotonic_ms) {
    return {times.wall, ClockKind::wall};
  }
  const std::uint64_t since = times.monotonic_ms - times.hub->monotonic_ms;
  const auto bounded = static_cast<std::int64_t>(
      std::min<std::uint64_t>(since, std::numeric_limits<std::int64_t>::max()));
  return {Instant{saturating_add(times.hub->at.ms, bounded)}, ClockKind::hub};
}

Status check_name(std::string_view what, std::string_view text) {
  if (text.empty() || text.size() > limits::kNameBytesMax || !is_utf8(text)) {
    return fail(Errc::malformed, std::string(what) + " must be 1–" +
                                     std::to_string(limits::kNameBytesMax) + " bytes of UTF-8");
  }
  return {};
}

Status check_value(std::string_view path, const Value& value) {
  const auto too_large = [&](std::string_view what) {
    return fail(Errc::too_large, std::string(path) + ": " + std::string(what));
  };
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (text->size() > limits::kTextBytesMax) return too_large("text over the limit");
    if (!is_utf8(*text)) return fail(Errc::malformed, std::string(path) + ": text is not UTF-8");
  } else if (const auto* list = std::get_if<List>(&value)) {
    if (list->size() > limits::kListItemsMax) return too_large("list over the limit");
    for (const ListItem& item : *list) {
      const auto* member = std::get_if<std::string>(&item);
      if (member == nullptr) continue;
      if (member->size() > limits::kTextBytesMax) return too_large("text over the limit");
      if (!is_utf8(*member))
        return fail(Errc::malformed, std::string(path) + ": text is not UTF-8");
    }
  } else if (const auto* sealed = std::get_if<Sealed>(&value)) {
    if (sealed->ciphertext.size() > limits::kCiphertextBytesMax) {
      return too_large("sealed value over the limit");
    }
  }
  return {};
}

Status check_fields(const std::vector<FieldValue>& fields) {
  if (fields.size() > limits::kEditsMax) {
    return fail(Errc::too_large, std::to_string(fields.size()) + " fields in one change; at most " +
                                     std::to_string(limits::kEditsMax));
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!is_path(fields[i].path)) {
      return fail(Errc::malformed, "field " + std::to_string(i) + " has no valid path");
    }
    if (i > 0 && !(fields[i - 1].path < fields[i].path)) {
      return fail(Errc::malformed, "fields are not sorted by path, or repeat one");
    }
    FP_CHECK_OK(check_value(fields[i].path, fields[i].value));
  }
  return {};
}

Status check_seals(const std::vector<Seal>& seals, const std::vector<FieldValue>& fields,
                   const Value* reason) {
  if (seals.size() > limits::kSealsMax) return fail(Errc::too_large, "too many seals");
  for (std::size_t i = 0; i < seals.size(); ++i) {
    if (i > 0 && !(seals[i - 1].id < seals[i].id)) {
      return fail(Errc::malformed, "seals are not sorted by id, or repeat one");
    }
    const auto& boxes = seals[i].boxes;
    if (boxes.empty() || boxes.size() > limits::kBoxesMax) {
      return fail(Errc::malformed, "a seal must have 1–8 key boxes");
    }
    for (std::size_t k = 0; k < boxes.size(); ++k) {
      if (boxes[k].box.size() != kKeyBoxBytes) {
        return fail(Errc::malformed, "a key box is not 80 bytes");
      }
      if (!std::equal(boxes[k].box.begin(), boxes[k].box.begin() + kEphemeralBytes,
                      boxes[0].box.begin())) {
        return fail(Errc::malformed, "key boxes of one seal with different ephemeral keys");
      }
      if (k > 0 && !(boxes[k - 1].recipient < boxes[k].recipient)) {
        return fail(Errc::malformed, "key boxes are not sorted by recipient, or repeat one");
      }
    }
  }
  std::vector<bool> used(seals.size(), false);
  const auto mark = [&](const Value& value) {
    const auto* sealed = std::get_if<Sealed>(&value);
    if (sealed == nullptr) return true;
    for (std::size_t i = 0; i < seals.size(); ++i) {
      if (seals[i].id == sealed->seal) {
        used[i] = true;
        return true;
      }
    }
    return false;
  };
  for (const FieldValue& field : fields) {
    if (!mark(field.value)) return fail(Errc::malformed, field.path + ": its seal is missing");
  }
  if (reason != nullptr && !mark(*reason))
    return fail(Errc::malformed, "the reason's seal is missing");
  if (std::find(used.begin(), used.end(), false) != used.end()) {
    return fail(Errc::malformed, "a seal that no value uses");
  }
  return {};
}

Status check_change(const Change& change) {
  if (change.dot.actor.value == 0) return fail(Errc::malformed, "actor is zero");
  if (change.dot.counter.value == 0) return fail(Errc::malformed, "counter is zero");
  if (!(change.prev < change.dot.counter))
    return fail(Errc::malformed, "prev is not below the counter");
  if (change.context.covers(change.dot)) {
    return fail(Errc::malformed, "the context covers the change itself");
  }
  if (change.prev < change.context[change.dot.actor]) {
    // Apply asks for r.vv[actor] == prev and context <= r.vv: no record could ever satisfy both.
    return fail(Errc::malformed, "the context covers a later change of its own actor than prev");
  }
  if (change.context.size() > limits::kVectorEntriesMax) {
    return fail(Errc::too_large, "the context has too many actors");
  }
  FP_CHECK_OK(check_name("type", change.type));
  FP_CHECK_OK(check_name("unit", change.unit));
  FP_CHECK_OK(check_name("author", change.author));
  FP_CHECK_OK(check_fields(change.edits));
  if (std::holds_alternative<bool>(change.reason) ||
      std::holds_alternative<std::int64_t>(change.reason) ||
      std::holds_alternative<List>(change.reason)) {
    return fail(Errc::malformed, "the reason must be a text");
  }
  if (const auto* text = std::get_if<std::string>(&change.reason)) {
    if (text->empty()) return fail(Errc::malformed, "the reason is empty");
    if (text->size() > limits::kReasonBytesMax)
      return fail(Errc::too_large, "the reason is too long");
  }
  FP_CHECK_OK(check_value("reason", change.reason));
  return check_seals(change.seals, change.edits, &change.reason);
}

}  // namespace fieldpost::model

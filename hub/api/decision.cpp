#include "hub/api/decision.h"

#include "base/limits.h"
#include "base/text.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

constexpr std::string_view kDefaultAuthor = "hub-operator";

}  // namespace

Result<std::string> author_of(const json& body) {
  FP_TRY(std::string author, text_member(body, "author", kDefaultAuthor, limits::kNameBytesMax));
  if (trimmed(author).empty())
    return fail(Errc::invalid_argument,
                "member \"author\" is empty; say who decides, or leave it out");
  return author;
}

Result<std::string> note_of(const json& body, bool required) {
  FP_TRY(std::string note, text_member(body, "note", "", limits::kReasonBytesMax / 2));
  if (required && trimmed(note).empty())
    return fail(Errc::invalid_argument, "a decision needs a note that says why");
  return note;
}

model::ChangeTimes times_of(const sync::TimeReading& now) {
  return {now.wall, now.boot, now.monotonic_ms, model::HubTime{now.wall, now.monotonic_ms}};
}

}  // namespace fieldpost::hub

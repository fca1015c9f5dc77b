// A form as questions at a terminal, and answers as values.
//
// Thread rule: pure functions over an immutable Registry.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/registry.h"

namespace fieldpost::schema {

struct Option {
  std::string code;
  std::string label;
};

struct Question {
  std::string container;  ///< "" at the root, the object or the repeat else
  std::string name;
  std::string label;             ///< in the language asked for
  std::string hint;              ///< how to answer: "kg, g or mg", "yes or no"; may be empty
  const Field* field = nullptr;  ///< nullptr for a repeat
  std::vector<Option> options;   ///< choices, list codes or places; of an open list others pass too
  bool options_open = false;     ///< a code not among the options is accepted (and flagged)
  std::vector<Question> item;    ///< of a repeat: "add one?", then these, until no
  std::vector<Condition> when;   ///< ask only if all hold: see is_asked

  bool is_repeat() const { return field == nullptr; }
};

/// In x-ask order; objects with x-ask are unfolded in place.
std::vector<Question> questions(const Registry& registry, std::string_view type,
                                std::string_view language);

/// For a repeat that has questions although the short form does not ask it (custody_events).
std::optional<Question> repeat_question(const Registry& registry, std::string_view type,
                                        std::string_view repeat, std::string_view language);

/// Do the question's conditions hold, given the document so far and, in a repeat, the item so far?
bool is_asked(const Question& question, const nlohmann::json& document,
              const nlohmann::json* item = nullptr);

/// Would finalising now report this field as missing? `item_id` names the item in a repeat.
bool is_required(const Registry& registry, std::string_view type, const Question& question,
                 const nlohmann::json& document, std::string_view item_id = {});

struct AnswerContext {
  const Registry& registry;
  std::string_view language = "en";
  Instant now;
  int offset_minutes = 420;  ///< the local offset: +07:00
};

struct Answer {
  nlohmann::json value;
  /// Other fields of the same object or item that follow from it: plate_norm, visit_month, and the
  /// currency of "12.50 USD".
  std::vector<std::pair<std::string, nlohmann::json>> also;
};

/// An option by number, code or label; Khmer digits everywhere; "2.5 kg", "1200 g", "350 mg" → mg;
/// "2.5 l", "300 ml" → ml; "12.50 USD" → minor units; HH:MM today, or a date and time; yes and no in
/// both languages; a list's values separated by ';' or ','; places by code or name.
/// Errors: `invalid_argument`, in the context's language: what was expected.
Result<Answer> parse_answer(const Question& question, std::string_view text,
                            const AnswerContext& context);

/// What the terminal offers for x-default now and const; null for kinds only the caller knows.
nlohmann::json default_answer(const Field& field, const AnswerContext& context);

}  // namespace fieldpost::schema

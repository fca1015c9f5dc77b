// The schema's questions at a terminal, or with the answers piped in.
//
// Thread rule: one thread; reads one stream, writes another.
// Invariants:
//   1. End of input never loses what was answered: the caller gets the document so far.
#pragma once

#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "schema/questions.h"

namespace fieldpost::agent {

struct Interview {
  nlohmann::json document = nlohmann::json::object();
  bool complete = false;  ///< false: the input ended before the questions did
};

/// What the device offers as answers: its user's id and what it answered last.
struct Offers {
  std::string author;
  nlohmann::json last = nlohmann::json::object();
};

/// `known` are fields that need not be asked.
Interview interview(const schema::AnswerContext& context, std::string_view type,
                    nlohmann::json known, const Offers& offers, std::istream& in,
                    std::ostream& out);

/// The answer to one field, given by path: what 'edit' takes. Errors: `invalid_argument`.
Result<schema::Answer> answer_field(const schema::AnswerContext& context, const schema::Form& form,
                                    const schema::Field& field, std::string_view text);

}  // namespace fieldpost::agent

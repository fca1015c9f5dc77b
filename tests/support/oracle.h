// The merge again, from first principles and too simple to be wrong: the measure of shared/model.
//
// It keeps the plain set of all changes received and computes everything anew each time it is asked.
// It shares the data types with shared/model and no code that decides anything.
//
// Thread rule: plain values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/record.h"

namespace fieldpost::test {

/// How one field must look to people.
struct ExpectedField {
  model::Dot dot;  ///< of the value that is shown
  model::Value value;
  std::uint32_t siblings = 0;
  bool conflict = false;
};

class Oracle {
 public:
  /// `change` must outlive the oracle. Receiving a change again means nothing.
  void receive(const model::Change& change) { received_.emplace(change.dot, &change); }

  /// The changes that rest on nothing missing, by fixpoint: a change is admitted once its predecessor
  /// and every change that its context names are.
  std::set<model::Dot> admitted() const;
  /// All that was ever received, admitted or not.
  std::set<model::Dot> received() const;
  /// A value survives if and only if no admitted change of the same path has a context that covers it.
  model::Record record() const;

 private:
  std::map<model::Dot, const model::Change*> received_;
};

/// The shown value of every field, read off a record's siblings.
std::map<std::string, ExpectedField> expected_fields(const model::Record& record);

}  // namespace fieldpost::test

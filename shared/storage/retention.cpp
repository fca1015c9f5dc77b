#include "storage/retention.h"

namespace fieldpost::storage {

Keeps what_keeps(const RetentionFacts& facts, const RetentionRules& rules) {
  const auto rule = rules.find(facts.type);
  if (rule == rules.end()) return Keeps::no_rule;
  if (facts.last_received >= rule->second.before) return Keeps::young;
  if (facts.on_hold) return Keeps::hold;
  if (facts.damaged) return Keeps::damage;
  if (facts.quarantined) return Keeps::quarantine;
  if (facts.held) return Keeps::held;
  if (facts.staged) return Keeps::recovery;
  if (facts.conflict) return Keeps::conflict;
  return Keeps::nothing;
}

std::string_view name_of(Keeps keeps) {
  switch (keeps) {
    case Keeps::nothing:
      return "due";
    case Keeps::no_rule:
      return "no_rule";
    case Keeps::young:
      return "young";
    case Keeps::hold:
      return "legal_hold";
    case Keeps::conflict:
      return "conflict";
    case Keeps::held:
      return "held";
    case Keeps::quarantine:
      return "quarantine";
    case Keeps::recovery:
      return "recovery";
    case Keeps::damage:
      return "damage";
  }
  return "unknown";
}

}  // namespace fieldpost::storage

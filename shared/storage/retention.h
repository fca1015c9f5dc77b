// What a hub erases, when, and what keeps it from it: age by the hub's own receipt, open questions, legal holds.
//
// Thread rule: plain values and pure functions.
// Invariants:
//   1. Only the hub's receipt counts for age: a claimed time decides nothing.
//   2. A legal hold keeps its record and all that the record leads to, whatever any rule says.
//   3. What is erased stays on a list of ids: a change of such a record is never merged again.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/record.h"

namespace fieldpost::storage {

using HoldId = ByteId<16, struct HoldIdTag>;  ///< random

/// Somebody's word that a record is needed, until somebody says that it is not.
struct LegalHold {
  struct Lift {
    Instant at;  ///< hub time
    std::string author;
    std::string reason;
    friend bool operator==(const Lift&, const Lift&) = default;
  };
  HoldId id;
  RecordId record;
  Instant at;  ///< hub time
  std::string author;
  std::string reason;
  std::optional<Lift> lift;
  friend bool operator==(const LegalHold&, const LegalHold&) = default;
};

/// The ids that a record's fields name: a case's stops and seizures. The forms say which fields do.
using References = std::function<std::vector<RecordId>(const model::Record&)>;

/// Which hold keeps a record: its own, or that of one that leads to it.
using KeptByHold = std::map<RecordId, HoldId>;

struct RetentionRule {
  Instant before;     ///< due when the last change was received earlier than this (hub time)
  std::string words;  ///< "stop: 5 years", kept with what it erases
};
/// By record type. A type without a rule is kept for ever.
using RetentionRules = std::map<std::string, RetentionRule, std::less<>>;

/// What of a record decides.
struct RetentionFacts {
  std::string type;
  std::string unit;
  Instant last_received;     ///< of its changes, refused ones too
  bool on_hold = false;      ///< directly, or by a record on hold that leads to it
  bool conflict = false;     ///< a field has differing values
  bool held = false;         ///< a change waits for its predecessors
  bool quarantined = false;  ///< a change waits for an operator's ruling
  bool staged = false;       ///< a copy of what the hub lost waits for a decision
  bool damaged = false;      ///< the record or a change of it cannot be read
};

enum class Keeps : std::uint8_t {
  nothing,  ///< it is due
  no_rule,
  young,
  hold,
  conflict,
  held,
  quarantine,
  recovery,
  damage,
};
/// The first that keeps the record. Only what is old enough is worth a reason: a young record is just young.
Keeps what_keeps(const RetentionFacts& facts, const RetentionRules& rules);
/// "legal_hold", "conflict", …: stable names for people and scripts; "due" for nothing.
std::string_view name_of(Keeps keeps);

/// An entry of the list of what was erased.
struct ErasedRecord {
  RecordId id;
  std::string type;
  std::string unit;
  /// What of it the hub had: changes that this covers are part of what was erased, however they come again.
  model::VersionVector known;
  Instant at;  ///< hub time
  std::string rule;
  std::string author;          ///< who ordered the run
  std::uint64_t position = 0;  ///< in its unit's feed: where tablets hear of it
  friend bool operator==(const ErasedRecord&, const ErasedRecord&) = default;
};

/// One look at some records.
struct RetentionPage {
  struct Entry {
    RecordId id;
    RetentionFacts facts;
    Keeps keeps = Keeps::nothing;
  };
  std::vector<Entry> entries;  ///< those whose type has a rule, by id
  RecordId last;               ///< where to go on
  bool ended = false;
};

struct ErasureOrder {
  std::vector<RecordId> records;  ///< each is judged again before it is erased
  RetentionRules rules;
  References references;
  Instant at;  ///< hub time
  std::string author;
};
struct ErasureReport {
  std::vector<ErasedRecord> erased;
  std::vector<std::pair<RecordId, Keeps>> kept;
  std::uint64_t changes = 0;  ///< in the log, of the erased ones
};

/// A file of the ledger: its number and the hash of its bytes, so that another ledger is told from this one.
struct LedgerPlace {
  std::uint64_t number = 0;
  Hash hash;
  friend bool operator==(const LedgerPlace&, const LedgerPlace&) = default;
};
/// How this store stands to the ledger.
struct LedgerState {
  LedgerPlace read;            ///< files of it up to here are taken in; 0 none
  std::vector<Bytes> waiting;  ///< entries that are in no file yet, oldest first
  std::uint64_t last = 0;      ///< the number of the last of them
};
struct LedgerTaken {
  std::uint64_t erased = 0;  ///< records that this store still had, or did not know to be erased
  std::uint64_t holds = 0;   ///< put or lifted
  std::vector<ErasedRecord> records;  ///< those erased here now
};
/// The rule of the exception of a change that came for an erased record.
inline constexpr const char* kErasedRule = "erased";

}  // namespace fieldpost::storage

// Mistakes that can be built in on purpose, one at a time, to prove that the simulator's checkers see them
// (docs/testing.md). Only a build with FIELDPOST_PLANTED has them; in every other `planted` is the constant false
// and the compiler leaves nothing of it.
//
// Thread rule: set before anything else runs.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fieldpost {

// clang-format off
// X(name, what): what the mistake is, in a few words.
#define FIELDPOST_BUGS(X) \
  /* ---- the merge ---- */ \
  X(last_write_wins, "a change replaces siblings that its author never saw") \
  X(join_resurrects, "joining brings back what the other side had replaced") \
  X(join_forgets_siblings, "joining drops a sibling that only this side has") \
  /* ---- forks and lost tails ---- */ \
  X(actor_reused, "a tablet that was put back goes on under its old actor") \
  X(hash_not_compared, "a tablet takes any history of its length for its own") \
  X(context_not_renamed, "a change written anew keeps its old context") \
  X(prev_not_renamed, "a change written anew keeps its old predecessor") \
  X(origin_missing, "a change written anew does not say what it was") \
  X(restamp_loses_newest, "of what is written anew the newest is left out") \
  X(form_context_not_renamed, "a form that was open during a fork keeps its context") \
  /* ---- acknowledgements ---- */ \
  X(ack_before_commit, "a push is acknowledged before it is durable") \
  X(ack_covers_queue, "an acknowledgement covers what still waits for the writer") \
  X(in_sync_while_waiting, "a tablet says that it is in sync while changes of it wait") \
  X(at_hub_too_early, "a record counts as at the hub before it was acknowledged") \
  X(window_unlimited, "a tablet pushes more than the window allows") \
  /* ---- deliveries ---- */ \
  X(cursor_off_by_one, "a feed goes on one behind its cursor") \
  X(cursor_before_states, "a cursor is stored before what it stands for") \
  X(page_end_too_far, "a full page counts the record that did not fit as sent") \
  X(feed_position_kept, "a record that changes keeps its place in the feed") \
  X(others_edit_hidden, "who pushed a record is not told what others did to it") \
  /* ---- exceptions ---- */ \
  X(exception_forgotten, "what is set aside is not noted") \
  X(confirmed_exception_erased, "what a tablet has heard of is no longer set aside") \
  X(held_change_forgotten, "a change that waits is not noted as waiting") \
  X(drain_stops_early, "what waits for a change that waited stays waiting") \
  X(retried_change_forgotten, "a change that is tried again is not merged") \
  X(reject_skips_the_dot, "a rejected change is passed over instead of applied and undone") \
  /* ---- who may write and see what ---- */ \
  X(compartment_not_checked, "a device may write the records of the other compartment") \
  X(unit_not_checked, "a device may write the records of any unit") \
  X(signature_not_checked, "a push is taken whatever its signature") \
  X(old_unit_delivered, "a device that was moved still gets its old unit's records") \
  X(former_grant_ignored, "what a moved device wrote before it could know is refused") \
  X(lost_welcome_refused, "what names a welcome that this hub has lost is refused") \
  X(ungranted_kept, "a tablet keeps the records of a unit that was taken away") \
  /* ---- a hub that was put back ---- */ \
  X(epoch_kept, "a hub that was not stopped goes on in its epoch") \
  X(lost_past_unnoticed, "a cursor from a lost past counts as this one's") \
  X(resend_missing, "what a restored hub lost of a tablet's chain is not sent again") \
  X(recovery_not_asked, "a restored hub does not ask what tablets still hold") \
  X(staged_state_dropped, "what a tablet still held is not kept for the operator") \
  /* ---- disks ---- */ \
  X(damaged_not_fetched, "a damaged record is set aside and not fetched again") \
  X(rebuilt_without_newest, "a damaged record is rebuilt without its newest change") \
  X(purge_ignores_backups, "a tablet removes what is at the hub and in no backup") \
  X(purge_without_base, "a tablet removes its own change before the base has it")
// clang-format on

#define FIELDPOST_BUG_NAME(name, what) name,
#define FIELDPOST_BUG_WORDS(name, what) BugWords{#name, what},

enum class Bug : std::uint8_t { FIELDPOST_BUGS(FIELDPOST_BUG_NAME) none };

struct BugWords {
  std::string_view name;
  std::string_view what;  ///< the mistake, in a few words
};

/// By `Bug`, without `none`.
inline constexpr std::array kBugWords = {FIELDPOST_BUGS(FIELDPOST_BUG_WORDS)};

#undef FIELDPOST_BUG_NAME
#undef FIELDPOST_BUG_WORDS

#ifdef FIELDPOST_PLANTED
inline Bug planted_bug = Bug::none;
inline bool planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool planted(Bug) { return false; }
#endif

}  // namespace fieldpost

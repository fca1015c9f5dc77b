// The list behind base/planted.h: FIELDPOST_BUG(name, what). Included twice there, nowhere else.

// ---- the merge ----
FIELDPOST_BUG(last_write_wins, "a change replaces siblings that its author never saw")
FIELDPOST_BUG(join_resurrects, "joining brings back what the other side had replaced")
FIELDPOST_BUG(join_forgets_siblings, "joining drops a sibling that only this side has")
// ---- forks and lost tails ----
FIELDPOST_BUG(actor_reused, "a tablet that was put back goes on under its old actor")
FIELDPOST_BUG(hash_not_compared, "a tablet takes any history of its length for its own")
FIELDPOST_BUG(context_not_renamed, "a change written anew keeps its old context")
FIELDPOST_BUG(prev_not_renamed, "a change written anew keeps its old predecessor")
FIELDPOST_BUG(origin_missing, "a change written anew does not say what it was")
FIELDPOST_BUG(restamp_loses_newest, "of what is written anew the newest is left out")
FIELDPOST_BUG(form_context_not_renamed, "a form that was open during a fork keeps its context")
// ---- acknowledgements ----
FIELDPOST_BUG(ack_before_commit, "a push is acknowledged before it is durable")
FIELDPOST_BUG(ack_covers_queue, "an acknowledgement covers what still waits for the writer")
FIELDPOST_BUG(in_sync_while_waiting, "a tablet says that it is in sync while changes of it wait")
FIELDPOST_BUG(at_hub_too_early, "a record counts as at the hub before it was acknowledged")
FIELDPOST_BUG(window_unlimited, "a tablet pushes more than the window allows")
// ---- deliveries ----
FIELDPOST_BUG(cursor_off_by_one, "a feed goes on one behind its cursor")
FIELDPOST_BUG(cursor_before_states, "a cursor is stored before what it stands for")
FIELDPOST_BUG(page_end_too_far, "a full page counts the record that did not fit as sent")
FIELDPOST_BUG(feed_position_kept, "a record that changes keeps its place in the feed")
FIELDPOST_BUG(others_edit_hidden, "who pushed a record is not told what others did to it")
// ---- exceptions ----
FIELDPOST_BUG(exception_forgotten, "what is set aside is not noted")
FIELDPOST_BUG(confirmed_exception_erased, "what a tablet has heard of is no longer set aside")
FIELDPOST_BUG(held_change_forgotten, "a change that waits is not noted as waiting")
FIELDPOST_BUG(drain_stops_early, "what waits for a change that waited stays waiting")
FIELDPOST_BUG(retried_change_forgotten, "a change that is tried again is not merged")
FIELDPOST_BUG(reject_skips_the_dot,
              "a rejected change is passed over instead of applied and undone")
// ---- who may write and see what ----
FIELDPOST_BUG(compartment_not_checked, "a device may write the records of the other compartment")
FIELDPOST_BUG(unit_not_checked, "a device may write the records of any unit")
FIELDPOST_BUG(signature_not_checked, "a push is taken whatever its signature")
FIELDPOST_BUG(old_unit_delivered, "a device that was moved still gets its old unit's records")
FIELDPOST_BUG(former_grant_ignored, "what a moved device wrote before it could know is refused")
FIELDPOST_BUG(lost_welcome_refused, "what names a welcome that this hub has lost is refused")
FIELDPOST_BUG(ungranted_kept, "a tablet keeps the records of a unit that was taken away")
// ---- a hub that was put back ----
FIELDPOST_BUG(epoch_kept, "a hub that was not stopped goes on in its epoch")
FIELDPOST_BUG(lost_past_unnoticed, "a cursor from a lost past counts as this one's")
FIELDPOST_BUG(resend_missing, "what a restored hub lost of a tablet's chain is not sent again")
FIELDPOST_BUG(recovery_not_asked, "a restored hub does not ask what tablets still hold")
FIELDPOST_BUG(staged_state_dropped, "what a tablet still held is not kept for the operator")
// ---- disks ----
FIELDPOST_BUG(damaged_not_fetched, "a damaged record is set aside and not fetched again")
FIELDPOST_BUG(rebuilt_without_newest, "a damaged record is rebuilt without its newest change")
FIELDPOST_BUG(purge_ignores_backups, "a tablet removes what is at the hub and in no backup")
FIELDPOST_BUG(purge_without_base, "a tablet removes its own change before the base has it")

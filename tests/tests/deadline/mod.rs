//! Changes that go back unless they are confirmed, on the memory bucket and on real servers.

mod backend;
mod goes_back;
mod model;
mod pending;
mod refused;
mod servers;
mod settled;

kvconf_tests::on_every_backend! {
    in crate::deadline;
    goes_back {
        readers_see_the_old_the_new_and_the_old_again,
        what_is_there_afterwards_says_why,
        what_others_wrote_on_top_stays,
        a_reader_that_came_late_sees_it_too,
        a_created_key_vanishes_and_a_removed_one_returns,
    }
    settled {
        a_confirmed_change_stays,
        a_change_is_taken_back_at_once,
        settling_twice_is_no_error,
        a_change_that_went_back_cannot_be_confirmed,
        a_change_that_went_back_can_be_told_of,
        a_conflict_names_the_other_author_and_writes_nothing,
        the_remaining_keys_can_be_settled,
        a_removal_is_confirmed_as_a_removal,
        a_confirmed_change_can_be_reverted,
        a_rollback_settles_it,
        what_a_rollback_brings_back_stays,
    }
    pending {
        any_process_finds_and_confirms_it,
        a_part_of_it_leads_to_the_whole,
        it_lists_what_is_left_of_it,
        what_is_over_is_not_listed,
    }
    refused {
        a_bucket_that_keeps_one_revision,
        a_bucket_without_time_to_live,
        a_deadline_that_the_bucket_cannot_keep,
        several_keys_without_atomic_batches,
        a_key_that_waits_already,
        a_value_that_ends_by_itself,
        a_plan_that_was_overtaken,
        a_guarded_prefix_that_changed,
        nothing_invalid_and_nothing_in_parts,
    }
}

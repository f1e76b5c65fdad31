//! What a bucket does, on every backend alike. A case that holds on one backend only is a bug in the other.

mod backend;
mod batches;
mod history;
mod reads;
mod settings;
mod time_to_live;
mod watches;
mod writes;

kvconf_tests::on_every_backend! {
    in crate::semantics;
    writes {
        revisions_are_one_sequence_for_the_whole_bucket,
        an_update_needs_the_newest_revision,
        revision_zero_expects_no_entry_at_all,
        a_key_is_created_once,
        a_removed_key_can_be_created_again,
        an_expectation_can_stand_on_another_key,
        an_expectation_is_kept_with_its_entry,
        an_expectation_on_a_pattern_guards_a_whole_prefix,
        a_delete_leaves_a_marker_and_the_history,
        a_purge_leaves_a_marker_alone,
        removals_take_an_expected_revision,
        removing_what_is_not_there_leaves_a_marker,
        headers_come_back_as_they_were_written,
        an_empty_value_is_a_value,
        names_are_checked_before_anything_is_sent,
        reserved_keys_and_headers_are_refused,
        a_value_above_the_limit_is_refused_with_its_size,
        a_full_bucket_refuses_what_is_new,
    }
    history {
        the_oldest_entries_of_a_key_are_pushed_out,
        history_is_in_the_order_of_writing,
        an_entry_is_found_by_its_revision_and_key,
        keys_are_those_with_a_value,
        a_smaller_history_takes_effect_at_once,
    }
    batches {
        a_batch_stands_in_one_piece,
        one_wrong_expectation_refuses_the_whole_batch,
        a_batch_expects_what_was_before_it,
        a_batch_cannot_expect_a_key_that_it_wrote_before,
        a_key_stands_once_in_a_batch,
        a_bucket_without_atomic_batches_says_so,
        a_batch_of_one_needs_no_atomic_batches,
        a_thousand_keys_are_the_most,
        a_batch_carries_one_change_id,
    }
    reads {
        a_reading_is_of_one_moment,
        every_retained_revision_can_be_read,
        a_revision_to_come_is_out_of_range,
        what_was_pushed_out_is_absent_without_a_word,
        an_entry_belongs_to_the_moment_it_was_created,
        a_reading_has_no_limit_of_keys,
        several_filters_give_one_reading,
        filters_that_cross_are_refused,
    }
    time_to_live {
        an_expired_key_leaves_a_marker_that_leaves_too,
        a_watch_sees_an_expiry,
        a_key_with_history_falls_back_without_a_word,
        a_short_time_is_raised_to_that_of_the_markers,
        a_created_key_keeps_its_time_over_a_marker,
        the_marker_of_a_purge_can_expire,
        a_bucket_without_markers_takes_no_time_to_live,
        times_are_whole_seconds,
        an_expiring_deletion_is_refused,
        a_bucket_can_expire_everything_in_silence,
    }
    watches {
        an_empty_scope_is_loaded,
        a_watch_begins_with_what_is_current,
        a_watch_shows_its_keys_only,
        only_new_entries_when_asked,
        every_retained_entry_when_asked,
        a_watch_can_begin_at_a_revision,
        a_watch_can_begin_at_a_revision_to_come,
        a_watch_shows_headers_and_batches_in_order,
        many_keys_are_loaded_in_order,
    }
    settings {
        a_status_is_fresh,
        an_update_of_one_setting_keeps_the_others,
        metadata_is_merged,
        what_is_fixed_at_creation_is_refused,
    }
}

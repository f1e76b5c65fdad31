//! Looking back, on every backend alike: logs, histories of fields, past states, differences, checks and replays.

mod backend;
mod cases;
mod gone;
mod model;
mod nats;

kvconf_tests::on_every_backend! {
    in crate::history::cases;
    log {
        a_log_says_who_when_why_and_what,
        secrets_are_masked_and_their_change_is_seen,
        keys_that_changed_together_stand_together,
        pages_go_on_where_the_last_one_ended,
        a_window_that_cuts_a_set_shows_it_on_one_page_only,
        what_retention_lost_is_said,
        a_plain_log_shows_sizes_unless_asked,
        a_log_of_filters_knows_what_stood_before_very_many_keys,
    }
    field {
        every_kind_of_write_is_in_a_history,
        an_expired_value_is_in_a_history,
        what_todays_type_refuses_is_shown_with_its_problems,
        an_old_name_is_part_of_a_history,
        the_entries_of_a_map_have_one_history,
        a_history_says_where_it_is_cut,
    }
    past {
        every_state_can_be_read_with_its_origins,
        no_state_lies_within_a_change_set,
        keys_created_since_are_absent,
        a_lost_value_is_an_error_that_names_its_key,
        a_purged_value_is_lost,
        a_revision_outside_of_the_bucket_is_an_error,
        a_time_has_a_state,
        bad_values_of_the_past_are_reported_with_their_authors,
        what_aged_out_is_not_taken_for_absent,
        thousands_of_keys_have_one_state,
    }
    diff {
        a_diff_is_typed_shown_and_data,
        a_diff_shows_what_broke_a_struct,
        an_old_name_is_no_difference,
        plain_keys_differ_by_what_was_written_however_many_there_are,
    }
    check {
        a_check_finds_what_a_start_would,
        a_replay_lists_every_state_that_this_build_refuses,
        a_replay_tries_what_is_left_of_lost_states,
        a_new_required_field_refuses_the_whole_past,
    }
}

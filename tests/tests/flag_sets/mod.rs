//! Flags by name: all under a prefix, live, changed, imported and looked back at.

mod documents;
mod edits;
mod following;
mod overrides;
mod past;
mod telling;

use kvconf::flag::{DynamicContext, FlagDefinition};
use kvconf::{Bucket, Flags, Revision};
use kvconf_tests::on_every_backend;

on_every_backend! {
    in crate::flag_sets;
    following {
        flags_follow_the_bucket_by_name,
        a_change_set_of_flags_and_rules_is_one_swap,
        a_changed_rule_compiles_the_flags_that_use_it_and_only_those,
        a_flag_that_cannot_be_used_leaves_the_last_good_one,
        a_rule_that_breaks_a_flag_is_refused_as_a_whole,
        a_rule_and_its_flag_may_come_one_after_the_other,
        a_set_with_a_bad_flag_does_not_start,
        keys_of_any_letters_stand_escaped,
        one_watch_serves_structs_and_sets,
    }
    edits {
        flags_are_switched_rolled_out_and_removed,
        a_plan_tells_what_is_odd_and_who_would_move,
        what_readers_would_refuse_is_not_written,
        two_authors_of_one_flag_conflict,
        a_derived_change_does_not_pass_over_what_was_rejected,
    }
    documents {
        a_document_comes_in_and_goes_out_without_loss,
        importing_what_was_exported_writes_nothing,
        a_merge_keeps_what_it_does_not_name_and_a_replacement_does_not,
        more_than_a_server_takes_at_once_is_refused_and_goes_one_by_one,
    }
    past {
        a_set_is_evaluated_as_of_a_revision_and_a_time,
        what_is_no_longer_kept_is_named,
        flags_in_fields_are_evaluated_as_of_a_revision,
        a_set_goes_back_with_its_rules,
    }
    telling {
        evaluations_are_told_with_who_got_what,
        a_function_that_panics_harms_nobody,
        flags_in_fields_tell_too,
    }
}

const PREFIX: &str = "shop.flags";

async fn start(bucket: &Bucket) -> Flags {
    bucket.flags(PREFIX).start().await.unwrap()
}

async fn put(flags: &Flags, bucket: &Bucket, key: &str, value: &str) -> Revision {
    let revision = bucket.put(format!("{PREFIX}.{key}"), value.to_owned()).await.unwrap();
    flags.wait_for(revision).await.unwrap();
    revision
}

fn visitor() -> DynamicContext {
    DynamicContext::new().targeting_key("user-1").with("country", "NL")
}

/// On for whom this rule names `on`.
fn cart(targeting: &str) -> String {
    format!(
        r#"{{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "off", "targeting": {targeting}}}"#
    )
}

fn defined(text: &str) -> FlagDefinition {
    FlagDefinition::parse(text).unwrap()
}

const IN_NL: &str = r#"{"==": [{"var": "country"}, "NL"]}"#;
const USES_STAFF: &str = r#"{"if": [{"$ref": "staff"}, "on"]}"#;

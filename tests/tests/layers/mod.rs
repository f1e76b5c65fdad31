//! One struct from several layers of a bucket: on the memory bucket and on a real server.

mod history;
mod nats;
mod reading;
mod taking_back;
mod writing;

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::{Bucket, KvConfig, Live, Revision, Secret, Validation};

/// For what takes milliseconds; generous, for a machine that is busy with a build.
const BOUND: Duration = Duration::from_secs(60);

const LAYERS: [&str; 3] = ["base", "env.prod", "host.web-1"];

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop", validate = Self::check)]
struct Shop {
    #[kv(default = 100, range(1..=10_000))]
    price: u32,
    #[kv(default = 0)]
    discount: u32,
    #[kv(rename = "payment-timeout", alias = "timeout", default = "3s")]
    payment_timeout: Duration,
    region: Option<String>,
    #[kv(default = "welcome")]
    greeting: String,
    #[kv(nested)]
    retry: Retry,
    #[kv(entries)]
    limits: BTreeMap<String, u32>,
    #[kv(secret, default = "hunter2")]
    api_key: Secret<String>,
}

#[derive(KvConfig, Debug, Clone)]
struct Retry {
    #[kv(default = 1)]
    min: u32,
    #[kv(default = 5)]
    max: u32,
}

impl Shop {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.discount > self.price {
            let message = format!("discount ({}) must not exceed price ({})", self.discount, self.price);
            problems.problem(message).on(Self::fields().discount).on(Self::fields().price);
        }
    }
}

async fn start(bucket: &Bucket) -> Live<Shop> {
    bucket.live().layers(LAYERS).without_environment().start().await.unwrap()
}

async fn reach(live: &Live<Shop>, revision: Revision) {
    let seen = tokio::time::timeout(BOUND, live.wait_for(revision)).await;
    seen.unwrap_or_else(|_| panic!("revision {revision} in time; {:?}", live.health())).unwrap();
}

async fn put(bucket: &Bucket, values: &[(&str, &str)]) -> Revision {
    let mut last = Revision::ZERO;
    for (key, value) in values {
        last = bucket.put(*key, (*value).to_owned()).await.unwrap();
    }
    last
}

/// What keys of the bucket hold.
async fn value(bucket: &Bucket, key: &str) -> Option<String> {
    let value = bucket.get(key).await.unwrap()?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

/// An error with its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

kvconf_tests::on_every_backend! {
    in crate::layers;
    reading {
        the_most_specific_layer_that_has_a_value_wins,
        old_names_count_within_their_layer,
        a_removal_lets_the_more_general_layer_through,
        null_and_an_empty_text_are_values,
        maps_are_merged_entry_by_entry,
        the_keys_without_a_layer_can_be_one,
        a_change_set_across_layers_is_one_step,
        a_change_set_across_layers_is_refused_as_one,
        origins_and_explanations_name_the_layer,
        unknown_keys_are_told_in_every_layer,
        a_cached_state_is_one_of_its_layers,
        what_stands_above_and_below_the_bucket_stands_above_and_below_all_layers,
    }
    writing {
        one_edit_changes_several_layers_in_one_change_set,
        a_write_has_to_say_where_it_goes,
        a_plan_tells_what_has_no_effect,
        a_bad_value_is_refused_where_it_is_masked_too,
        nothing_is_written_as_null_where_something_would_come_through,
        an_update_writes_to_its_layer_and_not_over_what_it_did_not_see,
        a_conflict_names_the_key_of_the_layer,
        all_layers_are_guarded_if_asked_for,
        a_guarded_change_with_a_deadline_needs_room_for_its_guards,
        a_change_of_several_layers_goes_back_as_one,
        secrets_are_sealed_anew_in_every_layer,
    }
    history {
        the_log_has_the_changes_of_all_layers,
        a_field_has_one_history_in_all_layers,
        the_past_is_merged_as_the_present_is,
        a_time_has_one_state_over_all_layers,
        what_is_lost_does_not_matter_where_it_was_masked,
        a_build_is_held_against_all_layers,
    }
    taking_back {
        a_rollback_takes_all_layers_back,
        a_rollback_can_keep_to_one_layer,
        a_change_set_across_layers_is_reverted_as_one,
        one_field_goes_back_in_all_layers,
        what_was_so_already_must_stay_so_in_every_layer,
    }
}

//! From one version to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::settings::{Effect, Form, Presence};
use kvconf::{Bucket, KvConfig, Schema};
use proptest::prelude::*;

use super::rich::{Action, Checkout, Endpoint, Level};
use super::texts::value;

fn told(old: &Schema, new: &Schema) -> String {
    old.compare(new).to_string()
}

#[test]
fn a_schema_does_not_differ_from_itself() {
    let schema = Schema::of::<Checkout>();
    assert_eq!(told(&schema, &schema), "no differences");
    assert_eq!(schema.compare(&schema).effect(), Effect::Safe);
}

#[test]
fn what_was_added_removed_and_made_narrower_is_told_with_its_effect() {
    let old = Schema::of::<Checkout>();
    let mut new = old.clone();
    let setting = |schema: &mut Schema, key: &str| {
        schema.settings.iter().position(|setting| setting.key == key).unwrap()
    };
    let at = setting(&mut new, "level");
    new.settings.remove(at);
    let at = setting(&mut new, "region");
    new.settings[at].presence = Presence::Required;
    new.settings[at].constraints.clear();
    let at = setting(&mut new, "body");
    new.settings[at].form = Form::Bool;
    let at = setting(&mut new, "payment-timeout");
    new.settings[at].aliases.clear();
    new.settings[at].presence = Presence::Default("5s".to_owned());
    let at = setting(&mut new, "verbose");
    new.settings[at].key = "loud".to_owned();
    let at = setting(&mut new, "limits");
    new.settings[at].entries = false;
    new.validated.push("retry".to_owned());
    assert_eq!(
        told(&old, &new),
        "may refuse  shop.checkout.payment-timeout: the old name shop.checkout.timeout is no longer read\n\
         safe        shop.checkout.payment-timeout: without a value 3s became 5s\n\
         breaks      shop.checkout.body: a byte size such as 64 MiB became true or false\n\
         breaks      shop.checkout.region: without a value none became required\n\
         safe        shop.checkout.region: need no longer be of length 2..=12\n\
         safe        shop.checkout.region: need no longer be matched by ^[a-z-]+$\n\
         breaks      shop.checkout.limits: a map with one key per entry became one key\n\
         safe        shop.checkout.loud: added; without a value false\n\
         safe        shop.checkout.level: removed: a value that stands there is ignored\n\
         safe        shop.checkout.verbose: removed: a value that stands there is ignored\n\
         may refuse  shop.checkout.retry: its fields are now checked together by the program"
    );
}

macro_rules! one {
    ($name:ident: $ty:ty) => {{
        #[derive(KvConfig, Debug, Clone)]
        #[kv(prefix = "app")]
        struct $name {
            value: $ty,
        }
        Schema::of::<$name>()
    }};
}

fn forms() -> Vec<Schema> {
    vec![
        one!(A: u8),
        one!(B: u32),
        one!(C: i64),
        one!(D: f64),
        one!(E: bool),
        one!(F: String),
        one!(G: Option<u8>),
        one!(H: Option<String>),
        one!(I: Duration),
        one!(J: kvconf::ByteSize),
        one!(K: char),
        one!(L: Level),
        one!(M: Action),
        one!(N: Vec<u8>),
        one!(O: Vec<Option<i64>>),
        one!(P: (u8, u8)),
        one!(Q: BTreeMap<String, u8>),
        one!(R: BTreeMap<String, f64>),
        one!(S: Endpoint),
        one!(T: serde_json::Value),
        one!(U: std::net::IpAddr),
        one!(V: Option<Vec<u8>>),
        one!(W: f32),
        one!(X: std::num::NonZeroU16),
    ]
}

/// The changes of form that are said to be safe although they refuse what was taken.
fn unsafe_changes(value: &str) -> Vec<String> {
    let bucket = Bucket::memory();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reading = runtime.block_on(async {
        bucket.put("app.value", value.to_owned()).await.unwrap();
        bucket.read("app.value").await.unwrap()
    });
    let (taking, refusing): (Vec<Schema>, Vec<Schema>) =
        forms().into_iter().partition(|schema| !schema.judge(reading.entries()).is_refused());
    let changes = taking.iter().flat_map(|old| refusing.iter().map(|new| old.compare(new)));
    changes
        .filter(|change| change.effect() == Effect::Safe)
        .map(|change| format!("{change}: {value:?}"))
        .collect()
}

#[test]
fn a_character_that_begins_json_is_no_json() {
    for value in ["[", "{", "\"", "-", " ", "0", "n"] {
        assert_eq!(unsafe_changes(value), [] as [String; 0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvconf_tests::cases(75)))]

    #[test]
    fn a_change_of_form_that_is_safe_refuses_no_value_that_was_taken(value in value()) {
        prop_assert_eq!(unsafe_changes(&value), [] as [String; 0]);
    }
}

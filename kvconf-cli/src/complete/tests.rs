use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCompleter;
use kvconf::settings::Schemas;
use kvconf::{Bucket, Key, KvConfig, Schema, Secret};

use super::offer::{self, Offer};
use super::with_completers;

/// What is logged.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "log")]
struct Log {
    /// From which level on.
    #[kv(default = "info", one_of("debug", "info", "warn"))]
    level: String,
    #[kv(default = false)]
    json: bool,
    sampled: Option<bool>,
    #[kv(default = 100)]
    lines: u32,
    token: Option<Secret<String>>,
    #[kv(entries)]
    of: BTreeMap<String, String>,
    #[kv(deprecated(use = "level"), default = 0)]
    verbosity: u8,
}

async fn published(layers: &[&str]) -> Schemas {
    let bucket = Bucket::memory();
    let schema = Schema::of::<Log>();
    let schema = if layers.is_empty() { schema } else { schema.with_layers(layers.iter().copied()).unwrap() };
    bucket.publish_schema(&schema, "1.0.0").await.unwrap();
    bucket.schemas().await.unwrap()
}

fn keys(names: &[&str]) -> Vec<Key> {
    names.iter().map(|name| Key::new(name).unwrap()).collect()
}

fn told(offers: Vec<Offer>) -> Vec<String> {
    let told = |offer: Offer| match offer.help {
        Some(help) => format!("{} ({help})", offer.text),
        None => offer.text,
    };
    offers.into_iter().map(told).collect()
}

#[tokio::test]
async fn keys_of_schemas_are_offered_beside_those_of_the_bucket() {
    let schemas = published(&[]).await;
    let known = keys(&["log.level", "log.old", "lo", "other", "_kvconf.schema.log"]);
    assert_eq!(
        told(offer::keys("lo", &known, &schemas, "=")),
        [
            "lo=",
            "log.json= (true or false)",
            "log.level= (From which level on.)",
            "log.lines= (a whole number (u32))",
            "log.of. (one key per entry, each a text)",
            "log.old=",
            "log.sampled= (true or false)",
            "log.token= (a text)",
        ]
    );
    assert_eq!(told(offer::prefixes("", &known, &schemas)), ["log", "log.of"]);
}

#[tokio::test]
async fn keys_are_offered_in_the_layers_that_there_are() {
    let schemas = published(&["base", "host.*"]).await;
    let known = keys(&["host.web-1.log.level", "blog.log.level"]);
    let offered = |typed: &str| -> Vec<String> {
        offer::keys(typed, &known, &schemas, "").into_iter().map(|offer| offer.text).collect()
    };
    assert_eq!(offered("base.log.l"), ["base.log.level", "base.log.lines"]);
    assert_eq!(offered("host.web-1.log.l"), ["host.web-1.log.level", "host.web-1.log.lines"]);
    assert_eq!(offered("log.l"), [""; 0]);
}

#[tokio::test]
async fn of_very_many_keys_the_next_part_is_offered() {
    let many: Vec<Key> = (0..500).map(|at| Key::new(format!("app.k{at}.x")).unwrap()).collect();
    let schemas = Schemas::default();
    assert_eq!(told(offer::keys("", &many, &schemas, "=")), ["app."]);
    assert_eq!(offer::keys("app.k1", &many, &schemas, "=").len(), 111);
    assert_eq!(
        told(offer::keys("app.k12", &many, &schemas, "=")).first().map(String::as_str),
        Some("app.k12.x=")
    );
}

#[tokio::test]
async fn values_are_those_that_a_setting_can_have_what_stands_there_and_the_default() {
    // P11
    let schemas = published(&["base", "host.*"]).await;
    let values = |typed: &str, key: &str, now| told(offer::values(typed, key, now, &schemas));
    assert_eq!(
        values("", "host.a.log.level", Some("warn")),
        ["debug", "info (the default)", "warn (stands there now)"]
    );
    assert_eq!(values("de", "base.log.level", None), ["debug"]);
    assert_eq!(values("", "base.log.json", None), ["true", "false (the default)"]);
    assert_eq!(values("", "base.log.sampled", None), ["true", "false", "null"]);
    assert_eq!(values("", "base.log.lines", Some("7")), ["7 (stands there now)", "100 (the default)"]);
    assert_eq!(values("", "base.log.token", Some("hunter2")), [""; 0]);
    assert_eq!(values("", "other.password", Some("hunter2")), [""; 0]);
    assert_eq!(values("", "other.x", Some("two\nlines")), [""; 0]);
    assert_eq!(values("", "other.x", Some("y")), ["y (stands there now)"]);
}

#[test]
fn flags_and_their_variants_are_offered() {
    let known = keys(&["shop.flags.new-cart", "shop.other"]);
    assert_eq!(told(offer::flags("shop.flags", &known)), ["new-cart"]);
    let stored = br#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    assert_eq!(told(offer::variants(stored)), ["off (false)", "on (true)"]);
    assert_eq!(told(offer::variants(b"no json")), [""; 0]);
}

#[test]
fn what_a_verb_takes_is_completed_by_its_name() {
    let command = with_completers(crate::arguments::command());
    let of = |verb: &str, arg: &str| {
        let verb = command.find_subcommand(verb).unwrap();
        let arg = verb.get_arguments().find(|known| known.get_id() == arg).unwrap();
        arg.get::<ArgValueCompleter>().is_some()
    };
    assert!(of("get", "keys") && of("history", "key") && of("rollback", "targets") && of("rollback", "to"));
    assert!(of("set", "pairs") && of("set", "layers") && of("set", "layer") && of("revert", "change"));
    assert!(!of("set", "reason"));
}

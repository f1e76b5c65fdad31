//! Schemas that say in which layers their settings stand.

use std::collections::BTreeMap;

use kvconf::settings::{SchemaError, Verdict};
use kvconf::{Bucket, KvConfig, LayerError, Schema, Secret};
use kvconf_tests::Backend;

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout", validate = Self::check)]
struct Checkout {
    #[kv(default = 50, range(1..=500), alias = "most")]
    max_items: u32,
    region: String,
    pay: Option<Secret<String>>,
    #[kv(entries, length(1..=2))]
    limits: BTreeMap<String, u32>,
}

impl Checkout {
    fn check(&self, _: &mut kvconf::Validation<Self>) {}
}

fn layered() -> Schema {
    Schema::of::<Checkout>().with_layers(["base", "env.*", "host.*"]).unwrap()
}

async fn judged(bucket: &Bucket, change: &[(&str, Option<&str>)]) -> Verdict {
    let schema = layered();
    let filters = schema.filters();
    let reading = bucket.read(filters).await.unwrap();
    schema.judge_change(reading.entries(), change.iter().map(|(key, value)| (*key, value.map(str::as_bytes))))
}

#[tokio::test]
async fn each_layer_is_judged_as_a_part_and_what_is_required_has_to_stand_in_one() {
    let bucket = Bucket::memory();
    bucket.put("base.checkout.max_items", "9999").await.unwrap();
    bucket.put("env.prod.checkout.max_itmes", "60").await.unwrap();
    bucket.put("env.dev.checkout.limits.gold", "x").await.unwrap();
    bucket.put("host.web-1.checkout.most", "70").await.unwrap();
    bucket.put("blog.checkout.max_items", "no layer").await.unwrap();
    bucket.put("checkout.max_items", "80").await.unwrap();
    bucket.put("checkout.elsewhere", "80").await.unwrap();
    let verdict = bucket.check_schema(&layered()).now().await.unwrap();
    assert_eq!(
        verdict.to_string(),
        "× base.checkout.max_items: 9999 is outside 1..=500\n\
         × checkout.max_items: stands in no layer of Checkout, which reads base, env.* and host.*; did you mean base.checkout.max_items?\n\
         × checkout.region: required, and no source has a value\n\
         × env.dev.checkout.limits.gold: `x` is not a whole number (u32)\n\
         × env.prod.checkout.max_itmes: unknown key, did you mean env.prod.checkout.max_items?\n\
         × host.web-1.checkout.most: an old name of host.web-1.checkout.max_items, read; write host.web-1.checkout.max_items instead\n\
         ? checkout: its fields are checked together by the program alone"
    );
    assert_eq!(verdict.revision.get(), 4);
    bucket.put("env.dev.checkout.limits.gold", "3").await.unwrap();
    bucket.put("host.web-2.checkout.region", "eu").await.unwrap();
    let verdict = bucket.check_schema(&layered()).now().await.unwrap();
    // How many entries there are is told by all layers together.
    let unchecked: Vec<String> = verdict.unchecked.iter().map(ToString::to_string).collect();
    assert_eq!(
        unchecked,
        [
            "env.dev.checkout.limits: how many entries there are is told by all layers together",
            "checkout: its fields are checked together by the program alone"
        ]
    );
    assert!(!verdict.problems.iter().any(|problem| problem.key == "checkout.region"), "{verdict}");
}

#[tokio::test]
async fn a_change_is_held_against_the_layer_that_it_is_made_in() {
    // P3
    let bucket = Bucket::memory();
    bucket.put("base.checkout.max_items", "9999").await.unwrap();
    bucket.put("env.prod.checkout.region", "eu").await.unwrap();
    let verdict = judged(&bucket, &[("env.prod.checkout.max_items", Some("0"))]).await;
    assert_eq!(
        verdict.to_string(),
        "× env.prod.checkout.max_items: 0 is outside 1..=500\n\
         × base.checkout.max_items: 9999 is outside 1..=500 (already so)\n\
         ? checkout: its fields are checked together by the program alone"
    );
    let verdict = judged(&bucket, &[("env.prod.checkout.region", None)]).await;
    assert_eq!(verdict.problems[0].to_string(), "checkout.region: required, and no source has a value");
    assert!(verdict.is_refused());
    let verdict =
        judged(&bucket, &[("env.prod.checkout.region", None), ("base.checkout.region", Some("us"))]).await;
    assert!(!verdict.is_refused(), "{verdict}");
    let verdict = judged(&bucket, &[("checkout.region", Some("us"))]).await;
    assert!(!verdict.is_refused());
    assert_eq!(
        verdict.problems[0].to_string(),
        "checkout.region: stands in no layer of Checkout, which reads base, env.* and host.*; did you mean base.checkout.region?"
    );
}

#[test]
fn schemas_of_before_there_were_layers_are_read_and_bad_layers_are_refused() {
    // P10
    let plain = Schema::of::<Checkout>();
    let stored = String::from_utf8(plain.to_stored("1.0.0").unwrap()).unwrap();
    assert!(!stored.contains("layers"));
    assert_eq!(Schema::from_stored(stored.as_bytes()).unwrap().1, plain);
    let stored = layered().to_stored("1.0.0").unwrap();
    assert_eq!(Schema::from_stored(&stored).unwrap().1, layered());
    let bad = String::from_utf8(stored).unwrap().replace("env.*", "env.>");
    let message = "\"env.>\" cannot be a layer".to_owned();
    assert_eq!(Schema::from_stored(bad.as_bytes()), Err(SchemaError::Malformed { message }));
    assert_eq!(Schema::of::<Checkout>().with_layers([""; 0]), Err(LayerError::Missing));
    assert_eq!(layered().hash(), plain.hash());
}

#[test]
fn another_way_through_the_layers_is_a_difference() {
    let plain = Schema::of::<Checkout>();
    let told = |old: &Schema, new: &[&str]| {
        let new = plain.clone().with_layers(new.iter().copied()).unwrap();
        old.compare(&new).to_string()
    };
    assert_eq!(told(&plain, &["base", "env.*"]), "safe        checkout: says its layers: base, env.*");
    assert_eq!(
        told(&layered(), &["host.*", "env.*", "site"]),
        "may refuse  checkout: layer \"base\" is no longer read\n\
         may refuse  checkout: layer \"site\" is read, too\n\
         may refuse  checkout: the layers have the say in another order: host.*, env.*, site"
    );
    assert_eq!(told(&layered(), &["base", "env.*", "host.*"]), "no differences");
}

pub(crate) async fn published_layers_tell_which_keys_are_settings(backend: &Backend) {
    // P11
    let bucket = backend.plain().await;
    bucket.publish_schema(&layered(), "1.4.0").await.unwrap();
    let schemas = bucket.schemas().await.unwrap();
    let of = |key: &str| schemas.for_key(key).map(|published| published.name.clone());
    assert_eq!(of("env.prod.checkout.max_items").as_deref(), Some("checkout"));
    assert_eq!(of("blog.checkout.max_items"), None);
    assert_eq!(of("checkout.max_items").as_deref(), Some("checkout"));
    assert_eq!(schemas.is_secret("host.web-1.checkout.pay"), Some(true));
    assert_eq!(schemas.is_secret("blog.checkout.pay"), Some(true));
    assert_eq!(schemas.is_secret("base.checkout.region"), Some(false));
    let published = &schemas.get("checkout").unwrap().schema;
    assert_eq!(published, &layered());
    let found = published.setting_of("env.prod.checkout.most").map(|setting| setting.key.as_str());
    assert_eq!(found, Some("max_items"));
}

pub(crate) async fn every_state_of_the_layers_is_judged(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("base.checkout.region", "eu").await.unwrap();
    bucket.put("env.prod.checkout.max_items", "0").await.unwrap();
    bucket.put("base.checkout.max_items", "0").await.unwrap();
    bucket.delete("env.prod.checkout.max_items").await.unwrap();
    bucket.put("base.checkout.max_items", "5").await.unwrap();
    bucket.delete("base.checkout.region").await.unwrap();
    bucket.put("env.dev.checkout.region", "us").await.unwrap();
    let replay = bucket.check_schema(&layered()).replay().await.unwrap();
    let told: Vec<(u64, Vec<String>)> = replay
        .rejected
        .iter()
        .map(|it| (it.from.get(), it.report.problems.iter().map(ToString::to_string).collect()))
        .collect();
    let base = "base.checkout.max_items: 0 is outside 1..=500".to_owned();
    let prod = "env.prod.checkout.max_items: 0 is outside 1..=500".to_owned();
    assert_eq!(
        told,
        [
            (2, vec![prod.clone()]),
            (3, vec![base.clone(), prod]),
            (4, vec![base]),
            (6, vec!["checkout.region: required, and no source has a value".to_owned()])
        ]
    );
    assert_eq!(replay.states, 7);
}

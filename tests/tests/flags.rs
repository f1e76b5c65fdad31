//! Flags in fields of a struct, live from the memory bucket.

use kvconf::flag::{ErrorCode, EvaluationContext, EvaluationError, Reason};
use kvconf::{Bucket, Flag, FlagVariant, KvConfig, Live, Revision};
use serde::{Deserialize, Serialize};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Shop {
    #[kv(flag, default = false)]
    new_cart: Flag<bool>,
    #[kv(flag, default = Theme::Light, alias = "colours")]
    theme: Flag<Theme>,
    #[kv(flag, default)]
    limits: Flag<Limits>,
    #[kv(flag, default = "hello")]
    greeting: Flag<String>,
    #[kv(flag, default = 0.5)]
    share: Flag<f64>,
    #[kv(nested)]
    search: Search,
}

#[derive(KvConfig, Debug, Clone)]
struct Search {
    #[kv(flag, default = 10, context = Visitor)]
    results: Flag<u8>,
}

#[derive(FlagVariant, Serialize, Deserialize, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Theme {
    Light,
    Dark,
}

#[derive(FlagVariant, Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(deny_unknown_fields)]
struct Limits {
    items: u32,
}

#[derive(EvaluationContext)]
struct Visitor<'a> {
    #[context(targeting_key)]
    id: &'a str,
    country: &'a str,
}

const VISITOR: Visitor<'static> = Visitor { id: "user-1", country: "NL" };

async fn start(bucket: &Bucket) -> Live<Shop> {
    bucket.live().without_environment().start().await.unwrap()
}

async fn put(live: &Live<Shop>, bucket: &Bucket, key: &str, value: &str) -> Revision {
    let revision = bucket.put(key, value.to_owned()).await.unwrap();
    live.wait_for(revision).await.unwrap();
    revision
}

/// What is wrong with a value that is refused.
async fn refusal(live: &Live<Shop>, bucket: &Bucket, key: &str, value: &str) -> String {
    let revision = bucket.put(key, value.to_owned()).await.unwrap();
    live.wait_for(revision).await.unwrap_err();
    let report = live.health().report.expect("what is refused is told").to_string();
    report
        .lines()
        .filter(|line| line.contains(&format!("× {key}: ")))
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
}

fn rollout(percent: u32) -> String {
    format!(
        r#"{{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "off",
            "targeting": {{"fractional": [["on", {percent}], ["off", {}]]}}}}"#,
        100 - percent
    )
}

fn share_with_the_new_cart(shop: &Shop) -> usize {
    let ids = (0..1000).map(|number| format!("user-{number}"));
    ids.filter(|id| shop.new_cart.get(&Visitor { id, country: "NL" })).count()
}

#[tokio::test(start_paused = true)]
async fn without_a_key_the_default_of_the_code_is_served() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let shop = live.load();
    assert!(!shop.new_cart.get(&VISITOR));
    assert_eq!((shop.theme.get(&VISITOR), shop.greeting.get(&VISITOR)), (Theme::Light, "hello"));
    assert_eq!((shop.share.get(&VISITOR), shop.search.results.get(&VISITOR)), (0.5, 10));
    assert_eq!(shop.limits.get(&VISITOR), &Limits { items: 0 });
    let detail = shop.new_cart.evaluate(&VISITOR);
    assert_eq!((detail.value, detail.variant, detail.reason), (false, None, Reason::Error));
    assert_eq!(detail.error, Some(EvaluationError::FlagNotFound));
    assert_eq!(detail.error.map(|error| error.code()), Some(ErrorCode::FlagNotFound));
    assert_eq!(shop.search.results.key(), "search.results");
}

#[tokio::test(start_paused = true)]
async fn plain_values_are_flags() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    put(&live, &bucket, "shop.new_cart", "true\n").await;
    put(&live, &bucket, "shop.theme", "dark").await;
    put(&live, &bucket, "shop.greeting", r#""3""#).await;
    put(&live, &bucket, "shop.share", "1").await;
    put(&live, &bucket, "shop.search.results", "20.0").await;
    let shop = live.load();
    assert!(shop.new_cart.get(&VISITOR));
    assert_eq!((shop.theme.get(&VISITOR), shop.greeting.get(&VISITOR)), (Theme::Dark, "3"));
    assert_eq!((shop.share.get(&VISITOR), shop.search.results.get(&VISITOR)), (1.0, 20));
    let detail = shop.theme.evaluate(&VISITOR);
    assert_eq!((detail.variant, detail.reason, detail.error), (Some("dark"), Reason::Static, None));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_goes_up_live_and_nobody_who_has_it_loses_it() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let mut before = 0;
    for percent in [0, 10, 50, 100] {
        put(&live, &bucket, "shop.new_cart", &rollout(percent)).await;
        let shop = live.load();
        let share = share_with_the_new_cart(&shop);
        // Three standard deviations of a thousand draws at one half are 47.
        assert!(share.abs_diff(percent as usize * 10) <= 47, "{share} of 1000 at {percent} %");
        assert!(share >= before);
        before = share;
    }
    assert_eq!(before, 1000);
    let shop = live.load();
    let detail = shop.new_cart.evaluate(&VISITOR);
    assert_eq!((detail.reason, detail.rule), (Reason::TargetingMatch, Some("targeting.fractional[0]")));
}

#[tokio::test(start_paused = true)]
async fn shares_are_by_the_key_below_the_prefix_also_in_nested_structs_and_under_old_names() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let by_key = |key: &str| {
        format!(
            r#"{{"state": "ENABLED", "variants": {{"a": "light", "b": "dark"}}, "defaultVariant": "a",
                "targeting": {{"if": [{{"==": [{{"var": "$flagd.flagKey"}}, "{key}"]}}, "b", "a"]}}}}"#
        )
    };
    let nested = by_key("search.results").replace("\"light\"", "1").replace("\"dark\"", "2");
    let batch = bucket.batch().put("shop.colours", by_key("theme")).put("shop.search.results", nested);
    let revision = batch.commit().await.unwrap();
    live.wait_for(revision).await.unwrap();
    // The same whether it came while the handle was live or stood there when it started.
    for live in [live, start(&bucket).await] {
        let shop = live.load();
        assert_eq!((shop.theme.get(&VISITOR), shop.search.results.get(&VISITOR)), (Theme::Dark, 2));
        let past = live.at(revision).await.unwrap();
        assert_eq!(past.search.results.get(&VISITOR), 2);
    }
}

// P3
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_with_every_reason_while_the_last_good_serves() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    put(&live, &bucket, "shop.new_cart", &rollout(100)).await;
    let flag = |variants: &str, rest: &str| {
        format!(r#"{{"state": "ENABLED", "variants": {{{variants}}}, "defaultVariant": {rest}}}"#)
    };
    let deep = format!(r#""on", "targeting": {}{{}}{}"#, r#"{"!": ["#.repeat(70), "]}".repeat(70));
    let country = r#""few", "targeting": {"if": [{"==": [{"var": "contry"}, "NL"]}, "few"]}"#;
    let bad = [
        ("new_cart", "blue".to_owned()),
        ("new_cart", flag(r#""on": "yes", "off": false"#, r#""of""#)),
        ("new_cart", flag(r#""on": true"#, &deep)),
        ("theme", "drak".to_owned()),
        ("theme", flag(r#""a": "light", "b": "drak""#, r#""a", "targeting": {"fracional": []}"#)),
        ("greeting", "3".to_owned()),
        ("limits", r#"{"items": 3}"#.to_owned()),
        ("limits", flag(r#""few": {"itms": 3}"#, r#""few""#)),
        ("search.results", "300".to_owned()),
        ("search.results", flag(r#""few": 3"#, country)),
    ];
    let mut told = Vec::new();
    for (key, value) in &bad {
        told.push(refusal(&live, &bucket, &format!("shop.{key}"), value).await);
    }
    insta::assert_snapshot!(told.join("\n"), @"
    × shop.new_cart: expected true or false, found the text `blue`
    × shop.new_cart: variants.on: a text, where other variants are booleans; defaultVariant: no variant `of`, did you mean `off`?
    × shop.new_cart: no JSON: nested deeper than 128 levels
    × shop.theme: `drak` is not one of `light` or `dark`, did you mean `dark`?
    × shop.theme: targeting: unknown operator `fracional`, did you mean `fractional`?; variants.b: `drak` is not one of `light` or `dark`, did you mean `dark`?
    × shop.greeting: expected a text, found `3`
    × shop.limits: state: is required; variants: is required
    × shop.limits: variants.few: unknown field `itms`, expected `items`, did you mean `items`?
    × shop.search.results: `300` is outside 0..=255 (u8)
    × shop.search.results: targeting: Visitor has no `contry`, did you mean `country`?
    ");
    let shop = live.load();
    assert_eq!((shop.new_cart.get(&VISITOR), shop.search.results.get(&VISITOR)), (true, 10));
}

#[tokio::test(start_paused = true)]
async fn a_flag_is_killed_by_its_state_and_comes_back_by_a_rollback() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let good = put(&live, &bucket, "shop.new_cart", &rollout(100)).await;
    put(&live, &bucket, "shop.new_cart", &rollout(100).replace("ENABLED", "DISABLED")).await;
    let detail = live.load().new_cart.evaluate(&VISITOR).reason;
    assert_eq!((detail, live.load().new_cart.get(&VISITOR)), (Reason::Disabled, false));
    let applied = live.rollback_to(good).author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert!(live.load().new_cart.get(&VISITOR));
    // What is brought back is what stood there, to the letter.
    let stored = bucket.get("shop.new_cart").await.unwrap().unwrap();
    assert_eq!(stored, rollout(100));
}

#[tokio::test(start_paused = true)]
async fn flags_are_set_by_definition_by_value_and_by_update() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let fields = Shop::fields();
    let cart = live.load().new_cart.redefine(&rollout(100)).unwrap();
    let edit = live.edit().set(fields.new_cart, cart).set(fields.theme, Flag::fixed(Theme::Dark));
    let edit = edit
        .set(fields.limits, Flag::fixed(Limits { items: 3 }))
        .set(fields.greeting, Flag::fixed("3".to_owned()));
    let applied = edit.plan().await.unwrap().commit().await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    for (key, stored) in [
        ("shop.new_cart", rollout(100).as_str()),
        ("shop.theme", "dark"),
        ("shop.greeting", r#""3""#),
        ("shop.limits", r#"{"defaultVariant":"fixed","state":"ENABLED","variants":{"fixed":{"items":3}}}"#),
    ] {
        assert_eq!(bucket.get(key).await.unwrap().unwrap(), stored.as_bytes(), "{key}");
    }
    let shop = live.load();
    assert_eq!((shop.limits.get(&VISITOR).items, shop.greeting.get(&VISITOR)), (3, "3"));
    // Nothing that an update leaves alone is written, not even in another form.
    let applied = live.update(|shop| shop.search.results = Flag::fixed(7)).await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(live.load().search.results.get(&VISITOR), 7);
    assert_eq!(bucket.get("shop.search.results").await.unwrap().unwrap(), "7".as_bytes());
    assert!(bucket.get("shop.share").await.unwrap().is_none());
    assert_eq!(bucket.get("shop.new_cart").await.unwrap().unwrap(), rollout(100).as_bytes());
}

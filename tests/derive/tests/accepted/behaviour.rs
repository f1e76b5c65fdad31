//! What the table makes of a bucket.

use std::time::Duration;

use kvconf::{Bucket, StartError};

use super::{Checkout, Level};

/// Starts on a bucket with these keys below `checkout`.
async fn start(keys: &[(&str, &str)]) -> Result<Checkout, Vec<String>> {
    let bucket = Bucket::memory();
    for (key, value) in keys {
        bucket.put(format!("checkout.{key}"), (*value).to_owned()).await.unwrap();
    }
    match bucket.live::<Checkout>().start().await {
        Ok(live) => Ok(live.load().value().clone()),
        Err(StartError::Invalid(report)) => Err(report.problems.iter().map(ToString::to_string).collect()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_empty_bucket_gives_the_defaults() {
    let checkout = start(&[]).await.unwrap();
    assert_eq!(checkout.max_items, 50);
    assert_eq!(checkout.payment_timeout, Duration::from_secs(3));
    assert_eq!(checkout.retry.max, 3);
    assert_eq!(checkout.retry.pause, Duration::from_millis(500));
    assert_eq!(checkout.region, None);
    assert_eq!(checkout.api_key.expose(), "none");
    assert!(checkout.limits.is_empty());
    assert_eq!(checkout.countries, ["NL", "BE"]);
    assert_eq!(checkout.level, Level::Info);
    assert_eq!(checkout.levels.get("db"), Some(&Level::Debug));
    assert_eq!(checkout.limit.listen, ([127, 0, 0, 1], 80).into());
    assert_eq!(checkout.limit.allowed.len(), 2);
    assert_eq!(checkout.limit.log_dir.to_str(), Some("/var/log"));
    assert_eq!(checkout.limit.cache, kvconf::ByteSize::mib(64));
    assert_eq!(checkout.limit.workers.get(), 8);
    assert_eq!(checkout.word, "abc");
    assert_eq!((checkout.old, checkout.older, checkout.seven), (None, 0, 7));
    assert_eq!(checkout.r#type, 'x');
}

#[tokio::test]
async fn every_kind_of_field_is_read_from_its_key() {
    let checkout = start(&[
        ("max-items", "80"),
        ("again.pause", "2s"),
        ("log-dir", "not this one"),
        ("log_dir", "/tmp"),
        ("limits.gold", "5"),
        ("word", "dba"),
        ("type", "y"),
        ("region", "NL"),
        ("levels", r#"{"web":"info"}"#),
        ("wait", "7s"),
    ])
    .await
    .unwrap();
    assert_eq!(checkout.max_items, 80);
    assert_eq!(checkout.retry.pause, Duration::from_secs(2));
    // The casing is the flattened struct's own.
    assert_eq!(checkout.limit.log_dir.to_str(), Some("/tmp"));
    assert_eq!(checkout.limits.get("gold"), Some(&5));
    assert_eq!(checkout.word, "abd");
    assert_eq!(checkout.r#type, 'y');
    assert_eq!(checkout.region.as_deref(), Some("NL"));
    assert_eq!(checkout.levels.get("web"), Some(&Level::Info));
    assert_eq!(checkout.payment_timeout, Duration::from_secs(7), "by an alias");
}

#[tokio::test]
async fn every_check_of_every_field_speaks() {
    let problems = start(&[
        ("max-items", "505"),
        ("payment.timeout", "11s"),
        ("again.factor", "4"),
        ("cache", "2 GiB"),
        ("region", "n"),
        ("api-key", "abc"),
        ("countries", "[]"),
        ("word", "xyz"),
        ("type", "z"),
    ])
    .await
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "checkout.again.factor: 4.0 is outside 1..4",
            "checkout.api-key: length 3 is outside 4..",
            "checkout.cache: 2 GiB is outside 1 KiB..=1.5 GiB",
            "checkout.countries: length 0 is outside 1..",
            "checkout.max-items: 505 is outside 1..=500",
            "checkout.max-items: 505 is not round",
            "checkout.payment.timeout: 11s is outside 1s..=10s",
            "checkout.region: length 1 is outside 2",
            "checkout.region: `n` does not match ^[A-Z]+$",
            "checkout.type: `z` is not one of x or y",
            "checkout.word: `xyz` is not one of abc or abd",
        ]
    );
}

#[tokio::test]
async fn the_struct_itself_is_checked_last() {
    let problems = start(&[("max-items", "10"), ("again.max", "11")]).await.unwrap_err();
    assert_eq!(problems, ["checkout: more tries than items"]);
}

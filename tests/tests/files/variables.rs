//! The environment. The variables are set for the process by a run of this test's own binary, never in this one.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use kvconf::{Bucket, KvConfig, StartError};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop", env_prefix = "KVT")]
struct Shop {
    #[kv(default = 1)]
    max_items: u32,
    #[kv(nested)]
    retry: Again,
    #[kv(default = ["NL"])]
    countries: Vec<String>,
    #[kv(entries)]
    limits: BTreeMap<String, u32>,
    region: Option<String>,
}

#[derive(KvConfig, Debug, Clone)]
struct Again {
    #[kv(default = "1s")]
    max_pause: Duration,
}

/// Runs one test of this binary again, with variables.
fn again(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args([test, "--exact", "--nocapture"]).env("KVT_CHILD", "1").envs(variables.iter().copied());
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn is_child() -> bool {
    std::env::var_os("KVT_CHILD").is_some()
}

#[tokio::test]
async fn variables_go_before_the_bucket_by_the_same_rules() {
    if !is_child() {
        let limits = r#"{"gold": 3, "tin & zinc": 4}"#;
        return again(
            "files::variables::variables_go_before_the_bucket_by_the_same_rules",
            &[
                ("KVT_MAX_ITEMS", "60"),
                ("KVT_RETRY_MAX_PAUSE", "1h 30m"),
                ("KVT_COUNTRIES", r#"["DE","AT"]"#),
                ("KVT_LIMITS", limits),
            ],
        );
    }
    let bucket = Bucket::memory();
    for (key, value) in [("shop.max_items", "5"), ("shop.limits.gold", "9"), ("shop.limits.lead", "8")] {
        bucket.put(key, value).await.unwrap();
    }
    let live = bucket.live::<Shop>().start().await.unwrap();
    let cfg = live.snapshot();
    assert_eq!((cfg.max_items, cfg.retry.max_pause), (60, Duration::from_secs(5400)));
    assert_eq!((cfg.countries.join(" "), cfg.region.as_deref()), ("DE AT".to_owned(), None));
    let limits: Vec<_> = cfg.limits.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(limits, [("gold", 3), ("lead", 8), ("tin & zinc", 4)], "entries are merged one by one");
    insta::assert_snapshot!(live.explain(Shop::fields().limits), @r"
    shop.limits
      → shop.limits.gold: 3   from environment variable KVT_LIMITS
        shop.limits.gold: 9   from revision 2
      → shop.limits.lead: 8   from revision 3
      → shop.limits.tin=20=26=20zinc: 4   from environment variable KVT_LIMITS
    ");
    // A change below a variable is taken and changes nothing.
    let written = bucket.put("shop.limits.gold", "10").await.unwrap();
    live.wait_for(written).await.unwrap();
    assert_eq!(live.load().limits["gold"], 3);
}

// P3, P10
#[tokio::test]
async fn variables_that_hold_nonsense_stop_the_start_with_every_problem() {
    if !is_child() {
        return again(
            "files::variables::variables_that_hold_nonsense_stop_the_start_with_every_problem",
            &[("KVT_MAX_ITEMS", "many"), ("KVT_LIMITS", "gold=3"), ("KVT_COUNTRIES", "[")],
        );
    }
    let Err(StartError::Invalid(report)) = Bucket::memory().live::<Shop>().start().await else {
        panic!("nonsense")
    };
    insta::assert_snapshot!(report, @r"
    error: 3 problems in Shop (bucket memory, revision 0); nothing is served yet
      × shop.countries: expected a list as JSON, found `[`: it ends too early
          from environment variable KVT_COUNTRIES
      × shop.limits: expected an object as JSON: unexpected `g`
          from environment variable KVT_LIMITS
      × shop.max_items: `many` is not a whole number (u32)
          from environment variable KVT_MAX_ITEMS
    ");
}

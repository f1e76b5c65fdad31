//! Names of environment variables that come close to one another.

use kvconf::{Bucket, KvConfig};

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "KVCONF_NEAR")]
struct Near {
    #[kv(default = 1)]
    retry: u8,
    #[kv(default = 2)]
    retry_maximum: u8,
    #[kv(nested, rename = "again")]
    retry_max: Max,
    #[kv(nested, rename = "elsewhere", env = "KVCONF_NEARBY_RETRY")]
    other: Max,
    // KVCONF_NEAR_RETRY_MAX_ALL holds all entries as JSON.
    #[kv(entries)]
    retry_max_all: std::collections::BTreeMap<String, u8>,
    #[kv(flatten)]
    flat: Flat,
    #[kv(nested)]
    own: Own,
}

#[derive(KvConfig, Clone)]
struct Max {
    #[kv(default = 3)]
    max: u8,
}

#[derive(KvConfig, Clone)]
struct Flat {
    #[kv(default = "none")]
    home: String,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "KVCONF")]
struct Own {
    #[kv(default = 5, alias = "old_max")]
    retry_max: u8,
}

// The same names twice: without a prefix they are no variables.
#[derive(KvConfig, Clone)]
struct NoVariables {
    #[kv(default = 1)]
    retry_max: u8,
    #[kv(nested)]
    retry: Max,
}

#[tokio::test]
async fn names_that_only_look_alike_are_kept_apart() {
    let bucket = Bucket::memory();
    let near = bucket.live::<Near>().start().await.unwrap();
    let explained = |text: String| text.lines().next_back().unwrap_or_default().trim().to_owned();
    assert_eq!(explained(near.explain(Near::fields().retry_max.max).to_string()), "→ 3   from the default");
    let cfg = near.load();
    assert_eq!((cfg.retry, cfg.retry_maximum, cfg.other.max, cfg.own.retry_max), (1, 2, 3, 5));
    assert_eq!((cfg.flat.home.as_str(), cfg.retry_max_all.len()), ("none", 0));
    let none = bucket.live::<NoVariables>().prefix("none").start().await.unwrap();
    assert_eq!((none.load().retry_max, none.load().retry.max), (1, 3));
}

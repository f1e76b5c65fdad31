//! Two versions of a service on one bucket: a field more, a field less, a field of another type.

use std::time::Duration;

use kvconf::{Bucket, KvConfig, Live, Revision};

#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "shop")]
struct Old {
    #[kv(default = 10)]
    max: u32,
    #[kv(default = 30)]
    timeout: u32,
}

/// Its timeout has a unit, and there is a name.
#[derive(KvConfig, Debug, Clone, PartialEq)]
#[kv(prefix = "shop")]
struct New {
    #[kv(default = 10)]
    max: u32,
    #[kv(default = "30s")]
    timeout: Duration,
    name: Option<String>,
}

async fn both() -> (Bucket, Live<Old>, Live<New>) {
    let bucket = Bucket::memory();
    let (old, new) = (bucket.live().start().await.unwrap(), bucket.live().start().await.unwrap());
    (bucket, old, new)
}

fn problems<T: KvConfig>(live: &Live<T>) -> Vec<String> {
    let report = live.health().report;
    report.iter().flat_map(|report| &report.problems).map(ToString::to_string).collect()
}

// P3
#[tokio::test(start_paused = true)]
async fn a_field_that_only_the_newer_knows_is_told_by_the_older_and_left_alone() {
    let (bucket, old, new) = both().await;
    let named = new.update(|new| new.name = Some("x".into())).author("new").await.unwrap();
    old.wait_for(named.revision()).await.unwrap();
    assert_eq!(problems(&old), ["shop.name: unknown key"]);
    let more = old.update(|old| old.max = 20).author("old").await.unwrap();
    new.wait_for(more.revision()).await.unwrap();
    assert_eq!((new.load().max, new.load().name.as_deref()), (20, Some("x")));
    // Going back, it takes back what it knows.
    let back = old.rollback_to(Revision::ZERO).author("old").await.unwrap();
    new.wait_for(back.revision()).await.unwrap();
    assert_eq!((new.load().max, new.load().name.as_deref()), (10, Some("x")));
    assert_eq!(bucket.get("shop.name").await.unwrap().unwrap(), "x");
}

// P3, P6
#[tokio::test(start_paused = true)]
async fn a_value_of_the_newer_type_is_not_taken_and_not_overwritten_by_the_older() {
    let (bucket, old, new) = both().await;
    let waits = new.update(|new| new.timeout = Duration::from_secs(300)).author("new").await.unwrap();
    let refused = old.wait_for(waits.revision()).await.unwrap_err();
    assert_eq!(refused.to_string(), "revision 1 was rejected");
    assert_eq!(problems(&old), ["shop.timeout: `5m` is not a whole number (u32)"]);
    // What the two have in common goes on, in both directions.
    let more = new.update(|new| new.max = 20).author("new").await.unwrap();
    old.wait_for(more.revision()).await.unwrap();
    assert_eq!((old.load().max, old.load().timeout), (20, 30));
    assert_eq!(old.load().rejected()[0].keys, ["shop.timeout"]);
    let more = old.update(|old| old.max = 30).author("old").await.unwrap();
    new.wait_for(more.revision()).await.unwrap();
    assert_eq!((new.load().max, new.load().timeout), (30, Duration::from_secs(300)));
    // The older does not write over what it cannot read.
    let over = old.update(|old| old.timeout = 60).author("old").await.unwrap_err();
    assert_eq!(
        over.to_string(),
        "shop.timeout: an update would overwrite 5m of revision 1 by new, which readers rejected; replace it by \
         edit().set(..), whose plan shows it"
    );
    assert_eq!(bucket.get("shop.timeout").await.unwrap().unwrap(), "5m");
    // A value that only the older reads: each serves what it can.
    let written = bucket.put("shop.timeout", "90").await.unwrap();
    old.wait_for(written).await.unwrap();
    new.wait_for(written).await.unwrap_err();
    assert_eq!((old.load().timeout, problems(&old)), (90, vec![]));
    assert_eq!(problems(&new), ["shop.timeout: `90` has no unit, did you mean `90s`?"]);
    assert_eq!(new.load().timeout, Duration::from_secs(300));
}

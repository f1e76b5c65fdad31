use std::time::Duration;

use kvconf::{ReadError, Revision};

use super::backend::{Backend, rev, shorts};

pub(crate) async fn a_reading_is_of_one_moment(backend: &Backend) {
    let bucket = backend.plain().await;
    let empty = bucket.read("app.>").await.unwrap();
    assert_eq!(shorts(empty.entries()), "");
    bucket.put("app.b", "1").await.unwrap();
    bucket.put("app.a", "1").await.unwrap();
    bucket.put("app.b", "2").await.unwrap();
    bucket.delete("app.c").await.unwrap();
    bucket.put("other", "1").await.unwrap();
    let reading = bucket.read("app.>").await.unwrap();
    assert_eq!(shorts(reading.entries()), "app.a@2=1 app.b@3=2 app.c@4-");
    assert_eq!(shorts(reading.live()), "app.a@2=1 app.b@3=2");
    assert!(reading.revision() >= rev(4), "{:?}", reading.revision());
}

pub(crate) async fn every_retained_revision_can_be_read(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    bucket.delete("a").await.unwrap();
    bucket.batch().put("a", "2").put("b", "2").commit().await.unwrap();
    let mut states = Vec::new();
    for revision in 0..=5 {
        let reading = bucket.read_at(">", rev(revision)).await.unwrap();
        assert_eq!(reading.revision(), rev(revision));
        states.push(shorts(reading.entries()));
    }
    assert_eq!(states, ["", "a@1=1", "a@1=1 b@2=1", "b@2=1 a@3-", "b@2=1 a@4=2", "a@4=2 b@5=2"]);
    assert_eq!(shorts(bucket.read_at("a", rev(2)).await.unwrap().entries()), "a@1=1");
}

pub(crate) async fn a_revision_to_come_is_out_of_range(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    let refused = bucket.read_at(">", rev(2)).await;
    assert!(
        matches!(&refused, Err(ReadError::OutOfRange { revision }) if *revision == rev(2)),
        "{refused:?}"
    );
    assert_eq!(shorts(bucket.read_at("nothing", rev(1)).await.unwrap().entries()), "");
}

pub(crate) async fn what_was_pushed_out_is_absent_without_a_word(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    bucket.put("b", "1").await.unwrap();
    for n in 1..=3 {
        bucket.put("a", n.to_string()).await.unwrap();
    }
    assert_eq!(shorts(bucket.read_at(">", rev(2)).await.unwrap().entries()), "b@1=1");
    assert_eq!(shorts(bucket.read_at(">", rev(3)).await.unwrap().entries()), "b@1=1 a@3=2");
}

pub(crate) async fn an_entry_belongs_to_the_moment_it_was_created(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    let created: Vec<_> = bucket.history(">").await.unwrap().iter().map(kvconf::Entry::created).collect();
    let at = async |time| shorts(bucket.read_at_time(">", time).await.unwrap().entries());
    assert_eq!(at(created[0]).await, "a@1=1");
    assert_eq!(at(created[1]).await, "a@1=1 b@2=1");
    assert_eq!(at(created[2]).await, "b@2=1 a@3=2");
    assert_eq!(at(created[0] - Duration::from_secs(1)).await, "");
    assert_eq!(at(created[2] + Duration::from_secs(3_600)).await, "b@2=1 a@3=2");
}

pub(crate) async fn a_reading_has_no_limit_of_keys(backend: &Backend) {
    const KEYS: usize = 2_500;
    let bucket = backend.plain().await;
    for start in (0..KEYS).step_by(500) {
        let batch = (start..start + 500).fold(bucket.batch(), |b, n| b.put(format!("many.k{n}"), "v"));
        batch.commit().await.unwrap();
    }
    bucket.put("many.k0", "w").await.unwrap();
    let reading = bucket.read("many.>").await.unwrap();
    assert_eq!(reading.entries().len(), KEYS);
    assert!(reading.entries().is_sorted_by_key(kvconf::Entry::revision));
    assert_eq!(reading.get("many.k0").map(|value| &value[..]), Some(&b"w"[..]));
    let before = bucket.read_at("many.>", rev(KEYS as u64)).await.unwrap();
    assert_eq!(before.entries().len(), KEYS);
    assert_eq!(before.get("many.k0").map(|value| &value[..]), Some(&b"v"[..]));
    assert_eq!(bucket.history("many.>").await.unwrap().len(), KEYS + 1);
}

pub(crate) async fn several_filters_give_one_reading(backend: &Backend) {
    let bucket = backend.plain().await;
    for key in ["b.x", "a", "c.y", "b.y"] {
        bucket.put(key, "v").await.unwrap();
    }
    let reading = bucket.read(["b.>", "a"]).await.unwrap();
    assert_eq!(shorts(reading.entries()), "b.x@1=v a@2=v b.y@4=v");
    // One covers the other: each key once.
    let reading = bucket.read(["b.x", "b.>", "c.y"]).await.unwrap();
    assert_eq!(shorts(reading.entries()), "b.x@1=v c.y@3=v b.y@4=v");
}

pub(crate) async fn filters_that_cross_are_refused(backend: &Backend) {
    let bucket = backend.plain().await;
    let refused = bucket.read(["a.*", "*.b"]).await;
    assert!(matches!(&refused, Err(ReadError::Unsupported { .. })), "{refused:?}");
    let refused = bucket.watch(["a.*", "*.b"]).await;
    assert!(matches!(&refused, Err(ReadError::Unsupported { .. })), "{refused:?}");
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::ZERO);
}

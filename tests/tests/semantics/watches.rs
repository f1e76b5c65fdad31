use kvconf::{Bucket, WatchEvent};

use super::backend::{BOUND, Backend, events, rev};

async fn with_history(backend: &Backend) -> Bucket {
    let bucket = backend.plain().await;
    bucket.put("app.a", "1").await.unwrap();
    bucket.put("app.b", "1").await.unwrap();
    bucket.put("app.a", "2").await.unwrap();
    bucket.put("log", "1").await.unwrap();
    bucket.delete("app.b").await.unwrap();
    bucket
}

pub(crate) async fn an_empty_scope_is_loaded(backend: &Backend) {
    let bucket = backend.plain().await;
    let mut all = bucket.watch_all().await.unwrap();
    let mut app = bucket.watch("app.>").await.unwrap();
    assert_eq!(events(&mut all, 1).await, "loaded");
    assert_eq!(events(&mut app, 1).await, "loaded");
    bucket.put("log", "1").await.unwrap();
    bucket.put("app.a", "1").await.unwrap();
    assert_eq!(events(&mut all, 2).await, "log@1=1 app.a@2=1");
    assert_eq!(events(&mut app, 1).await, "app.a@2=1");
}

pub(crate) async fn a_watch_begins_with_what_is_current(backend: &Backend) {
    let bucket = with_history(backend).await;
    let mut watch = bucket.watch_all().await.unwrap();
    assert_eq!(events(&mut watch, 4).await, "app.a@3=2 log@4=1 app.b@5- loaded");
    bucket.purge("app.a").await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "app.a@6!");
}

pub(crate) async fn a_watch_shows_its_keys_only(backend: &Backend) {
    let bucket = with_history(backend).await;
    let mut key = bucket.watch("log").await.unwrap();
    let mut several = bucket.watch(["log", "app.a"]).await.unwrap();
    assert_eq!(events(&mut key, 2).await, "log@4=1 loaded");
    assert_eq!(events(&mut several, 3).await, "app.a@3=2 log@4=1 loaded");
    bucket.put("app.b", "2").await.unwrap();
    bucket.put("log", "2").await.unwrap();
    assert_eq!(events(&mut key, 1).await, "log@7=2");
    assert_eq!(events(&mut several, 1).await, "log@7=2");
}

pub(crate) async fn only_new_entries_when_asked(backend: &Backend) {
    let bucket = with_history(backend).await;
    let mut watch = bucket.watch("app.>").new_only().await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "loaded");
    bucket.put("log", "2").await.unwrap();
    bucket.put("app.a", "3").await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "app.a@7=3");
}

pub(crate) async fn every_retained_entry_when_asked(backend: &Backend) {
    let bucket = with_history(backend).await;
    let mut watch = bucket.watch("app.>").with_history().await.unwrap();
    assert_eq!(events(&mut watch, 5).await, "app.a@1=1 app.b@2=1 app.a@3=2 app.b@5- loaded");
    bucket.put("app.a", "3").await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "app.a@6=3");
}

pub(crate) async fn a_watch_can_begin_at_a_revision(backend: &Backend) {
    let bucket = with_history(backend).await;
    let mut watch = bucket.watch_all().from_revision(rev(3)).await.unwrap();
    assert_eq!(events(&mut watch, 4).await, "app.a@3=2 log@4=1 app.b@5- loaded");
}

pub(crate) async fn a_watch_can_begin_at_a_revision_to_come(backend: &Backend) {
    let bucket = with_history(backend).await;
    let mut watch = bucket.watch_all().from_revision(rev(7)).await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "loaded");
    bucket.put("app.a", "6").await.unwrap();
    bucket.put("app.a", "7").await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "app.a@7=7");
}

pub(crate) async fn a_watch_shows_headers_and_batches_in_order(backend: &Backend) {
    let bucket = backend.plain().await;
    let mut watch = bucket.watch_all().await.unwrap();
    bucket.put("a", "1").header("Kvconf-Author", "ops").await.unwrap();
    bucket.batch().put("b", "1").put("a", "2").commit().await.unwrap();
    assert_eq!(events(&mut watch, 1).await, "loaded");
    let first = tokio::time::timeout(BOUND, watch.event()).await.unwrap();
    match first {
        WatchEvent::Entry(entry) => assert_eq!(entry.headers().get("Kvconf-Author"), Some("ops")),
        other => panic!("{other:?}"),
    }
    assert_eq!(events(&mut watch, 2).await, "b@2=1 a@3=2");
}

pub(crate) async fn many_keys_are_loaded_in_order(backend: &Backend) {
    const KEYS: u64 = 5_000;
    let bucket = backend.plain().await;
    for start in (0..KEYS).step_by(1_000) {
        let batch = (start..start + 1_000).fold(bucket.batch(), |b, n| b.put(format!("k{n}"), "v"));
        batch.commit().await.unwrap();
    }
    let mut watch = bucket.watch_all().await.unwrap();
    let mut revisions = Vec::new();
    loop {
        match tokio::time::timeout(BOUND, watch.event()).await.unwrap() {
            WatchEvent::Entry(entry) => revisions.push(entry.revision().get()),
            WatchEvent::Loaded => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(revisions, (1..=KEYS).collect::<Vec<_>>());
}

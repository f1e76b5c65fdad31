use kvconf::{BucketConfig, Key, Prefix};

use super::backend::{Backend, rev, short, shorts};

pub(crate) async fn the_oldest_entries_of_a_key_are_pushed_out(backend: &Backend) {
    let bucket = backend.keeping(3).await;
    bucket.put("b", "1").await.unwrap();
    for n in 1..=5 {
        bucket.put("a", n.to_string()).await.unwrap();
    }
    assert_eq!(shorts(&bucket.history("a").await.unwrap()), "a@4=3 a@5=4 a@6=5");
    bucket.delete("a").await.unwrap();
    assert_eq!(shorts(&bucket.history(">").await.unwrap()), "b@1=1 a@5=4 a@6=5 a@7-");
}

pub(crate) async fn history_is_in_the_order_of_writing(backend: &Backend) {
    let bucket = backend.plain().await;
    for key in ["b", "a", "c.d", "a", "b"] {
        bucket.put(key, "v").await.unwrap();
    }
    assert_eq!(shorts(&bucket.history(["a", "b"]).await.unwrap()), "b@1=v a@2=v a@4=v b@5=v");
    assert_eq!(shorts(&bucket.history("c.*").await.unwrap()), "c.d@3=v");
    assert_eq!(shorts(&bucket.history("nothing.>").await.unwrap()), "");
}

pub(crate) async fn an_entry_is_found_by_its_revision_and_key(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    for n in 1..=3 {
        bucket.put("a", n.to_string()).await.unwrap();
    }
    bucket.delete("b").await.unwrap();
    let at = async |key: &str, revision| {
        bucket.entry_at(key, rev(revision)).await.unwrap().as_ref().map(short).unwrap_or_default()
    };
    assert_eq!(at("a", 2).await, "a@2=2");
    assert_eq!(at("b", 4).await, "b@4-");
    // Pushed out, another key's, not there yet.
    assert_eq!(at("a", 1).await, "");
    assert_eq!(at("b", 2).await, "");
    assert_eq!(at("a", 99).await, "");
    assert_eq!(bucket.entry("nothing").await.unwrap(), None);
}

pub(crate) async fn keys_are_those_with_a_value(backend: &Backend) {
    let bucket = backend.plain().await;
    for key in ["app.z", "app.a.b", "log", "app.gone", "apple"] {
        bucket.put(key, "v").await.unwrap();
    }
    bucket.delete("app.gone").await.unwrap();
    bucket.purge("log").await.unwrap();
    let texts = |keys: Vec<Key>| keys.iter().map(Key::to_string).collect::<Vec<_>>();
    assert_eq!(texts(bucket.keys(">").await.unwrap()), ["app.a.b", "app.z", "apple"]);
    assert_eq!(texts(bucket.keys(Prefix::new("app").unwrap()).await.unwrap()), ["app.a.b", "app.z"]);
    assert!(bucket.keys("nothing.>").await.unwrap().is_empty());
}

pub(crate) async fn a_smaller_history_takes_effect_at_once(backend: &Backend) {
    let bucket = backend.keeping(5).await;
    for n in 1..=5 {
        bucket.put("a", n.to_string()).await.unwrap();
    }
    let mut change = BucketConfig::unchanged("cfg");
    change.history = Some(2);
    bucket.update_config(&change).await.unwrap();
    assert_eq!(shorts(&bucket.history("a").await.unwrap()), "a@4=4 a@5=5");
}

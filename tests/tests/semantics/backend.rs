//! Where the cases get their buckets from.

use std::time::Duration;

use kvconf::{Bucket, Entry, Operation, Revision, Watch, WatchEvent};
pub(crate) use kvconf_tests::Backend;

/// How long a case waits for something that must come.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) fn rev(sequence: u64) -> Revision {
    Revision::new(sequence)
}

/// `key@revision=value`, with `-` for a deletion and `!` for a purge.
pub(crate) fn short(entry: &Entry) -> String {
    let value = String::from_utf8_lossy(entry.value());
    let what = match entry.operation() {
        Operation::Put => format!("={value}"),
        Operation::Delete => "-".to_owned(),
        Operation::Purge => "!".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{}@{}{what}", entry.key(), entry.revision())
}

pub(crate) fn shorts<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    entries.into_iter().map(short).collect::<Vec<_>>().join(" ")
}

/// The next events of a watch; interruptions that a busy machine can cause are passed over.
pub(crate) async fn events(watch: &mut Watch, count: usize) -> String {
    let mut seen = Vec::new();
    while seen.len() < count {
        match tokio::time::timeout(BOUND, watch.event()).await {
            Err(_) => panic!("waited {BOUND:?} in vain for an event after {seen:?}"),
            Ok(WatchEvent::Entry(entry)) => seen.push(short(&entry)),
            Ok(WatchEvent::Loaded) => seen.push("loaded".to_owned()),
            Ok(WatchEvent::Recreated) => seen.push("recreated".to_owned()),
            Ok(_) => {}
        }
    }
    seen.join(" ")
}

pub(crate) async fn value(bucket: &Bucket, key: &str) -> Option<String> {
    let value = bucket.get(key).await.unwrap()?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

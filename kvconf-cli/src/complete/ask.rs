//! Asking a server while somebody waits: for a second at most, and silently.

use std::future::Future;
use std::time::Duration;

use kvconf::settings::Schemas;
use kvconf::{Bucket, Filter, Key, LoggedChange, Prefix};
use tokio::time::{Instant, timeout_at};

use super::line::Said;
use crate::arguments::{Common, OutputArgs};
use crate::session::Session;

/// How long somebody may wait.
const WITHIN: Duration = Duration::from_secs(1);

/// How many changes are looked at for ids and authors.
pub(super) const CHANGES: usize = 20;

/// What a bucket was asked for, as far as it answered in time.
#[derive(Default)]
pub(super) struct Known {
    pub(super) keys: Vec<Key>,
    pub(super) schemas: Schemas,
}

/// Keys, and what programs have published.
pub(super) fn keys_and_schemas(said: &Said, filter: Filter) -> Known {
    let found = asked(said, async |bucket, end| {
        let keys = in_time(end, bucket.keys(filter));
        let (keys, schemas) = futures_util::future::join(keys, in_time(end, bucket.schemas())).await;
        Some(Known {
            keys: keys.unwrap_or_default().into_iter().collect(),
            schemas: schemas.unwrap_or_default(),
        })
    });
    found.unwrap_or_default()
}

/// What programs have published, and all keys of their settings.
pub(super) fn settings(said: &Said) -> Known {
    let found = asked(said, async |bucket, end| {
        let schemas = in_time(end, bucket.schemas()).await?;
        let mut keys = Vec::new();
        for published in schemas.published.iter().filter(|published| !published.schema.layers.is_empty()) {
            keys.extend(in_time(end, bucket.keys(published.schema.filters())).await.unwrap_or_default());
        }
        Some(Known { keys, schemas })
    });
    found.unwrap_or_default()
}

/// What stands under a key, and what programs have published.
pub(super) fn value_and_schemas(said: &Said, key: &Key) -> (Option<Vec<u8>>, Schemas) {
    let found = asked(said, async |bucket, end| {
        let entry = in_time(end, bucket.entry(key.clone()));
        let (entry, schemas) = futures_util::future::join(entry, in_time(end, bucket.schemas())).await;
        let value = entry.flatten().and_then(|entry| Some(entry.put_value()?.to_vec()));
        Some((value, schemas.unwrap_or_default()))
    });
    found.unwrap_or_default()
}

/// The newest changes, newest first.
pub(super) fn changes(said: &Said) -> Vec<LoggedChange> {
    let found = asked(said, async |bucket, end| {
        let mut log = bucket.log(Prefix::root()).stream();
        let mut changes = Vec::new();
        while changes.len() < CHANGES
            && let Ok(Some(Ok(change))) = timeout_at(end, log.next()).await
        {
            changes.push(change);
        }
        Some(changes)
    });
    found.unwrap_or_default()
}

pub(super) fn buckets(said: &Said) -> Vec<String> {
    with_session(said, async |session, end| {
        let connection = session.connection().await.ok()?;
        in_time(end, Bucket::names(connection)).await
    })
    .unwrap_or_default()
}

async fn in_time<T, E>(end: Instant, question: impl Future<Output = Result<T, E>>) -> Option<T> {
    timeout_at(end, question).await.ok()?.ok()
}

fn asked<T>(said: &Said, question: impl AsyncFnOnce(Bucket, Instant) -> Option<T>) -> Option<T> {
    with_session(said, async |session, end| {
        let bucket = session.bucket().await.ok()?;
        question(bucket, end).await
    })
}

/// Asks as the line that is being typed names it. What is not there in time is not there.
fn with_session<T>(said: &Said, question: impl AsyncFnOnce(&mut Session, Instant) -> Option<T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    // What would be masked is not offered: schemas need not be asked for twice.
    let output = OutputArgs { reveal: true, ..OutputArgs::default() };
    let mut session = Session::new(Common { connect: said.connect.clone(), output });
    let answer = runtime.block_on(async {
        let end = Instant::now() + WITHIN;
        timeout_at(end, question(&mut session, end)).await.ok()?
    });
    runtime.shutdown_background();
    answer
}

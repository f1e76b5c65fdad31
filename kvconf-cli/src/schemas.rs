//! What programs have published of their settings: which keys are secrets, and what a change makes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kvconf::settings::{PublishedSchema, Schemas, Unchecked};
use kvconf::{Bucket, Key, ReadError, Report};

/// How long schemas are waited for where values are only shown: without them the names of keys tell what is secret.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// The schemas of a bucket, for showing values. `None` where they cannot be read.
pub(crate) async fn for_showing(bucket: &Bucket) -> Option<Schemas> {
    tokio::time::timeout(SHOWN_WITHIN, bucket.schemas()).await.ok()?.ok()
}

/// A key, and its new value or its removal.
pub(crate) type Change = (String, Option<Vec<u8>>);

/// A change, from keys and their new values.
pub(crate) fn changes<'a>(wanted: impl Iterator<Item = (&'a Key, Option<&'a Bytes>)>) -> Vec<Change> {
    wanted.map(|(key, value)| (key.to_string(), value.map(|value| value.to_vec()))).collect()
}

/// Whether any schema has a say on a key.
pub(crate) fn concern(schemas: &Schemas, key: &Key) -> bool {
    schemas.for_key(key.as_str()).is_some()
}

/// What schemas say of a change.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What they object to, one report for each schema.
    pub(crate) reports: Vec<Report>,
    /// What only the programs themselves can tell.
    pub(crate) unchecked: Vec<Unchecked>,
}

/// Holds a change against every schema whose keys are in it.
pub(crate) async fn judge(
    bucket: &Bucket,
    schemas: &Schemas,
    changes: Vec<Change>,
) -> Result<Judged, ReadError> {
    let mut concerned: BTreeMap<&str, (&PublishedSchema, Vec<Change>)> = BTreeMap::new();
    let mut judged = Judged::default();
    for change in changes {
        if let Some(published) = schemas.for_key(&change.0) {
            concerned.entry(&published.name).or_insert((published, Vec::new())).1.push(change);
        }
    }
    for (published, changes) in concerned.into_values() {
        let schema = &published.schema;
        let filter = if schema.prefix.is_empty() { ">".to_owned() } else { format!("{}.>", schema.prefix) };
        let reading = bucket.read(filter).await?;
        let change = changes.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let verdict = schema.judge_change(reading.entries(), change);
        judged.reports.extend(verdict.report(schema, bucket.name()));
        judged.unchecked.extend(verdict.unchecked);
    }
    Ok(judged)
}

//! What programs have published of their settings: which keys are secrets, and what a change makes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::settings::{PublishedSchema, Schemas, Unchecked};
use kvconf::{Bucket, PlainPlan, ReadError};

/// How long schemas are waited for where values are only shown: without them the names of keys tell what is secret.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// The schemas of a bucket, for showing values. `None` where they cannot be read.
pub(crate) async fn for_showing(bucket: &Bucket) -> Option<Schemas> {
    tokio::time::timeout(SHOWN_WITHIN, bucket.schemas()).await.ok()?.ok()
}

/// A key, and its new value or its removal.
type Change = (String, Option<Vec<u8>>);

/// What was said about a plan besides its problems.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What only the programs themselves can tell.
    pub(crate) unchecked: Vec<Unchecked>,
}

/// Holds a plan against every schema whose keys it changes, and adds what they object to.
pub(crate) async fn judge(
    bucket: &Bucket,
    schemas: &Schemas,
    plan: &mut PlainPlan,
) -> Result<Judged, ReadError> {
    let mut concerned: BTreeMap<&str, (&PublishedSchema, Vec<Change>)> = BTreeMap::new();
    let mut judged = Judged::default();
    for change in plan.changes() {
        if let Some(published) = schemas.for_key(change.key().as_str()) {
            let value = change.after().map(|value| value.to_vec());
            let changes = &mut concerned.entry(&published.name).or_insert((published, Vec::new())).1;
            changes.push((change.key().to_string(), value));
        }
    }
    for (published, changes) in concerned.into_values() {
        let schema = &published.schema;
        let filter = if schema.prefix.is_empty() { ">".to_owned() } else { format!("{}.>", schema.prefix) };
        let reading = bucket.read(filter).await?;
        let change = changes.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let verdict = schema.judge_change(reading.entries(), change);
        if let Some(report) = verdict.report(schema, bucket.name()) {
            plan.object(report);
        }
        judged.unchecked.extend(verdict.unchecked);
    }
    Ok(judged)
}

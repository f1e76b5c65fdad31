//! What a bucket is, for people and for programs.

use std::time::Duration;

use kvconf::{Bucket, BucketConfig, ByteSize, Caveat, Compression, Source, Status, Storage};
use serde_json::{Value, json};

use crate::change::counted;
use crate::failure::Outcome;
use crate::output::{Column, Table, Tone, ago, rfc3339};
use crate::session::Session;

/// Writes down a bucket's settings and state.
pub(super) fn show(session: &mut Session, bucket: &Bucket, status: &Status) -> Outcome {
    let caveats = bucket.caveats();
    if session.out.is_json() {
        return session.out.json(&document(status, &caveats));
    }
    let mut table = Table::new([Column::fixed("", Tone::Key), Column::flexible("", Tone::Plain)]);
    for (name, value) in rows(status, session.out.now()) {
        table.row([name.to_owned(), value]);
    }
    session.out.table(&table)?;
    for caveat in &caveats {
        let style = session.out.style();
        session.out.line(format!("{} {caveat}", style.paint(Tone::Warn, "caveat:")))?;
        if let Some(mend) = mend(&status.config.name, caveat) {
            session.out.line(format!("  {} {mend}", style.paint(Tone::Good, "help:")))?;
        }
    }
    Ok(())
}

/// The command that lifts a caveat.
fn mend(bucket: &str, caveat: &Caveat) -> Option<String> {
    Some(match caveat {
        Caveat::FewRevisions { .. } => format!("kvconf bucket update {bucket} --history 64"),
        Caveat::SilentExpiry { .. } => format!("kvconf bucket update {bucket} --limit-markers 10s"),
        Caveat::NoBatches => format!("kvconf bucket update {bucket} --atomic-batches true"),
        Caveat::NoDirectReads => format!("nats stream edit KV_{bucket} --allow-direct"),
        Caveat::DropsOldest => format!("nats stream edit KV_{bucket} --discard new"),
        _ => return None,
    })
}

fn rows(status: &Status, now: std::time::SystemTime) -> Vec<(&'static str, String)> {
    let config = &status.config;
    let size = |bytes: u64| ByteSize::from(bytes).to_string();
    let mut rows = vec![("bucket", config.name.clone())];
    rows.extend(config.description.clone().map(|text| ("description", text)));
    rows.extend([
        ("created", format!("{} ({})", rfc3339(status.created), ago(status.created, now))),
        ("entries", format!("{}, {}", status.entries, size(status.bytes))),
        ("revisions", format!("{} to {}", status.first_revision, status.last_revision)),
        ("watched by", format!("{}, at most {}", status.consumers, most(config.max_consumers.map(u64::from)))),
        ("history", config.history.map_or_else(|| "every revision".to_owned(), |kept| format!("{} of a key", counted(kept as usize, "revision")))),
        ("max age", config.max_age.map_or_else(|| "for ever".to_owned(), text)),
        ("max bytes", config.max_bytes.map_or_else(|| "no limit".to_owned(), size)),
        ("max value size", config.max_value_size.map_or_else(|| "no limit".to_owned(), |bytes| size(bytes.into()))),
        ("storage", storage(config).to_owned()),
        ("replicas", config.num_replicas.unwrap_or(1).to_string()),
        ("compression", compression(config).to_owned()),
        ("limit markers", config.limit_markers.map_or_else(|| "none".to_owned(), text)),
        ("atomic batches", if status.max_batch > 1 { format!("yes, {} keys at most", status.max_batch) } else { "no".to_owned() }),
    ]);
    if let Some(placement) = &config.placement {
        let cluster = placement.cluster.iter().map(|name| format!("cluster {name}"));
        let tags = placement.tags.iter().map(|tag| format!("tag {tag}"));
        rows.push(("placement", cluster.chain(tags).collect::<Vec<_>>().join(", ")));
    }
    if let Some(republish) = &config.republish {
        let bare = if republish.headers_only { ", without values" } else { "" };
        rows.push(("republish", format!("{} to {}{bare}", republish.source, republish.destination)));
    }
    rows.extend(config.mirror.iter().map(|origin| ("mirror of", origin_text(origin))));
    rows.extend(config.sources.iter().flatten().map(|origin| ("copies from", origin_text(origin))));
    rows.extend(config.metadata.iter().map(|(name, value)| ("metadata", format!("{name}={value}"))));
    rows.extend(status.server_version.clone().map(|version| ("server", version)));
    rows
}

fn most(limit: Option<u64>) -> String {
    limit.map_or_else(|| "as many as the server takes".to_owned(), |limit| limit.to_string())
}

fn text(duration: Duration) -> String {
    let stored = kvconf::Codec::encode(&kvconf::Text, &duration);
    stored.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()).unwrap_or_else(|| format!("{duration:?}"))
}

const fn storage(config: &BucketConfig) -> &'static str {
    match config.storage {
        Some(Storage::Memory) => "memory",
        _ => "file",
    }
}

const fn compression(config: &BucketConfig) -> &'static str {
    match config.compression {
        Some(Compression::S2) => "s2",
        _ => "none",
    }
}

fn origin_text(origin: &Source) -> String {
    let mut text = origin.bucket.clone();
    text.extend(origin.filter.iter().map(|filter| format!(",filter={filter}")));
    text.extend(origin.start.iter().map(|start| format!(",from={start}")));
    if let Some(external) = &origin.external {
        text += &format!(",api={}", external.api_prefix);
        text.extend(external.deliver_prefix.iter().map(|prefix| format!(",deliver={prefix}")));
    }
    text
}

fn document(status: &Status, caveats: &[Caveat]) -> Value {
    let config = &status.config;
    let seconds = |duration: Duration| json!(duration.as_secs_f64());
    let sources: Vec<String> = config.sources.iter().flatten().map(origin_text).collect();
    json!({
        "bucket": config.name,
        "description": config.description,
        "created": rfc3339(status.created),
        "entries": status.entries,
        "bytes": status.bytes,
        "first_revision": status.first_revision.get(),
        "last_revision": status.last_revision.get(),
        "consumers": status.consumers,
        "max_consumers": config.max_consumers,
        "history": config.history,
        "max_age_seconds": config.max_age.map(seconds),
        "max_bytes": config.max_bytes,
        "max_value_size": config.max_value_size,
        "storage": storage(config),
        "replicas": config.num_replicas,
        "compression": compression(config),
        "limit_markers_seconds": config.limit_markers.map(seconds),
        "max_batch": status.max_batch,
        "placement": config.placement.as_ref().map(|placement| json!({ "cluster": placement.cluster, "tags": placement.tags })),
        "republish": config.republish.as_ref().map(|republish| json!({
            "source": republish.source, "destination": republish.destination, "headers_only": republish.headers_only,
        })),
        "mirror": config.mirror.as_ref().map(origin_text),
        "sources": sources,
        "mirror_direct": config.mirror_direct,
        "metadata": config.metadata,
        "server_version": status.server_version,
        "caveats": caveats.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

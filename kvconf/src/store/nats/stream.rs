//! A bucket's settings as the settings of its stream, in JSON.
//!
//! In JSON and not in the client's own type: an update sends back what the server said, also settings that neither the
//! client nor kvconf has ever heard of.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{BucketConfig, Compression, External, Filter, Placement, Republish, Revision, Source, Storage};

/// The settings of a stream.
pub(super) type Stream = Map<String, Value>;

/// How many consumers a bucket made by kvconf takes when nothing else is said.
///
/// nats-server 2.15 gives 1 000 to a stream that does not name a number, and `-1` does not lift that. Every process that
/// watches a bucket takes one, and the number cannot be changed later.
const MAX_CONSUMERS: u32 = 100_000;

/// The name of the stream behind a bucket.
pub(super) fn stream_name(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// What stands before the key in a subject of the bucket.
pub(super) fn subject_prefix(bucket: &str) -> String {
    format!("$KV.{bucket}.")
}

/// The settings to create a bucket with: those of every key-value bucket, whoever makes it, and what `config` names.
pub(super) fn new_stream(config: &BucketConfig) -> Stream {
    let mut stream = Stream::new();
    stream.insert("name".into(), stream_name(&config.name).into());
    for (name, value) in [
        ("retention", json!("limits")),
        ("discard", json!("new")),
        ("storage", json!("file")),
        ("num_replicas", json!(1)),
        ("max_msgs", json!(-1)),
        ("max_bytes", json!(-1)),
        ("max_age", json!(0)),
        ("max_msg_size", json!(-1)),
        ("max_msgs_per_subject", json!(1)),
        ("max_consumers", json!(MAX_CONSUMERS)),
        ("allow_rollup_hdrs", json!(true)),
        ("deny_delete", json!(true)),
        ("deny_purge", json!(false)),
        ("allow_direct", json!(true)),
    ] {
        stream.insert(name.into(), value);
    }
    if config.mirror.is_some() {
        stream.insert("mirror_direct".into(), true.into());
    } else {
        stream.insert("subjects".into(), json!([format!("{}>", subject_prefix(&config.name))]));
    }
    apply(config, &mut stream);
    stream
}

/// Sets what `config` names and leaves the rest alone.
pub(super) fn apply(config: &BucketConfig, stream: &mut Stream) {
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            stream.insert(name.into(), value);
        }
    };
    set("description", config.description.clone().map(Into::into));
    set("max_msgs_per_subject", config.history.map(Into::into));
    set("max_age", config.max_age.map(nanos));
    set("max_bytes", config.max_bytes.map(Into::into));
    set("max_msg_size", config.max_value_size.map(Into::into));
    set("storage", config.storage.map(|storage| storage_name(storage).into()));
    set("num_replicas", config.num_replicas.map(Into::into));
    set("compression", config.compression.map(|compression| compression_name(compression).into()));
    set("placement", config.placement.as_ref().map(placement));
    set("republish", config.republish.as_ref().map(republish));
    set("mirror", config.mirror.as_ref().map(mirror));
    let sources = |sources: &Vec<Source>| sources.iter().map(|from| source(from, &config.name)).collect();
    set("sources", config.sources.as_ref().map(sources));
    set("mirror_direct", config.mirror_direct.map(Into::into));
    set("subject_delete_marker_ttl", config.limit_markers.map(nanos));
    set("allow_msg_ttl", config.limit_markers.map(|_| true.into()));
    set("allow_atomic", config.allow_atomic_batches.map(Into::into));
    set("max_consumers", config.max_consumers.map(Into::into));
    if !config.metadata.is_empty() {
        let metadata = stream.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.extend(config.metadata.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        }
    }
}

/// The settings in force, as kvconf says them.
pub(super) fn bucket_config(bucket: &str, stream: &Stream) -> BucketConfig {
    let text = |name: &str| stream.get(name)?.as_str();
    let flag = |name: &str| stream.get(name).and_then(Value::as_bool);
    // Zero and negative numbers stand for "no limit" throughout.
    let limit =
        |name: &str| stream.get(name)?.as_i64().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    let mut config = BucketConfig::unchanged(bucket);
    config.description = text("description").filter(|text| !text.is_empty()).map(str::to_owned);
    config.history = limit("max_msgs_per_subject").and_then(|n| n.try_into().ok());
    config.max_age = limit("max_age").map(Duration::from_nanos);
    config.max_bytes = limit("max_bytes");
    config.max_value_size = limit("max_msg_size").and_then(|n| n.try_into().ok());
    config.storage =
        text("storage").map(|name| if name == "memory" { Storage::Memory } else { Storage::File });
    config.num_replicas = limit("num_replicas").and_then(|n| n.try_into().ok());
    config.compression =
        Some(if text("compression") == Some("s2") { Compression::S2 } else { Compression::None });
    config.placement = stream.get("placement").map(read_placement);
    config.republish = stream.get("republish").and_then(read_republish);
    config.mirror = stream.get("mirror").and_then(read_source);
    config.sources = stream
        .get("sources")
        .and_then(Value::as_array)
        .map(|sources| sources.iter().filter_map(read_source).collect());
    config.mirror_direct = flag("mirror_direct");
    config.limit_markers = limit("subject_delete_marker_ttl").map(Duration::from_nanos);
    config.allow_atomic_batches = Some(flag("allow_atomic").unwrap_or(false));
    config.max_consumers = limit("max_consumers").and_then(|n| n.try_into().ok());
    config.metadata = read_metadata(stream);
    config
}

/// How many revisions of a key are kept.
pub(super) fn kept_revisions(stream: &Stream) -> u64 {
    // Negative: no limit. A stream that was made by hand as a bucket can be such.
    stream.get("max_msgs_per_subject").and_then(Value::as_u64).filter(|kept| *kept > 0).unwrap_or(u64::MAX)
}

/// Whether values go, whatever they are, when the stream has reached a limit. No key-value bucket is made so.
pub(super) fn drops_oldest(stream: &Stream) -> bool {
    let is_limited = |name: &str| stream.get(name).and_then(Value::as_i64).is_some_and(|limit| limit > 0);
    stream.get("discard").and_then(Value::as_str) == Some("old")
        && (is_limited("max_bytes") || is_limited("max_msgs"))
}

/// Whether any copy of the stream may be asked for its messages, not its leader only.
pub(super) fn takes_direct_reads(stream: &Stream) -> bool {
    stream.get("allow_direct").and_then(Value::as_bool) == Some(true)
}

/// Why a stream that has a bucket's name is none, however it was made: what it does that no bucket can do, and what would
/// become of keys.
pub(super) fn no_bucket(bucket: &str, stream: &Stream) -> Option<(&'static str, String)> {
    // A stream of either kind drops what nobody reads, or everybody has read: a key that was written is gone at once.
    match stream.get("retention").and_then(Value::as_str) {
        Some("interest") => {
            return Some(("the retention interest", format!("no value of bucket {bucket} would be kept")));
        }
        Some("workqueue") => {
            let reason = format!("values of bucket {bucket} would go when they are read");
            return Some(("the retention workqueue", reason));
        }
        _ => {}
    }
    let transform = stream.get("subject_transform");
    let of_transform = |name| transform.and_then(|transform| transform.get(name)).and_then(Value::as_str);
    if let (Some(from), Some(to)) = (of_transform("src"), of_transform("dest"))
        && from != to
        && (from.is_empty() || may_match_keys(bucket, from))
    {
        let reason = format!("keys of bucket {bucket} would not be found");
        return Some(("a stream that stores subjects under other names", reason));
    }
    let subjects = stream.get("subjects").and_then(Value::as_array).filter(|all| !all.is_empty())?;
    let subjects: Vec<&str> = subjects.iter().filter_map(Value::as_str).collect();
    let takes_keys = subjects.iter().any(|subject| may_match_keys(bucket, subject));
    (!takes_keys).then(|| {
        let (took, keys) = (subjects.join(", "), subject_prefix(bucket));
        ("a stream that takes no keys", format!("{} takes {took}, and not {keys}>", stream_name(bucket)))
    })
}

/// Whether a pattern of subjects can match one of a bucket's keys.
fn may_match_keys(bucket: &str, pattern: &str) -> bool {
    let mut tokens = pattern.split('.');
    for wanted in ["$KV", bucket] {
        match tokens.next() {
            Some(">") => return true,
            Some(token) if token == "*" || token == wanted => {}
            _ => return false,
        }
    }
    tokens.next().is_some()
}

fn nanos(duration: Duration) -> Value {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX >> 1).into()
}

const fn storage_name(storage: Storage) -> &'static str {
    match storage {
        Storage::File => "file",
        Storage::Memory => "memory",
    }
}

const fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::S2 => "s2",
    }
}

fn placement(placement: &Placement) -> Value {
    let mut value = json!({});
    if let Some(cluster) = &placement.cluster {
        set(&mut value, "cluster", cluster.as_str());
    }
    if !placement.tags.is_empty() {
        set(&mut value, "tags", placement.tags.clone());
    }
    value
}

fn read_placement(value: &Value) -> Placement {
    Placement {
        cluster: string(value, "cluster"),
        tags: value
            .get("tags")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |tags| tags.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
    }
}

fn republish(republish: &Republish) -> Value {
    json!({ "src": republish.source, "dest": republish.destination, "headers_only": republish.headers_only })
}

fn read_republish(value: &Value) -> Option<Republish> {
    Some(Republish {
        source: string(value, "src").unwrap_or_else(|| ">".to_owned()),
        destination: string(value, "dest")?,
        headers_only: value.get("headers_only").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// A mirror keeps the subjects of its origin.
fn mirror(from: &Source) -> Value {
    let mut value = origin(from);
    if let Some(filter) = &from.filter {
        set(&mut value, "filter_subject", format!("{}{filter}", subject_prefix(&from.bucket)));
    }
    value
}

/// A source's subjects are rewritten to the bucket's own, unless they are the same.
fn source(from: &Source, bucket: &str) -> Value {
    let mut value = origin(from);
    let filter = from.filter.as_deref().unwrap_or(">");
    let subject = format!("{}{filter}", subject_prefix(&from.bucket));
    if from.bucket == bucket {
        if from.filter.is_some() {
            set(&mut value, "filter_subject", subject);
        }
    } else {
        let destination = format!("{}{}", subject_prefix(bucket), numbered(filter));
        set(&mut value, "subject_transforms", json!([{ "src": subject, "dest": destination }]));
    }
    value
}

fn origin(from: &Source) -> Value {
    let mut value = json!({ "name": stream_name(&from.bucket) });
    if let Some(start) = from.start {
        set(&mut value, "opt_start_seq", start.get());
    }
    if let Some(external) = &from.external {
        let mut place = json!({ "api": external.api_prefix });
        if let Some(deliver) = &external.deliver_prefix {
            set(&mut place, "deliver", deliver.as_str());
        }
        set(&mut value, "external", place);
    }
    value
}

/// A filter as the destination of a transform: each `*` by its number.
fn numbered(filter: &str) -> String {
    let mut count = 0;
    let tokens = filter.split('.').map(|token| {
        if token == "*" {
            count += 1;
            format!("{{{{wildcard({count})}}}}")
        } else {
            token.to_owned()
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}

fn read_source(value: &Value) -> Option<Source> {
    let name = string(value, "name")?;
    let bucket = name.strip_prefix("KV_").unwrap_or(&name).to_owned();
    let prefix = subject_prefix(&bucket);
    let transform = value.get("subject_transforms").and_then(|all| all.get(0));
    let filter = string(value, "filter_subject")
        .or_else(|| string(transform?, "src"))
        .and_then(|subject| Some(subject.strip_prefix(&prefix)?.to_owned()))
        .filter(|filter| filter != Filter::all().as_str());
    let external = value.get("external").and_then(|external| {
        Some(External {
            api_prefix: string(external, "api")?,
            deliver_prefix: string(external, "deliver").filter(|prefix| !prefix.is_empty()),
        })
    });
    let start = value.get("opt_start_seq").and_then(Value::as_u64).map(Revision::new);
    Some(Source { bucket, filter, start, external })
}

/// Without what the server itself keeps there.
fn read_metadata(stream: &Stream) -> BTreeMap<String, String> {
    let Some(Value::Object(metadata)) = stream.get("metadata") else { return BTreeMap::new() };
    metadata
        .iter()
        .filter(|(name, _)| !name.starts_with("_nats."))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Sets one member of an object.
pub(super) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value.into());
    }
}

fn string(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> BucketConfig {
        let mut config = BucketConfig::new("b");
        config.description = Some("what for".into());
        config.max_age = Some(Duration::from_secs(60));
        config.max_bytes = Some(1 << 20);
        config.max_value_size = Some(1 << 10);
        config.storage = Some(Storage::Memory);
        config.num_replicas = Some(3);
        config.compression = Some(Compression::S2);
        config.placement = Some(Placement { cluster: Some("c".into()), tags: vec!["ssd".into()] });
        config.republish =
            Some(Republish { source: "$KV.b.>".into(), destination: "r.>".into(), headers_only: true });
        config.sources = Some(vec![
            Source { bucket: "other".into(), filter: Some("app.*.x".into()), ..Source::default() },
            Source {
                bucket: "b".into(),
                start: Some(Revision::new(7)),
                external: Some(External { api_prefix: "$JS.hub.API".into(), deliver_prefix: None }),
                ..Source::default()
            },
        ]);
        config.mirror_direct = Some(false);
        config.max_consumers = Some(12);
        config.metadata.insert("team".into(), "checkout".into());
        config
    }

    #[test]
    fn every_option_survives_the_way_to_the_stream_and_back() {
        let config = full();
        assert_eq!(bucket_config("b", &new_stream(&config)), config);
    }

    #[test]
    fn values_are_dropped_only_where_there_is_a_limit_and_the_old_ones_give_way() {
        let drops = |discard: &str, max_bytes: i64, max_msgs: i64| {
            let stream = json!({ "discard": discard, "max_bytes": max_bytes, "max_msgs": max_msgs });
            drops_oldest(stream.as_object().unwrap())
        };
        assert_eq!([drops("old", 1_000, -1), drops("old", -1, 7)], [true, true]);
        assert_eq!([drops("old", -1, -1), drops("new", 1_000, 7)], [false, false]);
    }

    #[test]
    fn a_stream_that_loses_or_renames_keys_is_no_bucket() {
        let why = |stream: Value| no_bucket("b", stream.as_object().unwrap()).map(|(what, _)| what);
        assert_eq!(why(json!({ "retention": "interest" })), Some("the retention interest"));
        assert_eq!(why(json!({ "retention": "workqueue" })), Some("the retention workqueue"));
        let renamed = |src: &str, dest: &str| {
            why(json!({ "retention": "limits", "subject_transform": { "src": src, "dest": dest } })).is_some()
        };
        for src in ["$KV.b.>", "$KV.*.app.*", "*.b.x", ">", ""] {
            assert!(renamed(src, "other.>"), "{src}");
        }
        assert!(!renamed("$KV.b.>", "$KV.b.>") && !renamed("orders.>", "o.>") && !renamed("$KV.b", "o"));
        let subjects = |subjects: &[&str]| why(json!({ "subjects": subjects })).is_some();
        assert!(subjects(&["orders.>"]) && subjects(&["$KV.c.>", "x"]));
        assert!(!subjects(&["$KV.b.>", "x"]) && !subjects(&["$KV.b.app.>"]) && !subjects(&[]), "or a copy");
    }

    #[test]
    fn a_mirror_has_no_subjects_of_its_own() {
        let mut config = BucketConfig::unchanged("b");
        config.mirror =
            Some(Source { bucket: "origin".into(), filter: Some("app.>".into()), ..Source::default() });
        let stream = new_stream(&config);
        assert_eq!(stream.get("subjects"), None);
        assert_eq!(stream["mirror"], json!({ "name": "KV_origin", "filter_subject": "$KV.origin.app.>" }));
        assert_eq!(bucket_config("b", &stream).mirror, config.mirror);
    }

    #[test]
    fn a_source_under_another_name_is_rewritten_to_the_buckets_own_subjects() {
        let stream = new_stream(&full());
        let expected = json!([{ "src": "$KV.other.app.*.x", "dest": "$KV.b.app.{{wildcard(1)}}.x" }]);
        assert_eq!(stream["sources"][0]["subject_transforms"], expected);
        assert_eq!(stream["sources"][1].get("subject_transforms"), None);
    }

    #[test]
    fn an_update_leaves_alone_what_it_does_not_name() {
        let mut stream = new_stream(&full());
        stream.insert("of_the_future".into(), json!({ "a": 1 }));
        stream["metadata"]["_nats.ver"] = "2.99.0".into();
        let before = stream.clone();
        let mut change = BucketConfig::unchanged("b");
        change.history = Some(5);
        change.metadata.insert("owner".into(), "ops".into());
        apply(&change, &mut stream);
        let mut expected = before;
        expected.insert("max_msgs_per_subject".into(), json!(5));
        expected["metadata"]["owner"] = "ops".into();
        assert_eq!(stream, expected);
        assert_eq!(bucket_config("b", &stream).metadata.keys().collect::<Vec<_>>(), ["owner", "team"]);
    }
}

//! Types as they stand in people's settings.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Port(pub(super) u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Debug,
    Info,
    Verbose,
    /// Looks like something else.
    Null,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Backend {
    Memory,
    File(String),
    Pair(u8, Option<bool>),
    Remote { host: String, port: Port, timeout: Duration },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum NameOrPort {
    Port(u16),
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub(super) enum Tagged {
    Fixed { wait: u32 },
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retry {
    pub(super) max: u32,
    pub(super) pause: Duration,
    #[serde(default)]
    pub(super) jitter: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) port: Port,
    pub(super) retry: Retry,
    pub(super) backends: Vec<Backend>,
    pub(super) timeouts: BTreeMap<Level, Duration>,
    pub(super) note: Option<String>,
}

/// A tree of any depth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Nested(pub(super) Vec<Nested>);

/// Has no end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Endless(pub(super) Option<Box<Endless>>);

/// Bytes as `serde_bytes` asks for them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }

        deserializer.deserialize_bytes(Visitor)
    }
}

pub(super) fn duration() -> impl Strategy<Value = Duration> {
    let secs = prop_oneof![any::<u64>(), 0_u64..100_000];
    (secs, 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

pub(super) fn level() -> impl Strategy<Value = Level> {
    proptest::sample::select(vec![Level::Debug, Level::Info, Level::Verbose, Level::Null])
}

pub(super) fn backend() -> impl Strategy<Value = Backend> {
    prop_oneof![
        Just(Backend::Memory),
        any::<String>().prop_map(Backend::File),
        any::<(u8, Option<bool>)>().prop_map(|(left, right)| Backend::Pair(left, right)),
        (any::<String>(), any::<u16>(), duration()).prop_map(|(host, port, timeout)| Backend::Remote {
            host,
            port: Port(port),
            timeout
        }),
    ]
}

pub(super) fn finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |number| number.is_finite())
}

pub(super) fn upstream() -> impl Strategy<Value = Upstream> {
    let retry = (any::<u32>(), duration(), proptest::option::of(finite()))
        .prop_map(|(max, pause, jitter)| Retry { max, pause, jitter });
    (
        any::<String>(),
        any::<u16>(),
        retry,
        proptest::collection::vec(backend(), 0..4),
        proptest::collection::btree_map(level(), duration(), 0..4),
        any::<Option<String>>(),
    )
        .prop_map(|(name, port, retry, backends, timeouts, note)| Upstream {
            name,
            port: Port(port),
            retry,
            backends,
            timeouts,
            note,
        })
}

/// Strings that look like something else.
pub(super) fn tricky() -> impl Strategy<Value = String> {
    let known = vec![
        "",
        " ",
        "null",
        " null\n",
        "\"",
        "\"a\"",
        "\"null\"",
        "\"\"",
        "80",
        "-0",
        "1e5",
        "true",
        "[1]",
        "[",
        "{",
        "{}",
        "3s",
        "\n",
        "\"\\u0061\"",
        " \"x",
        "NaN",
        "\u{feff}null",
    ];
    prop_oneof![proptest::sample::select(known).prop_map(str::to_owned), any::<String>()]
}

pub(super) fn json_value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        finite().prop_map(Value::from),
        tricky().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

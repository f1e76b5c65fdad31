//! Any bytes, read as every kind of type: no panic, and what was read is written and reads the same again.

#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use kvconf::{ByteSize, Codec, Json, Text};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Debug,
    Info,
    Null,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Backend {
    Memory,
    File(String),
    Pair(u8, Option<bool>),
    Remote { host: String, port: u16, timeout: Duration },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum NameOrPort {
    Port(u16),
    Name(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Fixed { wait: i64 },
    Never,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Upstream {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    pause: Duration,
    #[serde(default)]
    backends: Vec<Backend>,
    #[serde(default)]
    sizes: BTreeMap<i32, ByteSize>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

fn check<C: Codec<V>, V: PartialEq + Debug>(codec: C, bytes: &[u8]) {
    match codec.decode(bytes) {
        Ok(value) => {
            let stored = codec.encode(&value).unwrap_or_else(|error| panic!("{value:?}: {error}"));
            assert_eq!(codec.decode(&stored).as_ref(), Ok(&value), "stored as {stored:?}");
        }
        Err(error) => assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}"),
    }
}

fn check_type<V: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    check::<_, V>(Text, bytes);
    check::<_, V>(Json, bytes);
}

fuzz_target!(|bytes: &[u8]| {
    check_type::<bool>(bytes);
    check_type::<u16>(bytes);
    check_type::<i128>(bytes);
    check_type::<f32>(bytes);
    check_type::<f64>(bytes);
    check_type::<char>(bytes);
    check_type::<String>(bytes);
    check_type::<Option<String>>(bytes);
    check_type::<Option<u64>>(bytes);
    check_type::<Duration>(bytes);
    check_type::<Option<Duration>>(bytes);
    check_type::<ByteSize>(bytes);
    check_type::<SocketAddr>(bytes);
    check_type::<PathBuf>(bytes);
    check_type::<Level>(bytes);
    check_type::<Option<Level>>(bytes);
    check_type::<Backend>(bytes);
    check_type::<NameOrPort>(bytes);
    check_type::<Option<NameOrPort>>(bytes);
    check_type::<Tagged>(bytes);
    check_type::<Upstream>(bytes);
    check_type::<Nested>(bytes);
    check_type::<Vec<Option<f64>>>(bytes);
    check_type::<(u8, char, Option<Level>)>(bytes);
    check_type::<BTreeMap<Duration, u128>>(bytes);
    check_type::<BTreeMap<Level, Vec<IpAddr>>>(bytes);
    check_type::<serde_json::Value>(bytes);
});

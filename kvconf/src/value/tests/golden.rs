//! The stored forms, pinned: they are public API, buckets outlive releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::{Backend, Blob, Level, NameOrPort, Port, Retry, Tagged};
use crate::value::{ByteSize, Codec, Json, Text};

const GOLDEN: &str = include_str!("../golden/stored.txt");

const HEAD: &str = "\
# Stored forms: type | value | as Text | as Json. Buckets hold these: a line that changes breaks its readers.
# Written by: KVCONF_GOLDEN=write cargo test -p kvconf --lib value::tests::golden
";

/// Lines of the golden file.
struct Lines(String);

impl Lines {
    fn add<V: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, values: &[V]) {
        for value in values {
            let text = Text.encode(value).unwrap();
            let json = Json.encode(value).unwrap();
            assert_eq!(Text.decode(&text).as_ref(), Ok(value), "{name} {text:?}");
            assert_eq!(Json.decode(&json).as_ref(), Ok(value), "{name} {json:?}");
            let shown = |bytes: &[u8]| {
                String::from_utf8(bytes.to_vec()).unwrap().replace('\n', "\\n").replace('\0', "\\0")
            };
            writeln!(self.0, "{name} | {value:?} | {} | {}", shown(&text), shown(&json)).unwrap();
        }
    }
}

fn scalars(lines: &mut Lines) {
    lines.add("bool", &[true, false]);
    lines.add("u8", &[0, u8::MAX]);
    lines.add("u64", &[u64::MAX]);
    lines.add("u128", &[u128::MAX]);
    lines.add("i8", &[i8::MIN]);
    lines.add("i64", &[i64::MIN]);
    lines.add("i128", &[i128::MIN]);
    lines.add("f32", &[0.1, f32::MAX]);
    lines.add("f64", &[0.0, -0.0, 0.1, 1.0, 1e15, 1e16, 1e300, 1e-5, 1.5e-7, f64::MIN_POSITIVE, f64::MAX]);
    lines.add("char", &['a', 'é', '"', '\n']);
    let texts = ["debug", "", "null", "\"quoted\"", " spaced ", "line\nfeed", "80", "é𝄞"];
    lines.add("String", &texts.map(str::to_owned));
    lines.add("Option<String>", &texts.map(|text| Some(text.to_owned())));
    lines.add("Option<String>", &[None::<String>]);
    lines.add("Option<u16>", &[Some(80), None]);
    lines.add("Option<char>", &[Some('"'), Some('x')]);
    lines.add("Level", &[Level::Debug, Level::Null]);
    lines.add("Option<Level>", &[Some(Level::Debug), Some(Level::Null), None]);
    lines.add("Port", &[Port(80)]);
    lines.add("()", &[()]);
    lines.add("Blob", &[Blob(b"\0ab".to_vec())]);
}

fn quantities_and_addresses(lines: &mut Lines) {
    let durations = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_micros(250),
        Duration::from_millis(250),
        Duration::from_millis(1500),
        Duration::from_secs(3),
        Duration::from_secs(60),
        Duration::from_secs(5400),
        Duration::from_secs(86_400),
        Duration::from_secs(90_061),
        Duration::MAX,
    ];
    lines.add("Duration", &durations);
    lines.add("Option<Duration>", &[Some(durations[5]), None]);
    lines.add("ByteSize", &[ByteSize::bytes(0), ByteSize::bytes(1500), ByteSize::kib(1), ByteSize::mib(64)]);
    lines.add("ByteSize", &[ByteSize::gb(1), ByteSize::tib(2), ByteSize::MAX]);
    lines.add("IpAddr", &[IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]);
    lines.add(
        "SocketAddr",
        &[SocketAddr::from((Ipv4Addr::LOCALHOST, 80)), SocketAddr::from((Ipv6Addr::LOCALHOST, 80))],
    );
    lines.add("PathBuf", &[PathBuf::from("/var/lib/kv conf")]);
}

fn compounds(lines: &mut Lines) {
    lines.add("Vec<String>", &[vec!["NL".to_owned(), "BE".to_owned()], Vec::new()]);
    lines.add("Vec<Duration>", &[vec![Duration::from_secs(3)]]);
    lines.add("BTreeSet<char>", &[BTreeSet::from(['b', 'a'])]);
    lines.add("BTreeMap<String, u32>", &[BTreeMap::from([("b".to_owned(), 1), ("a".to_owned(), 2)])]);
    lines.add("BTreeMap<u8, bool>", &[BTreeMap::from([(9, true), (10, false)])]);
    lines.add("BTreeMap<Level, Duration>", &[BTreeMap::from([(Level::Info, Duration::from_secs(1))])]);
    lines.add("BTreeMap<Duration, Port>", &[BTreeMap::from([(Duration::from_secs(90), Port(1))])]);
    lines.add("BTreeMap<bool, Option<u8>>", &[BTreeMap::from([(true, None), (false, Some(1))])]);
    lines.add("(u8, String, Option<bool>)", &[(1, "a\"b".to_owned(), None::<bool>)]);
    lines.add("[u128; 2]", &[[0, u128::MAX]]);
    lines.add("Retry", &[Retry { max: 3, pause: Duration::from_millis(100), jitter: Some(0.5) }]);
    let host = "a".to_owned();
    let remote = Backend::Remote { host, port: Port(1), timeout: Duration::from_secs(3) };
    lines.add("Backend", &[Backend::Memory, Backend::File("x".to_owned()), Backend::Pair(1, None), remote]);
    lines.add("NameOrPort", &[NameOrPort::Port(80), NameOrPort::Name("80".to_owned())]);
    lines.add("NameOrPort", &[NameOrPort::Name("web".to_owned()), NameOrPort::Name("[".to_owned())]);
    lines.add("Tagged", &[Tagged::Fixed { wait: 1 }, Tagged::Never]);
    let value = serde_json::json!({"b": [1, 2.5, "x", null], "a": {}});
    lines.add("serde_json::Value", &[value, serde_json::json!("text"), serde_json::json!("true")]);
}

#[test]
fn stored_forms_stay_as_they_are() {
    let mut lines = Lines(HEAD.to_owned());
    scalars(&mut lines);
    quantities_and_addresses(&mut lines);
    compounds(&mut lines);
    if std::env::var_os("KVCONF_GOLDEN").is_some_and(|wanted| wanted == "write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/value/golden/stored.txt");
        std::fs::write(path, &lines.0).unwrap();
        return;
    }
    for (line, (actual, golden)) in lines.0.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(
            actual,
            golden,
            "line {} of the golden file; its head says how to write it anew",
            line + 1
        );
    }
    assert_eq!(lines.0, GOLDEN);
}

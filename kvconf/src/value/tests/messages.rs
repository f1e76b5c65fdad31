//! Whole messages, and what is read as what.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::types::{Backend, Blob, Endless, Level, NameOrPort, Nested, Port, Retry, Tagged, Upstream};
use super::{fault, json_fault, read, stored};
use crate::value::{ByteSize, Codec, Json, Text};

#[test]
fn numbers_are_taken_exactly_or_refused() {
    assert_eq!(read::<u16>("80"), 80);
    assert_eq!(read::<u16>(" 80\n"), 80);
    assert_eq!(read::<Port>("80\n"), Port(80));
    assert_eq!(read::<f64>("1e3"), 1000.0);
    assert_eq!(fault::<u16>("80o80"), "`80o80` is not a whole number (u16)");
    assert_eq!(fault::<u16>("70000"), "`70000` is outside 0..=65535 (u16)");
    assert_eq!(fault::<u16>("-1"), "`-1` is outside 0..=65535 (u16)");
    assert_eq!(fault::<i8>("-129\n"), "`-129` is outside -128..=127 (i8)");
    assert_eq!(fault::<u16>("1.5"), "`1.5` is not a whole number (u16)");
    assert_eq!(fault::<u16>("1e3"), "`1e3` is not a whole number (u16)");
    assert_eq!(fault::<u16>("\"80\""), "`\"80\"` is not a whole number (u16)");
    assert_eq!(fault::<f64>("fast"), "`fast` is not a number (f64)");
    assert_eq!(fault::<f64>("NaN"), "`NaN` is not a number (f64)");
    assert_eq!(fault::<f64>("-inf"), "`-inf` is not a number (f64)");
    assert_eq!(fault::<f32>("1e39"), "`1e39` is outside the range of f32");
    assert_eq!(fault::<NonZeroU16>("0"), "expected a nonzero u16, found `0`");
    assert_eq!(fault::<Option<u16>>("8O"), "`8O` is not a whole number (u16)");
    assert_eq!(fault::<u16>("\u{1b}[2J"), r"`\u{1b}[2J` is not a whole number (u16)");
}

#[test]
fn whole_numbers_keep_all_their_digits() {
    let max = u128::MAX.to_string();
    assert_eq!(read::<Vec<u128>>(&format!("[{max}]")), [u128::MAX]);
    assert_eq!(
        fault::<serde_json::Value>(&format!("[{max}]")),
        format!("[0]: `{max}`: JSON number out of range")
    );
    assert_eq!(read::<serde_json::Value>(&u64::MAX.to_string()), serde_json::json!(u64::MAX));
}

#[test]
fn booleans_have_two_words() {
    assert!(read::<bool>("true\n"));
    assert_eq!(fault::<bool>("yes"), "expected true or false, found `yes`");
    assert_eq!(fault::<bool>("True"), "expected true or false, found `True`");
    assert_eq!(json_fault::<bool>("1"), "expected true or false, found `1`");
}

#[test]
fn strings_are_exactly_what_was_written() {
    assert_eq!(read::<String>("debug\n"), "debug\n");
    assert_eq!(read::<String>("\"debug\""), "\"debug\"");
    assert_eq!(read::<String>("null"), "null");
    assert_eq!(read::<char>("é"), 'é');
    assert_eq!(read::<char>("\n"), '\n');
    assert_eq!(read::<char>("x\n"), 'x');
    assert_eq!(fault::<char>("ab"), "expected one character, found `ab`");
    let error = Codec::<String>::decode(&Text, b"\xff\xfe\x00ab").unwrap_err();
    assert_eq!(error.to_string(), "expected a text, found <5 bytes, not UTF-8>");
    let error = Codec::<u16>::decode(&Text, b"\xff").unwrap_err();
    assert_eq!(error.to_string(), "expected a whole number (u16), found <1 bytes, not UTF-8>");
}

#[test]
fn types_that_parse_a_string_name_it() {
    assert_eq!(read::<IpAddr>("::1\n"), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]));
    assert_eq!(read::<SocketAddr>("127.0.0.1:80").port(), 80);
    assert_eq!(read::<PathBuf>("/etc/a b"), PathBuf::from("/etc/a b"));
    assert_eq!(fault::<IpAddr>("1.2.3.400"), "`1.2.3.400`: invalid IP address syntax");
    assert_eq!(fault::<Vec<IpAddr>>(r#"["::1","x"]"#), "[1]: `x`: invalid IP address syntax");
    assert_eq!(fault::<ByteSize>("64M"), "`64M` can be read in two ways, did you mean `64 MiB` or `64 MB`?");
    assert_eq!(fault::<Vec<ByteSize>>("[64]"), "[0]: expected a text, found `64`");
}

#[test]
fn durations_are_text_everywhere() {
    assert_eq!(read::<Duration>("1h 30m\n"), Duration::from_secs(5400));
    assert_eq!(read::<Option<Duration>>("3s"), Some(Duration::from_secs(3)));
    assert_eq!(read::<Vec<Duration>>(r#"["3s",{"secs":3,"nanos":1}]"#)[1], Duration::new(3, 1));
    assert_eq!(stored(&BTreeMap::from([(1, Duration::from_millis(1500))])), r#"{"1":"1s 500ms"}"#);
    assert_eq!(fault::<Duration>("60"), "`60` has no unit, did you mean `60s`?");
    assert_eq!(fault::<Vec<Duration>>("[60]"), "[0]: `60` has no unit, did you mean `60s`?");
    assert_eq!(fault::<Vec<Duration>>("[true]"), "[0]: expected a duration such as 3s, found `true`");
    assert_eq!(fault::<Vec<Duration>>(r#"[{"secs":3}]"#), "[0]: the field `nanos` is missing");
    assert_eq!(fault::<BTreeMap<Duration, u8>>(r#"{"60s":1,"1m":2}"#), "the key `60s` must be written `1m`");
}

#[test]
fn enums_are_their_names() {
    assert_eq!(read::<Level>("debug\n"), Level::Debug);
    assert_eq!(read::<Backend>("memory"), Backend::Memory);
    assert_eq!(read::<Backend>(r#" {"file": "a"} "#), Backend::File("a".to_owned()));
    assert_eq!(
        fault::<Level>("verbos"),
        "`verbos` is not one of `debug`, `info`, `verbose` or `null`, did you mean `verbose`?"
    );
    assert_eq!(
        fault::<Level>("Debug\n"),
        "`Debug` is not one of `debug`, `info`, `verbose` or `null`, did you mean `debug`?"
    );
    assert_eq!(fault::<Level>("42"), "`42` is not one of `debug`, `info`, `verbose` or `null`");
    assert_eq!(fault::<Backend>("file"), r#"the variant `file` holds a value: write {"file":…}"#);
    assert_eq!(fault::<Backend>(r#"{"memory":1}"#), "the variant `memory` holds no value: write memory");
    assert_eq!(fault::<Backend>(r#"{"file":"a","pair":[]}"#), "expected one variant, found 2");
    assert_eq!(fault::<Backend>(r#"{"pair":[1]}"#), "pair: expected a list of 2 items, found 1");
    assert_eq!(
        fault::<Backend>(r#"{"remote":{"host":"a","port":70000,"timeout":"1s"}}"#),
        "remote.port: `70000` is outside 0..=65535 (u16)"
    );
    assert_eq!(fault::<Vec<Level>>("[1]"), "[0]: expected a variant, found `1`");
}

#[test]
fn json_names_the_place() {
    assert_eq!(
        fault::<Vec<Port>>(r#"[80,81,"82"]"#),
        "[2]: expected a whole number (u16), found the text `82`"
    );
    assert_eq!(
        fault::<BTreeMap<String, Vec<Retry>>>(r#"{"a b":[{"max":1.5,"pause":"1s"}]}"#),
        "[`a b`][0].max: `1.5` is not a whole number (u32)"
    );
    assert_eq!(
        fault::<Retry>(r#"{"max":1,"pause":"1s","jiter":0}"#),
        "unknown field `jiter`, expected `max`, `pause` or `jitter`, did you mean `jitter`?"
    );
    assert_eq!(fault::<Retry>(r#"{"max":1}"#), "the field `pause` is missing");
    assert_eq!(
        fault::<Vec<Retry>>(r#"[{"max":1,"max":2,"pause":"1s"}]"#),
        r#"expected a list as JSON, found `[{"max":1,"max":2,"pause":"1s"}]`: the key `max` stands twice"#
    );
    assert_eq!(fault::<Retry>(r#"[1,"1s",null]"#), "expected an object, found a list");
    assert_eq!(fault::<BTreeMap<String, u8>>("[]"), "expected an object, found a list");
    assert_eq!(fault::<Vec<u8>>("{}"), "expected a list, found an object");
    assert_eq!(fault::<(u8, u8)>("[1,2,3]"), "expected a list of 2 items, found 3");
    assert_eq!(fault::<Vec<String>>("[80]"), "[0]: expected a text, found `80`");
    assert_eq!(
        fault::<Vec<String>>("NL,BE"),
        "expected a list as JSON, found `NL,BE`: unexpected `N` at column 1"
    );
    assert_eq!(fault::<BTreeMap<u8, u8>>(r#"{"01":1,"1":2}"#), "the key `01` must be written `1`");
    assert_eq!(fault::<BTreeMap<u8, u8>>(r#"{"x":1}"#), "`x` is not a whole number (u8)");
    assert_eq!(
        fault::<BTreeMap<Level, u8>>(r#"{"inf":1}"#),
        "`inf` is not one of `debug`, `info`, `verbose` or `null`, did you mean `info`?"
    );
    assert_eq!(json_fault::<String>("debug"), "`debug` is not JSON: unexpected `d` at column 1");
    assert_eq!(json_fault::<String>("null"), "expected a text, found null");
}

#[test]
fn json_accepts_no_more_than_its_depth() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(stored(&read::<Nested>(&nested(128))), nested(128));
    let shown = "[".repeat(64);
    assert_eq!(
        fault::<Nested>(&nested(129)),
        format!("expected a list as JSON, found `{shown}…`: nested deeper than 128 levels")
    );
    let deep = (0..128).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]));
    assert_eq!(Text.encode(&deep).unwrap_err().to_string(), "nested deeper than 128 levels");
}

#[test]
fn empty_null_and_absent_differ() {
    assert_eq!(read::<String>(""), "");
    assert_eq!(read::<Option<String>>(""), Some(String::new()));
    assert_eq!(read::<Option<String>>("null"), None);
    assert_eq!(read::<Option<String>>("null\n"), None);
    assert_eq!(read::<Option<String>>("\"null\""), Some("null".to_owned()));
    assert_eq!(read::<Option<u32>>("null\n"), None);
    assert_eq!(read::<Option<Option<u32>>>("null"), None);
    assert_eq!(read::<Option<Blob>>("null"), None);
    read::<()>("null\n");
    assert_eq!(
        fault::<u32>(""),
        "the value is empty, expected a whole number (u32); to unset it, delete the key"
    );
    assert_eq!(
        fault::<Option<u32>>(" \n"),
        "the value is empty, expected a whole number (u32); to unset it, delete the key"
    );
    assert_eq!(
        fault::<Duration>(""),
        "the value is empty, expected a duration such as 3s; to unset it, delete the key"
    );
    assert_eq!(
        fault::<Level>(""),
        "the value is empty, expected `debug`, `info`, `verbose` or `null`; to unset it, delete the key"
    );
    assert_eq!(fault::<Vec<u8>>(""), "the value is empty, expected a list; to unset it, delete the key");
    assert_eq!(
        fault::<serde_json::Value>(""),
        "the value is empty, expected JSON or text; to unset it, delete the key"
    );
    assert_eq!(json_fault::<String>(""), "the value is empty, expected a text; to unset it, delete the key");
    assert_eq!(
        fault::<u32>("null"),
        "expected a whole number (u32), found null, which only an Option can be"
    );
    assert_eq!(fault::<Vec<u8>>("null\n"), "expected a list, found null, which only an Option can be");
    assert_eq!(
        fault::<Duration>("null"),
        "expected a duration such as 3s, found null, which only an Option can be"
    );
    assert_eq!(fault::<()>("none"), "expected null as JSON, found `none`: unexpected `o` at column 2");
}

#[test]
fn types_that_take_anything_get_json_or_text() {
    use serde_json::{Value, json};
    assert_eq!(read::<NameOrPort>("80"), NameOrPort::Port(80));
    assert_eq!(read::<NameOrPort>("web"), NameOrPort::Name("web".to_owned()));
    assert_eq!(read::<NameOrPort>("\"80\""), NameOrPort::Name("80".to_owned()));
    assert_eq!(read::<Value>("007"), json!("007"));
    assert_eq!(read::<Value>("1.0"), json!(1.0));
    assert_eq!(stored(&json!("80")), "\"80\"");
    assert_eq!(stored(&json!("web")), "web");
    assert_eq!(stored(&Some(NameOrPort::Name("null".to_owned()))), "\"null\"");
    assert_eq!(fault::<Value>("{\"a\":1"), "expected a value as JSON, found `{\"a\":1`: it ends too early");
    assert_eq!(read::<Tagged>(r#"{"kind":"Fixed","wait":3}"#), Tagged::Fixed { wait: 3 });
    assert_eq!(fault::<NameOrPort>("[]"), "`[]`: data did not match any variant of untagged enum NameOrPort");
}

#[test]
fn what_would_not_read_back_is_not_stored() {
    let refused = |error: crate::EncodeError| error.to_string();
    assert_eq!(refused(Text.encode(&f64::INFINITY).unwrap_err()), "inf is not a finite number");
    assert_eq!(refused(Json.encode(&vec![f32::NAN]).unwrap_err()), "NaN is not a finite number");
    assert_eq!(
        refused(Text.encode(&BTreeMap::from([(vec![1], 2)])).unwrap_err()),
        "the keys of a map must have a text form, a list has none"
    );
    assert_eq!(
        refused(Text.encode(&BTreeMap::from([(None::<u8>, 2)])).unwrap_err()),
        "the keys of a map must have a text form, None has none"
    );
    assert_eq!(
        refused(Text.encode(&Some(Blob(b"null".to_vec()))).unwrap_err()),
        "the bytes `null` in an Option would be read as None"
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    wait: Duration,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct InnerByText {
    #[serde(with = "crate::duration")]
    wait: Duration,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlattenedByText {
    #[serde(flatten)]
    inner: InnerByText,
}

#[test]
fn a_duration_that_serde_buffers_needs_its_text_by_name() {
    let wait = Duration::from_secs(3);
    assert_eq!(
        Text.encode(&Flattened { inner: Inner { wait } }).unwrap_err().to_string(),
        "what would be stored cannot be read back: serde hides a duration in a flattened, untagged or internally \
         tagged type, found the text `3s`; mark it with #[serde(with = \"kvconf::duration\")]"
    );
    let named = FlattenedByText { inner: InnerByText { wait } };
    assert_eq!(stored(&named), r#"{"wait":"3s"}"#);
    assert_eq!(read::<FlattenedByText>(r#"{"wait":"3s"}"#), named);
}

#[test]
fn a_type_that_wraps_itself_is_refused() {
    assert_eq!(fault::<Endless>("x"), "the type wraps itself");
    assert_eq!(json_fault::<Endless>("1"), "the type wraps itself");
}

#[test]
fn long_values_are_cut_in_messages() {
    let long = "x".repeat(10_000);
    assert_eq!(fault::<u16>(&long), format!("`{}…` is not a whole number (u16)", "x".repeat(64)));
    assert_eq!(fault::<Upstream>(&format!("{{\"{long}\":1}}")).len(), "the field `name` is missing".len());
    let message = fault::<Retry>(&format!("{{\"{long}\":1}}"));
    assert_eq!(message, format!("unknown field `{}…`, expected `max`, `pause` or `jitter`", "x".repeat(64)));
}

#[test]
fn json_is_quoted_and_sorted() {
    assert_eq!(Json.encode(&"debug".to_owned()).unwrap(), "\"debug\"");
    assert_eq!(Json.encode(&Duration::from_secs(3)).unwrap(), "\"3s\"");
    assert_eq!(
        stored(&Retry { max: 3, pause: Duration::from_secs(1), jitter: None }),
        r#"{"jitter":null,"max":3,"pause":"1s"}"#
    );
}

/// As `serde_json::Number` is with its feature `arbitrary_precision`.
#[derive(Serialize)]
#[serde(rename = "$serde_json::private::Number")]
struct PreciseNumber {
    #[serde(rename = "$serde_json::private::Number")]
    number: &'static str,
}

impl<'de> Deserialize<'de> for PreciseNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|_| Self { number: "0" })
    }
}

#[test]
fn a_precise_number_of_serde_json_is_a_number() {
    assert_eq!(stored(&vec![PreciseNumber { number: "1.50" }]), "[1.50]");
    assert_eq!(stored(&PreciseNumber { number: "1," }), r#"{"$serde_json::private::Number":"1,"}"#);
}

//! What types say of themselves, and whether values are read alike with and without them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroI8, NonZeroU16};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::value::{ByteSize, Codec, DecodeError, Json, Text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Debug,
    Info,
    #[serde(rename = "loud")]
    Warning,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Action {
    Stop,
    Wait(Duration),
    Retry { times: u8, after: Option<Duration> },
    Move(i8, Level),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    host: IpAddr,
    port: NonZeroU16,
    #[serde(default)]
    tags: BTreeSet<String>,
    weight: Option<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Branch {
    name: String,
    below: Vec<Branch>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Limits(BTreeMap<Level, (u8, ByteSize)>);

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Level {}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.clone() as u8).cmp(&(other.clone() as u8))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

/// Nothing but hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Hex(String);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Digits;
        impl serde::de::Visitor<'_> for Digits {
            type Value = Hex;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hexadecimal digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hex, E> {
                let fits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
                if fits { Ok(Hex(text.to_owned())) } else { Err(E::custom("no hexadecimal digits")) }
            }
        }
        from.deserialize_str(Digits)
    }
}

fn stored<V: DeserializeOwned + Serialize>() -> String {
    serde_json::to_string(&Codec::<V>::form(&Text)).unwrap()
}

#[test]
fn scalars_say_what_they_are() {
    assert_eq!(stored::<bool>(), r#"{"kind":"bool"}"#);
    assert_eq!(stored::<Box<i128>>(), r#"{"kind":"whole","signed":true,"bits":128}"#);
    assert_eq!(stored::<NonZeroU16>(), r#"{"kind":"whole","signed":false,"bits":16,"nonzero":true}"#);
    assert_eq!(stored::<f32>(), r#"{"kind":"float","bits":32}"#);
    assert_eq!(stored::<char>(), r#"{"kind":"char"}"#);
    assert_eq!(stored::<String>(), r#"{"kind":"text"}"#);
    assert_eq!(stored::<Duration>(), r#"{"kind":"duration"}"#);
    assert_eq!(stored::<ByteSize>(), r#"{"kind":"byte-size"}"#);
    assert_eq!(stored::<()>(), r#"{"kind":"null"}"#);
    assert_eq!(stored::<serde_json::Value>(), r#"{"kind":"any"}"#);
    assert_eq!(stored::<Option<SocketAddr>>(), r#"{"kind":"option","of":{"kind":"text","format":"socket"}}"#);
    assert_eq!(stored::<PathBuf>(), r#"{"kind":"text","format":"path"}"#);
    assert_eq!(stored::<Hex>(), r#"{"kind":"text","format":"hexadecimal digits"}"#);
}

#[test]
fn types_with_parts_are_looked_into() {
    assert_eq!(
        stored::<HashMap<Ipv6Addr, Vec<u8>>>(),
        r#"{"kind":"map","keys":{"kind":"text","format":"ipv6"},"values":{"kind":"list","items":{"kind":"whole","signed":false,"bits":8}}}"#
    );
    assert_eq!(
        stored::<Action>(),
        concat!(
            r#"{"kind":"enum","variants":[{"name":"Stop"},{"name":"Wait","content":{"kind":"duration"}},"#,
            r#"{"name":"Retry","content":{"kind":"struct","fields":["#,
            r#"{"name":"times","form":{"kind":"whole","signed":false,"bits":8},"required":true},"#,
            r#"{"name":"after","form":{"kind":"option","of":{"kind":"duration"}}}]}},"#,
            r#"{"name":"Move","content":{"kind":"tuple","items":[{"kind":"whole","signed":true,"bits":8},"#,
            r#"{"kind":"enum","variants":[{"name":"debug"},{"name":"info"},{"name":"loud"}]}]}}]}"#,
        )
    );
    assert_eq!(
        stored::<Endpoint>(),
        concat!(
            r#"{"kind":"struct","fields":[{"name":"host","form":{"kind":"text","format":"ip"},"required":true},"#,
            r#"{"name":"port","form":{"kind":"whole","signed":false,"bits":16,"nonzero":true},"required":true},"#,
            r#"{"name":"tags","form":{"kind":"list","items":{"kind":"text"},"distinct":true}},"#,
            r#"{"name":"weight","form":{"kind":"option","of":{"kind":"float","bits":32}}}],"closed":true}"#,
        )
    );
}

#[test]
fn a_type_that_holds_itself_and_one_with_flattened_fields_have_an_end() {
    let Form::Struct { fields, partial: false, .. } = Codec::<Branch>::form(&Text) else { panic!() };
    assert_eq!(fields[1].form, Form::List { items: Box::new(Form::Any), distinct: false });
    let flat = Form::Struct { fields: Vec::new(), closed: false, partial: true };
    assert_eq!(Codec::<Flat>::form(&Text), flat);
}

#[test]
fn forms_of_later_versions_are_opaque() {
    let form: Form = serde_json::from_str(r#"{"kind":"quaternion","axes":4}"#).unwrap();
    assert_eq!(form, Form::Opaque);
}

/// What the type says of these bytes, and what its form says.
fn both<V: DeserializeOwned + Serialize>(bytes: &[u8]) -> [Result<(), String>; 2] {
    let told = |result: Result<(), DecodeError>| result.map_err(|error| error.to_string());
    let typed = Codec::<V>::decode(&Text, bytes).map(drop);
    [told(typed), told(Codec::<V>::form(&Text).read(bytes).map(drop))]
}

fn both_json<V: DeserializeOwned + Serialize>(bytes: &[u8]) -> [Result<(), String>; 2] {
    let told = |result: Result<(), DecodeError>| result.map_err(|error| error.to_string());
    let typed = Codec::<V>::decode(&Json, bytes).map(drop);
    [told(typed), told(Codec::<V>::form(&Json).read(bytes).map(drop))]
}

macro_rules! agree {
    ($bytes:expr; $($ty:ty),* $(,)?) => {$(
        let [typed, untyped] = both::<$ty>($bytes);
        prop_assert_eq!(&typed, &untyped, "{} of {:?}", stringify!($ty), $bytes);
        let [typed, untyped] = both_json::<$ty>($bytes);
        prop_assert_eq!(&typed, &untyped, "{} of {:?} as JSON", stringify!($ty), $bytes);
    )*};
}

/// Texts that are nearly values.
fn texts() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        "-?[0-9]{1,4}(\\.[0-9]{1,2})?",
        Just("null".to_owned()),
        Just("true".to_owned()),
        "\"(debug|info|loud|Stop|Wait|1s|1 MiB|127\\.0\\.0\\.1|::1|[a-z]{0,3})\"",
        "(debug|info|loud|Stop|Wait|Retry|1s|2h 1m|64 MiB|127\\.0\\.0\\.1:80|::1|a|)",
        Just("{\"times\":3,\"after\":\"1s\"}".to_owned()),
        Just("{\"host\":\"::1\",\"port\":1}".to_owned()),
        Just("[1,\"debug\"]".to_owned()),
    ];
    atom.prop_recursive(3, 16, 4, |inner| {
        let name = "(host|port|tags|weight|times|after|Wait|Retry|Move|name|below|debug|1|x)";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn values_are_refused_in_the_same_words_with_and_without_the_type(text in texts(), pad in "( |\n)?") {
        let bytes = format!("{pad}{text}{pad}").into_bytes();
        let bytes = bytes.as_slice();
        agree!(bytes; bool, u8, i64, u128, NonZeroU16, NonZeroI8, f32, f64, char, String, Duration, ByteSize, ());
        agree!(bytes; IpAddr, Ipv6Addr, SocketAddr, PathBuf, Level, Action, Endpoint, Option<Level>, Option<String>);
        agree!(bytes; Vec<u8>, [i8; 2], (u8, Level), BTreeMap<String, Endpoint>, BTreeMap<u8, Duration>, Option<Vec<Action>>);
        agree!(bytes; Limits, serde_json::Value, Vec<Option<Duration>>, BTreeMap<Level, bool>);
    }
}

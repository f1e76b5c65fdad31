//! What is written reads back, and whatever is read writes and reads back.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::{
    Backend, Blob, Endless, Level, NameOrPort, Nested, Port, Retry, Tagged, Upstream, backend, duration,
    finite, json_value, level, tricky, upstream,
};
use crate::value::{ByteSize, Codec, Json, Text};

fn round<V: Serialize + DeserializeOwned + PartialEq + Debug>(value: &V) -> Result<(), TestCaseError> {
    let text = Text.encode(value).map_err(|error| TestCaseError::fail(format!("{value:?}: {error}")))?;
    let read: Result<V, _> = Text.decode(&text);
    prop_assert_eq!(read.as_ref(), Ok(value), "{:?}", text);
    let json = Json.encode(value).map_err(|error| TestCaseError::fail(format!("{value:?}: {error}")))?;
    let read: Result<V, _> = Json.decode(&json);
    prop_assert_eq!(read.as_ref(), Ok(value), "{:?}", json);
    Ok(())
}

/// Small ones: a thousand elements find no more than ten, and take most of the time of all tests here.
fn few_lists() -> impl Strategy<Value = BTreeMap<i128, Vec<(bool, char)>>> {
    proptest::collection::btree_map(
        any::<i128>(),
        proptest::collection::vec(any::<(bool, char)>(), 0..8),
        0..12,
    )
}

proptest! {
    #[test]
    fn whole_numbers(small: (u8, i8, u16, i16, u32, i32), large: (u64, i64), huge: (u128, i128), port: u16) {
        let (a, b, c, d, e, f) = small;
        round(&a)?;
        round(&b)?;
        round(&c)?;
        round(&d)?;
        round(&e)?;
        round(&f)?;
        round(&large.0)?;
        round(&large.1)?;
        round(&huge.0)?;
        round(&huge.1)?;
        round(&(small, large, huge))?;
        round(&Some(large.0))?;
        round(&Port(port))?;
        round(&NonZeroU16::new(port))?;
    }

    #[test]
    fn floats_to_the_last_bit(number in finite(), single in any::<u32>()) {
        round(&number)?;
        round(&vec![Some(number)])?;
        let single = f32::from_bits(single);
        prop_assume!(single.is_finite());
        round(&single)?;
        round(&[single])?;
    }

    #[test]
    fn texts(text in tricky(), c: char, flag: bool) {
        round(&text)?;
        round(&Some(text.clone()))?;
        round(&vec![text.clone()])?;
        round(&c)?;
        round(&Some(c))?;
        round(&BTreeMap::from([(c, flag)]))?;
        round(&flag)?;
        round(&serde_json::Value::String(text.clone()))?;
        round(&PathBuf::from(&text))?;
        round(&Some(PathBuf::from(text)))?;
    }

    #[test]
    fn texts_among_other_things(text in tricky()) {
        // A number or a name: a name that is a number within range is still a name.
        round(&NameOrPort::Name(text.clone()))?;
        round(&Some(NameOrPort::Name(text)))?;
    }

    #[test]
    fn durations(duration in duration(), bytes: u64) {
        round(&duration)?;
        round(&Some(duration))?;
        round(&vec![duration])?;
        round(&BTreeMap::from([(duration, Some(duration))]))?;
        round(&ByteSize::bytes(bytes))?;
        round(&vec![ByteSize::kib(bytes)])?;
    }

    #[test]
    fn addresses(v4: [u8; 4], v6: [u16; 8], port: u16) {
        let (v4, v6) = (Ipv4Addr::from(v4), Ipv6Addr::from(v6));
        round(&v4)?;
        round(&v6)?;
        round(&IpAddr::from(v6))?;
        round(&SocketAddr::from((v4, port)))?;
        round(&Some(SocketAddr::from((v6, port))))?;
        round(&HashMap::from([(IpAddr::from(v4), port)]))?;
    }

    #[test]
    fn bytes(bytes: Vec<u8>) {
        let encoded = Text.encode(&Blob(bytes.clone())).unwrap();
        prop_assert_eq!(&encoded, &bytes);
        prop_assert_eq!(Text.decode(&encoded), Ok(Blob(bytes)));
    }

    #[test]
    fn collections(numbers in few_lists(), level in level(), flags: BTreeMap<bool, ()>) {
        round(&numbers)?;
        round(&flags)?;
        round(&level)?;
        round(&Some(level))?;
        round(&BTreeMap::from([(Port(7), level)]))?;
        round(&(level, [level; 3], ((), Some(level))))?;
    }

    #[test]
    fn data_enums(backend in backend(), wait: u32) {
        round(&backend)?;
        round(&Some(backend.clone()))?;
        round(&vec![backend])?;
        round(&Tagged::Fixed { wait })?;
        round(&Tagged::Never)?;
    }

    #[test]
    fn structs(upstream in upstream()) {
        round(&upstream)?;
        round(&vec![Some(upstream)])?;
    }

    #[test]
    fn any_json(value in json_value()) {
        round(&value)?;
    }
}

/// Any bytes give a value or an error; a value has a stored form that gives it again.
fn survives<V: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    if let Ok(value) = Codec::<V>::decode(&Text, bytes) {
        let encoded = Text.encode(&value).unwrap();
        let again: V = Text.decode(&encoded).unwrap();
        // Not compared as values: some of these types are never equal to themselves.
        assert_eq!(Text.encode(&again).unwrap(), encoded, "{bytes:?}");
    }
    if let Ok(value) = Codec::<V>::decode(&Json, bytes) {
        let encoded = Json.encode(&value).unwrap();
        let again: V = Json.decode(&encoded).unwrap();
        assert_eq!(Json.encode(&again).unwrap(), encoded, "{bytes:?}");
    }
}

fn survives_as_every_type(bytes: &[u8]) {
    survives::<bool>(bytes);
    survives::<u8>(bytes);
    survives::<i64>(bytes);
    survives::<u128>(bytes);
    survives::<i128>(bytes);
    survives::<f32>(bytes);
    survives::<f64>(bytes);
    survives::<char>(bytes);
    survives::<String>(bytes);
    survives::<()>(bytes);
    survives::<Option<String>>(bytes);
    survives::<Option<Option<char>>>(bytes);
    survives::<Option<Duration>>(bytes);
    survives::<ByteSize>(bytes);
    survives::<IpAddr>(bytes);
    survives::<SocketAddr>(bytes);
    survives::<PathBuf>(bytes);
    survives::<Vec<String>>(bytes);
    survives::<(u8, Option<bool>, String)>(bytes);
    survives::<BTreeMap<Level, Duration>>(bytes);
    survives::<BTreeMap<u16, serde_json::Value>>(bytes);
    survives::<Level>(bytes);
    survives::<Option<Level>>(bytes);
    survives::<Backend>(bytes);
    survives::<NameOrPort>(bytes);
    survives::<Option<NameOrPort>>(bytes);
    survives::<Tagged>(bytes);
    survives::<Retry>(bytes);
    survives::<Upstream>(bytes);
    survives::<Nested>(bytes);
    survives::<Endless>(bytes);
    survives::<serde_json::Value>(bytes);
    let _ = Codec::<Blob>::decode(&Text, bytes);
    let _ = Codec::<Blob>::decode(&Json, bytes);
}

proptest! {
    #![proptest_config(crate::cases(128))]

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        // P10
        survives_as_every_type(&bytes);
    }

    #[test]
    fn no_text_panics(text in tricky()) {
        // P10
        survives_as_every_type(text.as_bytes());
    }

    #[test]
    fn no_json_panics(value in json_value()) {
        // P10
        survives_as_every_type(value.to_string().as_bytes());
    }
}

#[test]
fn deep_values_are_errors_and_no_overflow() {
    // P10
    for depth in [100, 127, 128, 129, 100_000] {
        survives_as_every_type(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        survives_as_every_type(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).as_bytes());
    }
}

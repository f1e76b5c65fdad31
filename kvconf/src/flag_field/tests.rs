use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::flag::{DynamicContext, ErrorCode, Reason};
use crate::value::{Codec, ValuePlace};

fn context() -> DynamicContext {
    DynamicContext::new().targeting_key("user-1")
}

fn encode<T: FlagVariant>(flag: &Flag<T>) -> String {
    let bytes = FlagCodec::<T> { default: None, context: None }.encode(flag).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn numbers_convert_only_without_loss() {
    let read = |stored| Flag::parse("n", stored, Some(0_u8)).map(|flag| flag.get(&context()));
    assert_eq!(read("255"), Ok(255));
    assert_eq!(read("10.0"), Ok(10));
    for (stored, message) in [
        ("256", "`256` is outside 0..=255 (u8)"),
        ("-1", "`-1` is outside 0..=255 (u8)"),
        ("10.5", "`10.5` is not a whole number (u8)"),
        ("9007199254740992", "9007199254740992 is beyond 2^53 − 1, where numbers are rounded"),
    ] {
        assert_eq!(read(stored).unwrap_err().to_string(), message);
    }
    assert_eq!(Flag::parse("n", "10", Some(0.0)).unwrap().get(&context()), 10.0);
    assert_eq!(Flag::parse("n", "1e300", Some(0.0)).unwrap().get(&context()), 1e300);
}

#[test]
fn without_a_default_the_default_variant_is_served() {
    let disabled = r#"{"state": "DISABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "b"}"#;
    let flag: Flag<String> = Flag::parse("f", disabled, None).unwrap();
    let detail = flag.evaluate(&context());
    assert_eq!((detail.value, detail.variant, detail.reason), ("y", None, Reason::Disabled));
    let without = r#"{"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": null}"#;
    let error = Flag::<String>::parse("f", without, None).unwrap_err();
    assert_eq!(error.to_string(), "defaultVariant: is required, since the field has no default");
    let flag = Flag::parse("f", without, Some("d".to_owned())).unwrap();
    assert_eq!((flag.get(&context()), flag.evaluate(&context()).reason), ("d", Reason::Default));
}

#[test]
fn a_rule_that_fails_serves_the_default() {
    let rule = r#"{"state": "ENABLED", "variants": {"on": 1}, "defaultVariant": "on", "targeting": {"cat": ["o", "ff"]}}"#;
    let flag = Flag::parse("f", rule, Some(5_i64)).unwrap();
    let detail = flag.evaluate(&context());
    assert_eq!((detail.value, detail.error.map(|error| error.code())), (5, Some(ErrorCode::General)));
}

#[test]
fn a_rule_that_asks_for_the_time_gets_the_present_one() {
    let rule = r#"{"state": "ENABLED", "variants": {"true": true, "false": false}, "defaultVariant": "false",
        "targeting": {">": [{"var": "$flagd.timestamp"}, 1600000000]}}"#;
    let flag = Flag::parse("f", rule, Some(false)).unwrap();
    assert!(flag.get(&context()));
    assert!(!flag.evaluate_at(&context(), 1_600_000_000).value);
    assert!(flag.evaluate_at(&context(), 1_600_000_001).value);
}

#[test]
fn a_share_depends_on_the_key() {
    let rule = r#"{"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a",
        "targeting": {"fractional": [["a", 1], ["b", 1]]}}"#;
    let of = |key: &str| {
        let flag = Flag::parse(key, rule, Some(0_i64)).unwrap();
        let ids = (0..64).map(|id| DynamicContext::new().targeting_key(format!("user-{id}")));
        ids.map(|id| flag.get(&id)).collect::<Vec<i64>>()
    };
    assert_eq!(of("one"), of("one"));
    assert_ne!(of("one"), of("two"));
}

#[test]
fn a_definition_is_written_as_it_was_read() {
    let stored = "{ \"variants\": {\"b\": 2.0, \"a\": 1},\n \"state\": \"ENABLED\", \"owner\": \"shop\" }\n";
    let flag = Flag::parse("f", stored, Some(0_u32)).unwrap();
    assert_eq!(encode(&flag), stored);
    assert_eq!(
        serde_json::to_value(&flag).unwrap(),
        json!({"state": "ENABLED", "variants": {"a": 1, "b": 2.0}, "owner": "shop"})
    );
    assert_eq!(serde_json::to_value(Flag::fixed(3)).unwrap(), json!(3));
    assert_eq!(encode(&flag.redefine(" 7 ").unwrap()), " 7 ");
    assert_eq!(format!("{:?}", flag.redefine("7").unwrap()), r#"Flag { key: "f", stored: 7 }"#);
}

#[test]
fn a_value_that_could_not_be_read_again_is_not_written() {
    let encode = |number: i64| FlagCodec::<i64> { default: None, context: None }.encode(&Flag::fixed(number));
    assert_eq!(encode(MAX).unwrap(), MAX.to_string());
    let error = encode(MAX + 1).unwrap_err();
    assert_eq!(error.to_string(), "9007199254740992 is beyond 2^53 − 1, where numbers are rounded");
}

const MAX: i64 = crate::flag::MAX_SAFE_INTEGER;

#[test]
fn many_problems_are_told_up_to_a_bound() {
    let variants: Vec<String> = (10..40).map(|n| format!("\"v{n}\": {n}")).collect();
    let stored = format!(
        r#"{{"state": "ENABLED", "variants": {{{}}}, "defaultVariant": "v10"}}"#,
        variants.join(", ")
    );
    let error = Flag::parse("f", &stored, Some(false)).unwrap_err().to_string();
    assert!(error.starts_with("variants.v10: expected true or false, found `10`; variants.v11: "), "{error}");
    assert!(error.ends_with("; and 18 more"), "{error}");
}

proptest! {
    // P10
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let codec = FlagCodec::<String> { default: None, context: None };
        if let Ok(flag) = codec.decode_at(ValuePlace { key: "f", revision: None }, &bytes) {
            prop_assert_eq!(&*codec.encode(&flag).unwrap(), &*bytes);
        }
    }

    #[test]
    fn every_text_is_itself_when_it_is_read_again(text in prop_oneof![
        any::<String>(),
        proptest::sample::select(vec!["", " ", "null", "true", "3", "\"a\"", "{", "[", " a", "a\n", "1e999", "NaN"])
            .prop_map(str::to_owned),
    ]) {
        let stored = encode(&Flag::fixed(text.clone()));
        let flag = Flag::parse("f", &stored, Some(String::new())).unwrap();
        prop_assert_eq!(flag.get(&context()), text);
    }
}

//! Documents against what serde makes of them; and no document at all.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::document::{Item, Member, Value};
use super::{FileSource, Format, KnownFile, Source, json};
use crate::layer::Layers;
use crate::view::{FieldsOf, Table, View};
use crate::watch::Update;
use crate::{KvConfig, Prefix, ProblemKind, Revision};

/// What a tree says, without places.
fn plain(item: &Item) -> serde_json::Value {
    match &item.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => serde_json::from_str(number).unwrap_or_else(|_| number.as_str().into()),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(plain).collect::<Vec<_>>().into(),
        Value::Table(members) => {
            let entry = |member: &Member| (member.name.clone(), plain(&member.item));
            serde_json::Value::Object(members.iter().map(entry).collect())
        }
    }
}

/// Any JSON value that TOML has too: no null, and floats that JSON's own reader takes to the last bit.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1_000_000_i32..1_000_000).prop_map(|number| (f64::from(number) / 64.0).into()),
        any::<String>().prop_map(Into::into),
        "[a-z0-9.:-]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            table_of(inner).prop_map(serde_json::Value::Object),
        ]
    })
}

fn table_of(
    inner: impl Strategy<Value = serde_json::Value>,
) -> impl Strategy<Value = serde_json::Map<String, serde_json::Value>> {
    let name = prop_oneof!["[a-z_]{1,6}", any::<String>()];
    proptest::collection::btree_map(name, inner, 0..6).prop_map(|entries| entries.into_iter().collect())
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    table_of(value()).prop_map(serde_json::Value::Object)
}

fn json_text(document: &serde_json::Value, pretty: bool) -> String {
    let text = if pretty { serde_json::to_string_pretty(document) } else { serde_json::to_string(document) };
    text.unwrap()
}

proptest! {
    #[test]
    fn json_says_what_serde_reads(document in document(), pretty in any::<bool>()) {
        let read = json::parse(&json_text(&document, pretty)).unwrap();
        prop_assert_eq!(plain(&read), document);
    }

    #[test]
    fn toml_says_what_serde_reads(document in document(), pretty in any::<bool>()) {
        let table: toml::Table = serde_json::from_value(document.clone()).unwrap();
        let text = if pretty { toml::to_string_pretty(&table) } else { toml::to_string(&table) };
        let read = super::file::parse(Format::Toml, &text.unwrap()).unwrap();
        prop_assert_eq!(plain(&read), document);
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn yaml_reads_json_as_json_is_read(document in document(), pretty in any::<bool>()) {
        let text = json_text(&document, pretty);
        // A merge key is refused by name, and YAML takes fewer characters as they are.
        prop_assume!(!text.contains("\"<<\"") && text.chars().all(is_yaml));
        match super::file::parse(Format::Yaml, &text) {
            Ok(read) => prop_assert_eq!(plain(&read), document),
            Err(faults) => prop_assert!(false, "{faults:?}: {text}"),
        }
    }
}

/// YAML 1.2.2 §5.1, without what ended a line in YAML 1.1.
#[cfg(feature = "yaml")]
fn is_yaml(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..
    )
}

/// A struct that both kvconf and serde read.
#[derive(KvConfig, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kv(prefix = "deep.app")]
struct Settings {
    whole: i64,
    float: f64,
    text: Option<String>,
    flag: bool,
    list: Vec<String>,
    any: serde_json::Value,
    #[kv(json)]
    word: String,
    #[kv(entries)]
    map: BTreeMap<String, Inside>,
    #[kv(nested)]
    inner: Inner,
}

#[derive(KvConfig, Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    #[kv(rename = "small.number")]
    #[serde(rename = "small.number")]
    number: u8,
    table: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inside {
    word: String,
}

fn settings() -> impl Strategy<Value = Settings> {
    let float = (-1_000_000_i32..1_000_000).prop_map(|number| f64::from(number) / 64.0);
    let inside = any::<String>().prop_map(|word| Inside { word });
    let map = proptest::collection::btree_map(any::<String>(), inside, 0..4);
    let table = proptest::collection::btree_map(any::<String>(), any::<i64>(), 0..4);
    let inner = (any::<u8>(), table).prop_map(|(number, table)| Inner { number, table });
    let word = prop_oneof![any::<String>(), Just("null".to_owned()), Just("\"a\"".to_owned())];
    let text = proptest::option::of(word);
    let list = proptest::collection::vec(any::<String>(), 0..4);
    let first = (any::<i64>(), float, text, any::<bool>(), list);
    (first, value(), any::<String>(), map, inner).prop_map(|(first, any, word, map, inner)| {
        let (whole, float, text, flag, list) = first;
        Settings { whole, float, text, flag, list, any, word, map, inner }
    })
}

fn file(name: &str) -> KnownFile {
    FileSource::new(Path::new("/").join(name)).check().unwrap()
}

/// What a handle makes of a file.
fn load(name: &str, text: &str) -> Result<Settings, String> {
    let table = Table::new::<Settings>(&|_| None);
    let prefix = Prefix::new("deep.app").unwrap();
    let reading = Ok(text.as_bytes().to_vec());
    let content = file(name).content(&reading, &prefix, &FieldsOf::<Settings>::new(&table));
    assert_eq!(content.warnings, []);
    let nothing = Update { revision: Revision::ZERO, epoch: 0, sets: Vec::new() };
    let table = std::sync::Arc::new(Table::new::<Settings>(&|_| None).with_layers(Layers::none(prefix)));
    let view = View::<Settings>::start_with(table, "test", &nothing, vec![(Source::File(0), content)]);
    view.map(|view| view.snapshot.value().clone()).map_err(|report| report.to_string())
}

proptest! {
    #[test]
    fn a_struct_comes_out_of_a_file_as_serde_reads_it(settings in settings()) {
        let mut nested = serde_json::json!({ "deep": { "app": &settings }, "other": 1 });
        prop_assert_eq!(load("app.json", &json_text(&nested, true)), Ok(settings.clone()));

        // TOML has no null: what is None is left out.
        let app = nested.pointer_mut("/deep/app").unwrap().as_object_mut().unwrap();
        app.retain(|_, value| !value.is_null());
        let table: toml::Table = serde_json::from_value(nested).unwrap();
        prop_assert_eq!(load("app.toml", &toml::to_string(&table).unwrap()), Ok(settings));
    }
}

/// Pieces of all three languages.
const PIECES: [&str; 43] = [
    "{",
    "}",
    "[",
    "]",
    "[[",
    "]]",
    ",",
    ":",
    ": ",
    "=",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\n",
    "\n  ",
    "- ",
    "? ",
    "#",
    "&a ",
    "*a",
    "!x ",
    "!!str ",
    "|",
    ">",
    "---",
    "<<",
    "deep",
    ".app",
    "whole",
    "map",
    "inner",
    "null",
    "~",
    "true",
    "1e9",
    "0x",
    "-",
    "2020-01-01",
    "\\u12",
    "\t",
    "\u{feff}",
    "é",
];

const NAMES: [&str; 3] = ["a.toml", "a.json", if cfg!(feature = "yaml") { "a.yaml" } else { "b.toml" }];

fn survives(bytes: &[u8]) {
    let (table, prefix) = (Table::new::<Settings>(&|_| None), Prefix::new("deep.app").unwrap());
    for name in NAMES {
        let file = file(name);
        let reading = Ok(bytes.to_vec());
        let content = file.content(&reading, &prefix, &FieldsOf::<Settings>::new(&table));
        let shown: Vec<String> = content.problems.iter().map(ToString::to_string).collect();
        assert!(shown.iter().all(|text| !text.is_empty()));
        file.looks_unfinished(&reading);
    }
}

proptest! {
    #![proptest_config(crate::cases(200))]

    // P10
    #[test]
    fn no_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    // P10
    #[test]
    fn nothing_that_looks_like_a_file_panics(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60),
    ) {
        survives(pieces.concat().as_bytes());
    }

}

proptest! {
    #![proptest_config(crate::cases(50))]

    // P10
    #[test]
    fn a_file_that_was_cut_or_bent_does_not_panic(
        settings in settings(),
        cut in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let nested = serde_json::json!({ "deep": { "app": settings } });
        let mut bytes = json_text(&nested, true).into_bytes();
        let at = cut.index(bytes.len());
        survives(&bytes[..at]);
        bytes[at] = byte;
        survives(&bytes);
    }
}

// P10
#[test]
fn a_name_as_long_as_a_file_is_unknown_and_nothing_more() {
    let (table, prefix) = (Table::new::<Settings>(&|_| None), Prefix::new("deep.app").unwrap());
    let (long, begun) = ("x".repeat(1 << 20), std::time::Instant::now());
    let beside = format!("{{\"{long}\": 1}}");
    for (text, kinds) in
        [(format!("{{\"deep\": {{\"app\": {beside}}}}}"), vec![ProblemKind::UnknownKey]), (beside, vec![])]
    {
        let content =
            file("a.json").content(&Ok(text.into_bytes()), &prefix, &FieldsOf::<Settings>::new(&table));
        assert_eq!(content.warnings.iter().map(|warning| warning.kind).collect::<Vec<_>>(), kinds);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

// P10: somebody has copied a log over the settings.
#[test]
fn of_a_file_that_is_wrong_in_every_line_the_first_faults_are_told_and_how_many_follow() {
    let (table, prefix) = (Table::new::<Settings>(&|_| None), Prefix::new("deep.app").unwrap());
    let told = |lines: usize| {
        let reading = Ok("[a]]\n".repeat(lines).into_bytes());
        let content = file("a.toml").content(&reading, &prefix, &FieldsOf::<Settings>::new(&table));
        let last = content.problems.last().map(|problem| problem.message.clone());
        (content.problems.len(), last.unwrap_or_default())
    };
    let (few, _) = told(9);
    assert!(few >= 9, "{few}");
    let (many, last) = told(10_000);
    assert_eq!(many, 51);
    assert!(last.starts_with("/a.toml: ") && last.ends_with(" more faults"), "{last}");
}

// P10
#[test]
fn depth_is_capped_before_the_stack_is() {
    let n = 200_000;
    for text in [
        format!("{}a = 1", "a.".repeat(n)),
        format!("[{}a]", "a.".repeat(n)),
        format!("a = {}", "[".repeat(n)),
        "{\"a\":".repeat(n),
        "[".repeat(n),
        "- ".repeat(n),
        "? ".repeat(n),
        "{a: ".repeat(n),
    ] {
        survives(text.as_bytes());
    }
}

#[cfg(feature = "yaml")]
#[test]
fn a_few_lines_that_ask_for_billions_of_values_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let before = format!("*a{}", n - 1);
        text.push_str(&format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(", ")));
    }
    let faults = super::file::parse(Format::Yaml, &text).unwrap_err();
    assert_eq!(faults[0].message, "more than 100000 values, aliases put in");
    let few = super::file::parse(Format::Yaml, "a: &a {b: 1}\nc: *a\nd: [*a, *a]\n").unwrap();
    assert_eq!(plain(&few), serde_json::json!({"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}));
    for text in ["a: &a [*a]", "*a", "a: *b"] {
        super::file::parse(Format::Yaml, text).unwrap_err();
    }
}

// P10
#[cfg(feature = "yaml")]
#[test]
fn aliases_neither_multiply_a_long_text_nor_nest_beyond_what_may_be_nested() {
    let fault = |text: &str| match super::file::parse(Format::Yaml, text) {
        Ok(_) => panic!("read: {} bytes", text.len()),
        Err(faults) => faults[0].message.clone(),
    };
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 5].join(", "));
    assert_eq!(fault(&long), "texts of more than 4194304 bytes, aliases put in");
    let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(100), "]".repeat(100));
    let mut deep = format!("a0: &a0 {}\n", nested("x"));
    for n in 1..30 {
        deep.push_str(&format!("a{n}: &a{n} {}\n", nested(&format!("*a{}", n - 1))));
    }
    assert_eq!(fault(&deep), "nested deeper than 128 levels");
    let fits = "a: &a [[x]]\nb: [[[[*a]]]]\n";
    let read = super::file::parse(Format::Yaml, fits).unwrap();
    assert_eq!(plain(&read), serde_json::json!({"a": [["x"]], "b": [[[[[["x"]]]]]]}));
}

#[cfg(feature = "yaml")]
#[test]
fn scalars_of_yaml_are_those_of_its_core_schema_and_odd_numbers_are_texts() {
    let text = "[~, null, '', yes, NO, true, 1.10, 0123, +5, 0o17, 0xFF, 1_000, .inf, 12:30, 2020-01-01, \
                !!str 5, \"5\", -0.5e3, 1., .5]";
    let read = super::file::parse(Format::Yaml, text).unwrap();
    let Value::List(items) = read.value else { panic!("a list") };
    let shown = |item: &Item| match &item.value {
        Value::Number(number) => format!("#{number}"),
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let all: Vec<String> = items.iter().map(shown).collect();
    assert_eq!(
        all.join(" | "),
        "Null | Null |  | yes | NO | Bool(true) | #1.10 | 0123 | +5 | #15 | #255 | 1_000 | #inf | 12:30 | 2020-01-01 | \
         5 | 5 | #-0.5e3 | 1. | .5"
    );
}

//! The JSON Schema: valid by the metaschema, and of one mind with the reader.

use std::sync::LazyLock;
use std::time::Duration;

use jsonschema::Validator;
use kvconf::settings::Extent;
use kvconf::{Bucket, FileSource, KvConfig, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::rich::Checkout;
use super::template::Folder;

fn schema(extent: Extent) -> Value {
    serde_json::from_str(&Schema::of::<Checkout>().json_schema(extent)).unwrap()
}

#[test]
fn it_is_valid_by_the_metaschema() {
    for extent in [Extent::Whole, Extent::Part] {
        let schema = schema(extent);
        assert!(
            jsonschema::draft202012::meta::is_valid(&schema),
            "{:?}",
            jsonschema::meta::validate(&schema)
        );
    }
}

#[test]
fn secrets_descriptions_units_and_bounds_are_in_it() {
    let schema = schema(Extent::Whole);
    let shop = &schema["properties"]["shop"]["properties"]["checkout"];
    assert_eq!(schema["required"], json!(["shop"]));
    assert_eq!(shop["required"], json!(["bind", "api_key"]));
    assert_eq!(
        shop["properties"]["max_items"],
        json!({
            "title": "shop.checkout.max_items",
            "description": "Most items in one basket.",
            "type": "integer",
            "minimum": 1,
            "maximum": 500,
            "default": 50,
            "x-kvconf-unit": "items",
        })
    );
    assert_eq!(
        shop["properties"]["pin"],
        json!({
            "title": "shop.checkout.pin",
            "description": "Secret: its values are never shown.",
            "type": "integer",
            "minimum": 1000,
            "maximum": 65535,
            "writeOnly": true,
            "x-kvconf-secret": true,
        })
    );
    assert_eq!(shop["properties"]["timeout"]["deprecated"], json!(true));
    assert_eq!(self::schema(Extent::Part)["required"], Value::Null);
}

/// Settings whose values JSON Schema can judge as the reader does.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct Judged {
    #[kv(default = 50, range(1..=500))]
    whole: u32,
    #[kv(default = -1, range(..10))]
    signed: i8,
    #[kv(default = 0.5, range(0.0..1.0))]
    float: f64,
    #[kv(default = true)]
    switch: bool,
    #[kv(default = "a", length(1..=3), pattern("^[a-c]*$"))]
    text: String,
    #[kv(default = "a", one_of("a", "b"))]
    choice: String,
    maybe: Option<u8>,
    #[kv(default = "1s")]
    time: Duration,
    #[kv(default = "1 B")]
    size: kvconf::ByteSize,
    #[kv(default, length(..=2))]
    list: Vec<u8>,
    #[kv(default)]
    map: std::collections::BTreeMap<String, Option<bool>>,
    #[kv(default = super::rich::Level::Info)]
    level: super::rich::Level,
    #[kv(default = super::rich::Action::Stop)]
    action: super::rich::Action,
    endpoint: Option<super::rich::Endpoint>,
    #[kv(default = (1, 2))]
    pair: (u8, i8),
    #[kv(entries, length(..=2))]
    entries: std::collections::BTreeMap<String, u8>,
    #[kv(nested)]
    nested: Nested,
}

#[derive(KvConfig, Debug, Clone)]
struct Nested {
    #[kv(alias = "old")]
    required: bool,
}

/// A value that stands in quotes in its stored form, a number for a text, and a whole number with a point: the documented
/// ways in which the reader and JSON Schema differ. They are not generated.
fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (-600_i64..600).prop_map(Value::from),
        prop::sample::select(vec![0.25, -0.5, 0.75]).prop_map(Value::from)
    ];
    let text = prop::sample::select(vec![
        "x", "a", "b", "abc", "abcd", "ca", "info", "loud", "Stop", "Wait", "1s", "1h 30m", "3m 1h", "1.5s",
        "1 MiB", "2 k", "64kB", "3 m",
    ]);
    let atom =
        prop_oneof![3 => number, 1 => any::<bool>().prop_map(Value::from), 3 => text.prop_map(Value::from)];
    atom.prop_recursive(3, 12, 3, |inner| {
        let name =
            prop::sample::select(vec!["a", "host", "port", "tls", "Wait", "Retry", "times", "after", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn file() -> impl Strategy<Value = Value> {
    let names = vec![
        "whole", "signed", "float", "switch", "text", "choice", "maybe", "time", "size", "list", "map",
        "level", "action", "endpoint", "pair", "entries",
    ];
    let one = (prop::sample::select(names).prop_map(str::to_owned), value());
    let nested = prop_oneof![
        8 => Just(json!({"required": true})),
        1 => Just(json!({"old": false})),
        1 => Just(json!({})),
        1 => Just(json!({"required": 1})),
    ];
    (prop::collection::btree_map(one.0, one.1, 0..3), nested).prop_map(|(entries, nested)| {
        let mut app: serde_json::Map<String, Value> = entries.into_iter().collect();
        app.insert("nested".to_owned(), nested);
        json!({"app": app})
    })
}

/// Numbers and truth values for texts: the reader takes them, JSON Schema does not.
fn stands_for_text(file: &Value) -> bool {
    let scalar = |name: &str| !matches!(file["app"][name], Value::String(_) | Value::Null);
    ["text", "choice", "time", "level", "action"].into_iter().any(scalar)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvconf_tests::cases(100)))]

    #[test]
    fn it_accepts_what_the_reader_takes_and_nothing_else(file in file()) {
        prop_assume!(!stands_for_text(&file) || file["app"]["action"].is_object());
        static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
            let schema = Schema::of::<Judged>().json_schema(Extent::Whole);
            jsonschema::draft202012::options().build(&serde_json::from_str(&schema).unwrap()).unwrap()
        });
        let folder = Folder::new();
        let path = folder.write("app.json", &file.to_string());
        let started = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let live = Bucket::memory().live::<Judged>().file(FileSource::new(path)).start().await;
            live.map(drop).map_err(|error| error.to_string())
        });
        let refused: Vec<String> = VALIDATOR.iter_errors(&file).map(|error| error.to_string()).collect();
        prop_assert_eq!(started.is_ok(), refused.is_empty(), "{}\nthe reader: {:?}\nJSON Schema: {:?}", file, started, refused);
    }
}

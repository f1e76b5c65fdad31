//! Random rules and data.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Numbers at the edges of what numbers are.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (-3_i64..20).prop_map(Value::from),
        2 => prop::sample::select(vec![0.5, -0.5, 2.0, 1e21, 1e-7, 1.5e300, -1.25, 18.0]).prop_map(Value::from),
        1 => prop::sample::select(vec![
            i64::MAX, i64::MIN, 9_007_199_254_740_991, 9_007_199_254_740_993, -9_007_199_254_740_993, 1 << 32,
        ]).prop_map(Value::from),
        1 => Just(Value::from(u64::MAX)),
    ]
}

/// Texts that are numbers, nearly numbers, versions, and not of one byte a character.
fn text() -> impl Strategy<Value = Value> {
    const TEXTS: [&str; 40] = [
        "",
        " ",
        "0",
        "1",
        "-1",
        "1.0",
        "01",
        "18",
        " 18 ",
        "0x1f",
        "1e3",
        "Infinity",
        "-Infinity",
        "NaN",
        "inf",
        ".5",
        "5.",
        "+5",
        "1_0",
        "abc",
        "ab",
        "b",
        "NL",
        "true",
        "false",
        "null",
        "é",
        "日本語",
        "🦀 crab",
        "a,b",
        "1,2",
        "[object Object]",
        "1.2.3",
        "v1.2",
        "1.2.3-rc.1",
        "1.2.3+b5",
        "2",
        "1.10.0",
        "on",
        "off",
    ];
    prop::sample::select(TEXTS.to_vec()).prop_map(Value::from)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => number(),
        5 => text(),
    ]
}

/// Any JSON, for data.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(vec!["a", "name", "0", "x y", "é"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..3).prop_map(|entries| entries
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// What rules are evaluated on.
pub(crate) fn data() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "c", "list", "user", "targetingKey"]);
    let user = (scalar(), prop::collection::vec(scalar(), 0..3))
        .prop_map(|(name, tags)| json!({"name": name, "tags": tags, "deep": {"er": {"still": 1}}}));
    let numbers = prop::collection::vec(number(), 0..5);
    (prop::collection::vec((name, value()), 0..5), prop::option::of(user), prop::option::of(numbers))
        .prop_map(|(entries, user, numbers)| {
            let mut data = json!({"$flagd": {"flagKey": "flag", "timestamp": 1_700_000_000}});
            for (name, value) in entries {
                data[name] = value;
            }
            if let Some(user) = user {
                data["user"] = user;
            }
            if let Some(numbers) = numbers {
                data["numbers"] = numbers.into();
            }
            data
        })
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "list",
        "list.0",
        "list.1.name",
        "numbers",
        "numbers.2",
        "user",
        "user.name",
        "user.tags",
        "user.tags.0",
        "user.deep.er.still",
        "user.deep.no.still",
        "nowhere",
        "",
        "current",
        "accumulator",
        "name",
        "0",
        "targetingKey",
        "$flagd.flagKey",
        "$flagd.timestamp",
    ])
}

fn variable() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => path().prop_map(|path| json!({"var": path})),
        1 => path().prop_map(|path| json!({"var": [path]})),
        1 => (path(), scalar()).prop_map(|(path, default)| json!({"var": [path, default]})),
    ]
}

const COMPARISONS: [&str; 8] = ["==", "!=", "===", "!==", "<", "<=", ">", ">="];
const ANY_NUMBER: [&str; 15] =
    ["and", "or", "if", "?:", "!", "!!", "cat", "merge", "+", "-", "*", "/", "%", "max", "min"];

/// A rule, mostly of operators on operands that they may have.
pub(crate) fn rule() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(scalar(), 0..4).prop_map(Value::from);
    let leaf = prop_oneof![4 => variable(), 4 => scalar(), 1 => list];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..4);
        let two = || prop::collection::vec(inner.clone(), 2..4);
        let lists = || {
            prop_oneof![
                prop::sample::select(vec!["list", "numbers", "user.tags"]).prop_map(|path| json!({"var": path})),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            ]
        };
        let iteration = prop::sample::select(vec!["map", "filter", "all", "none", "some"]);
        prop_oneof![
            5 => (prop::sample::select(COMPARISONS.to_vec()), two()).prop_map(|(name, operands)| json!({name: operands})),
            6 => (prop::sample::select(ANY_NUMBER.to_vec()), some()).prop_map(|(name, operands)| json!({name: operands})),
            2 => (prop::sample::select(vec!["!", "!!", "+", "-", "cat", "log"]), inner.clone())
                .prop_map(|(name, operand)| json!({name: operand})),
            2 => some().prop_map(|operands| json!({"if": operands})),
            2 => (inner.clone(), prop_oneof![lists(), inner.clone()]).prop_map(|(item, all)| json!({"in": [item, all]})),
            1 => (inner.clone(), -4_i64..6, prop::option::of(-4_i64..6)).prop_map(|(text, start, length)| match length {
                Some(length) => json!({"substr": [text, start, length]}),
                None => json!({"substr": [text, start]}),
            }),
            2 => (iteration, lists(), inner.clone()).prop_map(|(name, list, body)| json!({name: [list, body]})),
            1 => (lists(), inner.clone(), inner.clone())
                .prop_map(|(list, body, initial)| json!({"reduce": [list, body, initial]})),
            1 => prop::collection::vec(path(), 0..4).prop_map(|paths| json!({"missing": paths})),
            1 => (0_u32..4, prop::collection::vec(path(), 0..4))
                .prop_map(|(number, paths)| json!({"missing_some": [number, paths]})),
            1 => (prop::sample::select(vec!["starts_with", "ends_with"]), some())
                .prop_map(|(name, operands)| json!({name: operands})),
            1 => (inner.clone(), version_operator(), inner.clone())
                .prop_map(|(left, operator, right)| json!({"sem_ver": [left, operator, right]})),
            1 => (text(), version_operator(), text())
                .prop_map(|(left, operator, right)| json!({"sem_ver": [left, operator, right]})),
            2 => fractional(inner.clone()),
        ]
    })
}

fn version_operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", "^", "~", "?"])
}

fn fractional(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> {
    let share = prop_oneof![
        4 => (text(), 0_u32..50).prop_map(|(variant, weight)| json!([variant, weight])),
        1 => text().prop_map(|variant| json!([variant])),
        1 => (inner.clone(), inner.clone()).prop_map(|(variant, weight)| json!([variant, weight])),
        1 => (scalar(), number()).prop_map(|(variant, weight)| json!([variant, weight])),
    ];
    (prop::option::of(inner), prop::collection::vec(share, 0..4)).prop_map(|(first, mut shares)| {
        if let Some(first) = first {
            shares.insert(0, first);
        }
        json!({"fractional": shares})
    })
}

use std::collections::BTreeMap;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn tree(keys: &[(&str, &[u8])]) -> Tree {
    keys.iter().map(|(key, value)| (key.parse().unwrap(), Leaf::Stored(value.to_vec()))).collect()
}

fn sample() -> Tree {
    let mut tree = tree(&[
        ("region", b"eu"),
        ("checkout.max_items", b"80"),
        ("checkout.ratio", b"0.5"),
        ("checkout.ratio2", b"0.50"),
        ("checkout.new_cart", b"true"),
        ("checkout.countries", br#"["NL","BE"]"#),
        ("checkout.spaced", br#"["NL", "BE"]"#),
        ("checkout.tier", br#"{"name":"gold","limits":{"max":3}}"#),
        ("checkout.nothing", br#"{"a":null}"#),
        ("checkout.payment", b"card"),
        ("checkout.payment.timeout", b"3s"),
        ("checkout.payment.e/f=", b"two\nlines"),
        ("checkout.logo", b"\x89PNG\xff"),
        ("checkout.empty", b""),
        ("checkout.object", b"{}"),
    ]);
    tree.insert(&"checkout.api_key".parse().unwrap(), Leaf::Masked);
    tree
}

#[test]
fn a_tree_as_toml() {
    assert_snapshot!(write(&sample(), Form::Toml), @r#"
    region = "eu"

    [checkout]
    api_key = { "$masked" = true }
    countries = ["NL", "BE"]
    empty = ""
    logo = { "$base64" = "iVBOR/8=" }
    max_items = 80
    new_cart = true
    nothing = '{"a":null}'
    object = "{}"
    ratio = 0.5
    ratio2 = "0.50"
    spaced = '["NL", "BE"]'
    tier = { name = "gold", limits = { max = 3 } }

    [checkout.payment]
    "$value" = "card"
    "e/f=" = """
    two
    lines"""
    timeout = "3s"
    "#);
}

#[test]
fn a_tree_as_json() {
    assert_snapshot!(write(&sample(), Form::Json), @r#"
    {
      "checkout": {
        "api_key": {
          "$masked": true
        },
        "countries": [
          "NL",
          "BE"
        ],
        "empty": "",
        "logo": {
          "$base64": "iVBOR/8="
        },
        "max_items": 80,
        "new_cart": true,
        "nothing": "{\"a\":null}",
        "object": "{}",
        "payment": {
          "$value": "card",
          "e/f=": "two\nlines",
          "timeout": "3s"
        },
        "ratio": 0.5,
        "ratio2": "0.50",
        "spaced": "[\"NL\", \"BE\"]",
        "tier": {
          "$json": {
            "name": "gold",
            "limits": {
              "max": 3
            }
          }
        }
      },
      "region": "eu"
    }
    "#);
}

fn told(text: &str, form: Form) -> String {
    match read(text, form, &nobody_knows) {
        Ok(wanted) => {
            let line = |wanted: &Wanted| match &wanted.wish {
                Wish::Set(value) => format!("{}: {} = {:?}\n", wanted.at.line, wanted.key, value),
                other => format!("{}: {} {other:?}\n", wanted.at.line, wanted.key),
            };
            wanted.iter().map(line).collect()
        }
        Err(error) => format!("error: {error}\n"),
    }
}

#[test]
fn toml_tables_are_trees_and_what_stands_in_one_line_is_a_value() {
    let text = r#"
region = "eu"
retry.max = 3
when = 2026-01-02T03:04:05Z
[checkout]
countries = [ "NL", "BE" ]
tier = { name = "gold", limits.max = 3 }
gone = { "$unset" = true }
hidden = { "$masked" = true }
bytes = { "$base64" = "iVBOR/8=" }
[checkout.payment]
"$value" = "card"
big = 0xff
[[checkout.rules]]
name = "a"
"#;
    assert_snapshot!(told(text, Form::Toml), @r#"
    10: checkout.bytes = b"\x89PNG\xff"
    6: checkout.countries = b"[\"NL\",\"BE\"]"
    8: checkout.gone Unset
    9: checkout.hidden Keep
    12: checkout.payment = b"card"
    13: checkout.payment.big = b"255"
    14: checkout.rules = b"[{\"name\":\"a\"}]"
    7: checkout.tier = b"{\"name\":\"gold\",\"limits\":{\"max\":3}}"
    2: region = b"eu"
    3: retry.max = b"3"
    4: when = b"2026-01-02T03:04:05Z"
    "#);
}

#[test]
fn json_objects_are_trees_and_wrapped_ones_are_values() {
    let text = r#"{"region": "eu", "checkout": {"max": 80, "gone": null, "list": [1, {"a": null}],
        "tier": {"$json": {"name": "gold"}}, "payment": {"$value": "card", "ratio": 1.0}}}"#;
    assert_snapshot!(told(text, Form::Json), @r#"
    1: checkout.gone Unset
    1: checkout.list = b"[1,{\"a\":null}]"
    1: checkout.max = b"80"
    2: checkout.payment = b"card"
    2: checkout.payment.ratio = b"1.0"
    2: checkout.tier = b"{\"name\":\"gold\"}"
    1: region = b"eu"
    "#);
}

#[test]
fn a_schema_says_which_tables_are_values() {
    let is_leaf: Knows<'_> = &|key| if key == "checkout.tier" { Kind::Leaf } else { Kind::Unknown };
    let text = "[checkout.tier]\nname = \"gold\"\n[checkout.other]\nname = \"x\"\n";
    let wanted = read(text, Form::Toml, is_leaf).unwrap();
    let keys: Vec<_> = wanted.iter().map(|wanted| wanted.key.as_str()).collect();
    assert_eq!(keys, ["checkout.other.name", "checkout.tier"]);
    let text = r#"{"checkout": {"tier": {"name": "gold"}}}"#;
    let wanted = read(text, Form::Json, is_leaf).unwrap();
    assert_eq!(wanted[0].wish, Wish::Set(r#"{"name":"gold"}"#.into()));
}

#[test]
fn a_schema_says_what_is_one_value_and_what_are_keys() {
    let knows: Knows<'_> = &|key| match key {
        "checkout.tier" => Kind::Leaf,
        "checkout.retry" => Kind::Tree,
        "checkout.limits" => Kind::Entries,
        _ => Kind::Unknown,
    };
    let told = |text: &str, form| -> Vec<String> {
        let wanted = read(text, form, knows).unwrap().into_iter();
        wanted
            .map(|Wanted { key, wish, at }| match wish {
                Wish::Set(value) => {
                    format!("{}:{} {key} = {}", at.line, at.column, String::from_utf8_lossy(&value))
                }
                other => format!("{}:{} {key} {other:?}", at.line, at.column),
            })
            .collect()
    };
    let toml = "[checkout]\nretry = { max = 3, back = { off = 1 } }\nlimits = { gold = 3, \"a.b c\" = 4, \"d=2Ee\" = 5 }\ntier.name = \"gold\"\nother = { x = 1 }\n";
    assert_eq!(
        told(toml, Form::Toml),
        [
            "3:22 checkout.limits.a=2Eb=20c = 4",
            "3:35 checkout.limits.d=2Ee = 5",
            "3:12 checkout.limits.gold = 3",
            "5:1 checkout.other = {\"x\":1}",
            "2:20 checkout.retry.back = {\"off\":1}",
            "2:11 checkout.retry.max = 3",
            "4:1 checkout.tier = {\"name\":\"gold\"}",
        ]
    );
    let json = "{\"checkout\": {\n  \"limits\": {\"é\": 3, \"x\": null},\n  \"tier\": {\"a b\": 1}, \"retry\": {\"max\": 3}}}";
    assert_eq!(
        told(json, Form::Json),
        [
            "2:14 checkout.limits.=C3=A9 = 3",
            "2:22 checkout.limits.x Unset",
            "3:33 checkout.retry.max = 3",
            "3:3 checkout.tier = {\"a b\":1}",
        ]
    );
}

#[test]
fn mistakes_are_told_with_their_place() {
    assert_snapshot!(told("a = 1\nb = = 2\n", Form::Toml), @"error: line 2, column 5: extra `=`, expected nothing");
    assert_snapshot!(told("a = 1\na = 2\n", Form::Toml), @"error: line 2, column 1: duplicate key");
    assert_snapshot!(told("\"a.b\" = 1\n[a]\nb = 2\n", Form::Toml), @"error: line 3: a.b stands there twice, first in line 1");
    assert_snapshot!(told("[über]\nb = 2\n", Form::Toml), @"error: line 1, column 2: invalid unquoted key, expected letters, numbers, `-`, `_`");
    assert_snapshot!(told("x = 1\na = { \"$base64\" = \"?\" }\n", Form::Toml), @"error: line 2: a is no value: $base64 is not followed by base64");
    assert_snapshot!(told("a = { \"$other\" = 1 }\n", Form::Toml), @"error: line 1: a is no value: only $base64, $masked, $unset, $json and $value have a meaning");
    assert_snapshot!(told("{\"a\": 1,\n \"b\" 2}", Form::Json), @"error: line 2, column 6: expected `:`");
    assert_snapshot!(told("[1]", Form::Json), @"error: line 1, column 1: the document has to be an object");
    assert_snapshot!(told("{\"a\": 1, \"a\": 2}", Form::Json), @"error: line 1: a stands there twice, first in line 1");
}

/// Values as they stand in buckets, and any other bytes.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let text = |pattern: &'static str| pattern.prop_map(String::into_bytes);
    let json = proptest::sample::select(vec![
        "[]",
        "{}",
        "[1,2.5,true,null]",
        r#"["a","b\n"]"#,
        r#"{"b":1,"a":[{}]}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"$base64":"eA=="}"#,
        r#"{"$x":1}"#,
        "[18446744073709551615]",
        "[1e400]",
        "[-0.0]",
        "[1.0,1E5]",
        "{\"\":1}",
    ]);
    prop_oneof![
        text("-?[0-9]{1,20}"),
        text("-?[0-9]{1,4}\\.[0-9]{1,4}"),
        text("true|false|inf|nan|null|-0|-0.0|1e5|0x10|1_000|2026-01-02|\\+1"),
        text("\\PC{0,20}"),
        text("[\"'\\\\\n\r\t #=\\[\\]{}a$]{0,12}"),
        json.prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_to_the_same_bytes(
        keys in proptest::collection::btree_map("[a-c=/_-]{1,2}(\\.[a-c0-9]){0,3}", values(), 0..12),
    ) {
        let expected: BTreeMap<Key, Wish> =
            keys.iter().map(|(key, value)| (key.parse().unwrap(), Wish::Set(value.clone().into()))).collect();
        let tree: Tree =
            keys.iter().map(|(key, value)| (key.parse().unwrap(), Leaf::Stored(value.clone()))).collect();
        for form in [Form::Toml, Form::Json] {
            let text = write(&tree, form);
            let found = read(&text, form, &nobody_knows);
            let found: BTreeMap<Key, Wish> = match found {
                Ok(found) => found.into_iter().map(|wanted| (wanted.key, wanted.wish)).collect(),
                Err(error) => panic!("{error}\n{text}"),
            };
            prop_assert_eq!(&found, &expected, "{}", text);
        }
    }

    #[test]
    fn no_document_panics(text in "\\PC{0,60}", toml in "[\\[\\]{}=\".a$\n0-9 ]{0,40}") {
        // P10
        for text in [&text, &toml] {
            let _ = read(text, Form::Toml, &nobody_knows);
            let _ = read(text, Form::Json, &nobody_knows);
        }
    }
}

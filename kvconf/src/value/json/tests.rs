use proptest::prelude::*;

use super::*;

fn fault(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn numbers_stay_the_text_that_they_are() {
    for number in ["0", "-0", "340282366920938463463374607431768211456", "1.50", "1E+2", "-0.0e-0"] {
        assert_eq!(parse(number), Ok(Tree::Number(number.to_owned())));
    }
}

#[test]
fn faults_name_the_place() {
    assert_eq!(fault(""), "it ends too early");
    assert_eq!(fault("[1,2"), "it ends too early");
    assert_eq!(fault("\"abc"), "it ends too early");
    assert_eq!(fault("NL,BE"), "unexpected `N` at column 1");
    assert_eq!(fault("[1,]"), "unexpected `]` at column 4");
    assert_eq!(fault("{\n  \"a\": 1,\n  'b': 2}"), "unexpected `'` at line 3 column 3");
    assert_eq!(fault("007"), "unexpected `0` at column 2");
    assert_eq!(fault("1 2"), "unexpected `2` at column 3");
    assert_eq!(fault("\"é\\x\""), "bad escape in the text at column 3");
    assert_eq!(fault(r#""\ud800""#), "bad escape in the text at column 2");
    assert_eq!(fault("\"a\u{1}\""), r"unexpected `\u{1}` at column 3");
}

#[test]
fn a_key_that_stands_twice_is_refused_by_name() {
    assert_eq!(fault(r#"{"a":1,"b":2,"a":3}"#), "the key `a` stands twice");
    assert_eq!(fault(r#"[{"a":1,"\u0061":3}]"#), "the key `a` stands twice");
}

// P10: a text of many lines is one escape for each of them.
#[test]
fn a_text_of_nothing_but_escapes_is_read_in_time_with_its_length() {
    let lines = 512 << 10;
    let text = format!("\"{}\"", "\\n".repeat(lines));
    let begun = std::time::Instant::now();
    assert_eq!(parse(&text), Ok(Tree::Text("\n".repeat(lines))));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn depth_is_capped() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(usize::from(MAX_DEPTH))).is_ok());
    assert_eq!(fault(&nested(usize::from(MAX_DEPTH) + 1)), "nested deeper than 128 levels");
    assert_eq!(fault(&"[".repeat(1_000_000)), "nested deeper than 128 levels");
    assert_eq!(fault(&"{\"a\":".repeat(1_000_000)), "nested deeper than 128 levels");
}

#[test]
fn escapes_are_read_and_written_as_serde_json_does() {
    let text = "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}é𝄞";
    let json = serde_json::to_string(text).unwrap();
    assert_eq!(Tree::Text(text.to_owned()).to_json(), json);
    assert_eq!(parse(&json), Ok(Tree::Text(text.to_owned())));
    assert_eq!(parse(r#""\ud834\udd1e\/""#), Ok(Tree::Text("𝄞/".to_owned())));
}

fn same(ours: &Tree, theirs: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (ours, theirs) {
        (Tree::Null, Value::Null) => true,
        (Tree::Bool(ours), Value::Bool(theirs)) => ours == theirs,
        // Not bit for bit: serde_json rounds some floats otherwise.
        (Tree::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.parse::<f64>().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= f64::EPSILON * ours.abs()
        }
        (Tree::Text(ours), Value::String(theirs)) => ours == theirs,
        (Tree::List(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Tree::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, ours)| theirs.get(key).is_some_and(|theirs| same(ours, theirs)))
        }
        _ => false,
    }
}

fn json_like() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(vec![
        "[", "]", "{", "}", ",", ":", "\"", "\\", "\\u00e9", "\\ud834", "\\udd1e", "\\n", "null", "true",
        "false", "-", "0", "1", "12", ".", "e", "E", "+", " ", "\n", "a", "é", "\u{1}", "\"a\"", "\"b\":",
        "\"c\":1", "1e999",
    ]);
    proptest::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(crate::cases(2_000))]

    #[test]
    fn the_same_texts_are_json_as_for_serde_json(text in json_like()) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (parse(&text), theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert!(same(&ours, &theirs), "{text}"),
            // Beyond f64, and equal keys: the two places where the readings differ on purpose.
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("number out of range"), "{text}: {error}"),
            (Err(Fault::Twice { .. }), Ok(_)) => {}
            (Err(fault), Ok(_)) => prop_assert!(false, "{text}: {fault}"),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn what_is_written_reads_back(text in ".*", key in ".*", number in any::<i64>()) {
        let tree = Tree::Object(BTreeMap::from([
            (key, Tree::List(vec![Tree::Text(text), Tree::Number(number.to_string()), Tree::Null])),
        ]));
        prop_assert_eq!(parse(&tree.to_json()), Ok(tree));
    }
}

//! What the oracle is known to do otherwise, and who decided.
//!
//! In this order: JSONLogic's public suites, flagd's documentation where it speaks of an operator of its own, the reference in
//! JavaScript. A row names one operator (or a family of like ones), the kinds of operands, and which way the answers differ; it
//! excuses nothing else. Each has an example, which must differ as told for as long as the row stands.

use serde_json::{Value, json};

use crate::blame::Culprit;
use crate::engines::{Answer, ours, theirs};

/// Who says that ours is right.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decided {
    /// The public suites of JSONLogic have such a case.
    Suites,
    /// flagd's documentation of its own operators.
    Flagd,
    /// `json-logic-js` does so.
    Reference,
    /// Nobody does: it is documented in `kvconf::flag`.
    Here,
}

/// A known difference.
pub(crate) struct Known {
    pub(crate) what: &'static str,
    pub(crate) decided: Decided,
    /// A rule, the data, our answer and that of the oracle; null data where there are none.
    pub(crate) example: fn() -> [Value; 2],
    pub(crate) ours: fn() -> Option<Value>,
    pub(crate) theirs: fn() -> Option<Value>,
    pub(crate) covers: fn(&Culprit) -> bool,
}

const COMPARISONS: [&str; 8] = ["==", "!=", "===", "!==", "<", "<=", ">", ">="];
const ARITHMETIC: [&str; 7] = ["+", "-", "*", "/", "%", "max", "min"];
const ITERATIONS: [&str; 6] = ["map", "filter", "all", "none", "some", "reduce"];

/// Up to here a float has all whole numbers: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

impl Culprit {
    fn is(&self, operators: &[&str]) -> bool {
        operators.contains(&&*self.operator)
    }

    fn values(&self) -> impl Iterator<Item = &Value> {
        self.operands.iter().flatten()
    }

    fn has(&self, kind: fn(&Value) -> bool) -> bool {
        self.values().any(kind)
    }

    /// Whether one of any two neighbours is of the one kind and one of the other.
    fn beside(&self, one: fn(&Value) -> bool, other: fn(&Value) -> bool) -> bool {
        self.operands.windows(2).any(|pair| {
            let [Ok(left), Ok(right)] = pair else { return false };
            (one(left) && other(right)) || (one(right) && other(left))
        })
    }

    fn only_ours_fails(&self) -> bool {
        self.ours().is_err() && self.theirs().is_ok()
    }

    fn only_theirs_fails(&self) -> bool {
        self.ours().is_ok() && self.theirs().is_err()
    }

    fn both_answer(&self) -> bool {
        self.ours().is_ok() && self.theirs().is_ok()
    }

    fn ours(&self) -> Answer {
        ours(&self.rule, &self.data)
    }

    fn theirs(&self) -> Answer {
        theirs(&self.rule, &self.data)
    }
}

fn is_container(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

fn is_empty_object(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Whether there is one somewhere in it, which an iteration's body may come to.
fn holds_empty_object(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_empty_object),
        Value::Object(entries) => entries.is_empty() || entries.values().any(holds_empty_object),
        _ => false,
    }
}

/// A text that JavaScript takes for a number otherwise than Rust does: blank, with blanks around it, with a radix, or a word.
fn is_odd_number(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let bare = text.trim_start_matches(['+', '-']).to_lowercase();
    text.trim() != text
        || bare.is_empty()
        || bare.starts_with("0x")
        || ["inf", "infinity", "nan"].contains(&&*bare)
}

/// What JavaScript takes for zero.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.trim().is_empty() || text.trim().parse() == Ok(0.0),
        _ => false,
    }
}

/// Whether the body of a `reduce` asks for anything but `current` and `accumulator`.
fn looks_elsewhere(body: &Value) -> bool {
    match body {
        Value::Array(items) => items.iter().any(looks_elsewhere),
        Value::Object(entries) => entries.iter().any(|(operator, argument)| {
            let path = argument.get(0).unwrap_or(argument).as_str();
            let first = path.and_then(|path| path.split('.').next());
            let is_elsewhere = operator == "var" && !matches!(first, Some("current" | "accumulator"));
            is_elsewhere || operator.starts_with("missing") || looks_elsewhere(argument)
        }),
        _ => false,
    }
}

/// Whether it is a strict comparison with a null that is written there.
fn is_strict_about_null(rule: &Value) -> bool {
    let Some(entries) = rule.as_object() else { return false };
    entries.iter().any(|(operator, operands)| {
        let operands = operands.as_array().filter(|_| matches!(&**operator, "===" | "!=="));
        operands.is_some_and(|operands| operands.contains(&Value::Null))
    })
}

/// Whether there is a `fractional` somewhere in it that has other shares than texts with whole weights below 2^31.
fn splits_oddly(rule: &Value) -> bool {
    let is_plain = |weight: &Value| weight.as_i64().is_some_and(|weight| weight <= i64::from(i32::MAX));
    let is_odd = |share: &Value| match share.as_array().map(Vec::as_slice) {
        Some([variant]) => !variant.is_string(),
        Some([variant, weight]) => !variant.is_string() || !is_plain(weight),
        Some(_) => true,
        None => false,
    };
    match rule {
        Value::Array(items) => items.iter().any(splits_oddly),
        Value::Object(entries) => entries.iter().any(|(operator, argument)| {
            let shares = argument.as_array().filter(|_| operator == "fractional");
            shares.is_some_and(|shares| shares.iter().any(is_odd)) || splits_oddly(argument)
        }),
        _ => false,
    }
}

/// A row.
macro_rules! known {
    ($($decided:ident, $what:literal, $rule:tt on $data:tt: $ours:expr, $theirs:expr, if $covers:expr;)*) => {
        /// Every known difference. The first row that covers one decides.
        pub(crate) const KNOWN: &[Known] = &[$(Known {
            what: $what,
            decided: Decided::$decided,
            example: || [json!($rule), json!($data)],
            ours: || $ours,
            theirs: || $theirs,
            covers: $covers,
        }),*];
    };
}

fn answer(value: Value) -> Option<Value> {
    Some(value)
}

known! {
    Reference, "an empty object is true; there it is false",
        {"!!": [{"var": "it"}]} on {"it": {}}: answer(json!(true)), answer(json!(false)),
        if |it| (it.is(&["!", "!!", "if", "?:", "and", "or"]) && it.has(is_empty_object))
            || (it.is(&["filter", "all", "none", "some"]) && it.both_answer()
                && (holds_empty_object(&it.data) || holds_empty_object(&it.rule)));
    Here, "`and` and `or` of nothing are false; there they are null",
        {"and": []} on null: answer(json!(false)), answer(json!(null)),
        if |it| it.is(&["and", "or"]) && it.operands.is_empty();
    Reference, "all operands are evaluated, and may fail; there those that do not matter are not looked at",
        {"!": [true, {"+": "a"}]} on null: None, answer(json!(false)),
        if |it| (it.is(&["!", "!!", "fractional"]) || it.is(&COMPARISONS)) && it.only_ours_fails()
            && it.operands.iter().any(Result::is_err);
    Reference, "a list or an object beside what is no number is compared as its text; there it is an error",
        {"==": [{"var": "it"}, "a,b"]} on {"it": ["a", "b"]}: answer(json!(true)), None,
        if |it| it.is(&COMPARISONS) && it.only_theirs_fails() && it.has(is_container);
    Suites, "two lists or objects cannot be compared; there objects can",
        {"==": [{"var": "it"}, {"var": ""}]} on {"it": {}}: None, answer(json!(false)),
        if |it| it.is(&COMPARISONS) && it.only_ours_fails() && it.beside(is_container, is_container);
    Suites, "a number beside what is none is an error, and is met in its turn; there only beside the first operand",
        {"!=": [null, 1, "b"]} on null: None, answer(json!(true)),
        if |it| it.is(&COMPARISONS) && it.operands.len() > 2 && it.only_ours_fails()
            && it.beside(Value::is_number, |value| value.is_string() || is_container(value));
    Reference, "what is not beside each other is not compared; there each operand is, with the first",
        {"==": [0, null, "b"]} on null: answer(json!(false)), None,
        if |it| it.is(&COMPARISONS) && it.operands.len() > 2 && it.has(Value::is_string)
            && ((it.only_theirs_fails() && it.has(Value::is_number)) || (it.both_answer() && it.has(Value::is_boolean)));
    Reference, "a boolean and a text are compared as numbers; there as texts",
        {"==": [true, "1.0"]} on null: answer(json!(true)), answer(json!(false)),
        if |it| it.is(&COMPARISONS) && it.both_answer() && it.beside(Value::is_boolean, Value::is_string);
    Here, "`!=` and `!==` hold between all neighbours; there they deny that all are equal",
        {"!=": ["a", null, null]} on null: answer(json!(false)), answer(json!(true)),
        if |it| it.is(&["!=", "!=="]) && it.operands.len() > 2 && it.both_answer();
    Reference, "a text compared with what is none is a number as in JavaScript: blank ones, blanks around it, radixes, no words but `Infinity`",
        {"==": ["0x1f", 31]} on null: answer(json!(true)), None,
        if |it| it.is(&COMPARISONS) && it.has(is_odd_number);
    Here, "arithmetic takes texts for the same numbers as comparisons do",
        {"+": ["0x1f"]} on null: answer(json!(31)), None,
        if |it| it.is(&ARITHMETIC) && it.has(is_odd_number);
    Suites, "a division by zero is an error; there only one of whole numbers is",
        {"/": [1.5, 0]} on null: None, answer(json!(f64::MAX)),
        if |it| it.is(&["/", "%"]) && it.only_ours_fails() && it.values().skip(1).any(is_zero);
    Here, "a list is one operand, and no number; there a single one is spread into operands",
        {"*": [{"var": "it"}]} on {"it": [2, 3]}: None, answer(json!(6)),
        if |it| it.is(&ARITHMETIC) && it.only_ours_fails() && it.operands.len() == 1 && it.has(Value::is_array);
    Reference, "`max` and `min` take what is no number for one, as all arithmetic does; there they fail",
        {"max": [null, true]} on null: answer(json!(1)), None,
        if |it| it.is(&["max", "min"]) && it.only_theirs_fails() && it.has(|value| !value.is_number());
    Suites, "`all`, `none` and `some` of null are errors; there only where data are an object",
        {"all": [{"var": "it"}, true]} on "b": None, answer(json!(false)),
        if |it| it.is(&["all", "none", "some"]) && it.only_ours_fails() && it.has(Value::is_null);
    Suites, "a null that is written where a list or its rule belongs is an error; there it is one as any other",
        {"map": [[1], null]} on null: None, answer(json!([null])),
        if |it| it.is(&["map", "filter"]) && it.only_ours_fails()
            && it.rule[&it.operator].as_array().is_some_and(|operands| operands.contains(&Value::Null));
    Reference, "what is no list has nothing to iterate over; there an object has its values, and a scalar itself",
        {"filter": [{"var": "it"}, true]} on {"it": {"a": 1}}: answer(json!([])), answer(json!({"a": 1})),
        if |it| it.is(&ITERATIONS) && !it.only_ours_fails() && it.has(|list| !list.is_array());
    Reference, "`merge` keeps null; there it is dropped",
        {"merge": [null, 1]} on null: answer(json!([null, 1])), answer(json!([1])),
        if |it| it.is(&["merge"]) && it.values().any(|value| value.is_null() || value.as_array().is_some_and(|items| items.contains(&Value::Null)));
    Reference, "`cat` and `substr` write lists, objects and null as JavaScript does; there as JSON, or as nothing",
        {"cat": [{"var": "it"}]} on {"it": [1, 2]}: answer(json!("1,2")), answer(json!("12")),
        if |it| it.is(&["cat", "substr"]) && it.both_answer() && it.has(|value| is_container(value) || value.is_null());
    Reference, "numbers are written as JavaScript does, but whole ones with all their digits",
        {"cat": [1e21]} on null: answer(json!("1e+21")), answer(json!("1e21")),
        if |it| it.is(&["cat", "substr", "in"]) && it.both_answer() && it.has(Value::is_number);
    Reference, "`in` looks for what is no text as its text; there it is not found",
        {"in": [false, "false"]} on null: answer(json!(true)), answer(json!(false)),
        if |it| it.is(&["in"]) && it.operands.get(1).is_some_and(|all| all.as_ref().is_ok_and(Value::is_string))
            && it.operands.first().is_some_and(|item| item.as_ref().is_ok_and(|item| !item.is_string()));
    Reference, "null counts as missing; there it is something",
        {"missing": ["it"]} on {"it": null}: answer(json!(["it"])), answer(json!([])),
        if |it| it.is(&["missing", "missing_some"]) && it.both_answer();
    Flagd, "`starts_with` and `ends_with` of anything but two texts are null; there they are errors",
        {"starts_with": [1, "a"]} on null: answer(json!(null)), None,
        if |it| it.is(&["starts_with", "ends_with"]) && it.only_theirs_fails();
    Flagd, "a weight that is no whole number gives null; there it is rounded down, or taken for one",
        {"fractional": ["x", ["a", 1.5]]} on null: answer(json!(null)), answer(json!("a")),
        if |it| it.is(&["fractional"]) && it.both_answer()
            && it.values().any(|share| share.get(1).is_some_and(|weight| !weight.is_i64() && !weight.is_u64()));
    Flagd, "shares that give null do so in the body of an iteration, too, which cannot be asked by itself: its subject is outside",
        {"map": [[1], {"fractional": [["a", 1.5], ["b", 0]]}]} on {"targetingKey": "x"}: answer(json!([null])), answer(json!(["a"])),
        if |it| it.is(&ITERATIONS) && it.both_answer() && splits_oddly(&it.rule);
    Flagd, "a share has a variant and a weight, else all is null; there whatever is behind them is not looked at",
        {"fractional": ["x", ["a", 1, 2]]} on null: answer(json!(null)), answer(json!("a")),
        if |it| it.is(&["fractional"]) && it.both_answer()
            && it.values().any(|share| share.as_array().is_some_and(|parts| parts.len() > 2));
    Here, "a number of a version may be of any size; there of 64 bits at most",
        {"sem_ver": ["1", "<", "99999999999999999999"]} on null: answer(json!(true)), answer(json!(null)),
        if |it| it.is(&["sem_ver"]) && it.both_answer();
    Here, "lists and objects have no identity and never equal strictly; there they do where they have the same parts",
        {"===": [{"var": "it"}, {"var": "it"}]} on {"it": {}}: answer(json!(false)), answer(json!(true)),
        if |it| it.both_answer() && ((it.is(&["===", "!=="]) && it.beside(is_container, is_container))
            || (it.is(&["in"]) && it.operands.first().is_some_and(|item| item.as_ref().is_ok_and(is_container))));
    Here, "a list that stands for all operands may be empty; there it is an error",
        {"+": {"or": [[]]}} on null: answer(json!(0)), None,
        if |it| it.is(&ARITHMETIC) && it.only_theirs_fails() && it.rule[&it.operator].is_object() && it.has(Value::is_array);
    Flagd, "weights above 2^31 - 1, alone or in sum, give null; there they are taken",
        {"fractional": ["x", ["a", 0], ["b", 4294967296_u64]]} on null: answer(json!(null)), answer(json!("b")),
        if |it| it.is(&["fractional"]) && it.ours().is_ok()
            && it.values().filter_map(|share| share.get(1)?.as_f64()).sum::<f64>() > f64::from(i32::MAX);
    Flagd, "a variant may be a boolean, a number or null; there all is null then",
        {"fractional": ["x", ["a", 1], [null, 0]]} on null: answer(json!("a")), answer(json!(null)),
        if |it| it.is(&["fractional"]) && it.both_answer() && it.values().any(|share| share.get(0).is_some_and(|variant| !variant.is_string()));
    Reference, "the body of a `reduce` sees `current` and `accumulator` and nothing else; there also what is inside the item",
        {"reduce": [[1], {"var": ""}, 0]} on null: answer(json!({"accumulator": 0, "current": 1})), answer(json!(1)),
        if |it| it.is(&["reduce"]) && it.rule[&it.operator].get(1).is_some_and(looks_elsewhere);
    Reference, "what an item does not have is null, also strictly; there a filter takes it for something that equals nothing",
        {"filter": [{"var": "it"}, {"===": [{"var": "a"}, null]}]} on {"it": [1]}: answer(json!([1])), answer(json!([])),
        if |it| it.is(&["filter"]) && it.both_answer() && is_strict_about_null(&it.rule["filter"][1]);
    Here, "a product beyond all floats is an error, as what is no number is; there it is null",
        {"*": [10, 1e308]} on null: None, answer(json!(null)),
        if |it| it.is(&ARITHMETIC) && it.only_ours_fails() && it.theirs() == Ok(Value::Null);
    Here, "whole numbers are exact beyond 2^53, also beside null and booleans, and floats are floats, also `2.0`",
        {"+": [9007199254740991_i64, false, 12]} on null: answer(json!(9007199254741003_i64)), answer(json!(9007199254741004_i64)),
        if |it| it.is(&ARITHMETIC) && it.both_answer() && it.values().chain(it.ours().as_ref())
            .any(|number| number.as_f64().is_some_and(|number| number.abs() >= MAX_EXACT));
    Reference, "`-` of a list of one that stands for all operands is its negative; there it is the item",
        {"-": {"var": "it"}} on {"it": [12]}: answer(json!(-12)), answer(json!(12)),
        if |it| it.is(&["-"]) && it.both_answer() && it.rule[&it.operator].is_object() && it.has(Value::is_array);
    Reference, "`log` gives its operand; there is no such operator",
        {"log": [1, 2]} on null: answer(json!(1)), None,
        if |it| it.is(&["log"]) && it.only_theirs_fails();
}

//! Evaluates flags on contexts that stand in lines of JSON, so that a table of cases can be checked against other
//! implementations, or a team's own expectations.

use std::io::{BufRead, Write};

use derive_more::{Display, Error, From};
use serde_json::{Map, Value as Json, json};

use super::bucketing::Bucketing;
use super::compiled::CompiledFlag;
use super::context::DynamicContext;
use super::definition::FlagDefinition;
use super::document::FlagDocument;
use super::evaluation::{Evaluation, EvaluationError, FlagValue, Reason};
use super::parse::{NotJson, parse_json};
use super::problem::FlagError;
use super::set::SetProperties;
use crate::value::tame;

/// The types that OpenFeature asks flags for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
pub enum FlagType {
    /// `true` or `false`.
    Boolean,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// A JSON object.
    Object,
}

impl FlagType {
    const ALL: [Self; 5] = [Self::Boolean, Self::String, Self::Integer, Self::Float, Self::Object];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(name))
    }

    /// The value, if it is of this type.
    pub fn convert(self, value: &Json) -> Option<Json> {
        match self {
            Self::Boolean => bool::from_variant(value).map(Json::from),
            Self::String => String::from_variant(value).map(Json::from),
            Self::Integer => i64::from_variant(value).map(Json::from),
            Self::Float => f64::from_variant(value).map(Json::from),
            Self::Object => Map::from_variant(value).map(Json::from),
        }
    }
}

/// Why a line is no case.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error, From)]
#[non_exhaustive]
pub enum CaseError {
    /// It is not JSON, or no object.
    #[display("{_0}")]
    NotJson(#[error(not(source))] NotJson),
    /// It is not UTF-8.
    #[display("not UTF-8")]
    NotText,
    /// A part is missing or of the wrong kind.
    #[display("`{name}`: expected {expected}")]
    #[from(skip)]
    Unexpected {
        /// The part.
        name: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
}

/// Evaluates one case: a line such as
///
/// ```json
/// {"key": "new-cart", "type": "Boolean", "flag": {"state": "ENABLED", …}, "context": {"country": "NL"}, "default": false,
///  "bucketing": "v3"}
/// ```
///
/// and gives `{"key", "value", "variant", "reason", "errorCode"}`, the third and the last only where there are such. Without
/// `flag` the flag is not found. `now`, in whole seconds since the Unix epoch, is the time unless the line has a `timestamp`.
///
/// # Errors
/// [`CaseError`] when the line is no case. A flag that cannot be used is none: the answer tells of it.
///
/// ```
/// use kvconf::flag::{SetProperties, evaluate_case};
///
/// let case = r#"{"key": "cart", "type": "Boolean", "flag": true, "context": {}, "default": false}"#;
/// let answer = evaluate_case(case, &SetProperties::default(), 0)?;
/// assert_eq!(answer.to_string(), r#"{"key":"cart","reason":"STATIC","value":true,"variant":"true"}"#);
/// # Ok::<(), kvconf::flag::CaseError>(())
/// ```
pub fn evaluate_case(line: &str, set: &SetProperties, now: i64) -> Result<Json, CaseError> {
    let mut case = Case::read(line)?;
    let expected = "`Boolean`, `String`, `Integer`, `Float` or `Object`";
    case.kind.ok_or(CaseError::Unexpected { name: "type", expected })?;
    let flag = case.flag.take().map(FlagDefinition::from_json);
    Ok(case.answer(flag, set, now))
}

/// A line, read.
struct Case {
    key: String,
    kind: Option<FlagType>,
    context: DynamicContext,
    bucketing: Option<Bucketing>,
    now: Option<i64>,
    default: Json,
    flag: Option<Json>,
    expected: Option<Map<String, Json>>,
}

/// The parts of an answer.
const PARTS: [&str; 4] = ["value", "variant", "reason", "errorCode"];

impl Case {
    fn read(line: &str) -> Result<Self, CaseError> {
        let Json::Object(mut case) = parse_json(line)? else { return Err(NotJson::no_object().into()) };
        let unexpected = |name, expected| CaseError::Unexpected { name, expected };
        let Some(Json::String(key)) = case.remove("key") else { return Err(unexpected("key", "a text")) };
        let kind = match case.get("type") {
            None | Some(Json::Null) => None,
            Some(kind) => {
                let kind = kind.as_str().and_then(FlagType::named);
                let expected = "`Boolean`, `String`, `Integer`, `Float` or `Object`";
                Some(kind.ok_or(unexpected("type", expected))?)
            }
        };
        let context = match case.remove("context") {
            Some(Json::Object(attributes)) => DynamicContext::from(attributes),
            None | Some(Json::Null) => DynamicContext::new(),
            Some(_) => return Err(unexpected("context", "an object")),
        };
        let bucketing = match case.get("bucketing") {
            None | Some(Json::Null) => None,
            Some(version) => {
                let version = version.as_str().and_then(|version| version.parse().ok());
                Some(version.ok_or(unexpected("bucketing", "`v2` or `v3`"))?)
            }
        };
        let now = match case.get("timestamp") {
            None | Some(Json::Null) => None,
            Some(now) => Some(now.as_i64().ok_or(unexpected("timestamp", "whole seconds"))?),
        };
        let expected = match case.remove("expected") {
            None | Some(Json::Null) => None,
            Some(Json::Object(parts)) if parts.keys().all(|part| PARTS.contains(&part.as_str())) => {
                Some(parts)
            }
            Some(_) => {
                let parts = "an object of `value`, `variant`, `reason` and `errorCode`, or some of them";
                return Err(unexpected("expected", parts));
            }
        };
        let default = case.remove("default").unwrap_or(Json::Null);
        let flag = case.remove("flag").filter(|flag| !flag.is_null());
        Ok(Self { key, kind, context, bucketing, now, default, flag, expected })
    }

    /// What comes of it with this flag, or without any. Without a type any value will do.
    fn answer(&self, flag: Option<Result<FlagDefinition, FlagError>>, set: &SetProperties, now: i64) -> Json {
        let (key, default) = (&self.key, &self.default);
        let Some(flag) = flag else { return failure(key, default, EvaluationError::FlagNotFound) };
        let pinned = self.bucketing.map(|version| set.clone().with_bucketing(version));
        let set = pinned.as_ref().unwrap_or(set);
        let flag = match flag.and_then(|flag| CompiledFlag::compile(key, &flag, set)) {
            Ok(flag) => flag,
            Err(_) => return failure(key, default, EvaluationError::Rejected),
        };
        let found = flag.detail(flag.resolve(&self.context, self.now.unwrap_or(now)), Json::Null);
        let convert = |value: &Json| match self.kind {
            Some(kind) => kind.convert(value),
            None => Some(value.clone()),
        };
        match found.variant.map(|_| convert(&found.value)) {
            Some(Some(value)) => answer(key, &value, &found),
            Some(None) => failure(key, default, EvaluationError::TypeMismatch),
            None => answer(key, default, &found),
        }
    }
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CheckedCase {
    /// The number of its line, from 1 on.
    pub line: usize,
    /// The answer; that of [`evaluate_case`].
    pub answer: Json,
    /// What was expected; `None` where the line has no expectation.
    pub expected: Option<Json>,
    /// The parts that are not as expected: `value`, `variant`, `reason`, `errorCode`.
    pub differs: Vec<&'static str>,
}

impl CheckedCase {
    /// Whether it was as expected, as far as something was.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.differs.is_empty()
    }
}

/// `line 3, cart: value is false and not true, variant is "off" and not "on"`
impl std::fmt::Display for CheckedCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.answer.get("key").and_then(Json::as_str).unwrap_or_default();
        write!(f, "line {}, {}: ", self.line, tame(key))?;
        if self.holds() {
            return f.write_str(if self.expected.is_some() { "as expected" } else { "nothing was expected" });
        }
        for (place, part) in self.differs.iter().enumerate() {
            let shown = |side: Option<&Json>| match side.and_then(|side| side.get(*part)) {
                None | Some(Json::Null) => "absent".to_owned(),
                Some(value) => tame(&value.to_string()),
            };
            let (found, wanted) = (shown(Some(&self.answer)), shown(self.expected.as_ref()));
            write!(f, "{}{part} is {found} and not {wanted}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Holds a case against what it expects: a line as for [`evaluate_case`] with `expected`, an object of the parts of the
/// answer that matter, where `null` is none. A line without `flag` is about the flag of that key in the document, a line
/// without `type` takes a value of any type.
///
/// # Errors
/// As [`evaluate_case`].
///
/// ```
/// use kvconf::flag::{FlagDocument, check_case};
///
/// let rule = r#"{"if": [{"==": [{"var": "country"}, "NL"]}, "on"]}"#;
/// let flag = format!(r#"{{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "off", "targeting": {rule}}}"#);
/// let document = FlagDocument::parse(&format!(r#"{{"flags": {{"cart": {flag}}}}}"#)).unwrap();
///
/// let case = r#"{"key": "cart", "context": {"country": "NL"}, "expected": {"value": true, "errorCode": null}}"#;
/// assert!(check_case(1, case, &document, 0)?.holds());
/// let case = r#"{"key": "cart", "context": {"country": "BE"}, "expected": {"variant": "on"}}"#;
/// assert_eq!(check_case(2, case, &document, 0)?.to_string(), r#"line 2, cart: variant is "off" and not "on""#);
/// # Ok::<(), kvconf::flag::CaseError>(())
/// ```
pub fn check_case(
    number: usize,
    line: &str,
    document: &FlagDocument,
    now: i64,
) -> Result<CheckedCase, CaseError> {
    let mut case = Case::read(line)?;
    let own = case.flag.take().map(FlagDefinition::from_json);
    let flag = own.or_else(|| document.flag(&case.key).cloned().map(Ok));
    let answer = case.answer(flag, document.properties(), now);
    let null = Json::Null;
    let is_other = |part: &&'static str| {
        let wanted = case.expected.as_ref().and_then(|expected| expected.get(*part));
        wanted.is_some_and(|wanted| !is_same(answer.get(*part).unwrap_or(&null), wanted))
    };
    let differs = PARTS.iter().filter(|part| is_other(part)).copied().collect();
    Ok(CheckedCase { line: number, answer, expected: case.expected.map(Json::Object), differs })
}

/// `20` and `20.0` are one number.
fn is_same(found: &Json, wanted: &Json) -> bool {
    found == wanted
        || found.as_f64().is_some_and(|number| Some(number) == wanted.as_f64() && number.abs() < 9e15)
}

fn answer(key: &str, value: &Json, evaluation: &Evaluation<'_, Json>) -> Json {
    let reason = evaluation.reason.to_string();
    let mut answer = Map::from_iter([
        ("key".into(), key.into()),
        ("value".into(), value.clone()),
        ("reason".into(), reason.into()),
    ]);
    if let Some(variant) = evaluation.variant {
        answer.insert("variant".into(), variant.into());
    }
    if let Some(error) = evaluation.error {
        answer.insert("errorCode".into(), error.code().to_string().into());
    }
    answer.into()
}

fn failure(key: &str, default: &Json, error: EvaluationError) -> Json {
    let (reason, code) = (Reason::Error.to_string(), error.code().to_string());
    json!({"key": key, "value": default, "reason": reason, "errorCode": code})
}

/// Evaluates a case a line, and writes an answer a line. Empty lines are left out.
///
/// A line that is no case gets a message on `complaints` with its number, and the others go on; the number of such lines is
/// returned.
///
/// # Errors
/// Those of reading and writing.
pub fn evaluate_cases(
    mut cases: impl BufRead,
    set: &SetProperties,
    now: i64,
    mut answers: impl Write,
    mut complaints: impl Write,
) -> std::io::Result<usize> {
    let mut broken = 0;
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        if cases.read_until(b'\n', &mut line)? == 0 {
            answers.flush()?;
            return Ok(broken);
        }
        let answer = match str::from_utf8(&line).map(str::trim) {
            Ok("") => continue,
            Ok(line) => evaluate_case(line, set, now),
            Err(_) => Err(CaseError::NotText),
        };
        match answer {
            Ok(answer) => writeln!(answers, "{answer}")?,
            Err(error) => {
                broken += 1;
                writeln!(complaints, "line {number}: {error}")?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_are_told_with_their_numbers_and_the_others_go_on() {
        let lines: &[u8] = b"{\"key\":\"a\",\"type\":\"Integer\",\"flag\":3,\"default\":0}\n\nnonsense\n\xff\n{\"key\":\"a\"}\n\
            {\"key\":\"b\",\"type\":\"String\",\"default\":\"x\"}\n{\"key\":\"c\",\"type\":\"Boolean\",\"flag\":3,\"default\":true}";
        let (mut answers, mut complaints) = (Vec::new(), Vec::new());
        let broken =
            evaluate_cases(lines, &SetProperties::default(), 0, &mut answers, &mut complaints).unwrap();
        assert_eq!(broken, 3);
        let expected = [
            r#"{"key":"a","reason":"STATIC","value":3,"variant":"3"}"#,
            r#"{"errorCode":"FLAG_NOT_FOUND","key":"b","reason":"ERROR","value":"x"}"#,
            r#"{"errorCode":"TYPE_MISMATCH","key":"c","reason":"ERROR","value":true}"#,
        ];
        assert_eq!(String::from_utf8(answers).unwrap().lines().collect::<Vec<_>>(), expected);
        let expected = [
            "line 3: no JSON: unexpected `n` at column 1",
            "line 4: not UTF-8",
            "line 5: `type`: expected `Boolean`, `String`, `Integer`, `Float` or `Object`",
        ];
        let complaints = String::from_utf8(complaints).unwrap();
        assert_eq!(complaints.lines().map(|it| it.to_owned()).collect::<Vec<_>>()[1..], expected[1..]);
        assert!(complaints.starts_with("line 3: no JSON"));
    }

    #[test]
    fn what_a_line_expects_is_held_against_the_answer() {
        let text =
            r#"{"flags": {"size": {"state": "ENABLED", "variants": {"big": 20}, "defaultVariant": "big"}}}"#;
        let document = FlagDocument::parse(text).unwrap();
        let told = |line: &str| check_case(7, line, &document, 0).map(|checked| checked.to_string());
        let line = |expected: &str| format!(r#"{{"key": "size", "expected": {expected}}}"#);
        let whole = r#"{"value": 20.0, "variant": "big", "reason": "STATIC", "errorCode": null}"#;
        assert_eq!(told(&line(whole)).unwrap(), "line 7, size: as expected");
        assert_eq!(told(&line("null")).unwrap(), "line 7, size: nothing was expected");
        let other = r#"{"value": 10, "variant": null, "errorCode": "GENERAL"}"#;
        let expected = "line 7, size: value is 20 and not 10, variant is \"big\" and not absent, \
                        errorCode is absent and not \"GENERAL\"";
        assert_eq!(told(&line(other)).unwrap(), expected);
        // A flag of the line's own goes before that of the document, and a flag that is nowhere is not found.
        let own = r#"{"key": "size", "type": "Integer", "flag": 3, "expected": {"value": 3}}"#;
        assert_eq!(told(own).unwrap(), "line 7, size: as expected");
        let nowhere =
            r#"{"key": "sise", "default": 1, "expected": {"value": 1, "errorCode": "FLAG_NOT_FOUND"}}"#;
        assert_eq!(told(nowhere).unwrap(), "line 7, sise: as expected");
        let parts = "an object of `value`, `variant`, `reason` and `errorCode`, or some of them";
        let unexpected = |name, expected| Err(CaseError::Unexpected { name, expected });
        assert_eq!(told(&line("20")), unexpected("expected", parts));
        assert_eq!(told(&line(r#"{"vaule": 20}"#)), unexpected("expected", parts));
        assert_eq!(told(r#"{"key": "a", "timestamp": "now"}"#), unexpected("timestamp", "whole seconds"));
    }

    #[test]
    fn the_bucketing_of_a_line_decides_for_it() {
        let answer = |version: &str| {
            let flag =
                r#"{"state":"ENABLED","variants":{"a":1,"b":2},"targeting":{"fractional":[["a"],["b"]]}}"#;
            let line = format!(
                r#"{{"key":"k","type":"Integer","flag":{flag},"context":{{"targetingKey":"u"}},"default":0,"bucketing":"{version}"}}"#
            );
            evaluate_case(&line, &SetProperties::default(), 0).map(|answer| answer["reason"].clone())
        };
        assert_eq!(answer("v2"), Ok("TARGETING_MATCH".into()));
        assert_eq!(answer("v3"), Ok("TARGETING_MATCH".into()));
        let expected = CaseError::Unexpected { name: "bucketing", expected: "`v2` or `v3`" };
        assert_eq!(answer("v1"), Err(expected));
    }
}

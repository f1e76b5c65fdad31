//! Evaluates flags on contexts that stand in lines of JSON, so that a table of cases can be checked against other
//! implementations, or a team's own expectations.

use std::io::{BufRead, Write};

use derive_more::{Display, Error, From};
use serde_json::{Map, Value as Json, json};

use super::bucketing::Bucketing;
use super::compiled::CompiledFlag;
use super::context::DynamicContext;
use super::definition::FlagDefinition;
use super::evaluation::{Evaluation, EvaluationError, FlagValue, Reason};
use super::parse::{NotJson, parse_json};
use super::set::SetProperties;

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
    let Json::Object(mut case) = parse_json(line)? else { return Err(NotJson::no_object().into()) };
    let unexpected = |name, expected| CaseError::Unexpected { name, expected };
    let Some(Json::String(key)) = case.remove("key") else { return Err(unexpected("key", "a text")) };
    let kind = case.get("type").and_then(Json::as_str).and_then(FlagType::named);
    let kind = kind.ok_or(unexpected("type", "`Boolean`, `String`, `Integer`, `Float` or `Object`"))?;
    let context = match case.remove("context") {
        Some(Json::Object(attributes)) => DynamicContext::from(attributes),
        None | Some(Json::Null) => DynamicContext::new(),
        Some(_) => return Err(unexpected("context", "an object")),
    };
    let set = match case.get("bucketing") {
        None | Some(Json::Null) => None,
        Some(version) => {
            let version = version.as_str().and_then(|version| version.parse::<Bucketing>().ok());
            Some(set.clone().with_bucketing(version.ok_or(unexpected("bucketing", "`v2` or `v3`"))?))
        }
    }
    .unwrap_or_else(|| set.clone());
    let now = case.get("timestamp").and_then(Json::as_i64).unwrap_or(now);
    let default = case.remove("default").unwrap_or(Json::Null);
    let answer = match case.remove("flag") {
        None | Some(Json::Null) => failure(&key, &default, EvaluationError::FlagNotFound),
        Some(flag) => {
            let definition = FlagDefinition::from_json(flag);
            match definition.and_then(|definition| CompiledFlag::compile(&key, &definition, &set)) {
                Ok(flag) => {
                    let resolution = flag.resolve(&context, now);
                    let found = flag.detail(resolution, Json::Null);
                    let converted = found.variant.map(|_| kind.convert(&found.value));
                    match converted {
                        Some(Some(value)) => answer(&key, &value, &found),
                        Some(None) => failure(&key, &default, EvaluationError::TypeMismatch),
                        None => answer(&key, &default, &found),
                    }
                }
                Err(_) => failure(&key, &default, EvaluationError::Rejected),
            }
        }
    };
    Ok(answer)
}

fn answer(key: &str, value: &Json, evaluation: &Evaluation<'_, Json>) -> Json {
    let mut answer = json!({"key": key, "value": value, "reason": evaluation.reason.to_string()});
    if let Some(variant) = evaluation.variant {
        answer["variant"] = variant.into();
    }
    if let Some(error) = evaluation.error {
        answer["errorCode"] = error.code().to_string().into();
    }
    answer
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
    cases: impl BufRead,
    set: &SetProperties,
    now: i64,
    mut answers: impl Write,
    mut complaints: impl Write,
) -> std::io::Result<usize> {
    let mut broken = 0;
    for (index, line) in cases.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match evaluate_case(&line, set, now) {
            Ok(answer) => writeln!(answers, "{answer}")?,
            Err(error) => {
                broken += 1;
                writeln!(complaints, "line {}: {error}", index + 1)?;
            }
        }
    }
    answers.flush()?;
    Ok(broken)
}

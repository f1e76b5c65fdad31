//! What an evaluation says, in the SDK's types.

use kvconf::flag::{ErrorCode, Evaluation, EvaluationError as Failed, Reason};
use open_feature::provider::ResolutionDetails;
use open_feature::{
    EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata,
    FlagMetadataValue, StructValue, Value,
};
use serde_json::{Map, Value as Json};

/// A value as a type of the SDK.
pub(crate) type Convert<V, T> = fn(V) -> Result<T, EvaluationError>;

/// Details of what was served, or why nothing was.
pub(crate) fn details<V, T>(
    evaluation: Evaluation<'_, Option<V>>,
    convert: Convert<V, T>,
) -> EvaluationResult<ResolutionDetails<T>> {
    if let Some(failed) = evaluation.error {
        return Err(failure(failed));
    }
    let Some(served) = evaluation.value else {
        let message = match evaluation.reason {
            Reason::Disabled => "the flag is disabled: the caller's default is to be served",
            _ => "the flag has no default variant: the caller's default is to be served",
        };
        return Err(error(EvaluationErrorCode::General(evaluation.reason.to_string()), message));
    };
    Ok(ResolutionDetails {
        value: convert(served)?,
        variant: evaluation.variant.map(str::to_owned),
        reason: Some(reason(evaluation.reason)),
        flag_metadata: Some(metadata(evaluation.metadata)),
    })
}

pub(crate) fn error(code: EvaluationErrorCode, message: impl Into<String>) -> EvaluationError {
    EvaluationError { code, message: Some(message.into()) }
}

fn failure(failed: Failed) -> EvaluationError {
    let code = match failed.code() {
        ErrorCode::FlagNotFound => EvaluationErrorCode::FlagNotFound,
        ErrorCode::ParseError => EvaluationErrorCode::ParseError,
        ErrorCode::TypeMismatch => EvaluationErrorCode::TypeMismatch,
        other => EvaluationErrorCode::General(other.to_string()),
    };
    error(code, failed.to_string())
}

fn reason(reason: Reason) -> EvaluationReason {
    match reason {
        Reason::Static => EvaluationReason::Static,
        Reason::Default => EvaluationReason::Default,
        Reason::TargetingMatch => EvaluationReason::TargetingMatch,
        Reason::Split => EvaluationReason::Split,
        Reason::Disabled => EvaluationReason::Disabled,
        Reason::Error => EvaluationReason::Error,
        other => EvaluationReason::Other(other.to_string()),
    }
}

fn metadata(metadata: &Map<String, Json>) -> FlagMetadata {
    let value = |value: &Json| match value {
        Json::Bool(value) => Some(FlagMetadataValue::Bool(*value)),
        Json::String(text) => Some(FlagMetadataValue::String(text.clone())),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Some(FlagMetadataValue::Int(whole)),
            None => number.as_f64().map(FlagMetadataValue::Float),
        },
        // Metadata with such values are refused when they arrive.
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    let fields = metadata.iter().filter_map(|(name, json)| Some((name.clone(), value(json)?)));
    FlagMetadata { values: fields.collect() }
}

/// An object as the SDK's structure.
#[expect(clippy::needless_pass_by_value, reason = "as `Convert` has it")]
pub(crate) fn structure(object: Map<String, Json>) -> Result<StructValue, EvaluationError> {
    struct_value("", &object)
}

fn struct_value(path: &str, object: &Map<String, Json>) -> Result<StructValue, EvaluationError> {
    let field = |(name, json): (&String, &Json)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        Ok((name.clone(), value(&path, json)?))
    };
    Ok(StructValue { fields: object.iter().map(field).collect::<Result<_, EvaluationError>>()? })
}

/// What the SDK's values cannot hold is an error, rather than lost without a word.
fn value(path: &str, json: &Json) -> Result<Value, EvaluationError> {
    let unfit = |what: &str| {
        let message = format!("{path}: {what}, which OpenFeature's values for Rust cannot hold");
        error(EvaluationErrorCode::TypeMismatch, message)
    };
    Ok(match json {
        Json::Null => return Err(unfit("null")),
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) if number.is_f64() => Value::Float(float),
            _ => return Err(unfit("a whole number above 2^63")),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => {
            let items =
                items.iter().enumerate().map(|(place, item)| value(&format!("{path}[{place}]"), item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(object) => Value::Struct(struct_value(path, object)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_a_structure_unless_something_would_be_lost() {
        let structure = |json: Json| structure(json.as_object().cloned().unwrap());
        let fits = structure(json!({"a": {"b": [1, 2.0, "x", true]}}));
        let list = Value::Array(vec![Value::Int(1), Value::Float(2.0), "x".into(), true.into()]);
        let inner = StructValue::default().with_field("b", list);
        assert_eq!(fits, Ok(StructValue::default().with_field("a", Value::Struct(inner))));
        let message = |json: Json| structure(json).unwrap_err().message.unwrap();
        assert_eq!(
            message(json!({"a": {"b": [1, null]}})),
            "a.b[1]: null, which OpenFeature's values for Rust cannot hold"
        );
        assert_eq!(
            message(json!({"a": u64::MAX})),
            "a: a whole number above 2^63, which OpenFeature's values for Rust cannot hold"
        );
    }
}

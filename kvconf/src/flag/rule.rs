//! A rule by itself, on any JSON.

use derive_more::{Display, Error};
use serde_json::{Map, Value as Json};

use super::bucketing::Bucketing;
use super::context::DynamicContext;
use super::problem::FlagError;
use super::targeting::any::Any;
use super::targeting::eval::{Evaluator, Scope};
use super::targeting::failure::Failure;
use super::targeting::parse::parse_for_item;
use super::targeting::world::{Frame, Scene, Sight};
use super::value::Value;

/// Why a rule by itself gave no value.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// It is no rule.
    #[display("the rule cannot be used: {_0}")]
    Invalid(#[error(not(source))] FlagError),
    /// It failed.
    #[display("the rule failed: {_0}")]
    Failed(#[error(not(source))] Failure),
}

/// Evaluates a rule on any JSON, to try it out: what JSONLogic's `apply` does.
///
/// ```
/// use kvconf::flag::{Bucketing, evaluate_rule};
/// use serde_json::json;
///
/// let rule = json!({"map": [{"var": "prices"}, {"*": [{"var": ""}, 2]}]});
/// assert_eq!(evaluate_rule(&rule, &json!({"prices": [1, 2.5]}), Bucketing::V3)?, json!([2, 5]));
/// # Ok::<(), kvconf::flag::RuleError>(())
/// ```
///
/// # Errors
/// [`RuleError`] when it is no rule, and when it fails on this data; also when what it gives would take more than some 64 MiB
/// written out: a list that a rule builds shares its parts, so a short rule can describe any amount.
pub fn evaluate_rule(rule: &Json, data: &Json, bucketing: Bucketing) -> Result<Json, RuleError> {
    let rule = parse_for_item(rule, &Map::new()).map_err(FlagError::new).map_err(RuleError::Invalid)?;
    let context: DynamicContext = data.as_object().cloned().unwrap_or_default().into();
    let flagd = data.get("$flagd");
    let flag_key = flagd.and_then(|flagd| flagd.get("flagKey")).and_then(Json::as_str).unwrap_or_default();
    let timestamp = flagd.and_then(|flagd| flagd.get("timestamp")).and_then(Json::as_i64).unwrap_or_default();
    let scene = Scene { flag_key: flag_key.into(), bucketing, slots: rule.slots.into() };
    let sight = Frame::new(&scene, &context, timestamp).by_name();
    let world = sight.world();
    let evaluator = Evaluator::new(&world);
    let value =
        evaluator.eval(&rule.root, Scope::Item(&Any::Plain(data.into()))).map_err(RuleError::Failed)?;
    let mut room = MAX_TOLD;
    to_json(value.value(), 0, &mut room).ok_or(RuleError::Failed(Failure::TooLarge))
}

/// How many bytes a value may take that is told.
const MAX_TOLD: usize = 64 << 20;

fn to_json(value: Value<'_>, depth: u8, room: &mut usize) -> Option<Json> {
    let size = if let Value::Text(text) = value { text.len() } else { 0 };
    *room = room.checked_sub(size_of::<Json>() + size)?;
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(number) => number.into(),
        Value::Uint(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::List(_) | Value::Object(_) if depth == u8::MAX => return None,
        Value::List(items) => (0..items.len())
            .map(|index| to_json(items.item(index).unwrap_or(Value::Null), depth + 1, room))
            .collect::<Option<Vec<_>>>()?
            .into(),
        Value::Object(object) => {
            let mut entries = Some(Map::new());
            object.visit(&mut |name, value| {
                let value = if entries.is_some() { to_json(value, depth + 1, room) } else { None };
                if let (Some(all), Some(value)) = (&mut entries, value) {
                    all.insert(name.to_owned(), value);
                } else {
                    entries = None;
                }
            });
            entries?.into()
        }
    })
}

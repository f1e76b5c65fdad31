//! Between what is stored and a compiled flag.

use serde_json::{Map, Value as Json};

use super::variant::{FlagVariant, read, read_text, write};
use crate::flag::{
    CompiledFlag, ContextSchema, DefaultVariant, FlagDefinition, FlagError, FlagProblemKind, SetProperties,
};
use crate::value::{DecodeError, EncodeError, Form, is_meant_as_json, quote, tame};

/// How many problems of one flag a message names.
const TOLD_PROBLEMS: usize = 12;

/// What a stored flag becomes.
pub(super) struct Read<T> {
    pub(super) definition: FlagDefinition,
    pub(super) compiled: CompiledFlag,
    /// In the order of the compiled flag's variants.
    pub(super) values: Box<[T]>,
    /// What is served where no variant is.
    pub(super) fallback: T,
}

/// Reads a flag that stands under this key, and tells everything that keeps it from being one.
pub(super) fn read_flag<T: FlagVariant>(
    key: &str,
    bytes: &[u8],
    default: Option<T>,
    context: Option<&'static ContextSchema>,
) -> Result<Read<T>, DecodeError> {
    let Parts { definition, compiled, values, named, mut problems } =
        parts(key, bytes, default.is_some(), &read::<T>)?;
    if let (Some(compiled), Some(context)) = (&compiled, context) {
        problems.extend(unknown_attributes(compiled, context));
    }
    let fallback = default.or_else(|| values.get(named?).cloned());
    match (compiled, fallback) {
        (Some(compiled), Some(fallback)) if problems.is_empty() => {
            Ok(Read { definition, compiled, values: values.into(), fallback })
        }
        _ => Err(told(&problems)),
    }
}

/// Reads a flag as it is stored.
pub(crate) fn read_definition(bytes: &[u8]) -> Result<FlagDefinition, DecodeError> {
    let text = str::from_utf8(bytes)
        .map_err(|_| DecodeError::new(format!("expected a flag, found {}", quote(bytes))))?;
    definition(text).map_err(|error| told(&problems_of(&error)))
}

/// The same without the type: what keeps the bytes from being a flag whose variants have this form. Whether rules ask for
/// attributes that the program's context has is not known here.
pub(crate) fn check_flag(key: &str, bytes: &[u8], has_default: bool, form: &Form) -> Result<(), DecodeError> {
    let form = Form::Json { of: Box::new(form.clone()) };
    let read = |value: &Json| form.read(read_text(value)?.as_bytes());
    let parts = parts(key, bytes, has_default, &read)?;
    if parts.problems.is_empty() { Ok(()) } else { Err(told(&parts.problems)) }
}

/// What a stored flag consists of, before anything is said of its type.
struct Parts<T> {
    definition: FlagDefinition,
    compiled: Option<CompiledFlag>,
    values: Vec<T>,
    /// The place of the default variant.
    named: Option<usize>,
    problems: Vec<String>,
}

fn parts<T>(
    key: &str,
    bytes: &[u8],
    has_default: bool,
    read: &dyn Fn(&Json) -> Result<T, DecodeError>,
) -> Result<Parts<T>, DecodeError> {
    let definition = read_definition(bytes)?;
    let mut problems = Vec::new();
    let compiled = CompiledFlag::compile(key, &definition, &SetProperties::default());
    let compiled = compiled.map_err(|error| problems.extend(problems_of(&error))).ok();
    let values = values(&definition, read, &mut problems);
    let named = match definition.default_variant() {
        DefaultVariant::Named(name) => definition.variants().keys().position(|variant| variant == name),
        DefaultVariant::Absent | DefaultVariant::Null => None,
    };
    if !has_default && named.is_none() {
        problems.push("defaultVariant: is required, since the field has no default".to_owned());
    }
    Ok(Parts { definition, compiled, values, named, problems })
}

/// A flag object or a plain value. What is no JSON, and does not begin as JSON would, is a text: `blue`.
fn definition(text: &str) -> Result<FlagDefinition, FlagError> {
    let text = text.trim_ascii();
    match FlagDefinition::parse(text) {
        Err(error) if !text.is_empty() && !is_meant_as_json(text) && is_no_json(&error) => {
            FlagDefinition::from_json(text.into())
        }
        result => result,
    }
}

fn is_no_json(error: &FlagError) -> bool {
    matches!(error.problems(), [problem] if matches!(problem.kind(), FlagProblemKind::NotJson(_)))
}

fn values<T>(
    definition: &FlagDefinition,
    read: &dyn Fn(&Json) -> Result<T, DecodeError>,
    problems: &mut Vec<String>,
) -> Vec<T> {
    let is_plain = !definition.to_json().is_object();
    let mut values = Vec::new();
    for (name, value) in definition.variants() {
        match read(value) {
            Ok(value) => values.push(value),
            Err(error) if is_plain => problems.push(error.to_string()),
            Err(error) => problems.push(format!("variants.{name}: {error}")),
        }
    }
    values
}

fn unknown_attributes(compiled: &CompiledFlag, context: &'static ContextSchema) -> Vec<String> {
    let unknown = compiled.unknown_attributes(context).into_iter();
    let told = unknown.map(|attribute| {
        let close = attribute.close.map(|close| format!(", did you mean `{close}`?")).unwrap_or_default();
        format!("targeting: {} has no `{}`{close}", context.name(), attribute.path)
    });
    told.collect()
}

pub(crate) fn problems_of(error: &FlagError) -> Vec<String> {
    error.problems().iter().map(ToString::to_string).collect()
}

pub(crate) fn told(problems: &[String]) -> DecodeError {
    let more = problems.len().saturating_sub(TOLD_PROBLEMS);
    let mut told: Vec<String> = problems.iter().take(TOLD_PROBLEMS).map(|problem| tame(problem)).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    DecodeError::new(told.join("; "))
}

/// The stored form of a flag that always has this value: plain, but for an object, which needs a flag around it.
pub(super) fn write_fixed<T: FlagVariant>(value: &T) -> Result<String, EncodeError> {
    match write(value)? {
        Json::String(text) => Ok(text_form(&text)),
        Json::Object(object) => {
            let mut variants = Map::new();
            variants.insert("fixed".to_owned(), object.into());
            let mut flag = Map::new();
            flag.insert("state".to_owned(), "ENABLED".into());
            flag.insert("variants".to_owned(), variants.into());
            flag.insert("defaultVariant".to_owned(), "fixed".into());
            Ok(Json::Object(flag).to_string())
        }
        other => Ok(other.to_string()),
    }
}

/// A text as its own letters, or in JSON's quotes where it would be read as something else.
pub(super) fn text_form(text: &str) -> String {
    let quoted = Json::from(text);
    match definition(text) {
        Ok(flag) if flag.to_json() == quoted => text.to_owned(),
        _ => quoted.to_string(),
    }
}

//! A flag as somebody wrote it: flagd's flag object, or a plain value.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::parse::parse_json;
use super::problem::{FlagError, FlagProblem, FlagProblemKind, nearest};
use super::targeting::parse::reference;

/// Whether a flag is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlagState {
    /// It is.
    Enabled,
    /// It is as if it did not exist: the caller's default is served, with the reason `DISABLED`.
    Disabled,
}

impl FlagState {
    /// As in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
        }
    }
}

/// What is served when no rule says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultVariant {
    /// The caller's default, since nothing is said.
    Absent,
    /// The caller's default, since `null` is said.
    Null,
    /// This variant.
    Named(String),
}

/// What all variants of a flag are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VariantKind {
    /// Booleans.
    Boolean,
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// JSON objects.
    Object,
}

impl VariantKind {
    /// The kind of a variant, or `None` for what is none.
    pub fn of(value: &Json) -> Option<Self> {
        match value {
            Json::Bool(_) => Some(Self::Boolean),
            Json::String(_) => Some(Self::Text),
            Json::Number(_) => Some(Self::Number),
            Json::Object(_) => Some(Self::Object),
            Json::Null | Json::Array(_) => None,
        }
    }

    /// For messages.
    const fn plural(self) -> &'static str {
        match self {
            Self::Boolean => "booleans",
            Self::Text => "texts",
            Self::Number => "numbers",
            Self::Object => "objects",
        }
    }

    const fn singular(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Object => "an object",
        }
    }
}

/// A flag's definition: [flagd's flag object](https://flagd.dev/reference/flag-definitions/) with everything that stands in it.
///
/// A plain `true`, `"blue"` or `3` is a flag, too, which always has this value.
///
/// ```
/// use kvconf::flag::FlagDefinition;
///
/// let flag = FlagDefinition::parse(r#"{"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "of"}"#);
/// assert_eq!(flag.unwrap_err().to_string(), "defaultVariant: no variant `of`, did you mean `off`?");
///
/// let flag = FlagDefinition::parse("3")?;
/// assert_eq!(flag.variants()["3"], 3);
/// # Ok::<(), kvconf::flag::FlagError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FlagDefinition {
    state: FlagState,
    variants: Map<String, Json>,
    kind: VariantKind,
    default_variant: DefaultVariant,
    targeting: Option<Json>,
    metadata: Option<Map<String, Json>>,
    /// What flagd's format does not know. It is kept.
    other: Map<String, Json>,
    /// A plain value, which is written as one again.
    is_plain: bool,
}

impl FlagDefinition {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`FlagError`] with every problem of its structure. The rule is looked into when the flag is
    /// [compiled](super::CompiledFlag::compile).
    pub fn parse(text: &str) -> Result<Self, FlagError> {
        let json = parse_json(text).map_err(|error| FlagProblem::new("", FlagProblemKind::NotJson(error)))?;
        Self::from_json(json)
    }

    /// Takes a definition from JSON.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_json(json: Json) -> Result<Self, FlagError> {
        match json {
            Json::Object(entries) => from_object(entries),
            Json::Bool(_) | Json::String(_) | Json::Number(_) => Self::fixed(json),
            Json::Null | Json::Array(_) => Err(FlagProblem::new("", FlagProblemKind::NotAFlag).into()),
        }
    }

    /// A flag that always has this value; the variant is called as its text is.
    fn fixed(value: Json) -> Result<Self, FlagError> {
        let kind = VariantKind::of(&value).ok_or_else(|| FlagProblem::new("", FlagProblemKind::NotAFlag))?;
        let name = match &value {
            Json::String(text) if text.is_empty() => "empty".to_owned(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(Self {
            state: FlagState::Enabled,
            variants: Map::from_iter([(name.clone(), value)]),
            kind,
            default_variant: DefaultVariant::Named(name),
            targeting: None,
            metadata: None,
            other: Map::new(),
            is_plain: true,
        })
    }

    /// A flag that always has this object as its value.
    pub(crate) fn of_object(value: &Json) -> Result<Self, FlagError> {
        Self::from_json(serde_json::json!({
            "state": FlagState::Enabled.name(), "variants": {"fixed": value}, "defaultVariant": "fixed",
        }))
    }

    /// The shared rules that the flag's rule names, sorted.
    #[must_use]
    pub fn shared_rules(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut open: Vec<&Json> = self.targeting.iter().collect();
        while let Some(json) = open.pop() {
            names.extend(reference(json));
            match json {
                Json::Array(items) => open.extend(items),
                Json::Object(entries) => open.extend(entries.values()),
                _ => {}
            }
        }
        names
    }

    /// Whether it was a plain value.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The flag object; a plain value for a flag that was one.
    pub fn to_json(&self) -> Json {
        if self.is_plain
            && let Some(value) = self.variants.values().next()
        {
            return value.clone();
        }
        self.to_object().into()
    }

    /// The flag object, also of a plain value, as flagd needs it.
    pub fn to_object(&self) -> Map<String, Json> {
        let mut object = self.other.clone();
        object.insert("state".into(), self.state.name().into());
        object.insert("variants".into(), self.variants.clone().into());
        match &self.default_variant {
            DefaultVariant::Absent => None,
            DefaultVariant::Null => object.insert("defaultVariant".into(), Json::Null),
            DefaultVariant::Named(name) => object.insert("defaultVariant".into(), name.as_str().into()),
        };
        if let Some(targeting) = &self.targeting {
            object.insert("targeting".into(), targeting.clone());
        }
        if let Some(metadata) = &self.metadata {
            object.insert("metadata".into(), metadata.clone().into());
        }
        object
    }

    /// Whether it is evaluated.
    pub fn state(&self) -> FlagState {
        self.state
    }

    /// The values that it can have, by their names.
    pub fn variants(&self) -> &Map<String, Json> {
        &self.variants
    }

    /// What all variants are.
    pub fn kind(&self) -> VariantKind {
        self.kind
    }

    /// What is served when no rule says otherwise.
    pub fn default_variant(&self) -> &DefaultVariant {
        &self.default_variant
    }

    /// The rule, or `None` when there is none: neither `{}` nor `null` is one.
    pub fn targeting(&self) -> Option<&Json> {
        let is_rule = |rule: &&Json| match rule {
            Json::Null => false,
            Json::Object(entries) => !entries.is_empty(),
            _ => true,
        };
        self.targeting.as_ref().filter(is_rule)
    }

    /// What the flag says about itself.
    pub fn metadata(&self) -> Option<&Map<String, Json>> {
        self.metadata.as_ref()
    }

    /// Parts that flagd's format does not know.
    pub fn other(&self) -> &Map<String, Json> {
        &self.other
    }
}

fn from_object(mut entries: Map<String, Json>) -> Result<FlagDefinition, FlagError> {
    let mut problems = Vec::new();
    let state = state(entries.remove("state").as_ref(), &mut problems);
    let (variants, kind) = variants(entries.remove("variants"), &mut problems);
    let default_variant = default_variant(entries.remove("defaultVariant"), &variants, &mut problems);
    let metadata = entries.remove("metadata").and_then(|metadata| read_metadata(metadata, &mut problems));
    let targeting = entries.remove("targeting");
    if !matches!(targeting, None | Some(Json::Null | Json::Object(_))) {
        problems.push(FlagProblem::new("targeting", FlagProblemKind::Unexpected { expected: "an object" }));
    }
    match (state, kind) {
        (Some(state), Some(kind)) if problems.is_empty() => Ok(FlagDefinition {
            state,
            variants,
            kind,
            default_variant,
            targeting,
            metadata,
            other: entries,
            is_plain: false,
        }),
        _ => Err(FlagError::new(problems)),
    }
}

fn state(json: Option<&Json>, problems: &mut Vec<FlagProblem>) -> Option<FlagState> {
    let kind = match json.map(Json::as_str) {
        Some(Some("ENABLED")) => return Some(FlagState::Enabled),
        Some(Some("DISABLED")) => return Some(FlagState::Disabled),
        Some(_) => FlagProblemKind::Unexpected { expected: "`ENABLED` or `DISABLED`" },
        None => FlagProblemKind::Missing,
    };
    problems.push(FlagProblem::new("state", kind));
    None
}

fn variants(json: Option<Json>, problems: &mut Vec<FlagProblem>) -> (Map<String, Json>, Option<VariantKind>) {
    let kind = match json {
        Some(Json::Object(variants)) if !variants.is_empty() => {
            let kind = variant_kind(&variants, problems);
            return (variants, kind);
        }
        Some(Json::Object(_)) => FlagProblemKind::NoVariants,
        Some(_) => FlagProblemKind::Unexpected { expected: "an object of variants" },
        None => FlagProblemKind::Missing,
    };
    problems.push(FlagProblem::new("variants", kind));
    (Map::new(), None)
}

fn variant_kind(variants: &Map<String, Json>, problems: &mut Vec<FlagProblem>) -> Option<VariantKind> {
    let mut common = None;
    for (name, value) in variants {
        let mut problem = |kind| problems.push(FlagProblem::new(format!("variants.{name}"), kind));
        if name.is_empty() {
            problem(FlagProblemKind::EmptyName);
        }
        match (VariantKind::of(value), common) {
            (None, _) => {
                problem(FlagProblemKind::Unexpected { expected: "a boolean, a text, a number or an object" })
            }
            (Some(kind), None) => common = Some(kind),
            (Some(kind), Some(expected)) if kind != expected => {
                problem(FlagProblemKind::MixedVariants {
                    expected: expected.plural(),
                    found: kind.singular(),
                });
            }
            (Some(_), Some(_)) => {}
        }
    }
    common
}

fn default_variant(
    json: Option<Json>,
    variants: &Map<String, Json>,
    problems: &mut Vec<FlagProblem>,
) -> DefaultVariant {
    let kind = match json {
        None => return DefaultVariant::Absent,
        Some(Json::Null) => return DefaultVariant::Null,
        // Without variants there is something else to say.
        Some(Json::String(name)) if variants.contains_key(&name) || variants.is_empty() => {
            return DefaultVariant::Named(name);
        }
        Some(Json::String(name)) => {
            let close = nearest(&name, variants.keys().map(String::as_str));
            FlagProblemKind::UnknownDefault { name, close }
        }
        Some(_) => FlagProblemKind::Unexpected { expected: "the name of a variant, or null" },
    };
    problems.push(FlagProblem::new("defaultVariant", kind));
    DefaultVariant::Absent
}

/// Names with texts, numbers and booleans.
pub(crate) fn read_metadata(json: Json, problems: &mut Vec<FlagProblem>) -> Option<Map<String, Json>> {
    let Json::Object(metadata) = json else {
        problems.push(FlagProblem::new("metadata", FlagProblemKind::Unexpected { expected: "an object" }));
        return None;
    };
    for (name, value) in &metadata {
        if !matches!(value, Json::String(_) | Json::Number(_) | Json::Bool(_)) {
            let expected = "a text, a number or a boolean";
            problems
                .push(FlagProblem::new(format!("metadata.{name}"), FlagProblemKind::Unexpected { expected }));
        }
    }
    Some(metadata)
}

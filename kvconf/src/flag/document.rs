//! flagd's documents: many flags with what they have in common.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::compiled::CompiledFlag;
use super::definition::FlagDefinition;
use super::parse::parse_json;
use super::problem::{FlagError, FlagProblem, FlagProblemKind};
use super::set::SetProperties;
use super::targeting::schema::violations;

/// How a document has its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DocumentForm {
    /// An object, each flag under its key.
    #[default]
    Map,
    /// A list, each flag with its `key`.
    List,
}

/// A document in flagd's format: flags, shared rules (`$evaluators`) and metadata.
///
/// Everything that stands in a document is kept, also what the format does not know, so that what is read and written
/// again means the same. Keys of objects come out sorted.
///
/// ```
/// use kvconf::flag::FlagDocument;
///
/// let document = FlagDocument::parse(
///     r#"{"flags": {"new-cart": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}}}"#,
/// )?;
/// let cart = document.compile("new-cart").unwrap()?;
/// assert!(cart.evaluate(&kvconf::flag::DynamicContext::new(), 0, false).value);
/// # Ok::<(), kvconf::flag::FlagError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlagDocument {
    form: DocumentForm,
    flags: Vec<(String, FlagDefinition)>,
    properties: SetProperties,
    has_evaluators: bool,
    has_metadata: bool,
    other: Map<String, Json>,
}

impl FlagDocument {
    /// A document with these flags.
    pub fn new(properties: SetProperties, flags: impl IntoIterator<Item = (String, FlagDefinition)>) -> Self {
        Self {
            form: DocumentForm::Map,
            flags: flags.into_iter().collect(),
            has_evaluators: !properties.evaluators().is_empty(),
            has_metadata: !properties.metadata().is_empty(),
            properties,
            other: Map::new(),
        }
    }

    /// Reads a document, and refuses one that is not as flagd's schemas and the semantics of its flags demand.
    ///
    /// A document whose `$schema` ends in `/flags.json` is one for providers, where flags are no list.
    ///
    /// # Errors
    /// [`FlagError`] with every problem of every flag.
    pub fn parse(text: &str) -> Result<Self, FlagError> {
        let (document, mut problems) = Self::read(text)?;
        for (key, definition) in &document.flags {
            let below = |problem: FlagProblem| problem.below(&format!("flags.{key}"));
            let compiled = CompiledFlag::compile(key, definition, &document.properties);
            problems.extend(compiled.err().into_iter().flat_map(FlagError::into_problems).map(below));
            // Unknown operators have been told.
            let is_new = |problem: &FlagProblem| matches!(problem.kind(), FlagProblemKind::Schema(_));
            let rule = definition.targeting().into_iter();
            problems.extend(rule.flat_map(|rule| violations(rule, "targeting")).filter(is_new).map(below));
        }
        for (name, rule) in document.properties.evaluators() {
            problems.extend(violations(rule, &format!("$evaluators.{name}")));
        }
        if document.form == DocumentForm::List && document.is_for_providers() {
            problems.push(FlagProblem::new(
                "flags",
                FlagProblemKind::Unexpected { expected: "an object of flags" },
            ));
        }
        if problems.is_empty() { Ok(document) } else { Err(FlagError::new(problems)) }
    }

    /// Reads what can be used of a document: the flags whose structure is right, and the problems of the others.
    ///
    /// # Errors
    /// [`FlagError`] when it is no document at all.
    pub fn read(text: &str) -> Result<(Self, Vec<FlagProblem>), FlagError> {
        let json = parse_json(text).map_err(|error| FlagProblem::new("", FlagProblemKind::NotJson(error)))?;
        let Json::Object(mut entries) = json else {
            return Err(FlagProblem::new(
                "",
                FlagProblemKind::Unexpected { expected: "an object with `flags`" },
            )
            .into());
        };
        let mut problems = Vec::new();
        let (form, flags) = read_flags(entries.remove("flags"), &mut problems)?;
        let evaluators = entries.remove("$evaluators");
        let metadata = entries.remove("metadata");
        let (has_evaluators, has_metadata) = (evaluators.is_some(), metadata.is_some());
        let evaluators = object("$evaluators", evaluators, &mut problems);
        for name in evaluators.keys().filter(|name| name.is_empty()) {
            problems.push(FlagProblem::new(format!("$evaluators.{name}"), FlagProblemKind::EmptyName));
        }
        let metadata = object("metadata", metadata, &mut problems);
        for name in ["flagSetId", "version"] {
            if metadata.get(name).is_some_and(|value| !value.is_string()) {
                let kind = FlagProblemKind::Unexpected { expected: "a text" };
                problems.push(FlagProblem::new(format!("metadata.{name}"), kind));
            }
        }
        let properties = SetProperties::new(evaluators, metadata).unwrap_or_else(|error| {
            problems.extend(error.into_problems());
            SetProperties::default()
        });
        Ok((Self { form, flags, properties, has_evaluators, has_metadata, other: entries }, problems))
    }

    fn is_for_providers(&self) -> bool {
        self.other.get("$schema").and_then(Json::as_str).is_some_and(|schema| schema.ends_with("/flags.json"))
    }

    /// The document as JSON, in the form in which it was read.
    pub fn to_json(&self) -> Json {
        let mut document = self.other.clone();
        let objects = self.flags.iter().map(|(key, flag)| (key.clone(), flag.to_object()));
        let flags = match self.form {
            DocumentForm::Map => {
                objects.map(|(key, object)| (key, object.into())).collect::<Map<_, Json>>().into()
            }
            DocumentForm::List => objects
                .map(|(key, mut object)| {
                    object.insert("key".into(), key.into());
                    Json::Object(object)
                })
                .collect::<Vec<_>>()
                .into(),
        };
        document.insert("flags".into(), flags);
        if self.has_evaluators {
            document.insert("$evaluators".into(), self.properties.evaluators().clone().into());
        }
        if self.has_metadata || !self.properties.metadata().is_empty() {
            document.insert("metadata".into(), self.properties.metadata().clone().into());
        }
        document.into()
    }

    /// How it has its flags.
    pub fn form(&self) -> DocumentForm {
        self.form
    }

    /// The flags, in the document's order where they are a list, else sorted.
    pub fn flags(&self) -> impl Iterator<Item = (&str, &FlagDefinition)> {
        self.flags.iter().map(|(key, flag)| (key.as_str(), flag))
    }

    /// The flag with this key.
    pub fn flag(&self, key: &str) -> Option<&FlagDefinition> {
        self.flags().find(|(known, _)| *known == key).map(|(_, flag)| flag)
    }

    /// What the flags have in common.
    pub fn properties(&self) -> &SetProperties {
        &self.properties
    }

    /// The same document with other common properties.
    #[must_use]
    pub fn with_properties(mut self, properties: SetProperties) -> Self {
        self.has_evaluators |= !properties.evaluators().is_empty();
        self.properties = properties;
        self
    }

    /// The same document with its flags in another form.
    #[must_use]
    pub fn with_form(self, form: DocumentForm) -> Self {
        Self { form, ..self }
    }

    /// Parts that flagd's format does not know, such as `$schema`.
    pub fn other(&self) -> &Map<String, Json> {
        &self.other
    }

    /// The same document with other such parts. Names that the format knows are left out.
    #[must_use]
    pub fn with_other(mut self, mut other: Map<String, Json>) -> Self {
        other.retain(|name, _| !["flags", "$evaluators", "metadata"].contains(&name.as_str()));
        self.other = other;
        self
    }

    /// The flag with this key, ready to be evaluated; `None` when there is none.
    ///
    /// # Errors
    /// [`FlagError`] as [`CompiledFlag::compile`].
    pub fn compile(&self, key: &str) -> Option<Result<CompiledFlag, FlagError>> {
        self.flag(key).map(|flag| CompiledFlag::compile(key, flag, &self.properties))
    }
}

/// Everything in a rule that flagd's schema does not allow, unknown operators among them. What `$ref` names is not looked for.
///
/// A rule with violations may well evaluate: flagd's operators give null for operands that they do not take.
pub fn check_targeting(rule: &Json) -> Vec<FlagProblem> {
    violations(rule, "targeting")
}

fn object(name: &str, json: Option<Json>, problems: &mut Vec<FlagProblem>) -> Map<String, Json> {
    match json {
        Some(Json::Object(entries)) => entries,
        None => Map::new(),
        Some(_) => {
            problems.push(FlagProblem::new(name, FlagProblemKind::Unexpected { expected: "an object" }));
            Map::new()
        }
    }
}

type Flags = (DocumentForm, Vec<(String, FlagDefinition)>);

fn read_flags(json: Option<Json>, problems: &mut Vec<FlagProblem>) -> Result<Flags, FlagError> {
    let mut flags = Vec::new();
    let mut known = HashSet::new();
    let form = match json {
        Some(Json::Object(entries)) => {
            for (key, flag) in entries {
                read_flag(key, flag, &mut flags, problems);
            }
            DocumentForm::Map
        }
        Some(Json::Array(items)) => {
            for (place, mut item) in items.into_iter().enumerate() {
                match item.as_object_mut().and_then(|item| item.remove("key")) {
                    Some(Json::String(key)) if !known.insert(key.clone()) => {
                        problems
                            .push(FlagProblem::new(format!("flags.{key}"), FlagProblemKind::DuplicateFlag));
                    }
                    Some(Json::String(key)) => read_flag(key, item, &mut flags, problems),
                    Some(_) => {
                        let kind = FlagProblemKind::Unexpected { expected: "a text" };
                        problems.push(FlagProblem::new(format!("flags[{place}].key"), kind));
                    }
                    None => problems
                        .push(FlagProblem::new(format!("flags[{place}].key"), FlagProblemKind::Missing)),
                }
            }
            DocumentForm::List
        }
        Some(_) => {
            let expected = "an object or a list of flags";
            return Err(FlagProblem::new("flags", FlagProblemKind::Unexpected { expected }).into());
        }
        None => return Err(FlagProblem::new("flags", FlagProblemKind::Missing).into()),
    };
    Ok((form, flags))
}

fn read_flag(
    key: String,
    json: Json,
    flags: &mut Vec<(String, FlagDefinition)>,
    problems: &mut Vec<FlagProblem>,
) {
    let path = format!("flags.{key}");
    if key.is_empty() {
        return problems.push(FlagProblem::new(path, FlagProblemKind::EmptyName));
    }
    match json {
        Json::Object(_) => match FlagDefinition::from_json(json) {
            Ok(flag) => flags.push((key, flag)),
            Err(error) => {
                problems.extend(error.into_problems().into_iter().map(|problem| problem.below(&path)))
            }
        },
        _ => problems.push(FlagProblem::new(path, FlagProblemKind::Unexpected { expected: "a flag object" })),
    }
}

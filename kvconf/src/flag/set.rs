//! What the flags of a set have in common.

use serde_json::{Map, Value as Json};

use super::bucketing::Bucketing;
use super::definition::read_metadata;
use super::parse::parse_json;
use super::problem::{FlagError, FlagProblem, FlagProblemKind};

/// The name under which a set's (or a flag's) metadata pin the version of bucketing: `{"kvconf.bucketing": "v2"}`.
///
/// It stands in the metadata because flagd's format has room for it there: it survives every import, export and sync, and
/// flagd itself shows it and does not mind.
pub const BUCKETING_METADATA: &str = "kvconf.bucketing";

/// What the flags of a set have in common: shared rules, metadata, and with them the pinned version of bucketing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SetProperties {
    evaluators: Map<String, Json>,
    metadata: Map<String, Json>,
    bucketing: Option<Bucketing>,
}

impl SetProperties {
    /// Properties with these shared rules and metadata.
    ///
    /// # Errors
    /// [`FlagError`] when metadata are no texts, numbers or booleans, or pin a version of bucketing that is not known.
    pub fn new(evaluators: Map<String, Json>, metadata: Map<String, Json>) -> Result<Self, FlagError> {
        let mut problems = Vec::new();
        let metadata = read_metadata(metadata.into(), &mut problems).unwrap_or_default();
        let bucketing = match pinned(&metadata) {
            Ok(bucketing) => bucketing,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if problems.is_empty() {
            Ok(Self { evaluators, metadata, bucketing })
        } else {
            Err(FlagError::new(problems))
        }
    }

    /// Reads shared rules: an object of rules by name, or a document whose `$evaluators` they are, with its metadata.
    ///
    /// # Errors
    /// [`FlagError`] when the text is no JSON object, and as [`Self::new`].
    pub fn parse_evaluators(text: &str) -> Result<Self, FlagError> {
        let problem = |kind| FlagError::from(FlagProblem::new("", kind));
        let json = parse_json(text).map_err(|error| problem(FlagProblemKind::NotJson(error)))?;
        let Json::Object(mut entries) = json else {
            return Err(problem(FlagProblemKind::Unexpected { expected: "an object of rules" }));
        };
        let Some(evaluators) = entries.remove("$evaluators") else { return Self::new(entries, Map::new()) };
        let object = |name: &str, json| match json {
            Some(Json::Object(entries)) => Ok(entries),
            None => Ok(Map::new()),
            Some(_) => Err(FlagProblem::new(name, FlagProblemKind::Unexpected { expected: "an object" })),
        };
        let metadata = object("metadata", entries.remove("metadata"))?;
        Self::new(object("$evaluators", Some(evaluators))?, metadata)
    }

    /// The same with this version of bucketing for flags that pin none.
    #[must_use]
    pub fn with_bucketing(mut self, bucketing: Bucketing) -> Self {
        self.metadata.insert(BUCKETING_METADATA.into(), bucketing.name().into());
        self.bucketing = Some(bucketing);
        self
    }

    /// The rules that `$ref` names.
    pub fn evaluators(&self) -> &Map<String, Json> {
        &self.evaluators
    }

    /// What the set says about itself.
    pub fn metadata(&self) -> &Map<String, Json> {
        &self.metadata
    }

    /// The version that decides about shares: the pinned one, else [`Bucketing::V3`].
    pub fn bucketing(&self) -> Bucketing {
        self.bucketing.unwrap_or_default()
    }

    pub(crate) fn bucketing_of(&self, flag: Option<&Map<String, Json>>) -> Result<Bucketing, FlagProblem> {
        Ok(flag.map_or(Ok(None), pinned)?.unwrap_or_else(|| self.bucketing()))
    }

    /// The set's metadata with a flag's over them.
    pub(crate) fn merged_metadata(&self, flag: Option<&Map<String, Json>>) -> Map<String, Json> {
        let mut merged = self.metadata.clone();
        merged.extend(flag.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        merged
    }
}

fn pinned(metadata: &Map<String, Json>) -> Result<Option<Bucketing>, FlagProblem> {
    let Some(version) = metadata.get(BUCKETING_METADATA) else { return Ok(None) };
    let version = version.as_str().and_then(|version| version.parse().ok());
    let problem =
        || FlagProblem::new(format!("metadata.{BUCKETING_METADATA}"), FlagProblemKind::UnknownBucketing);
    version.map(Some).ok_or_else(problem)
}

//! Between a set and flagd's documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::rows::Rule;
use super::set::FlagSet;
use crate::flag::{DocumentForm, FlagDocument, FlagError};

/// What becomes of what a document does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ImportMode {
    /// It stays: flags, shared rules and metadata of other names.
    #[default]
    Merge,
    /// It goes: afterwards the set is the document.
    Replace,
}

/// How a document has its flags, in what is stored beside them.
const FORM: &str = "form";
/// The parts of a document that its format does not know, there.
const OTHER: &str = "other";

impl FlagSet {
    /// A set with all that stands in a document, for tests and tools.
    ///
    /// # Errors
    /// [`FlagError`] with every problem of every flag.
    pub fn from_document(document: &FlagDocument) -> Result<Self, FlagError> {
        let properties = document.properties();
        let rule = |(name, rule): (&String, &Json)| (name.clone(), Rule::new(rule.clone()));
        let mut set = Self {
            metadata: Arc::new(properties.metadata().clone()),
            document: Arc::new(beside(document)),
            properties: Arc::new(properties.clone()),
            ..Self::default()
        };
        set.rules.all = properties.evaluators().iter().map(rule).collect::<BTreeMap<_, _>>();
        let mut problems = Vec::new();
        for (key, definition) in document.flags() {
            set.put(key, definition.clone(), &mut problems);
        }
        set.checked(problems)
    }

    /// The set as a document in flagd's format, with everything that was imported: shared rules, metadata, and the parts
    /// that the format does not know.
    ///
    /// Flags that are plain values come out as flag objects, as flagd needs them. Flags are sorted by key.
    ///
    /// ```
    /// use kvconf::FlagSet;
    /// use kvconf::flag::FlagDocument;
    ///
    /// let text = r#"{"$schema":"https://flagd.dev/schema/v0/flags.json","flags":{"cart":{"defaultVariant":"on","state":"ENABLED","variants":{"on":true}}},"metadata":{"version":"3"}}"#;
    /// let set = FlagSet::from_document(&FlagDocument::parse(text)?)?;
    /// assert_eq!(set.to_document().to_json().to_string(), text);
    /// # Ok::<(), kvconf::flag::FlagError>(())
    /// ```
    #[must_use]
    pub fn to_document(&self) -> FlagDocument {
        let flags = self.flags().map(|flag| (flag.key().to_owned(), flag.definition().clone()));
        let document = FlagDocument::new((*self.properties).clone(), flags);
        let form = match self.document.get(FORM).and_then(Json::as_str) {
            Some("list") => DocumentForm::List,
            _ => DocumentForm::Map,
        };
        let other = self.document.get(OTHER).and_then(Json::as_object).cloned().unwrap_or_default();
        document.with_form(form).with_other(other)
    }
}

/// What of a document stands in neither flags nor rules nor metadata.
pub(super) fn beside(document: &FlagDocument) -> Map<String, Json> {
    let mut beside = Map::new();
    if document.form() == DocumentForm::List {
        beside.insert(FORM.into(), "list".into());
    }
    if !document.other().is_empty() {
        beside.insert(OTHER.into(), document.other().clone().into());
    }
    beside
}

//! A context whose names are known at run time only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde_json::{Map, Value as Json};

use super::{AttributeName, EvaluationContext, TARGETING_KEY, fingerprint};
use crate::flag::parse::{NotJson, parse_json};
use crate::flag::value::Value;

/// A context with names and values of any JSON kind, for OpenFeature, tools and tests.
///
/// A rule finds an attribute by the fingerprint of its name. The attributes are looked through in a row, which for the usual
/// dozen beats any table.
///
/// ```
/// use kvconf::flag::DynamicContext;
///
/// let visitor = DynamicContext::new().targeting_key("user-17").with("country", "NL").with("age", 31);
/// let same = DynamicContext::parse(r#"{"targetingKey": "user-17", "country": "NL", "age": 31}"#)?;
/// assert_eq!(visitor, same);
/// # Ok::<(), kvconf::flag::NotJson>(())
/// ```
#[derive(Clone, Default)]
pub struct DynamicContext {
    /// Beside the entries at the same places, so that looking for one reads one cache line.
    fingerprints: Vec<u128>,
    entries: Vec<(Box<str>, Json)>,
}

impl DynamicContext {
    /// A context without attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an object of attributes from JSON.
    ///
    /// # Errors
    /// [`NotJson`] when the text is no JSON or no object.
    pub fn parse(text: &str) -> Result<Self, NotJson> {
        match parse_json(text)? {
            Json::Object(attributes) => Ok(attributes.into()),
            _ => Err(NotJson::no_object()),
        }
    }

    /// This context for that subject: the attribute `targetingKey`.
    #[must_use]
    pub fn targeting_key(self, key: impl Into<String>) -> Self {
        self.with(TARGETING_KEY, key.into())
    }

    /// This context with that attribute, in place of one with the same name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets an attribute.
    pub fn insert(&mut self, name: &str, value: impl Into<Json>) {
        let value = value.into();
        if let Some((_, old)) = self.entries.iter_mut().find(|(known, _)| **known == *name) {
            *old = value;
        } else {
            self.fingerprints.push(fingerprint(name));
            self.entries.push((name.into(), value));
        }
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.find(&AttributeName::new(name))
    }

    /// Names and values, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }

    #[inline]
    fn find(&self, name: &AttributeName<'_>) -> Option<&Json> {
        let place = self.fingerprints.iter().position(|known| *known == name.fingerprint())?;
        if !name.is_unique() {
            return self.find_long(name.text());
        }
        self.entries.get(place).map(|(_, value)| value)
    }

    #[cold]
    fn find_long(&self, name: &str) -> Option<&Json> {
        self.entries.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }
}

impl EvaluationContext for DynamicContext {
    #[inline]
    fn lookup(&self, name: &AttributeName<'_>) -> Option<Value<'_>> {
        self.find(name).map(Value::from)
    }

    fn visit(&self, visitor: &mut dyn FnMut(&str, Value<'_>)) {
        for (name, value) in self.iter() {
            visitor(name, value.into());
        }
    }
}

impl From<Map<String, Json>> for DynamicContext {
    fn from(attributes: Map<String, Json>) -> Self {
        // No name stands twice.
        let fingerprints = attributes.keys().map(|name| fingerprint(name)).collect();
        let entries = attributes.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self { fingerprints, entries }
    }
}

impl<N: AsRef<str>, V: Into<Json>> FromIterator<(N, V)> for DynamicContext {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(attributes: I) -> Self {
        let mut context = Self::new();
        let mut places = HashMap::new();
        for (name, value) in attributes {
            let (name, value) = (name.as_ref(), value.into());
            match places.entry(Box::<str>::from(name)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(context.entries.len());
                    context.fingerprints.push(fingerprint(name));
                    context.entries.push((name.into(), value));
                }
                Entry::Occupied(known) => {
                    if let Some((_, old)) = context.entries.get_mut(*known.get()) {
                        *old = value;
                    }
                }
            }
        }
        context
    }
}

/// The order of attributes does not matter.
impl PartialEq for DynamicContext {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl fmt::Debug for DynamicContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::Object(self).fmt(f)
    }
}

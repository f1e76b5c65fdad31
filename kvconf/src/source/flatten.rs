//! From a document to the keys of a struct.
//!
//! Only the fields know what a table is: one field that is stored as JSON, a map of entries, or a struct below. So a document
//! is walked down from its root until a field takes what stands there.

use std::sync::Arc;

use super::content::{Content, Given};
use super::document::{Fault, Item, Member, Position, Value};
use super::json;
use crate::key::escape_segment;
use crate::problem::{deprecated, old_name, unknown_key};
use crate::schema::{Stored, join, similar};
use crate::{Origin, Prefix, Problem, ProblemKind};

/// What a key below the struct's prefix is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// A field with one key, which has this as its present name.
    Field { key: String, deprecated: Option<&'static str> },
    /// A map with one key per entry.
    Map,
    /// Fields stand below it.
    Above,
    /// Nothing knows it; this key is most like it.
    Unknown { similar: Option<String> },
}

/// The fields that a document is read for.
pub(crate) trait Fields {
    /// What a key below the prefix belongs to.
    fn belongs(&self, key: &str) -> Belongs;

    /// The stored form of a text, or of `null`, in the field with this key, or in an entry of this map. `None` where `null`
    /// is no value.
    fn stored_form(&self, key: &str, text: Option<&str>) -> Option<Stored>;
}

/// For what a document is read, and whose it is.
pub(super) struct Place<'a> {
    /// The struct's.
    pub(super) prefix: &'a Prefix,
    pub(super) fields: &'a dyn Fields,
    pub(super) origin: &'a dyn Fn(Position) -> Origin,
}

/// What a document whose root is the key `at` says about a struct.
pub(super) fn flatten(root: &[Member], at: &Prefix, place: &Place<'_>) -> Content {
    let mut walk = Walk { place, content: Content::default(), old: Vec::new() };
    walk.outside(at.as_str(), root);
    walk.old_names();
    walk.content
}

/// The entries of a map from one environment variable, as a JSON object. Keys are those of the entries, below the prefix.
pub(crate) fn entries_of_variable(
    key: &str,
    bytes: &[u8],
    prefix: &Prefix,
    fields: &dyn Fields,
    origin: &Origin,
) -> Content {
    let place = Place { prefix, fields, origin: &|_| origin.clone() };
    let mut walk = Walk { place: &place, content: Content::default(), old: Vec::new() };
    let full = join(prefix.as_str(), key);
    let parsed = str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned()).and_then(|text| {
        let told =
            |faults: Vec<Fault>| faults.into_iter().next().map(|fault| fault.message).unwrap_or_default();
        json::parse(text).map_err(told)
    });
    match parsed {
        Ok(Item { value: Value::Table(members), .. }) => walk.entries(key, &members),
        Ok(item) => {
            let message = format!("expected an object as JSON, found {}", item.found());
            walk.problem(&full, item.at, ProblemKind::Decode, message);
        }
        Err(message) => {
            let message = format!("expected an object as JSON: {message}");
            walk.problem(&full, Position::START, ProblemKind::Decode, message);
        }
    }
    walk.content
}

struct Walk<'a, 'd> {
    place: &'a Place<'a>,
    content: Content,
    /// What stands under old names, with the present ones. It counts only where the present name does not stand.
    old: Vec<(String, String, &'d Member)>,
}

impl<'d> Walk<'_, 'd> {
    fn make(&self, key: &str, at: Position, kind: ProblemKind, message: String) -> Problem {
        Problem {
            key: key.to_owned(),
            kind,
            message,
            origin: Some((self.place.origin)(at)),
            before: None,
            before_revision: None,
            fields: Vec::new(),
        }
    }

    fn problem(&mut self, key: &str, at: Position, kind: ProblemKind, message: String) {
        let problem = self.make(key, at, kind, message);
        self.content.problems.push(problem);
    }

    fn warning(&mut self, key: &str, at: Position, kind: ProblemKind, message: String) {
        let warning = self.make(key, at, kind, message);
        self.content.warnings.push(warning);
    }

    fn full(&self, key: &str) -> String {
        join(self.place.prefix.as_str(), key)
    }

    /// A table outside the struct, or around it: only what leads to the struct's prefix matters.
    fn outside(&mut self, key: &str, members: &'d [Member]) {
        let prefix = self.place.prefix.as_str();
        if let Some(below) = below(key, prefix) {
            self.table(below, members);
            return;
        }
        let mut found = false;
        for member in members.iter().filter(|member| !member.name.is_empty()) {
            let key = join(key, &member.name);
            if let Some(below) = below(&key, prefix) {
                found = true;
                self.member(below, member);
            } else if below(prefix, &key).is_some() {
                found = true;
                match &member.item.value {
                    Value::Table(members) => self.outside(&key, members),
                    Value::Null => {}
                    _ => self.expected_table(&key, member),
                }
            }
        }
        if !found {
            self.misspelt(key, members);
        }
    }

    /// Names beside the struct's belong to others, but for one that is nearly the struct's own.
    fn misspelt(&mut self, key: &str, members: &[Member]) {
        let Some(wanted) = below(self.place.prefix.as_str(), key) else { return };
        let next = wanted.split('.').next().unwrap_or_default();
        let near = |member: &&Member| similar(std::iter::once(next), &member.name).is_some();
        if next.len() > 2
            && let Some(member) = members.iter().find(near)
        {
            let message = unknown_key(Some(&join(key, next)));
            self.warning(&join(key, &member.name), member.at, ProblemKind::UnknownKey, message);
        }
    }

    fn expected_table(&mut self, full: &str, member: &Member) {
        let message = format!("expected a table, found {}", member.item.found());
        self.problem(full, member.at, ProblemKind::Decode, message);
    }

    fn table(&mut self, key: &str, members: &'d [Member]) {
        for member in members {
            if member.name.is_empty() {
                // Joined to the key it would be the key itself.
                let message = "a name without a letter is no key".to_owned();
                self.warning(&self.full(key), member.at, ProblemKind::UnknownKey, message);
            } else {
                self.member(&join(key, &member.name), member);
            }
        }
    }

    /// What stands under a key below the prefix; the prefix itself is the empty key.
    fn member(&mut self, key: &str, member: &'d Member) {
        let belongs = if key.is_empty() { Belongs::Above } else { self.place.fields.belongs(key) };
        match (belongs, &member.item.value) {
            (Belongs::Field { key: present, .. }, _) if present != key => {
                self.old.push((key.to_owned(), present, member));
            }
            (Belongs::Field { deprecated, .. }, _) => self.field(key, deprecated, member),
            (Belongs::Map, Value::Table(members)) => self.entries(key, members),
            (Belongs::Above, Value::Table(members)) => self.table(key, members),
            // What YAML makes of a name with nothing behind it.
            (Belongs::Map | Belongs::Above, Value::Null) => {}
            (Belongs::Map | Belongs::Above, _) => self.expected_table(&self.full(key), member),
            (Belongs::Unknown { similar }, _) => self.unknown(key, similar, member),
        }
    }

    fn unknown(&mut self, key: &str, similar: Option<String>, member: &Member) {
        // One entry of a map as one name: `"limits.gold" = 30`.
        let parent = key.match_indices('.').map(|(at, _)| key.split_at(at));
        let map = parent.into_iter().find(|(map, _)| self.place.fields.belongs(map) == Belongs::Map);
        if let Some((map, entry)) = map {
            self.entry(map, entry.strip_prefix('.').unwrap_or(entry), member);
            return;
        }
        let similar = similar.map(|key| self.full(&key));
        let message = unknown_key(similar.as_deref());
        self.warning(&self.full(key), member.at, ProblemKind::UnknownKey, message);
    }

    fn field(&mut self, key: &str, instead: Option<&str>, member: &Member) {
        if let Some(value) = self.stored(key, key, member) {
            self.give(key, value, member);
        }
        if let Some(instead) = instead {
            self.warning(&self.full(key), member.at, ProblemKind::Deprecated, deprecated(instead));
        }
    }

    fn old_names(&mut self) {
        for (old, key, member) in std::mem::take(&mut self.old) {
            let is_read = !self.content.sheet.contains_key(&key);
            if is_read && let Some(value) = self.stored(&old, &key, member) {
                self.give(&key, value, member);
            }
            let message = old_name(&self.full(&key), is_read);
            self.warning(&self.full(&old), member.at, ProblemKind::Alias, message);
        }
    }

    fn entries(&mut self, map: &str, members: &[Member]) {
        for member in members {
            self.entry(map, &member.name, member);
        }
    }

    fn entry(&mut self, map: &str, name: &str, member: &Member) {
        let key = join(map, &escape_segment(name));
        if let Some(value) = self.stored(&key, map, member) {
            self.give(&key, value, member);
        }
    }

    /// The stored form of what stands there, in the field or the map under `owner`.
    fn stored(&mut self, key: &str, owner: &str, member: &Member) -> Option<Stored> {
        let text = |text: &str| Stored::Value(text.to_owned().into());
        let form = match &member.item.value {
            Value::Text(text) => self.place.fields.stored_form(owner, Some(text)),
            Value::Null => self.place.fields.stored_form(owner, None),
            Value::Bool(value) => Some(text(if *value { "true" } else { "false" })),
            Value::Number(number) => Some(text(number)),
            Value::List(_) | Value::Table(_) => match member.item.to_tree() {
                Ok(tree) => Some(text(&tree.to_json())),
                Err(fault) => {
                    self.problem(&self.full(key), fault.at, ProblemKind::Decode, fault.message);
                    return None;
                }
            },
        };
        if form.is_none() {
            let message = "null, which only an Option can be; leave the name out instead".to_owned();
            self.problem(&self.full(key), member.at, ProblemKind::Decode, message);
        }
        form
    }

    /// Notes a value. One key can be reached by two names (`retry.max` and `[retry] max`); then neither is better.
    fn give(&mut self, key: &str, value: Stored, member: &Member) {
        if let Some(before) = self.content.sheet.get(key) {
            let message = match &before.origin {
                Origin::File(first) => format!("stands twice, first in line {}", first.line),
                _ => "stands twice".to_owned(),
            };
            self.problem(&self.full(key), member.at, ProblemKind::Decode, message);
            return;
        }
        let value = match value {
            Stored::Absent => None,
            Stored::Value(bytes) => Some(bytes),
        };
        let given = Given { value, origin: (self.place.origin)(member.at) };
        self.content.sheet.insert(key.to_owned(), Arc::new(given));
    }
}

/// What remains of a key below another; empty for the key itself.
fn below<'a>(key: &'a str, above: &str) -> Option<&'a str> {
    if above.is_empty() {
        return Some(key);
    }
    let rest = key.strip_prefix(above)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

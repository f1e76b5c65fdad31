//! JSON Schema, draft 2020-12, of the files that hold settings.

mod form;

use super::ordered::Json;
use super::{Constraint, Form, Presence, Schema, Setting};

/// Whether settings without a default have to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything is in one file: what has no default is required.
    Whole,
    /// A file that holds some of the settings, while others stand in the bucket or elsewhere.
    Part,
}

impl Schema {
    /// A JSON Schema (draft 2020-12) of files that hold these settings, from the root on: for editors, and for whoever checks
    /// files without the program.
    ///
    /// What it accepts the program takes. The program takes more: every value also stands in quotes in its stored form
    /// (`"50"`), and numbers and truth values stand for texts. What no JSON Schema can say stands beside the rest under names
    /// that begin with `x-kvconf-`: bounds of durations and byte sizes, functions of the program, and patterns that only Rust
    /// reads so. A whole number written as `1.0` is one to JSON Schema and none to the program.
    ///
    /// ```
    /// # use kvconf::{KvConfig, Schema};
    /// # use kvconf::settings::Extent;
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     /// Most items in one basket.
    ///     #[kv(default = 50, range(1..=500))]
    ///     max_items: u32,
    /// }
    ///
    /// let text = Schema::of::<Checkout>().json_schema(Extent::Whole);
    /// let json: serde_json::Value = serde_json::from_str(&text)?;
    /// let setting = &json["properties"]["checkout"]["properties"]["max_items"];
    /// assert_eq!(setting["maximum"], 500);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn json_schema(&self, extent: Extent) -> String {
        let mut root = Table::default();
        for setting in &self.settings {
            root.place(&self.full_key(&setting.key), setting, extent);
            for alias in &setting.aliases {
                root.old_name(&self.full_key(alias), &self.full_key(&setting.key));
            }
        }
        let mut head = vec![
            ("$schema".to_owned(), Json::text("https://json-schema.org/draft/2020-12/schema")),
            ("title".to_owned(), Json::text(&*self.name)),
        ];
        if !self.description.is_empty() {
            head.push(("description".to_owned(), Json::text(&*self.description)));
        }
        head.extend(root.members(self, ""));
        if !self.validated.is_empty() {
            let structs = self.validated.iter().map(|key| Json::text(self.full_key(key)));
            head.push(("x-kvconf-validated".to_owned(), Json::List(structs.collect())));
        }
        Json::Object(head).pretty()
    }
}

/// A table of the file.
#[derive(Default)]
struct Table {
    entries: Vec<(String, Place)>,
    /// Names that must be there, each with the old names that do as well.
    required: Vec<(String, Vec<String>)>,
}

enum Place {
    Setting(Json),
    Old(String),
    Table(Table),
}

impl Table {
    /// The table around a key, and the key's last part.
    fn parent<'k>(&mut self, key: &'k str) -> Option<(&mut Self, &'k str)> {
        let Some((first, rest)) = key.split_once('.') else { return Some((self, key)) };
        let at = match self.entries.iter().position(|(name, _)| name == first) {
            Some(at) => at,
            None => {
                self.entries.push((first.to_owned(), Place::Table(Self::default())));
                self.entries.len() - 1
            }
        };
        match self.entries.get_mut(at) {
            Some((_, Place::Table(table))) => table.parent(rest),
            _ => None,
        }
    }

    fn place(&mut self, key: &str, setting: &Setting, extent: Extent) {
        let Some((table, name)) = self.parent(key) else { return };
        table.entries.push((name.to_owned(), Place::Setting(setting.json_schema(key))));
        if extent == Extent::Whole && setting.presence == Presence::Required {
            table.required.push((name.to_owned(), Vec::new()));
        }
    }

    /// An old name is read where the present one is not there. Elsewhere in the tree than that, it cannot be said that one
    /// of them is enough.
    fn old_name(&mut self, old: &str, key: &str) {
        let (parent, name) = key.rsplit_once('.').unwrap_or(("", key));
        let beside = old.rsplit_once('.').unwrap_or(("", old));
        let Some((table, _)) = self.parent(key) else { return };
        if beside.0 == parent {
            let required = table.required.iter_mut().filter(|(required, _)| required == name);
            required.for_each(|(_, names)| names.push(beside.1.to_owned()));
        } else {
            table.required.retain(|(required, _)| required != name);
        }
        if let Some((table, name)) = self.parent(old) {
            table.entries.push((name.to_owned(), Place::Old(key.to_owned())));
        }
    }

    fn members(self, schema: &Schema, key: &str) -> Vec<(String, Json)> {
        let Self { entries, required } = self;
        let mut members = vec![("type".to_owned(), Json::text("object"))];
        let forms: Vec<(String, Json)> = entries
            .iter()
            .filter_map(|(name, place)| {
                if let Place::Setting(form) = place {
                    Some((crate::schema::join(key, name), form.clone()))
                } else {
                    None
                }
            })
            .collect();
        let property = |(name, place): (String, Place)| {
            let full = crate::schema::join(key, &name);
            let json = match place {
                Place::Setting(json) => json,
                Place::Old(present) => old_name(&present, forms.iter().find(|(key, _)| *key == present)),
                Place::Table(table) => Json::Object(table.described(schema, &full)),
            };
            (name, json)
        };
        // A table below which something is required has to be there itself.
        let tables: Vec<String> = entries
            .iter()
            .filter(|(_, place)| matches!(place, Place::Table(table) if table.is_required()))
            .map(|(name, _)| name.clone())
            .collect();
        members.push(("properties".to_owned(), Json::Object(entries.into_iter().map(property).collect())));
        let (alone, either): (Vec<_>, Vec<_>) = required.into_iter().partition(|(_, old)| old.is_empty());
        let needed: Vec<Json> =
            alone.iter().map(|(name, _)| name).chain(&tables).map(|name| Json::text(&**name)).collect();
        if !needed.is_empty() {
            members.push(("required".to_owned(), Json::List(needed)));
        }
        let one =
            |name: String| Json::Object(vec![("required".to_owned(), Json::List(vec![Json::text(name)]))]);
        let choices = either.into_iter().map(|(name, old)| {
            let names = std::iter::once(name).chain(old).map(one).collect();
            Json::Object(vec![("anyOf".to_owned(), Json::List(names))])
        });
        let choices: Vec<Json> = choices.collect();
        if !choices.is_empty() {
            members.push(("allOf".to_owned(), Json::List(choices)));
        }
        members
    }

    /// A table with what is known of the struct that it stands for.
    fn described(self, schema: &Schema, full: &str) -> Vec<(String, Json)> {
        let below = match schema.prefix.as_str() {
            "" => Some(full),
            prefix => full.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')),
        };
        let mut members = vec![("title".to_owned(), Json::text(full))];
        let group = below.and_then(|key| schema.groups.iter().find(|group| group.key == key));
        if let Some(group) = group.filter(|group| !group.description.is_empty()) {
            members.push(("description".to_owned(), Json::text(&*group.description)));
        }
        members.extend(self.members(schema, full));
        members
    }

    fn is_required(&self) -> bool {
        !self.required.is_empty()
            || self
                .entries
                .iter()
                .any(|(_, place)| matches!(place, Place::Table(table) if table.is_required()))
    }
}

fn old_name(present: &str, form: Option<&(String, Json)>) -> Json {
    let mut members = vec![
        ("description".to_owned(), Json::text(format!("An old name of {present}."))),
        ("deprecated".to_owned(), Json::yes()),
    ];
    if let Some((_, Json::Object(form))) = form {
        let said = ["title", "description", "deprecated", "default"];
        members.extend(form.iter().filter(|(name, _)| !said.contains(&name.as_str())).cloned());
    }
    Json::Object(members)
}

impl Setting {
    fn json_schema(&self, full: &str) -> Json {
        let mut members = vec![("title".to_owned(), Json::text(full))];
        let mut words: Vec<String> = Vec::new();
        if !self.description.is_empty() {
            words.push(self.description.clone());
        }
        words.extend(self.remarks());
        if !words.is_empty() {
            members.push(("description".to_owned(), Json::text(words.join("\n\n"))));
        }
        let value = form::of_setting(self);
        if self.entries {
            members.push(("type".to_owned(), Json::text("object")));
            members.push(("additionalProperties".to_owned(), value));
            members.extend(form::entries(self));
        } else if let Json::Object(value) = value {
            members.extend(value);
        }
        if let Some(default) = self.json_default() {
            members.push(("default".to_owned(), default));
        }
        members.extend(self.marks());
        Json::Object(members)
    }

    /// The default as it would stand in a file.
    fn json_default(&self) -> Option<Json> {
        let stored = self.presence.default()?;
        match &self.form {
            Form::Flag { .. } | Form::Any => Some(match crate::value::parse_tree(stored) {
                Ok(tree) => Json::tree(&tree),
                Err(_) => Json::text(stored),
            }),
            Form::Opaque => Some(Json::text(stored)),
            form => form.read(stored.as_bytes()).ok().map(|tree| Json::tree(&tree)),
        }
    }

    fn marks(&self) -> Vec<(String, Json)> {
        let mut marks = Vec::new();
        let mut mark = |name: &str, value: Json| marks.push((name.to_owned(), value));
        if self.deprecated.is_some() {
            mark("deprecated", Json::yes());
        }
        if self.secret {
            mark("writeOnly", Json::yes());
            mark("x-kvconf-secret", Json::yes());
        }
        if self.restart {
            mark("x-kvconf-restart", Json::yes());
        }
        if self.presence == Presence::Required {
            mark("x-kvconf-required", Json::yes());
        }
        if let Some(unit) = &self.unit {
            mark("x-kvconf-unit", Json::text(&**unit));
        }
        if let Some(env) = &self.env {
            mark("x-kvconf-env", Json::text(&**env));
        }
        for constraint in &self.constraints {
            if let Constraint::Function(name) = constraint {
                mark("x-kvconf-validate", Json::text(&**name));
            }
        }
        marks
    }
}

//! A TOML file with every setting, to be filled in by people.

use std::fmt::Write as _;

use super::{Form, Presence, Schema, Setting};
use crate::schema::join;
use crate::value::Tree;

impl Schema {
    /// A TOML file with every setting, its description above it: defaults as they are, everything else commented out.
    ///
    /// Read as a file of the handle it gives exactly the defaults. Old names are left out.
    ///
    /// ```
    /// # use kvconf::{KvConfig, Schema};
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     /// Most items in one basket.
    ///     #[kv(default = 50, range(1..=500))]
    ///     max_items: u32,
    ///     region: String,
    /// }
    ///
    /// let text = "\
    /// ## Settings of Checkout.
    ///
    /// [checkout]
    ///
    /// ## Most items in one basket.
    /// ## A whole number (u32), 1 to 500.
    /// max_items = 50
    ///
    /// ## A text. Required.
    /// ## region = \"\"
    /// ";
    /// assert_eq!(Schema::of::<Checkout>().toml_template(), text);
    /// ```
    #[must_use]
    pub fn toml_template(&self) -> String {
        let mut out = String::new();
        comment(&mut out, &format!("Settings of {}.", self.name));
        if !self.description.is_empty() {
            out.push_str("#\n");
            comment(&mut out, &self.description);
        }
        for (table, settings) in self.tables() {
            self.table(&table, &settings, &mut out);
        }
        out
    }

    /// The settings by the table that they stand in, in the order of the source; what stands in no table comes first, as
    /// TOML wants it. A map of entries is a table of its own.
    fn tables(&self) -> Vec<(String, Vec<&Setting>)> {
        let mut tables: Vec<(String, Vec<&Setting>)> = vec![(String::new(), Vec::new())];
        for setting in &self.settings {
            let key = self.full_key(&setting.key);
            let table = match key.rsplit_once('.') {
                _ if setting.entries => key.as_str(),
                Some((table, _)) => table,
                None => "",
            };
            match tables.iter_mut().find(|(name, _)| name == table) {
                Some((_, settings)) => settings.push(setting),
                None => tables.push((table.to_owned(), vec![setting])),
            }
        }
        tables.retain(|(_, settings)| !settings.is_empty());
        tables
    }

    fn table(&self, table: &str, settings: &[&Setting], out: &mut String) {
        let map = settings.iter().find(|setting| setting.entries);
        if !table.is_empty() {
            out.push('\n');
            match map {
                Some(setting) => about(setting, out),
                None => self.about_group(table, out),
            }
            let path: Vec<String> = table.split('.').map(name).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(out, "[{}]", path.join("."));
        }
        if let Some(setting) = map {
            let example = example(&setting.form);
            let _ = writeln!(out, "# name = {example}");
        }
        for setting in settings.iter().filter(|setting| !setting.entries) {
            out.push('\n');
            about(setting, out);
            let name = name(setting.name());
            let line = match setting.default_in_toml() {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} = {}", example(&setting.form)),
            };
            let _ = writeln!(out, "{line}");
        }
    }

    fn about_group(&self, table: &str, out: &mut String) {
        let is_it = |key: &str| join(&self.prefix, key) == table;
        if let Some(group) = self.groups.iter().find(|group| is_it(&group.key))
            && !group.description.is_empty()
        {
            comment(out, &group.description);
        }
    }
}

impl Setting {
    fn default_in_toml(&self) -> Option<String> {
        let stored = self.presence.default()?;
        match &self.form {
            // A flag that somebody has set is not one that nobody has.
            Form::Flag { .. } => None,
            Form::Opaque => Some(text(stored)),
            // In quotes a number would be a text.
            Form::Any | Form::Json { .. } => toml(&self.form.read(stored.as_bytes()).ok()?, Depth::Inside),
            form => toml(&form.read(stored.as_bytes()).ok()?, Depth::Outside).or_else(|| Some(text(stored))),
        }
    }
}

/// The comment above a setting.
fn about(setting: &Setting, out: &mut String) {
    if !setting.description.is_empty() {
        comment(out, &setting.description);
    }
    let mut words = capitalised(&setting.values());
    words.push('.');
    match &setting.presence {
        Presence::Required => words.push_str(" Required."),
        Presence::Computed => words.push_str(" By default computed by the program."),
        Presence::Hidden => words.push_str(" It has a default that is not shown."),
        Presence::Default(stored) if matches!(setting.form, Form::Flag { .. }) => {
            let _ = write!(words, " Without a flag {stored}.");
        }
        Presence::Optional | Presence::Default(_) => {}
    }
    for remark in setting.remarks() {
        words.push(' ');
        words.push_str(&remark);
    }
    comment(out, &words);
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        // No control characters in a comment: TOML refuses them.
        let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let _ = writeln!(out, "{}", format!("# {line}").trim_end());
    }
}

/// A name of a table or a setting; in quotes where it has to be.
fn name(part: &str) -> String {
    let bare =
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { part.to_owned() } else { text(part) }
}

/// A basic string: TOML escapes as JSON does, and DEL too.
fn text(text: &str) -> String {
    Tree::Text(text.to_owned()).to_json().replace('\u{7f}', "\\u007f")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Outside,
    Inside,
}

/// A value; `None` where TOML has no word for it.
fn toml(tree: &Tree, depth: Depth) -> Option<String> {
    Some(match tree {
        Tree::Null | Tree::Bytes(_) => return None,
        Tree::Bool(value) => value.to_string(),
        Tree::Text(value) => text(value),
        // Whole numbers have 64 bits and a sign in TOML. A larger one stands in quotes, but not within JSON.
        Tree::Number(number) if !number.contains(['.', 'e', 'E']) && number.parse::<i64>().is_err() => {
            if depth == Depth::Inside {
                return None;
            }
            text(number)
        }
        Tree::Number(number) => number.clone(),
        Tree::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| toml(item, Depth::Inside)).collect();
            format!("[{}]", items?.join(", "))
        }
        Tree::Object(entries) => {
            let entry = |(key, value): (&String, &Tree)| {
                Some(format!("{} = {}", name(key), toml(value, Depth::Inside)?))
            };
            let entries: Option<Vec<String>> = entries.iter().map(entry).collect();
            match entries?.join(", ") {
                entries if entries.is_empty() => "{}".to_owned(),
                entries => format!("{{ {entries} }}"),
            }
        }
    })
}

/// What a value could look like, for a line that is commented out.
fn example(form: &Form) -> String {
    match form.inner() {
        Form::Bool => "false".to_owned(),
        Form::Whole { .. } => "0".to_owned(),
        Form::Float { .. } => "0.0".to_owned(),
        Form::Duration => "\"30s\"".to_owned(),
        Form::ByteSize => "\"1 MiB\"".to_owned(),
        Form::Enum { variants } => {
            let first = variants.iter().find(|variant| variant.content.is_none());
            first.map_or_else(|| "{}".to_owned(), |variant| text(&variant.name))
        }
        Form::List { .. } | Form::Tuple { .. } => "[]".to_owned(),
        Form::Map { .. } | Form::Struct { .. } => "{}".to_owned(),
        Form::Flag { value, .. } => example(value),
        _ => "\"\"".to_owned(),
    }
}

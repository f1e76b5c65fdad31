//! A reference of all settings, for people.

use std::fmt::Write as _;

use super::{Presence, Schema, Setting};

impl Schema {
    /// A reference of all settings in Markdown: a table for each struct, and everything that is known of each setting below
    /// it. Equal schemas give equal texts.
    ///
    /// ```
    /// # use kvconf::{KvConfig, Schema};
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     /// Most items in one basket.
    ///     #[kv(default = 50, range(1..=500))]
    ///     max_items: u32,
    /// }
    ///
    /// let text = Schema::of::<Checkout>().markdown();
    /// assert!(text.contains("| [`checkout.max_items`](#checkoutmax_items) | a whole number (u32), 1 to 500 | `50` |"));
    /// ```
    #[must_use]
    pub fn markdown(&self) -> String {
        // Writing to a String cannot fail.
        let mut out = String::new();
        let _ = writeln!(out, "# {}\n", self.name);
        if !self.description.is_empty() {
            let _ = writeln!(out, "{}\n", self.description);
        }
        if !self.layers.is_empty() {
            let names: Vec<String> = self.layers.iter().map(|layer| code(layer)).collect();
            let _ = writeln!(out, "Read from layers, from general to specific: {}.\n", names.join(", "));
        }
        for (key, title, description) in self.sections() {
            let settings: Vec<&Setting> =
                self.settings.iter().filter(|setting| self.section_of(setting) == key).collect();
            if settings.is_empty() {
                continue;
            }
            if !key.is_empty() {
                let _ = writeln!(out, "## {title}\n");
                if !description.is_empty() {
                    let _ = writeln!(out, "{description}\n");
                }
            }
            let _ = writeln!(out, "| setting | values | without a value |\n|---|---|---|");
            for setting in &settings {
                out.push_str(&self.row(setting));
            }
            out.push('\n');
            for setting in settings {
                out.push_str(&self.details(setting));
            }
        }
        let mut text = out.trim_end().to_owned();
        text.push('\n');
        text
    }

    /// The root and every struct below, with the keys that stand for them.
    fn sections(&self) -> Vec<(&str, String, &str)> {
        let group = |group: &'_ super::Group| format!("`{}`", self.full_key(&group.key));
        let groups = self.groups.iter().map(|it| (it.key.as_str(), group(it), it.description.as_str()));
        std::iter::once(("", String::new(), "")).chain(groups).collect()
    }

    /// The innermost struct that a setting belongs to.
    fn section_of(&self, setting: &Setting) -> &str {
        let above = self.groups.iter().map(|group| group.key.as_str());
        let above =
            above.filter(|key| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
        above.max_by_key(|key| key.len()).unwrap_or("")
    }

    fn shown_key(&self, setting: &Setting) -> String {
        let key = self.full_key(&setting.key);
        if setting.entries { format!("{key}.*") } else { key }
    }

    fn row(&self, setting: &Setting) -> String {
        let key = self.shown_key(setting);
        let (values, without) = (cell(&setting.values()), cell(&without_value(setting)));
        format!("| [`{key}`](#{}) | {values} | {without} |\n", anchor(&key))
    }

    fn details(&self, setting: &Setting) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "### `{}`\n", self.shown_key(setting));
        if !setting.description.is_empty() {
            let _ = writeln!(out, "{}\n", setting.description);
        }
        let mut lines = vec![
            format!("Values: {}", setting.values()),
            format!("Without a value: {}", without_value(setting)),
        ];
        if !setting.aliases.is_empty() {
            let names: Vec<String> =
                setting.aliases.iter().map(|name| format!("`{}`", self.full_key(name))).collect();
            lines.push(format!("Old names: {}", names.join(", ")));
        }
        if let Some(env) = &setting.env {
            lines.push(format!("Environment variable: `{env}`"));
        }
        lines.extend(setting.remarks());
        for line in lines {
            let _ = writeln!(out, "- {line}");
        }
        out.push('\n');
        out
    }
}

fn without_value(setting: &Setting) -> String {
    match &setting.presence {
        Presence::Default(stored) if stored.is_empty() => "an empty text".to_owned(),
        Presence::Default(stored) => code(stored),
        Presence::Required => "**required**".to_owned(),
        _ => setting.without_value(),
    }
}

/// A text as code, also where it has backquotes of its own.
fn code(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{line}{space}{fence}")
}

/// A text in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// As renderers of Markdown name headings: letters, digits, `-` and `_` are left.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

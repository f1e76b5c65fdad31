//! Settings in words, the same ones in templates and references.

use std::borrow::Cow;

use crate::schema::{Constraint, Presence};
use crate::settings::{Form, Setting};

impl Setting {
    /// What values it has, in one line: `a whole number (u32), 1 to 500, in items`.
    #[must_use]
    pub fn values(&self) -> String {
        let mut words = match (&self.form, self.entries) {
            (form, true) => format!("one key per entry, each {form}"),
            (form, false) => form.to_string(),
        };
        for constraint in &self.constraints {
            words.push_str(", ");
            words.push_str(&constraint_words(constraint, self));
        }
        if let Some(unit) = &self.unit {
            words.push_str(", in ");
            words.push_str(unit);
        }
        words
    }

    /// What it is without a value, in a few words: `required`, `none`, or the default in stored form.
    #[must_use]
    pub fn without_value(&self) -> String {
        match &self.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional if self.entries => "no entries".to_owned(),
            Presence::Optional => "none".to_owned(),
            Presence::Default(stored) => stored.clone(),
            Presence::Computed => "computed by the program".to_owned(),
            Presence::Hidden => "a default that is not shown".to_owned(),
        }
    }

    /// What else has to be known, one sentence each: that it is deprecated, a secret, read at starts only.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(instead) = &self.deprecated {
            remarks.push(match instead.as_str() {
                "" => "Deprecated.".to_owned(),
                instead => format!("Deprecated, use {instead}."),
            });
        }
        if self.secret {
            remarks.push("Secret: its values are never shown.".to_owned());
        }
        if self.restart {
            remarks.push("A change takes effect at the next start.".to_owned());
        }
        remarks
    }
}

fn constraint_words(constraint: &Constraint, setting: &Setting) -> String {
    let counted = match setting.form.inner() {
        _ if setting.entries => "entries",
        Form::Text { .. } => "characters",
        _ => "items",
    };
    match constraint {
        Constraint::Range { min, max, exclusive } => between(min.as_deref(), max.as_deref(), *exclusive),
        Constraint::Length { min, max } if min == max => format!("exactly {constraint} {counted}"),
        Constraint::Length { min, max } => {
            let (min, max) = (min.map(|min| min.to_string()), max.map(|max| max.to_string()));
            format!("{} {counted}", between(min.as_deref(), max.as_deref(), false))
        }
        Constraint::Pattern(pattern) => format!("matching `{pattern}`"),
        Constraint::OneOf(values) => format!("only {}", one_of(values)),
        Constraint::Function(name) => format!("checked by `{name}`"),
    }
}

fn between(min: Option<&str>, max: Option<&str>, exclusive: bool) -> String {
    match (min, max, exclusive) {
        (Some(min), Some(max), true) => format!("{min} to below {max}"),
        (Some(min), Some(max), false) => format!("{min} to {max}"),
        (Some(min), None, _) => format!("at least {min}"),
        (None, Some(max), true) => format!("below {max}"),
        (None, Some(max), false) => format!("at most {max}"),
        (None, None, _) => "any".to_owned(),
    }
}

/// `a`, `b` or `c`, each quoted.
fn one_of(values: &[Cow<'static, str>]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, head)) => format!("{} or {last}", head.join(", ")),
        None => "nothing".to_owned(),
    }
}

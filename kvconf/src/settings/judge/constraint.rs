//! Constraints on values that were read by their form.

use std::cmp::Ordering;
use std::net::IpAddr;

use regex::Regex;

use crate::schema::{Constraint, Violation};
use crate::settings::{Form, TextFormat};
use crate::value::{ByteSize, Tree, duration};

/// A value and its form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) form: &'a Form,
    pub(super) tree: &'a Tree,
}

/// Whether a value fulfils a constraint; `None` where only the program can tell.
pub(super) fn test(constraint: &Constraint, subject: Subject<'_>) -> Option<Result<(), Violation>> {
    let is_none = *subject.tree == Tree::Null && matches!(subject.form, Form::Option { .. });
    if is_none && !matches!(constraint, Constraint::Function(_)) {
        return Some(Ok(()));
    }
    let subject = Subject { form: subject.form.inner(), ..subject };
    match constraint {
        Constraint::Range { min, max, exclusive } => {
            let low = match min {
                Some(min) => subject.compare(min)?.is_ge(),
                None => true,
            };
            let high = match max {
                Some(max) if *exclusive => subject.compare(max)?.is_lt(),
                Some(max) => subject.compare(max)?.is_le(),
                None => true,
            };
            Some(holds(low && high))
        }
        Constraint::Length { min, max } => Some(has_length(subject.length()?, *min, *max)),
        Constraint::Pattern(pattern) => match (subject.form, subject.tree) {
            (Form::Text { format: None }, Tree::Text(text)) => {
                Some(holds(Regex::new(pattern).ok()?.is_match(text)))
            }
            _ => None,
        },
        Constraint::OneOf(values) => {
            let mut found = false;
            for value in values.iter() {
                found |= subject.is(value)?;
            }
            Some(holds(found))
        }
        Constraint::Function(_) => None,
    }
}

const fn holds(test: bool) -> Result<(), Violation> {
    if test { Ok(()) } else { Err(Violation::Constraint) }
}

/// Whether a length stands between these, both included.
pub(super) fn has_length(length: usize, min: Option<usize>, max: Option<usize>) -> Result<(), Violation> {
    let fits = min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max);
    if fits { Ok(()) } else { Err(Violation::Length(length)) }
}

impl Subject<'_> {
    fn text(&self) -> Option<&str> {
        match self.tree {
            Tree::Text(text) | Tree::Number(text) => Some(text),
            _ => None,
        }
    }

    /// How it stands to a value in stored form.
    fn compare(&self, bound: &str) -> Option<Ordering> {
        let text = self.text()?;
        match self.form {
            Form::Whole { .. } => Some(whole(text)?.cmp(&whole(bound)?)),
            // As the type compares: a bound is rounded to it too.
            Form::Float { bits: 32 } => text.parse::<f32>().ok()?.partial_cmp(&bound.parse::<f32>().ok()?),
            Form::Float { .. } => text.parse::<f64>().ok()?.partial_cmp(&bound.parse::<f64>().ok()?),
            Form::Char => Some(text.chars().next()?.cmp(&bound.chars().next()?)),
            Form::Duration => Some(duration::parse(text).ok()?.cmp(&duration::parse(bound).ok()?)),
            Form::ByteSize => Some(text.parse::<ByteSize>().ok()?.cmp(&bound.parse::<ByteSize>().ok()?)),
            Form::Text { format: Some(TextFormat::Ip | TextFormat::Ipv4 | TextFormat::Ipv6) } => {
                Some(text.parse::<IpAddr>().ok()?.cmp(&bound.parse::<IpAddr>().ok()?))
            }
            _ => None,
        }
    }

    /// Whether it is this value in stored form.
    fn is(&self, value: &str) -> Option<bool> {
        match self.form {
            Form::Whole { .. } | Form::Float { .. } => Some(self.compare(value)?.is_eq()),
            Form::Opaque | Form::Any | Form::Flag { .. } => None,
            Form::Text { format: Some(TextFormat::Other(_)) } => None,
            form => Some(form.read(value.as_bytes()).ok()? == *self.tree),
        }
    }

    fn length(&self) -> Option<usize> {
        match (self.form, self.tree) {
            (Form::Text { format: None }, Tree::Text(text)) => Some(text.chars().count()),
            (Form::List { distinct: false, .. }, Tree::List(items)) => Some(items.len()),
            (Form::List { distinct: true, .. }, Tree::List(items)) => {
                let twice = |at: usize, item: &Tree| items.iter().take(at).any(|before| before == item);
                Some(items.iter().enumerate().filter(|(at, item)| !twice(*at, item)).count())
            }
            (Form::Map { .. }, Tree::Object(entries)) => Some(entries.len()),
            _ => None,
        }
    }
}

/// How two values in stored form stand to each other, where their form has an order.
pub(in crate::settings) fn compare_stored(form: &Form, left: &str, right: &str) -> Option<Ordering> {
    let form = form.inner();
    let tree = form.read(left.as_bytes()).ok()?;
    Subject { form, tree: &tree }.compare(right)
}

/// A whole number of up to 128 bits, in an order that also knows signs.
fn whole(text: &str) -> Option<(bool, i128, u128)> {
    match text.parse::<i128>() {
        Ok(number) => Some((false, number, 0)),
        // Beyond the signed ones, above all of them.
        Err(_) => text.parse::<u128>().ok().map(|number| (true, 0, number)),
    }
}

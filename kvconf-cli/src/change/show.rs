//! A plan, for people and for programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kvconf::flag::FlagDifference;
use kvconf::{Key, Origin, PlainPlan, Report};
use serde_json::{Value, json};

use crate::output::{Column, Shown, Table, Tone, shown};
use crate::secrecy::Secrecy;

/// How many columns of a value are kept; the table cuts further.
const KEPT: usize = 200;

/// `1 key`, `1 000 keys` without the blank.
pub(crate) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// `1 key was`, `1000 keys were`.
pub(crate) fn keys_were(count: usize) -> String {
    format!("{} {}", counted(count, "key"), if count == 1 { "was" } else { "were" })
}

/// One line for each key: what is added, removed and changed.
pub(crate) fn changes_table(plan: &PlainPlan, secrecy: Secrecy) -> Table {
    let changes = plan.changes().map(|change| (change.key(), change.before(), change.after()));
    differences_table(changes, secrecy)
}

/// As [`changes_table`], of keys with the value before and after.
pub(crate) fn differences_table<'a>(
    changes: impl Iterator<Item = (&'a Key, Option<&'a Bytes>, Option<&'a Bytes>)>,
    secrecy: Secrecy,
) -> Table {
    let mut table = no_differences();
    for (key, before, after) in changes {
        add_difference(&mut table, secrecy, key, (before, after));
    }
    table
}

/// The table of [`differences_table`] without a row.
pub(crate) fn no_differences() -> Table {
    Table::new([
        Column::fixed("", Tone::Dim),
        Column::fixed("", Tone::Key),
        Column::flexible("", Tone::Removed),
        Column::fixed("", Tone::Dim),
        Column::flexible("", Tone::Added),
    ])
}

/// Adds the row of a key, and below that of a flag what differs in it.
pub(crate) fn add_difference(
    table: &mut Table,
    secrecy: Secrecy,
    key: &Key,
    (before, after): (Option<&Bytes>, Option<&Bytes>),
) {
    let parts = flag_parts(secrecy, key, before, after);
    let show = |value: Option<&Bytes>| {
        let told = value.filter(|_| parts.is_empty()).map(|value| shown(secrecy, key, value).short(KEPT));
        told.unwrap_or_default()
    };
    let (sign, arrow) = match (before, after) {
        (None, _) => ("+", ""),
        (Some(_), None) => ("-", ""),
        (Some(_), Some(_)) if parts.is_empty() => ("~", "→"),
        (Some(_), Some(_)) => ("~", ""),
    };
    table.row([sign.to_owned(), key.to_string(), show(before), arrow.to_owned(), show(after)]);
    parts.iter().for_each(|part| table.line(format!("     {part}")));
}

/// What differs in a flag that was there before, part by part: two definitions beside each other are too long for anybody to
/// see it. Nothing where it is no flag, or not to be seen.
pub(crate) fn flag_parts(
    secrecy: Secrecy,
    key: &Key,
    before: Option<&Bytes>,
    after: Option<&Bytes>,
) -> Vec<String> {
    let (Some(before), false) = (before, secrecy.masks(key)) else { return Vec::new() };
    let differences = FlagDifference::of_stored(Some(before), after.map(|value| &**value));
    differences.iter().map(ToString::to_string).collect()
}

/// The plan as one JSON document.
pub(crate) fn plan_json(plan: &PlainPlan, secrecy: Secrecy) -> Value {
    let changes: Vec<Value> = plan
        .changes()
        .map(|change| {
            let value = |value| value_json(secrecy, change.key(), value);
            json!({
                "key": change.key().as_str(),
                "expected": change.expected().get(),
                "before": value(change.before()),
                "after": value(change.after()),
            })
        })
        .collect();
    let mut document = json!({ "changes": changes, "unchanged": plan.unchanged().len() });
    let problems = problems_json(plan.reports());
    if let (false, Some(members)) = (problems.is_empty(), document.as_object_mut()) {
        members.insert("problems".to_owned(), problems.into());
    }
    document
}

/// What checks object to.
pub(crate) fn problems_json(reports: &[Report]) -> Vec<Value> {
    let problems = reports.iter().flat_map(|report| {
        let of = &*report.name;
        report.problems.iter().map(move |problem| {
            let is_fatal = !problem.kind.is_warning();
            let found = json!({ "of": of, "key": problem.key, "message": problem.message, "fatal": is_fatal });
            match &problem.origin {
                Some(Origin::File(at)) => {
                    let place = json!({ "file": at.path.display().to_string(), "line": at.line, "column": at.column });
                    super::with(found, "place", Some(place))
                }
                _ => found,
            }
        })
    });
    problems.collect()
}

/// A value with what it is: `{"value": …}`, `{"base64": …}`, `{"masked": true}`; `null` for none.
pub(crate) fn value_json(secrecy: Secrecy, key: &Key, value: Option<&Bytes>) -> Value {
    match value.map(|value| shown(secrecy, key, value)) {
        None => Value::Null,
        Some(Shown::Text(text)) => json!({ "value": text }),
        Some(Shown::Binary(bytes)) => json!({ "base64": STANDARD.encode(bytes) }),
        Some(Shown::Masked) => json!({ "masked": true }),
    }
}

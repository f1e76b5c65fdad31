//! Whether constraints got narrower.

use std::cmp::Ordering;

use super::{Constraint, Effect, Setting, of_kind};
use crate::settings::judge::compare_stored;

/// What is different in the constraints of a setting.
pub(super) fn differences(old: &Setting, new: &Setting) -> Vec<(Effect, String)> {
    let mut differences = Vec::new();
    for constraint in &new.constraints {
        match of_kind(old, constraint) {
            None => differences.push((Effect::MayRefuse, format!("now has to be {}", words(constraint)))),
            Some(before) if before == constraint => {}
            Some(before) => {
                let effect =
                    if is_narrower(before, constraint, new) { Effect::MayRefuse } else { Effect::Safe };
                differences.push((effect, format!("{} became {}", words(before), words(constraint))));
            }
        }
    }
    for constraint in old.constraints.iter().filter(|constraint| of_kind(new, constraint).is_none()) {
        differences.push((Effect::Safe, format!("need no longer be {}", words(constraint))));
    }
    differences
}

fn words(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Length { .. } => format!("of length {constraint}"),
        Constraint::Pattern(pattern) => format!("matched by {pattern}"),
        Constraint::OneOf(_) => format!("one of {constraint}"),
        Constraint::Function(name) => format!("accepted by `{name}`"),
        other => other.to_string(),
    }
}

/// Whether a value that passed the old one may fail the new one.
fn is_narrower(old: &Constraint, new: &Constraint, setting: &Setting) -> bool {
    match (old, new) {
        (Constraint::Length { min: old_min, max: old_max }, Constraint::Length { min, max }) => {
            min.unwrap_or(0) > old_min.unwrap_or(0)
                || max.unwrap_or(usize::MAX) < old_max.unwrap_or(usize::MAX)
        }
        (Constraint::OneOf(old), Constraint::OneOf(new)) => old.iter().any(|value| !new.contains(value)),
        (
            Constraint::Range { min: old_min, max: old_max, exclusive: old_exclusive },
            Constraint::Range { min, max, exclusive },
        ) => {
            let order = |left: &str, right: &str| compare_stored(&setting.form, left, right);
            let low = match (old_min, min) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(old), Some(new)) => order(new, old).is_none_or(Ordering::is_gt),
            };
            let high = match (old_max, max) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(old), Some(new)) => match order(new, old) {
                    Some(Ordering::Greater) => false,
                    Some(Ordering::Equal) => *exclusive && !*old_exclusive,
                    Some(Ordering::Less) | None => true,
                },
            };
            low || high
        }
        // Whether an expression matches less than another nobody can tell in general.
        _ => true,
    }
}

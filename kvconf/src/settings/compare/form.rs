//! Whether one form reads what another one wrote.

use crate::settings::{Form, FormField, Variant};

/// How a form stands to an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    Same,
    /// It reads every value of the older one.
    Wider,
    /// It reads some.
    Narrower,
    /// It reads none, or nearly none.
    Other,
}

/// How `new` stands to `old`, for values as they are stored under a key.
pub(super) fn relation(old: &Form, new: &Form) -> Relation {
    if old == new {
        return Relation::Same;
    }
    match (old, new) {
        // A text `null`, and one in quotes, mean something else in an option.
        (Form::Text { .. } | Form::Char | Form::Any, Form::Option { of }) => {
            relation(old, of).max(Relation::Narrower)
        }
        (Form::Option { of: old }, Form::Option { of: new }) => relation(old, new),
        (old, Form::Option { of }) => relation(old, of).max(Relation::Wider),
        // Whoever wrote `null` is refused.
        (Form::Option { of }, new) => relation(of, new).max(Relation::Narrower),
        // Every stored form of these is a text, and reads as one.
        (
            Form::Bool
            | Form::Whole { .. }
            | Form::Float { .. }
            | Form::Char
            | Form::Text { .. }
            | Form::Duration
            | Form::ByteSize,
            Form::Text { format: None },
        ) => Relation::Wider,
        (Form::Enum { variants }, Form::Text { format: None })
            if variants.iter().all(|it| it.content.is_none()) =>
        {
            Relation::Wider
        }
        (Form::Opaque, _) | (_, Form::Opaque) => Relation::Narrower,
        (_, Form::Bytes) => Relation::Wider,
        // A text that looks like JSON and is none is refused, and so are `[` and a blank as one character.
        (Form::Text { .. } | Form::Bytes | Form::Any, _) | (Form::Char, Form::Any) => Relation::Narrower,
        (Form::Whole { .. }, Form::ByteSize) => {
            if is_unsigned(old) {
                Relation::Wider
            } else {
                Relation::Narrower
            }
        }
        (Form::Flag { value: old, default: before }, Form::Flag { value: new, default: after }) => {
            let values = inside(old, new);
            if *before && !*after { values.max(Relation::Narrower) } else { values }
        }
        (old, Form::Flag { value, .. }) => inside(old, value).max(Relation::Narrower),
        (Form::Json { of: old }, Form::Json { of: new }) => inside(old, new),
        (Form::Json { .. }, _) | (_, Form::Json { .. }) => Relation::Narrower,
        (old, new) => inside(old, new),
    }
}

const fn is_unsigned(form: &Form) -> bool {
    matches!(form, Form::Whole { signed: false, bits: 8..=64, .. })
}

/// The same for values inside JSON, where a number is no text.
fn inside(old: &Form, new: &Form) -> Relation {
    if old == new {
        return Relation::Same;
    }
    match (old, new) {
        (Form::Option { of: old }, Form::Option { of: new }) => inside(old, new),
        (old, Form::Option { of }) => inside(old, of).max(Relation::Wider),
        (Form::Option { of }, new) => inside(of, new).max(Relation::Narrower),
        (_, Form::Any) => Relation::Wider,
        (Form::Any, _) => Relation::Narrower,
        (Form::Whole { .. }, Form::Whole { .. }) => whole(old, new),
        (Form::Whole { .. }, Form::Float { .. }) => Relation::Wider,
        (Form::Float { .. }, Form::Whole { .. }) => Relation::Narrower,
        (Form::Float { bits: old }, Form::Float { bits: new }) => {
            if new > old {
                Relation::Wider
            } else {
                Relation::Narrower
            }
        }
        (Form::Char | Form::Text { .. } | Form::Duration | Form::ByteSize, Form::Text { format: None }) => {
            Relation::Wider
        }
        (
            Form::Text { .. } | Form::Char,
            Form::Text { .. } | Form::Char | Form::Duration | Form::ByteSize | Form::Enum { .. },
        ) => Relation::Narrower,
        (Form::Enum { variants: old }, Form::Enum { variants: new }) => variants(old, new),
        (Form::Enum { variants }, Form::Text { format: None }) => {
            if variants.iter().all(|it| it.content.is_none()) { Relation::Wider } else { Relation::Narrower }
        }
        (Form::List { items: old, .. }, Form::List { items: new, .. }) => {
            inside(old, new).clamp(Relation::Wider, Relation::Narrower)
        }
        (Form::Tuple { items: old }, Form::List { items: new, .. }) => old
            .iter()
            .map(|old| inside(old, new))
            .max()
            .unwrap_or(Relation::Same)
            .clamp(Relation::Wider, Relation::Narrower),
        (Form::List { .. }, Form::Tuple { .. }) => Relation::Narrower,
        (Form::Tuple { items: old }, Form::Tuple { items: new }) => {
            if old.len() != new.len() {
                return Relation::Other;
            }
            old.iter().zip(new).map(|(old, new)| inside(old, new)).max().unwrap_or(Relation::Same)
        }
        (Form::Map { keys: old_keys, values: old }, Form::Map { keys: new_keys, values: new }) => {
            // An empty map is always read.
            inside(old, new).max(inside(old_keys, new_keys)).clamp(Relation::Wider, Relation::Narrower)
        }
        (Form::Struct { fields: old, .. }, Form::Struct { fields: new, closed, partial }) => {
            let relation = fields(old, new, *closed);
            if *partial { relation.max(Relation::Narrower) } else { relation }
        }
        (Form::Struct { .. }, Form::Map { .. }) | (Form::Map { .. }, Form::Struct { .. }) => {
            Relation::Narrower
        }
        _ => Relation::Other,
    }
}

fn whole(old: &Form, new: &Form) -> Relation {
    let number = |text: &str| -> Option<(bool, i128, u128)> {
        let small = text.parse::<i128>().ok().map(|number| (false, number, 0));
        small.or_else(|| text.parse::<u128>().ok().map(|number| (true, 0, number)))
    };
    let bounds = |form: &Form| {
        let (min, max) = form.whole_bounds()?;
        Some((number(&min)?, number(&max)?))
    };
    let (Some((old_min, old_max)), Some((new_min, new_max))) = (bounds(old), bounds(new)) else {
        return Relation::Narrower;
    };
    let hole = matches!(new, Form::Whole { nonzero: true, signed: true, .. })
        && !matches!(old, Form::Whole { nonzero: true, .. });
    if new_min <= old_min && new_max >= old_max && !hole { Relation::Wider } else { Relation::Narrower }
}

fn variants(old: &[Variant], new: &[Variant]) -> Relation {
    let one = |old: &Variant| {
        let Some(new) = new.iter().find(|new| new.name == old.name) else { return Relation::Narrower };
        match (&old.content, &new.content) {
            (None, None) => Relation::Same,
            (Some(old), Some(new)) => inside(old, new).min(Relation::Narrower),
            _ => Relation::Narrower,
        }
    };
    let kept = old.iter().filter(|old| new.iter().any(|new| new.name == old.name)).count();
    match old.iter().map(one).max() {
        _ if kept == 0 && !old.is_empty() => Relation::Other,
        Some(Relation::Same) | None => Relation::Wider,
        Some(relation) => relation,
    }
}

fn fields(old: &[FormField], new: &[FormField], closed: bool) -> Relation {
    let known = |name: &str, fields: &[FormField]| fields.iter().any(|field| field.name == name);
    let missing = new.iter().any(|field| field.required && !known(&field.name, old));
    if missing {
        return Relation::Other;
    }
    let stricter =
        new.iter().any(|new| new.required && old.iter().any(|old| old.name == new.name && !old.required));
    let refused = closed && old.iter().any(|field| !known(&field.name, new));
    let inner = old.iter().filter_map(|old| {
        let new = new.iter().find(|new| new.name == old.name)?;
        let relation = inside(&old.form, &new.form);
        Some(if old.required { relation } else { relation.min(Relation::Narrower) })
    });
    let inner = inner.max().unwrap_or(Relation::Same).max(Relation::Wider);
    if stricter || refused { inner.max(Relation::Narrower) } else { inner }
}

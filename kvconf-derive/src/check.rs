//! Rules across the fields of a struct.

use proc_macro2::Span;

use crate::error::Errors;
use crate::model::{Absent, Field, Key, Kind, Model};

/// The part of the key space that belongs to the framework.
const RESERVED: &str = "_kvconf";

/// Holds a struct against every rule that concerns more than one word.
pub(crate) fn check(model: &Model, errors: &mut Errors) {
    if let Some(prefix) = &model.prefix {
        check_key(&Key { text: prefix.value(), span: prefix.span() }, "the prefix", errors);
    }
    for env in model.env_prefix.iter().chain(model.fields.iter().filter_map(|field| field.env.as_ref())) {
        check_env(&env.value(), env.span(), errors);
    }
    for field in model.fields.iter().filter(|field| !matches!(field.kind, Kind::Flatten | Kind::Skip(_))) {
        for key in std::iter::once(&field.key).chain(&field.aliases) {
            check_key(key, "the key", errors);
        }
    }
    check_collisions(model, errors);
    check_env_collisions(model, errors);
    for field in &model.fields {
        check_default(field, errors);
    }
}

/// A key is made of `[-/_=.a-zA-Z0-9]`, without an empty part.
fn check_key(key: &Key, what: &str, errors: &mut Errors) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_' | '=' | '.');
    let text = &key.text;
    let message = if text.is_empty() {
        format!("{what} is empty")
    } else if let Some(character) = text.chars().find(|c| !fits(*c)) {
        format!("{what} {text:?} has {character:?}; keys are made of a-z A-Z 0-9 - / _ = and dots")
    } else if text.split('.').any(str::is_empty) {
        format!("{what} {text:?} has an empty part (two dots in a row, or a dot at an end)")
    } else if text.split('.').next() == Some(RESERVED) {
        format!("keys under `{RESERVED}` belong to the framework")
    } else {
        return;
    };
    errors.push(syn::Error::new(key.span, message));
}

fn check_env(name: &str, span: Span, errors: &mut Errors) {
    if name.is_empty() || name.contains(['=', '\0']) {
        errors.push(syn::Error::new(span, "an environment variable's name is not empty and has no `=`"));
    }
}

/// Every key of the struct with the field that it belongs to, aliases too.
fn keys(model: &Model) -> impl Iterator<Item = (&Key, &Field)> {
    let own = |field: &Field| !matches!(field.kind, Kind::Flatten | Kind::Skip(_));
    model
        .fields
        .iter()
        .filter(move |field| own(field))
        .flat_map(|field| std::iter::once(&field.key).chain(&field.aliases).map(move |key| (key, field)))
        .filter(|(key, _)| !key.text.is_empty())
}

/// No key twice, and none below another: a key is a value or a place for further keys, never both.
fn check_collisions(model: &Model, errors: &mut Errors) {
    let mut seen: std::collections::BTreeMap<&str, &Field> = std::collections::BTreeMap::new();
    let below = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    for (key, field) in keys(model) {
        let text = key.text.as_str();
        let above = text.match_indices('.').find_map(|(at, _)| seen.get_key_value(text.get(..at)?));
        let under =
            || seen.range(text..).take_while(|(k, _)| k.starts_with(text)).find(|(k, _)| below(k, text));
        let message = if let Some(other) = seen.get(text) {
            format!("the key \"{text}\" is taken by the field `{}`", other.ident)
        } else if let Some((other, owner)) = above {
            format!("\"{text}\" stands below \"{other}\", the key of the field `{}`", owner.ident)
        } else if let Some((other, owner)) = under() {
            format!("\"{other}\", a key of the field `{}`, stands below \"{text}\"", owner.ident)
        } else {
            seen.insert(text, field);
            continue;
        };
        errors.push(syn::Error::new(key.span, message));
    }
}

/// Environment names are `PREFIX_FIELD`, or what `env` says; two fields must not read the same one. Names that differ in
/// case only are the same one on Windows.
fn check_env_collisions(model: &Model, errors: &mut Errors) {
    let mut seen: std::collections::BTreeMap<String, (String, &Field)> = std::collections::BTreeMap::new();
    let prefix = model.env_prefix.as_ref().map(syn::LitStr::value);
    for field in model.fields.iter().filter(|field| !matches!(field.kind, Kind::Flatten | Kind::Skip(_))) {
        let by_prefix = || Some(format!("{}_{}", prefix.as_ref()?, field.name().to_ascii_uppercase()));
        let Some(name) = field.env.as_ref().map(syn::LitStr::value).or_else(by_prefix) else { continue };
        let Some((taken, other)) = seen.get(&name.to_ascii_uppercase()) else {
            seen.insert(name.to_ascii_uppercase(), (name, field));
            continue;
        };
        let span = field.env.as_ref().map_or_else(|| field.ident.span(), syn::LitStr::span);
        let as_what =
            if *taken == name { String::new() } else { format!(" as {taken}, the same on Windows") };
        let message =
            format!("the environment variable {name} is taken by the field `{}`{as_what}", other.ident);
        errors.push(syn::Error::new(span, message));
    }
}

/// A default must pass the field's own checks.
fn check_default(field: &Field, errors: &mut Errors) {
    let Kind::Leaf { absent: Absent::Value { source, known: Some(known), .. }, checks, .. } = &field.kind
    else {
        return;
    };
    for refusal in checks.iter().filter_map(|check| check.refuses(known)) {
        errors.at(source, format_args!("the default is {refusal}"));
    }
}

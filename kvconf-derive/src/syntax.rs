//! Tokens to model: one struct, read word by word.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Type};

use crate::attributes::{Attributes, Given, Item, allowed, description, replacement, span};
use crate::casing::Casing;
use crate::constraint::{self, Check};
use crate::error::Errors;
use crate::literal::{Value, value};
use crate::model::{Absent, Codec, Field, Key, Kind, Model, plain_name};
use crate::spans::used;
use crate::types::{Shape, flag_value, pretty, shape, without_option};
use crate::words::{On, nearest};

/// Reads a struct. What is wrong with it goes to `errors`; the model is as good as it can be, for the stub.
pub(crate) fn read(input: &DeriveInput, errors: &mut Errors) -> Model {
    let attributes = Attributes::read(&input.attrs, On::Struct, errors);
    if let Some(lifetime) = input.generics.lifetimes().next() {
        errors.at(lifetime, "settings outlive every borrow: own the data, without lifetimes");
    }
    let casing = casing(&attributes, errors);
    Model {
        ident: used(&input.ident, &input.attrs),
        allowed: allowed(input),
        vis: input.vis.clone(),
        generics: input.generics.clone(),
        description: description(&input.attrs),
        prefix: attributes.text("prefix"),
        env_prefix: attributes.text("env_prefix"),
        validate: attributes.path("validate"),
        library: library(&attributes),
        fields: fields(input, errors).map(|field| read_field(field, casing, errors)).collect(),
    }
}

fn casing(attributes: &Attributes, errors: &mut Errors) -> Casing {
    let Some(name) = attributes.text("rename_all") else { return Casing::Snake };
    Casing::named(&name.value()).unwrap_or_else(|| {
        let message = match nearest(&name.value(), Casing::names()) {
            Some(close) => format!("no such casing; did you mean \"{close}\"?"),
            None => format!("no such casing; there are {}", Casing::names().collect::<Vec<_>>().join(", ")),
        };
        errors.at(name, message);
        Casing::Snake
    })
}

fn library(attributes: &Attributes) -> TokenStream {
    match attributes.path("crate") {
        Some(path) => quote!(#path),
        None => quote!(::kvconf),
    }
}

fn fields<'a>(input: &'a DeriveInput, errors: &mut Errors) -> std::vec::IntoIter<&'a syn::Field> {
    let refusal = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return fields.named.iter().collect::<Vec<_>>().into_iter(),
            Fields::Unnamed(_) => {
                "the fields of a tuple struct have no names that keys could have; name them"
            }
            Fields::Unit => "a struct without fields has no keys",
        },
        Data::Enum(_) => {
            "an enum has no fixed set of keys; put it in a field of a struct: there it is a value (with serde's derives)"
        }
        Data::Union(_) => "a union does not know which of its fields is set; write a struct",
    };
    errors.at(&input.ident, refusal);
    Vec::new().into_iter()
}

fn read_field(field: &syn::Field, casing: Casing, errors: &mut Errors) -> Field {
    let attributes = Attributes::read(&field.attrs, On::Field, errors);
    let ident = field.ident.clone().unwrap_or_else(|| syn::Ident::new("_0", Span::mixed_site()));
    check_combinations(&attributes, errors);
    let flatten = attributes.has("flatten");
    let key = match attributes.text("rename") {
        _ if flatten => Key { text: String::new(), span: ident.span() },
        Some(text) => Key { text: text.value(), span: text.span() },
        None => Key { text: casing.apply(&plain_name(&ident)), span: ident.span() },
    };
    let alias = |text: &syn::LitStr| Key { text: text.value(), span: text.span() };
    Field {
        key,
        aliases: attributes.texts("alias").map(alias).collect(),
        env: attributes.text("env"),
        unit: attributes.text("unit"),
        secret: secret(&attributes, &field.ty, errors),
        restart: attributes.has("restart"),
        deprecated: deprecated(&attributes, errors),
        kind: kind(&attributes, field, errors),
        description: description(&field.attrs),
        vis: field.vis.clone(),
        ty: field.ty.clone(),
        ident: used(&ident, &field.attrs),
    }
}

/// A kind of field, the words that may stand beside it, and what to say about others.
const KINDS: [(&str, &[&str], &str); 5] = [
    ("skip", &["default"], "a skipped field has no key"),
    ("flatten", &[], "it belongs on the fields of the flattened struct"),
    ("nested", &["rename", "env"], "it belongs on the fields of the nested struct"),
    (
        "entries",
        &["rename", "length", "validate", "secret", "with", "json", "unit", "env", "restart", "deprecated"],
        "the map has one key per entry, and is empty where there is none",
    ),
    (
        "flag",
        &["default", "context", "rename", "alias", "env", "restart", "deprecated"],
        "what a flag can serve is what its variants say and its type allows",
    ),
];

/// Words that contradict each other on a field of one key.
const CONTRADICTIONS: [(&str, &str, &str); 2] = [
    ("with", "json", "each names the codec"),
    ("secret", "json", "a secret is stored as text; for another form write `with = …`"),
];

fn check_combinations(attributes: &Attributes, errors: &mut Errors) {
    let mut refuse = |item: &Item, other: &str, why: &str| {
        errors.push(syn::Error::new(
            span(item),
            format!("`{}` does not go with `{other}`: {why}", item.word.name),
        ));
    };
    let kind = KINDS.iter().find(|(kind, ..)| attributes.has(kind));
    if let Some((kind, allowed, why)) = kind {
        let is_kind = |name: &str| KINDS.iter().any(|(kind, ..)| *kind == name);
        for item in attributes.iter().filter(|item| item.word.name != *kind) {
            if is_kind(item.word.name) {
                refuse(item, kind, "a field is one of them");
            } else if !allowed.contains(&item.word.name) {
                refuse(item, kind, why);
            }
        }
    }
    for (one, other, why) in CONTRADICTIONS {
        if let (Some(item), true) = (attributes.find(one), attributes.has(other)) {
            refuse(item, other, why);
        }
    }
}

/// A field is secret by its word, or by its type: a forgotten word must not show a secret.
fn secret(attributes: &Attributes, ty: &Type, errors: &mut Errors) -> bool {
    let held = match shape(ty) {
        Shape::Map(_, held) if attributes.has("entries") => held,
        _ => without_option(ty),
    };
    let by_type = matches!(shape(held), Shape::Secret(_));
    let elsewhere = attributes.has("nested") || attributes.has("flatten") || attributes.has("skip");
    if let Some(item) = attributes.find("secret") {
        if !by_type && !elsewhere && !matches!(shape(held), Shape::Other) {
            let name = pretty(held);
            let message =
                format!("write the type as `Secret<{name}>`, so that `Debug` does not show it either");
            errors.push(syn::Error::new(span(item), message));
        }
        return true;
    }
    by_type
}

fn deprecated(attributes: &Attributes, errors: &mut Errors) -> Option<String> {
    match &attributes.find("deprecated")?.given {
        Given::List(list) => errors.keep(replacement(list)),
        _ => Some(String::new()),
    }
}

fn kind(attributes: &Attributes, field: &syn::Field, errors: &mut Errors) -> Kind {
    let ty = &field.ty;
    if attributes.has("skip") {
        let absent = match absent(attributes, ty, errors) {
            Absent::Required | Absent::Optional => Absent::Default(ty.span()),
            Absent::Stored(text) => {
                errors.at(
                    &text,
                    "a skipped field has no codec that could read text; write a value of its type",
                );
                Absent::Default(ty.span())
            }
            given => given,
        };
        return Kind::Skip(absent);
    }
    if attributes.has("flatten") {
        return Kind::Flatten;
    }
    if attributes.has("nested") {
        if let Shape::Option(_) = shape(ty) {
            errors.at(ty, "a nested struct is always there; make its fields optional instead");
            return Kind::Leaf { codec: Codec::Text, absent: Absent::Optional, checks: Vec::new() };
        }
        return Kind::Nested;
    }
    if let Some(item) = attributes.find("entries") {
        if !matches!(shape(ty), Shape::Map(..) | Shape::Other) {
            let message = format!("`entries` needs a `BTreeMap` or a `HashMap`, this is `{}`", pretty(ty));
            errors.push(syn::Error::new(span(item), message));
        }
        return Kind::Entries { codec: codec(attributes, ty), checks: checks(attributes, ty, errors) };
    }
    if attributes.has("flag") {
        return flag(attributes, ty, errors);
    }
    if let Some(item) = attributes.find("context") {
        errors.push(syn::Error::new(span(item), "`context` belongs beside `flag`"));
    }
    let absent = leaf_absent(attributes, ty, errors);
    Kind::Leaf { codec: codec(attributes, ty), absent, checks: checks(attributes, ty, errors) }
}

/// The default is a value of what the flag serves.
fn flag(attributes: &Attributes, ty: &Type, errors: &mut Errors) -> Kind {
    match shape(ty) {
        Shape::Option(_) => {
            errors.at(ty, "a flag is always there; say by `default` what it serves without a key")
        }
        Shape::Other => {}
        _ => errors.at(ty, format_args!("write the type as `Flag<{}>`", pretty(ty))),
    }
    let absent = match absent(attributes, flag_value(ty).unwrap_or(ty), errors) {
        Absent::Stored(text) => {
            errors.at(&text, "a flag's default is a value of its type, such as `Theme::Light`");
            Absent::Required
        }
        given => given,
    };
    Kind::Leaf { codec: Codec::Flag(attributes.path("context")), absent, checks: Vec::new() }
}

fn leaf_absent(attributes: &Attributes, ty: &Type, errors: &mut Errors) -> Absent {
    match (attributes.find("default"), shape(ty)) {
        (Some(item), Shape::Option(_)) => {
            let message = "an `Option` is optional by itself: absent is `None`";
            errors.push(syn::Error::new(span(item), message));
            Absent::Optional
        }
        (None, Shape::Option(_)) => Absent::Optional,
        _ => absent(attributes, ty, errors),
    }
}

fn absent(attributes: &Attributes, ty: &Type, errors: &mut Errors) -> Absent {
    let Some(item) = attributes.find("default") else { return Absent::Required };
    let Given::Expression(expr) = &item.given else { return Absent::Default(span(item)) };
    match errors.keep(value(expr, ty)) {
        None => Absent::Required,
        Some(Value::Stored(text)) => Absent::Stored(text),
        Some(Value::Typed { tokens, known }) => {
            Absent::Value { source: Box::new(expr.clone()), tokens, known }
        }
    }
}

fn codec(attributes: &Attributes, ty: &Type) -> Codec {
    if let Some(expr) = attributes.expression("with") {
        return Codec::Given(expr.clone());
    }
    if attributes.has("json") {
        return Codec::Json;
    }
    match shape(ty) {
        Shape::Map(_, held) if matches!(shape(held), Shape::Secret(_)) => Codec::Secret,
        _ if attributes.has("secret") => Codec::Secret,
        _ if matches!(shape(without_option(ty)), Shape::Secret(_)) => Codec::Secret,
        _ => Codec::Text,
    }
}

fn checks(attributes: &Attributes, ty: &Type, errors: &mut Errors) -> Vec<Check> {
    let read = |item: &Item| {
        let check = match (&item.given, item.word.name) {
            (Given::List(list), "range") => constraint::range(list, ty),
            (Given::List(list), "length") => constraint::length(list, ty),
            (Given::List(list), "pattern") => constraint::pattern(list, ty),
            (Given::List(list), "one_of") => constraint::one_of(list, ty),
            (Given::Path(path), "validate") => Ok(Check::Function(path.clone())),
            _ => return None,
        };
        Some(check)
    };
    attributes.iter().filter_map(read).filter_map(|check| errors.keep(check)).collect()
}

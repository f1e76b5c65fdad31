//! Tokens to model.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Data, DeriveInput, Fields, GenericParam, LitStr, Token};

use super::{Field, Model, Shape, Variant};
use crate::attributes::allowed;
use crate::casing::Casing;
use crate::error::Errors;
use crate::model::plain_name;
use crate::spans::used;
use crate::words::nearest;

/// The attribute that names who or what a flag is evaluated for.
const TARGETING_KEY: &str = "targetingKey";

/// Where attributes stand, and the words that belong there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Type,
    Field,
    Variant,
}

const WORDS: [(&str, &[On]); 5] = [
    ("rename_all", &[On::Type]),
    ("crate", &[On::Type]),
    ("rename", &[On::Field, On::Variant]),
    ("targeting_key", &[On::Field]),
    ("skip", &[On::Field]),
];

/// What was written.
#[derive(Default)]
struct Words {
    rename_all: Option<LitStr>,
    library: Option<syn::Path>,
    rename: Option<LitStr>,
    targeting_key: Option<Span>,
    skip: Option<Span>,
}

pub(super) fn read(input: &DeriveInput, errors: &mut Errors) -> Model {
    let words = words(&input.attrs, On::Type, errors);
    for param in &input.generics.params {
        if !matches!(param, GenericParam::Lifetime(_)) {
            errors.at(param, "a context has lifetimes at most: its attributes are known once for all");
        }
    }
    let casing = words.rename_all.and_then(|name| casing(&name, errors));
    Model {
        ident: used(&input.ident, &input.attrs),
        allowed: allowed(input),
        generics: input.generics.clone(),
        library: words.library.map_or_else(|| quote!(::kvconf), ToTokens::into_token_stream),
        shape: shape(input, casing, errors),
    }
}

fn shape(input: &DeriveInput, casing: Option<Casing>, errors: &mut Errors) -> Shape {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                let fields: Vec<_> =
                    fields.named.iter().filter_map(|field| read_field(field, casing, errors)).collect();
                check_names(fields.iter().map(|field| (field.name.as_str(), field.span)), errors);
                check_targeting_keys(&fields, errors);
                return Shape::Struct(fields);
            }
            Fields::Unnamed(_) => errors.at(
                &input.ident,
                "the fields of a tuple struct have no names that rules could use; name them",
            ),
            Fields::Unit => {}
        },
        Data::Enum(data) => {
            if data.variants.is_empty() {
                errors.at(&input.ident, "an enum without variants has no value");
            }
            let variants: Vec<_> =
                data.variants.iter().map(|variant| read_variant(variant, casing, errors)).collect();
            check_names(variants.iter().map(|variant| (variant.name.as_str(), variant.span)), errors);
            return Shape::Enum(variants);
        }
        Data::Union(_) => {
            errors.at(&input.ident, "a union does not know which of its fields is set; write a struct")
        }
    }
    Shape::Struct(Vec::new())
}

fn read_field(field: &syn::Field, casing: Option<Casing>, errors: &mut Errors) -> Option<Field> {
    let words = words(&field.attrs, On::Field, errors);
    let ident = field.ident.clone()?;
    for (other, is_there) in [("skip", words.skip.is_some()), ("rename", words.rename.is_some())] {
        if let (Some(span), true) = (words.targeting_key, is_there) {
            let message =
                format!("`targeting_key` does not go with `{other}`: its name is `{TARGETING_KEY}`");
            errors.push(syn::Error::new(span, message));
        }
    }
    if words.skip.is_some() {
        return None;
    }
    let (name, span) = match (&words.rename, words.targeting_key) {
        (_, Some(span)) => (TARGETING_KEY.to_owned(), span),
        (Some(name), None) => (name.value(), name.span()),
        (None, None) => {
            let name = plain_name(&ident);
            (casing.map_or(name.clone(), |casing| casing.apply(&name)), ident.span())
        }
    };
    if let Some(fault) = fault(&name) {
        errors.push(syn::Error::new(span, fault));
    }
    let is_targeting_key = words.targeting_key.is_some();
    Some(Field { ident: used(&ident, &field.attrs), ty: field.ty.clone(), name, span, is_targeting_key })
}

fn fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("an attribute needs a name"),
        "$flagd" => Some("`$flagd` is flagd's own; rename the field"),
        _ if name.contains('.') => Some("a dot leads into an object; nest a struct instead"),
        _ => None,
    }
}

fn read_variant(variant: &syn::Variant, casing: Option<Casing>, errors: &mut Errors) -> Variant {
    let words = words(&variant.attrs, On::Variant, errors);
    if !matches!(variant.fields, Fields::Unit) {
        errors.at(variant, "an enum with fields has no one text; match it into a field of a struct");
    }
    let ident = variant.ident.clone();
    let name = plain_name(&ident);
    match words.rename {
        Some(text) => Variant { ident: used(&ident, &variant.attrs), name: text.value(), span: text.span() },
        None => {
            let span = ident.span();
            Variant {
                ident: used(&ident, &variant.attrs),
                name: casing.map_or(name.clone(), |casing| casing.apply_to_variant(&name)),
                span,
            }
        }
    }
}

fn check_names<'n>(names: impl Iterator<Item = (&'n str, Span)>, errors: &mut Errors) {
    let mut seen = Vec::new();
    for (name, span) in names {
        // Two targeting keys have a message of their own.
        if name != TARGETING_KEY && seen.contains(&name) {
            errors.push(syn::Error::new(span, format!("a second `{name}`")));
        }
        seen.push(name);
    }
}

fn check_targeting_keys(fields: &[Field], errors: &mut Errors) {
    for field in fields.iter().filter(|field| field.name == TARGETING_KEY).skip(1) {
        errors.push(syn::Error::new(field.span, "a context has one targeting key"));
    }
}

fn casing(name: &LitStr, errors: &mut Errors) -> Option<Casing> {
    let casing = Casing::named(&name.value());
    if casing.is_none() {
        let message = match nearest(&name.value(), Casing::names()) {
            Some(close) => format!("no such casing; did you mean \"{close}\"?"),
            None => format!("no such casing; there are {}", Casing::names().collect::<Vec<_>>().join(", ")),
        };
        errors.at(name, message);
    }
    casing
}

fn words(attributes: &[Attribute], on: On, errors: &mut Errors) -> Words {
    let mut words = Words::default();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("context")) {
        let read = attribute.parse_nested_meta(|meta| match read_word(&meta, on, &mut words) {
            Ok(()) => Ok(()),
            Err(error) => {
                errors.push(error);
                skip_value(&meta)
            }
        });
        errors.keep(read);
    }
    words
}

fn read_word(meta: &ParseNestedMeta<'_>, on: On, words: &mut Words) -> syn::Result<()> {
    // `crate` is a keyword, and a path all the same.
    let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
    let Some((_, places)) = WORDS.iter().find(|(known, _)| *known == name) else {
        return Err(meta.error(unknown(&name, on)));
    };
    if !places.contains(&on) {
        let place = match places.first() {
            Some(On::Type) => "the type",
            _ if places.contains(&On::Variant) => "a field or a variant",
            _ => "a field",
        };
        return Err(meta.error(format!("`{name}` belongs on {place}")));
    }
    let text = || meta.value()?.parse::<LitStr>();
    match name.as_str() {
        "rename_all" => words.rename_all = Some(text()?),
        "crate" => words.library = Some(meta.value()?.call(syn::Path::parse_mod_style)?),
        "rename" => words.rename = Some(text()?),
        word => {
            if !(meta.input.is_empty() || meta.input.peek(Token![,])) {
                return Err(meta.error(format!("`{word}` stands alone")));
            }
            let span = meta.path.get_ident().map_or_else(Span::call_site, syn::Ident::span);
            *(if word == "skip" { &mut words.skip } else { &mut words.targeting_key }) = Some(span);
        }
    }
    Ok(())
}

fn unknown(name: &str, on: On) -> String {
    let advice = match name {
        "name" | "key" | "attribute" => Some("write `rename = \"…\"`"),
        "id" | "targetingKey" | "subject" | "user" => Some("write `targeting_key`"),
        "ignore" | "skip_serializing" => Some("write `skip`"),
        "nested" | "flatten" => Some("a struct with this derive is nested by itself"),
        _ => None,
    };
    let here = WORDS.iter().filter(|(_, places)| places.contains(&on)).map(|(word, _)| *word);
    let close = || nearest(name, here).map(|close| format!("did you mean `{close}`?"));
    match advice.map(str::to_owned).or_else(close) {
        Some(advice) => format!("unknown attribute `{name}`; {advice}"),
        None => format!("unknown attribute `{name}`"),
    }
}

/// Goes on behind a word that was not understood.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

/// Lifetimes in a type, each replaced by `'static`: what kind of values a type has does not depend on them, and a `static`
/// can name no other.
pub(super) fn without_lifetimes(tokens: TokenStream) -> TokenStream {
    use proc_macro2::{Group, Ident, TokenTree};
    let mut after_tick = false;
    let each = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if after_tick => {
            after_tick = false;
            TokenTree::Ident(Ident::new("static", ident.span()))
        }
        TokenTree::Group(group) => {
            let mut new = Group::new(group.delimiter(), without_lifetimes(group.stream()));
            new.set_span(group.span());
            TokenTree::Group(new)
        }
        other => {
            after_tick = matches!(&other, TokenTree::Punct(punct) if punct.as_char() == '\'');
            other
        }
    });
    each.collect()
}

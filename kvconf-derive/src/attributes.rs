//! `#[kv(…)]` read against the table of words.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Ident, Lit, LitStr, Meta, Token};

use crate::error::Errors;
use crate::words::{self, Form, On, Word};

/// What stands behind a word, in the form that the table asks for.
pub(crate) enum Given {
    Nothing,
    Text(LitStr),
    Texts(Vec<LitStr>),
    Path(syn::Path),
    Expression(Expr),
    List(TokenStream),
}

/// One word of an attribute.
pub(crate) struct Item {
    pub(crate) name: Ident,
    pub(crate) word: &'static Word,
    pub(crate) given: Given,
}

/// All words on a struct or a field.
pub(crate) struct Attributes(Vec<Item>);

/// A word before it is held against the table.
struct Raw {
    name: Ident,
    value: RawValue,
}

enum RawValue {
    Nothing,
    Expression(Expr),
    List(TokenStream),
}

impl Parse for Raw {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            RawValue::Expression(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let content;
            let parens = syn::parenthesized!(content in input);
            let list: TokenStream = content.parse()?;
            if list.is_empty() {
                return Err(syn::Error::new(parens.span.join(), format!("`{name}()` says nothing")));
            }
            RawValue::List(list)
        } else {
            RawValue::Nothing
        };
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("expected a comma"));
        }
        Ok(Self { name, value })
    }
}

impl Attributes {
    /// Reads every `#[kv(…)]` among `attributes`.
    pub(crate) fn read(attributes: &[Attribute], on: On, errors: &mut Errors) -> Self {
        let mut items: Vec<Item> = Vec::new();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("kv")) {
            for raw in raw_items(attribute, errors) {
                let Some(word) = find(&raw.name, on, errors) else { continue };
                let twice = items.iter().any(|item| item.word.name == word.name);
                if twice && word.form != Form::Texts {
                    errors.at(&raw.name, format_args!("`{}` stands here twice", word.name));
                } else if let Some(given) = errors.keep(given(word, &raw.name, raw.value)) {
                    items.push(Item { name: raw.name, word, given });
                }
            }
        }
        Self(items)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.0.iter()
    }

    /// The place of a word, when it is there.
    pub(crate) fn find(&self, name: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.word.name == name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(crate) fn text(&self, name: &str) -> Option<LitStr> {
        match &self.find(name)?.given {
            Given::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(crate) fn path(&self, name: &str) -> Option<syn::Path> {
        match &self.find(name)?.given {
            Given::Path(path) => Some(path.clone()),
            _ => None,
        }
    }

    pub(crate) fn expression(&self, name: &str) -> Option<&Expr> {
        match &self.find(name)?.given {
            Given::Expression(expr) => Some(expr),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &LitStr> {
        self.0.iter().filter(move |item| item.word.name == name).flat_map(|item| match &item.given {
            Given::Texts(texts) => texts.as_slice(),
            _ => &[],
        })
    }
}

/// The words of one attribute. What cannot be read is reported, and reading goes on behind the next comma.
fn raw_items(attribute: &Attribute, errors: &mut Errors) -> Vec<Raw> {
    let Meta::List(list) = &attribute.meta else {
        errors.at(attribute, "write the words in parentheses: `#[kv(…)]`");
        return Vec::new();
    };
    let mut items = Vec::new();
    let parse = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match input.parse() {
                Ok(item) => items.push(item),
                Err(error) => {
                    errors.push(error);
                    while !input.is_empty() && !input.peek(Token![,]) {
                        input.parse::<TokenTree>()?;
                    }
                }
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    if let Err(error) = list.parse_args_with(parse) {
        errors.push(error);
    }
    items
}

fn find(name: &Ident, on: On, errors: &mut Errors) -> Option<&'static Word> {
    let text = name.to_string();
    let Some(word) = words::find(&text) else {
        errors.at(name, words::unknown(&text));
        return None;
    };
    match (word.on, on) {
        (On::Struct, On::Field) => errors.at(name, format_args!("`{text}` belongs on the struct")),
        (On::Field, On::Struct) => errors.at(name, format_args!("`{text}` belongs on a field")),
        _ => return Some(word),
    }
    None
}

/// What stands behind the word, or how it should have been written.
fn given(word: &Word, name: &Ident, value: RawValue) -> syn::Result<Given> {
    let usage = |place: &dyn quote::ToTokens| {
        let message = match word.form {
            Form::Flag => format!("`{}` stands alone", word.name),
            _ => format!("write `{}`", word.usage),
        };
        Err(syn::Error::new_spanned(place, message))
    };
    match (word.form, value) {
        (Form::Flag | Form::MaybeExpression | Form::MaybeList, RawValue::Nothing) => Ok(Given::Nothing),
        (Form::Expression | Form::MaybeExpression, RawValue::Expression(expr)) => Ok(Given::Expression(expr)),
        (Form::List | Form::MaybeList, RawValue::List(list)) => Ok(Given::List(list)),
        (Form::Texts, RawValue::List(list)) => texts(list).map(Given::Texts),
        (Form::Path, RawValue::Expression(Expr::Path(path))) if path.qself.is_none() => {
            Ok(Given::Path(path.path))
        }
        (Form::Text | Form::Texts, RawValue::Expression(expr)) => match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if word.form == Form::Text => {
                Ok(Given::Text(text))
            }
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(Given::Texts(vec![text])),
            other => usage(&other),
        },
        (_, RawValue::Expression(expr)) => usage(&expr),
        (_, RawValue::List(list)) => usage(&list),
        (_, RawValue::Nothing) => usage(name),
    }
}

fn texts(list: TokenStream) -> syn::Result<Vec<LitStr>> {
    let parse = Punctuated::<LitStr, Token![,]>::parse_terminated;
    syn::parse::Parser::parse2(parse, list).map(|texts| texts.into_iter().collect())
}

/// `deprecated(use = "…")`.
pub(crate) fn replacement(list: &TokenStream) -> syn::Result<String> {
    let parse = |input: ParseStream<'_>| {
        let word = input.call(Ident::parse_any)?;
        if word != "use" {
            return Err(syn::Error::new(word.span(), "write `deprecated(use = \"new_field\")`"));
        }
        input.parse::<Token![=]>()?;
        input.parse::<LitStr>()
    };
    syn::parse::Parser::parse2(parse, list.clone()).map(|text| text.value())
}

/// The doc comment, without the space that follows each `///`.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let text = text.value();
                Some(text.strip_prefix(' ').map(str::to_owned).unwrap_or(text))
            }
            _ => None,
        },
        _ => None,
    };
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    lines.join("\n").trim().to_owned()
}

/// The lints that a type, its fields or its variants allow, as attributes for generated code. What they stand on is named there
/// once more, and where a lint is forbidden nobody can allow it anyway.
pub(crate) fn allowed(input: &DeriveInput) -> Vec<TokenStream> {
    let inner: Vec<&Attribute> = match &input.data {
        Data::Struct(data) => data.fields.iter().flat_map(|field| &field.attrs).collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.attrs).collect(),
        Data::Union(_) => Vec::new(),
    };
    let lints = input.attrs.iter().chain(inner).filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => Some(&list.tokens),
        _ => None,
    });
    lints.map(|lints| quote!(#[allow(#lints)])).collect()
}

/// The place of a word, for messages about its combination with others.
pub(crate) fn span(item: &Item) -> Span {
    item.name.span()
}

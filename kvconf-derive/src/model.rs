//! A struct as the macro understands it.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, Generics, Ident, LitStr, Type, Visibility};

use crate::constraint::Check;
use crate::literal::Known;

/// A struct.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) generics: Generics,
    /// What the struct and its fields allow: lints that their types would meet in generated code once more.
    pub(crate) allowed: Vec<TokenStream>,
    pub(crate) description: String,
    pub(crate) prefix: Option<LitStr>,
    pub(crate) env_prefix: Option<LitStr>,
    pub(crate) validate: Option<syn::Path>,
    /// The path of the library.
    pub(crate) library: TokenStream,
    pub(crate) fields: Vec<Field>,
}

/// A part of a key, and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A field.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) ty: Type,
    pub(crate) description: String,
    /// Empty for a flattened struct.
    pub(crate) key: Key,
    pub(crate) aliases: Vec<Key>,
    pub(crate) env: Option<LitStr>,
    pub(crate) unit: Option<LitStr>,
    pub(crate) secret: bool,
    pub(crate) restart: bool,
    /// What to use instead; empty where nothing was said.
    pub(crate) deprecated: Option<String>,
    pub(crate) kind: Kind,
}

/// What a field is.
pub(crate) enum Kind {
    /// One key.
    Leaf { codec: Codec, absent: Absent, checks: Vec<Check> },
    /// One key per entry of a map.
    Entries { codec: Codec, checks: Vec<Check> },
    /// A struct below.
    Nested,
    /// A struct at the same level.
    Flatten,
    /// No key at all.
    Skip(Absent),
}

/// What writes and reads the values of a field.
pub(crate) enum Codec {
    Text,
    Json,
    Secret,
    /// `with = …`.
    Given(Expr),
    /// A flag, with the type of context whose attributes its rules may ask for.
    Flag(Option<syn::Path>),
}

/// What a field is without a value.
pub(crate) enum Absent {
    Required,
    Optional,
    /// `default`, at this place.
    Default(Span),
    /// `default = expression`.
    Value {
        /// Where it was written, for messages.
        source: Box<Expr>,
        tokens: TokenStream,
        known: Option<Known>,
    },
    /// A default in stored form.
    Stored(LitStr),
}

impl Field {
    /// The Rust name without `r#`.
    pub(crate) fn name(&self) -> String {
        plain_name(&self.ident)
    }

    /// Whether the field has a row in the table.
    pub(crate) fn has_row(&self) -> bool {
        !matches!(self.kind, Kind::Skip(_))
    }
}

/// A name without `r#`.
pub(crate) fn plain_name(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

impl Model {
    /// The fields that have a row, each with its index.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u16, &Field)> {
        (0_u16..).zip(self.fields.iter().filter(|field| field.has_row()))
    }
}

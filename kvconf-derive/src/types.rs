//! What the macro can tell about a type from its spelling.
//!
//! A macro sees tokens, not types: an alias stays unknown, and unknown types are left to the compiler and to the codec.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{GenericArgument, PathArguments, Token, Type};

/// A type, as far as its spelling tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    Bool,
    Char,
    Int(Int),
    Float,
    /// `NonZeroU16` and its unsigned kin, by the primitive's name.
    NonZero(Int),
    String,
    /// `&'static str`.
    Str,
    /// `Box<str>`, `Arc<str>`, `Rc<str>`, `Cow<'static, str>`.
    Text,
    Duration,
    ByteSize,
    Ip,
    Ipv4,
    Ipv6,
    Socket,
    SocketV4,
    SocketV6,
    Path,
    Option(&'a Type),
    Secret(&'a Type),
    /// Any collection that is built from an iterator of items.
    List(&'a Type),
    Map(&'a Type, &'a Type),
    Array(&'a Type),
    Tuple(&'a Punctuated<Type, Token![,]>),
    Other,
}

/// A primitive integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Int {
    pub(crate) name: &'static str,
    /// The least and the greatest value; `None` beyond what `i128` can hold, and for the types of the platform's width.
    pub(crate) min: Option<i128>,
    pub(crate) max: Option<i128>,
}

const fn int(name: &'static str, min: i128, max: i128) -> Int {
    Int { name, min: Some(min), max: Some(max) }
}

const INTS: [Int; 12] = [
    int("u8", 0, u8::MAX as i128),
    int("u16", 0, u16::MAX as i128),
    int("u32", 0, u32::MAX as i128),
    int("u64", 0, u64::MAX as i128),
    Int { name: "u128", min: Some(0), max: None },
    Int { name: "usize", min: Some(0), max: None },
    int("i8", i8::MIN as i128, i8::MAX as i128),
    int("i16", i16::MIN as i128, i16::MAX as i128),
    int("i32", i32::MIN as i128, i32::MAX as i128),
    int("i64", i64::MIN as i128, i64::MAX as i128),
    int("i128", i128::MIN, i128::MAX),
    Int { name: "isize", min: None, max: None },
];

/// What can be told about `ty`.
pub(crate) fn shape(ty: &Type) -> Shape<'_> {
    match ty {
        Type::Paren(inner) => shape(&inner.elem),
        Type::Group(inner) => shape(&inner.elem),
        Type::Array(array) => Shape::Array(&array.elem),
        Type::Tuple(tuple) => Shape::Tuple(&tuple.elems),
        Type::Reference(reference) if is_str(&reference.elem) => Shape::Str,
        Type::Path(path) if path.qself.is_none() => path_shape(&path.path),
        _ => Shape::Other,
    }
}

fn path_shape(path: &syn::Path) -> Shape<'_> {
    let Some(last) = path.segments.last() else { return Shape::Other };
    let name = last.ident.to_string();
    if !has_known_home(path) {
        return Shape::Other;
    }
    let arguments: Vec<&Type> = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().filter_map(as_type).collect(),
        _ => Vec::new(),
    };
    match *arguments {
        [] => plain_shape(&name),
        [only] => match name.as_str() {
            "Option" => Shape::Option(only),
            "Secret" => Shape::Secret(only),
            "Vec" | "VecDeque" | "BTreeSet" | "HashSet" | "LinkedList" | "BinaryHeap" => Shape::List(only),
            "Box" | "Arc" | "Rc" | "Cow" if is_str(only) => Shape::Text,
            _ => Shape::Other,
        },
        [item, _] if name == "HashSet" => Shape::List(item),
        [key, value] | [key, value, _] if matches!(&*name, "BTreeMap" | "HashMap") => Shape::Map(key, value),
        _ => Shape::Other,
    }
}

/// Whether a path of several parts is one that names the standard library's type, or ours.
fn has_known_home(path: &syn::Path) -> bool {
    let single = path.segments.len() == 1;
    let first = path.segments.first().map(|segment| segment.ident.to_string());
    single || first.is_some_and(|first| matches!(&*first, "std" | "core" | "alloc" | "kvconf" | "tokio"))
}

fn plain_shape(name: &str) -> Shape<'static> {
    if let Some(int) = INTS.into_iter().find(|int| int.name == name) {
        return Shape::Int(int);
    }
    if let Some(unsigned) = name.strip_prefix("NonZeroU") {
        let primitive = format!("u{}", unsigned.to_ascii_lowercase());
        return INTS.into_iter().find(|int| int.name == primitive).map_or(Shape::Other, Shape::NonZero);
    }
    match name {
        "bool" => Shape::Bool,
        "char" => Shape::Char,
        "f32" | "f64" => Shape::Float,
        "String" => Shape::String,
        "Duration" => Shape::Duration,
        "ByteSize" => Shape::ByteSize,
        "IpAddr" => Shape::Ip,
        "Ipv4Addr" => Shape::Ipv4,
        "Ipv6Addr" => Shape::Ipv6,
        "SocketAddr" => Shape::Socket,
        "SocketAddrV4" => Shape::SocketV4,
        "SocketAddrV6" => Shape::SocketV6,
        "PathBuf" => Shape::Path,
        _ => Shape::Other,
    }
}

fn as_type(argument: &GenericArgument) -> Option<&Type> {
    match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

fn is_str(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("str"))
}

/// The type below `Option` and `Secret`, which is what checks look at.
pub(crate) fn innermost(ty: &Type) -> &Type {
    match shape(ty) {
        Shape::Option(inner) | Shape::Secret(inner) => innermost(inner),
        _ => ty,
    }
}

/// The type below `Option`.
pub(crate) fn without_option(ty: &Type) -> &Type {
    match shape(ty) {
        Shape::Option(inner) => inner,
        _ => ty,
    }
}

/// What a `Flag` serves.
pub(crate) fn flag_value(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Flag")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.first().and_then(as_type),
        _ => None,
    }
}

/// Whether any part of the tokens is one of these names.
pub(crate) fn mentions(tokens: TokenStream, names: &[&syn::Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        _ => false,
    })
}

/// The tokens as a person would write them.
pub(crate) fn pretty(tokens: impl ToTokens) -> String {
    let mut out = String::new();
    write_tokens(&mut out, tokens.to_token_stream());
    out
}

fn write_tokens(out: &mut String, tokens: TokenStream) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{ ", " }"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                out.push_str(open);
                write_tokens(out, group.stream());
                out.push_str(close);
            }
            TokenTree::Punct(punct) => write_punct(out, &punct),
            word => {
                if out.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"') {
                    out.push(' ');
                }
                out.push_str(&word.to_string());
            }
        }
    }
}

fn write_punct(out: &mut String, punct: &proc_macro2::Punct) {
    let symbol = punct.as_char();
    if symbol == ':' && out.ends_with(" as") {
        out.push(' ');
    }
    let spaced = matches!(symbol, '+' | '=' | '|' | '*' | '/');
    if spaced && punct.spacing() == Spacing::Alone && !out.is_empty() && !out.ends_with(['.', '=']) {
        out.push(' ');
    }
    out.push(symbol);
    if matches!(symbol, ',' | ';') || (spaced && !out.ends_with("..=") && punct.spacing() == Spacing::Alone) {
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_as_they_are_written() {
        for text in [
            "u32",
            "BTreeMap<String, u32>",
            "Option<Vec<(u8, String)>>",
            "[u8; 4]",
            "&'static str",
            "std::time::Duration",
            "<T as Trait>::Out",
            "<T as ::path::Trait<u8>>::Out",
        ] {
            let ty: Type = syn::parse_str(text).unwrap();
            assert_eq!(pretty(&ty), text);
        }
    }

    #[test]
    fn shapes_are_told_by_spelling() {
        let is = |text: &str, want: fn(Shape<'_>) -> bool| {
            let ty: Type = syn::parse_str(text).unwrap();
            assert!(want(shape(&ty)), "{text}: {:?}", shape(&ty));
        };
        is("std::time::Duration", |s| matches!(s, Shape::Duration));
        is("chrono::Duration", |s| matches!(s, Shape::Other));
        is("Option<u8>", |s| matches!(s, Shape::Option(_)));
        is("std::option::Option<u8>", |s| matches!(s, Shape::Option(_)));
        is("HashSet<u8, S>", |s| matches!(s, Shape::List(_)));
        is("HashMap<u8, u8, S>", |s| matches!(s, Shape::Map(..)));
        is("Cow<'static, str>", |s| matches!(s, Shape::Text));
        is("NonZeroU16", |s| matches!(s, Shape::NonZero(int) if int.name == "u16"));
        is("NonZeroUsize", |s| matches!(s, Shape::NonZero(int) if int.name == "usize"));
        is("(u8, u8)", |s| matches!(s, Shape::Tuple(_)));
        is("Level", |s| matches!(s, Shape::Other));
    }
}

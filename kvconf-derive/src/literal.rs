//! Literals of the source as values of a field's type: for defaults and for the bounds of checks.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprArray, ExprLit, ExprTuple, ExprUnary, Lit, LitInt, LitStr, Type, UnOp};

use crate::byte_size;
use crate::duration;
use crate::types::{Int, Shape, pretty, shape};

/// What a literal is, known while compiling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    Int(i128),
    Float(f64),
    Char(char),
    Text(String),
    Duration(Duration),
    /// A list of so many items.
    Items(usize),
}

/// An expression of the source as a value.
#[derive(Debug)]
pub(crate) enum Value {
    /// An expression of the field's type.
    Typed { tokens: TokenStream, known: Option<Known> },
    /// Text in stored form; only the field's codec can read it.
    Stored(LitStr),
}

fn typed(tokens: TokenStream, known: Option<Known>) -> Value {
    Value::Typed { tokens, known }
}

fn wrong<T>(place: impl quote::ToTokens, message: impl std::fmt::Display) -> syn::Result<T> {
    Err(syn::Error::new_spanned(place, message))
}

/// Reads `expr` as a value of type `ty`.
pub(crate) fn value(expr: &Expr, ty: &Type) -> syn::Result<Value> {
    if let Shape::Secret(inner) = shape(ty) {
        return match value(expr, inner)? {
            // An expression that is no literal may be a whole secret already.
            Value::Typed { known: None, .. } if !is_literal(expr) => Ok(typed(quote!(#expr), None)),
            Value::Typed { tokens, known } => Ok(typed(quote!(__kv::Secret::new(#tokens)), known)),
            stored @ Value::Stored(_) => Ok(stored),
        };
    }
    match expr {
        Expr::Group(group) => value(&group.expr, ty),
        Expr::Paren(paren) => value(&paren.expr, ty),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text_value(text, ty),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => int_value(expr, number, false, ty),
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => {
            Ok(typed(quote!(#expr), number.base10_parse().ok().map(Known::Float)))
        }
        Expr::Lit(ExprLit { lit: Lit::Char(letter), .. }) => {
            Ok(typed(quote!(#expr), Some(Known::Char(letter.value()))))
        }
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr: inner, .. }) => negative_value(expr, inner, ty),
        Expr::Array(array) => array_value(array, ty),
        Expr::Tuple(tuple) => tuple_value(tuple, ty),
        _ => Ok(typed(quote!(#expr), None)),
    }
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Group(group) => is_literal(&group.expr),
        Expr::Paren(paren) => is_literal(&paren.expr),
        Expr::Unary(unary) => is_literal(&unary.expr),
        Expr::Lit(_) | Expr::Array(_) | Expr::Tuple(_) => true,
        _ => false,
    }
}

fn negative_value(expr: &Expr, inner: &Expr, ty: &Type) -> syn::Result<Value> {
    match inner {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => int_value(expr, number, true, ty),
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => {
            Ok(typed(quote!(#expr), number.base10_parse().ok().map(|n: f64| Known::Float(-n))))
        }
        _ => Ok(typed(quote!(#expr), None)),
    }
}

fn int_value(expr: &Expr, number: &LitInt, negative: bool, ty: &Type) -> syn::Result<Value> {
    let digits = number.base10_digits();
    let sign = if negative { "-" } else { "" };
    let signed = digits.parse::<i128>().ok().map(|n| if negative { -n } else { n });
    match shape(ty) {
        Shape::Int(int) => {
            check_fits(expr, &int, signed)?;
            Ok(typed(quote!(#expr), signed.map(Known::Int)))
        }
        Shape::Float if number.suffix().is_empty() => {
            let value: f64 = digits.parse().map_err(|_| syn::Error::new_spanned(number, "not a number"))?;
            let mut literal = Literal::f64_unsuffixed(value);
            literal.set_span(number.span());
            let tokens = if negative { quote!(-#literal) } else { quote!(#literal) };
            Ok(typed(tokens, Some(Known::Float(if negative { -value } else { value }))))
        }
        Shape::NonZero(int) => {
            check_fits(expr, &int, signed)?;
            nonzero(expr, ty, signed)
        }
        Shape::ByteSize if !negative => Ok(byte_size(number.base10_parse()?, number.span())),
        Shape::Duration => wrong(expr, format_args!("a duration needs its unit: write \"{sign}{digits}s\"")),
        Shape::String | Shape::Str | Shape::Text | Shape::Path => {
            wrong(expr, format_args!("`{}` takes text: write \"{sign}{digits}\"", pretty(ty)))
        }
        Shape::Bool => wrong(expr, "`bool` takes `true` or `false`"),
        _ => Ok(typed(quote!(#expr), signed.map(Known::Int))),
    }
}

fn check_fits(expr: &Expr, int: &Int, value: Option<i128>) -> syn::Result<()> {
    let Some(value) = value else { return Ok(()) };
    let low = int.min.is_some_and(|min| value < min);
    if low || int.max.is_some_and(|max| value > max) {
        return wrong(expr, format_args!("{value} does not fit `{}`", int.name));
    }
    Ok(())
}

/// The types that are never zero have no literals; counting up from one needs neither a panic nor a check at run time.
fn nonzero(expr: &Expr, ty: &Type, value: Option<i128>) -> syn::Result<Value> {
    match value {
        Some(0) => wrong(expr, format_args!("`{}` is never zero", pretty(ty))),
        Some(value) => {
            let above = Literal::i128_unsuffixed(value - 1);
            Ok(typed(
                quote_spanned!(expr.span()=> <#ty>::MIN.saturating_add(#above)),
                Some(Known::Int(value)),
            ))
        }
        None => Ok(typed(quote!(#expr), None)),
    }
}

fn text_value(text: &LitStr, ty: &Type) -> syn::Result<Value> {
    let value = text.value();
    let known = Some(Known::Text(value.clone()));
    match shape(ty) {
        Shape::String | Shape::Text | Shape::Path => {
            Ok(typed(quote!(<#ty as ::core::convert::From<&'static str>>::from(#text)), known))
        }
        Shape::Str => Ok(typed(quote!(#text), known)),
        Shape::Duration => match duration::parse(&value) {
            Ok(parsed) => Ok(typed(duration_tokens(parsed, text.span()), Some(Known::Duration(parsed)))),
            Err(message) => wrong(text, message),
        },
        Shape::ByteSize => match byte_size::parse(&value) {
            Ok(bytes) => Ok(byte_size(bytes, text.span())),
            Err(message) => wrong(text, message),
        },
        Shape::Char => match (value.chars().next(), value.chars().count()) {
            (Some(letter), 1) => {
                let mut literal = Literal::character(letter);
                literal.set_span(text.span());
                Ok(typed(quote!(#literal), Some(Known::Char(letter))))
            }
            _ => wrong(text, "a `char` is exactly one character"),
        },
        Shape::Int(_) | Shape::Float | Shape::NonZero(_) => {
            wrong(text, format_args!("`{}` takes a number: write it without quotes", pretty(ty)))
        }
        Shape::Bool => wrong(text, "`bool` takes `true` or `false`, without quotes"),
        Shape::List(_) | Shape::Array(_) => {
            wrong(text, format_args!("`{}` takes a list: write [\"a\", \"b\"]", pretty(ty)))
        }
        Shape::Option(_) | Shape::Secret(_) | Shape::Map(..) | Shape::Tuple(_) | Shape::Other => {
            Ok(Value::Stored(text.clone()))
        }
        _ => address(text, ty),
    }
}

fn duration_tokens(duration: Duration, span: Span) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote_spanned!(span=> ::core::time::Duration::new(#seconds, #nanos))
}

fn byte_size(bytes: u64, span: Span) -> Value {
    typed(quote_spanned!(span=> __kv::ByteSize::bytes(#bytes)), Some(Known::Int(bytes.into())))
}

fn address(text: &LitStr, ty: &Type) -> syn::Result<Value> {
    fn parse<T: FromStr>(text: &LitStr, what: &str) -> syn::Result<T> {
        let message = || format!("{:?} is no {what}", text.value());
        text.value().parse().map_err(|_| syn::Error::new_spanned(text, message()))
    }
    let tokens = match shape(ty) {
        Shape::Ipv4 => ipv4(parse(text, "IPv4 address")?),
        Shape::Ipv6 => ipv6(parse(text, "IPv6 address")?),
        Shape::Ip => match parse(text, "IP address")? {
            IpAddr::V4(ip) => wrap("V4", "IpAddr", &ipv4(ip)),
            IpAddr::V6(ip) => wrap("V6", "IpAddr", &ipv6(ip)),
        },
        Shape::SocketV4 => socket_v4(parse(text, "IPv4 address with a port")?),
        Shape::SocketV6 => socket_v6(parse(text, "IPv6 address with a port")?),
        _ => match parse(text, "address with a port")? {
            SocketAddr::V4(socket) => wrap("V4", "SocketAddr", &socket_v4(socket)),
            SocketAddr::V6(socket) => wrap("V6", "SocketAddr", &socket_v6(socket)),
        },
    };
    Ok(typed(tokens, Some(Known::Text(text.value()))))
}

fn wrap(variant: &str, name: &str, inner: &TokenStream) -> TokenStream {
    let variant = syn::Ident::new(variant, Span::mixed_site());
    let name = syn::Ident::new(name, Span::mixed_site());
    quote!(::core::net::#name::#variant(#inner))
}

fn ipv4(ip: std::net::Ipv4Addr) -> TokenStream {
    let octets = ip.octets();
    quote!(::core::net::Ipv4Addr::new(#(#octets),*))
}

fn ipv6(ip: std::net::Ipv6Addr) -> TokenStream {
    let segments = ip.segments();
    quote!(::core::net::Ipv6Addr::new(#(#segments),*))
}

fn socket_v4(socket: std::net::SocketAddrV4) -> TokenStream {
    let (ip, port) = (ipv4(*socket.ip()), socket.port());
    quote!(::core::net::SocketAddrV4::new(#ip, #port))
}

fn socket_v6(socket: std::net::SocketAddrV6) -> TokenStream {
    let (ip, port) = (ipv6(*socket.ip()), socket.port());
    let (flow, scope) = (socket.flowinfo(), socket.scope_id());
    quote!(::core::net::SocketAddrV6::new(#ip, #port, #flow, #scope))
}

fn array_value(array: &ExprArray, ty: &Type) -> syn::Result<Value> {
    let item = match shape(ty) {
        Shape::List(item) | Shape::Array(item) => Some(item.clone()),
        Shape::Map(key, value) => Some(syn::parse_quote!((#key, #value))),
        _ => None,
    };
    let Some(item) = item else { return Ok(typed(quote!(#array), None)) };
    let mut items = Vec::new();
    for expr in &array.elems {
        match value(expr, &item)? {
            Value::Typed { tokens, .. } => items.push(tokens),
            Value::Stored(text) => return stored_list(array, ty, &text),
        }
    }
    let list = quote_spanned!(array.span()=> [#(#items),*]);
    Ok(match shape(ty) {
        Shape::Array(_) => typed(list, Some(Known::Items(items.len()))),
        // A set or map may hold less than what was written.
        Shape::Map(..) => typed(collect(&list), None),
        _ if is_set(ty) => typed(collect(&list), None),
        _ => typed(collect(&list), Some(Known::Items(items.len()))),
    })
}

fn collect(list: &TokenStream) -> TokenStream {
    quote!(::core::iter::FromIterator::from_iter(#list))
}

fn is_set(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident.to_string().ends_with("Set")))
}

/// Items whose text only the codec can read: the list is told to it as JSON.
fn stored_list(array: &ExprArray, ty: &Type, first: &LitStr) -> syn::Result<Value> {
    let text = match shape(ty) {
        Shape::Map(..) => json_object(array),
        _ => json(&Expr::Array(array.clone())),
    };
    match text {
        Some(text) => Ok(Value::Stored(LitStr::new(&text, array.span()))),
        None => wrong(first, "a list holds either literals only, or values of its item type only"),
    }
}

/// `[("a", 1)]` as `{"a":1}`.
fn json_object(array: &ExprArray) -> Option<String> {
    let entry = |expr: &Expr| match expr {
        Expr::Tuple(pair) if pair.elems.len() == 2 => {
            let key = json(pair.elems.first()?)?;
            let key = if key.starts_with('"') { key } else { json_text(&key) };
            Some(format!("{key}:{}", json(pair.elems.last()?)?))
        }
        _ => None,
    };
    let entries: Option<Vec<_>> = array.elems.iter().map(entry).collect();
    entries.map(|entries| format!("{{{}}}", entries.join(",")))
}

/// A literal as JSON.
fn json(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Group(group) => json(&group.expr),
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Str(text) => Some(json_text(&text.value())),
            Lit::Char(letter) => Some(json_text(&letter.value().to_string())),
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            Lit::Float(number) => Some(number.base10_digits().to_owned()),
            Lit::Bool(truth) => Some(truth.value.to_string()),
            _ => None,
        },
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => json(expr).map(|text| format!("-{text}")),
        Expr::Array(ExprArray { elems, .. }) | Expr::Tuple(ExprTuple { elems, .. }) => {
            let items: Option<Vec<_>> = elems.iter().map(json).collect();
            items.map(|items| format!("[{}]", items.join(",")))
        }
        _ => None,
    }
}

fn json_text(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn tuple_value(tuple: &ExprTuple, ty: &Type) -> syn::Result<Value> {
    let Shape::Tuple(types) = shape(ty) else { return Ok(typed(quote!(#tuple), None)) };
    if types.len() != tuple.elems.len() {
        return Ok(typed(quote!(#tuple), None));
    }
    let mut items = Vec::new();
    for (expr, ty) in tuple.elems.iter().zip(types) {
        match value(expr, ty)? {
            Value::Typed { tokens, .. } => items.push(tokens),
            Value::Stored(first) => {
                let mixed = "a tuple holds either literals only, or values of its types only";
                let text =
                    json(&Expr::Tuple(tuple.clone())).ok_or_else(|| syn::Error::new_spanned(first, mixed))?;
                return Ok(Value::Stored(LitStr::new(&text, tuple.span())));
            }
        }
    }
    Ok(typed(quote_spanned!(tuple.span()=> (#(#items,)*)), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expr: &str, ty: &str) -> String {
        let expr: Expr = syn::parse_str(expr).unwrap();
        let ty: Type = syn::parse_str(ty).unwrap();
        match value(&expr, &ty) {
            Ok(Value::Typed { tokens, .. }) => pretty(tokens),
            Ok(Value::Stored(text)) => format!("stored {}", text.value()),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn literals_become_values_of_the_type() {
        for (expr, ty, tokens) in [
            ("50", "u32", "50"),
            ("-5", "i8", "-5"),
            ("50", "f64", "50.0"),
            ("'x'", "char", "'x'"),
            ("\"x\"", "char", "'x'"),
            ("\"a\"", "String", "<String as ::core::convert::From<&'static str>>::from(\"a\")"),
            ("\"1.5s\"", "Duration", "::core::time::Duration::new(1u64, 500000000u32)"),
            (
                "\"::1\"",
                "Ipv6Addr",
                "::core::net::Ipv6Addr::new(0u16, 0u16, 0u16, 0u16, 0u16, 0u16, 0u16, 1u16)",
            ),
            ("7", "NonZeroU8", "<NonZeroU8>::MIN.saturating_add(6)"),
            (
                "\"k\"",
                "Secret<String>",
                "__kv::Secret::new(<String as ::core::convert::From<&'static str>>::from(\"k\"))",
            ),
            ("KEY", "Secret<String>", "KEY"),
            ("\"2 KiB\"", "ByteSize", "__kv::ByteSize::bytes(2048u64)"),
            ("[1, 2]", "[f32; 2]", "[1.0, 2.0]"),
            ("MAX / 2", "u32", "MAX / 2"),
            ("\"info\"", "Level", "stored info"),
            ("[\"info\", \"a\\\"b\"]", "Vec<Level>", "stored [\"info\",\"a\\\"b\"]"),
            ("[(1, \"info\")]", "BTreeMap<u8, Level>", "stored {\"1\":\"info\"}"),
            ("(1, \"info\")", "(u8, Level)", "stored [1,\"info\"]"),
        ] {
            assert_eq!(read(expr, ty), tokens, "{expr} as {ty}");
        }
    }

    #[test]
    fn lists_and_maps_convert_their_items() {
        assert_eq!(
            read("[\"NL\"]", "Vec<String>"),
            "::core::iter::FromIterator::from_iter([<String as ::core::convert::From<&'static str>>::from(\"NL\")])"
        );
        assert_eq!(
            read("[(\"a\", \"1s\")]", "BTreeMap<String, Duration>"),
            "::core::iter::FromIterator::from_iter([(<String as ::core::convert::From<&'static str>>::from(\"a\"), \
             ::core::time::Duration::new(1u64, 0u32), )])"
        );
    }

    #[test]
    fn natural_slips_are_explained() {
        for (expr, ty, message) in [
            ("300", "u8", "300 does not fit `u8`"),
            ("-1", "u64", "-1 does not fit `u64`"),
            ("\"50\"", "u32", "`u32` takes a number: write it without quotes"),
            ("\"true\"", "bool", "`bool` takes `true` or `false`, without quotes"),
            ("5", "String", "`String` takes text: write \"5\""),
            ("5", "Duration", "a duration needs its unit: write \"5s\""),
            ("\"5\"", "Duration", "the unit is missing; write one of d h m s ms us ns"),
            ("\"ab\"", "char", "a `char` is exactly one character"),
            ("\"300.1.1.1\"", "IpAddr", "\"300.1.1.1\" is no IP address"),
            ("\"127.0.0.1\"", "SocketAddr", "\"127.0.0.1\" is no address with a port"),
            ("0", "NonZeroU8", "`NonZeroU8` is never zero"),
            ("\"NL\"", "Vec<String>", "`Vec<String>` takes a list: write [\"a\", \"b\"]"),
        ] {
            assert_eq!(read(expr, ty), format!("error: {message}"), "{expr} as {ty}");
        }
    }
}

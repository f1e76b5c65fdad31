//! Checks on one field: `range`, `length`, `pattern`, `one_of`, and whether a default passes them.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprRange, LitStr, RangeLimits, Token, Type};

use crate::literal::{Known, Value, value};
use crate::types::{Shape, innermost, pretty, shape};

/// One check of a field.
#[derive(Debug)]
pub(crate) enum Check {
    Range { min: Option<Bound>, max: Option<Bound>, exclusive: bool },
    Length { min: Option<usize>, max: Option<usize> },
    Pattern(LitStr),
    OneOf(Vec<Bound>),
    Function(syn::Path),
}

/// A value that a check compares with.
#[derive(Debug)]
pub(crate) struct Bound {
    /// An expression of the field's type.
    pub(crate) tokens: TokenStream,
    /// As it stands in the source; literals as in stored form.
    pub(crate) text: String,
    pub(crate) known: Option<Known>,
}

/// `range(1..=500)`.
pub(crate) fn range(arguments: &TokenStream, ty: &Type) -> syn::Result<Check> {
    let ty = innermost(ty);
    let refuse = |instead: &str| {
        let message = format!("`range` does not fit `{}`{instead}", pretty(ty));
        Err(syn::Error::new_spanned(arguments, message))
    };
    match shape(ty) {
        Shape::String | Shape::Str | Shape::Text | Shape::List(_) | Shape::Map(..) => {
            return refuse("; for its length write `length(…)`");
        }
        Shape::Bool | Shape::Path | Shape::Array(_) | Shape::Tuple(_) => return refuse(""),
        _ => {}
    }
    let range = parse_range(arguments, "write a range, such as `range(1..=500)`")?;
    let bound = |expr: &Option<Box<Expr>>| expr.as_ref().map(|expr| bound(expr, ty)).transpose();
    let (min, max) = (bound(&range.start)?, bound(&range.end)?);
    let exclusive = max.is_some() && matches!(range.limits, RangeLimits::HalfOpen(_));
    if let (Some(low), Some(high)) = (known(&min), known(&max)) {
        check_not_empty(&range, low, high, exclusive)?;
    }
    Ok(Check::Range { min, max, exclusive })
}

fn known(bound: &Option<Bound>) -> Option<&Known> {
    bound.as_ref().and_then(|bound| bound.known.as_ref())
}

fn check_not_empty(range: &ExprRange, low: &Known, high: &Known, exclusive: bool) -> syn::Result<()> {
    use std::cmp::Ordering;
    match low.compare(high) {
        Some(Ordering::Less) | None => Ok(()),
        Some(Ordering::Equal) if !exclusive => Ok(()),
        Some(_) => Err(syn::Error::new_spanned(range, "no value can be in this range")),
    }
}

fn parse_range(arguments: &TokenStream, usage: &str) -> syn::Result<ExprRange> {
    match syn::parse2::<Expr>(arguments.clone()) {
        Ok(Expr::Range(range)) if range.start.is_some() || range.end.is_some() => Ok(range),
        Ok(other) => Err(syn::Error::new_spanned(other, usage)),
        Err(error) => Err(syn::Error::new(error.span(), format!("{error}; {usage}"))),
    }
}

fn bound(expr: &Expr, ty: &Type) -> syn::Result<Bound> {
    match value(expr, ty)? {
        Value::Typed { tokens, known } => Ok(Bound { text: text_of(expr, known.as_ref()), tokens, known }),
        Value::Stored(text) => {
            let message = format!("write a value of `{}` here, such as a constant", pretty(ty));
            Err(syn::Error::new_spanned(text, message))
        }
    }
}

/// A literal in stored form, anything else as it stands in the source.
fn text_of(expr: &Expr, known: Option<&Known>) -> String {
    match (known, expr) {
        (Some(_), Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) => text.value(),
        (Some(Known::Int(number)), _) => number.to_string(),
        (Some(Known::Float(number)), _) => number.to_string(),
        (Some(Known::Char(letter)), _) => letter.to_string(),
        _ => pretty(expr),
    }
}

/// `length(1..=64)` or `length(3)`.
pub(crate) fn length(arguments: &TokenStream, ty: &Type) -> syn::Result<Check> {
    let ty = innermost(ty);
    if matches!(
        shape(ty),
        Shape::Bool
            | Shape::Char
            | Shape::Int(_)
            | Shape::Float
            | Shape::NonZero(_)
            | Shape::Duration
            | Shape::ByteSize
    ) {
        let message = format!("`{}` has no length; for its value write `range(…)`", pretty(ty));
        return Err(syn::Error::new_spanned(arguments, message));
    }
    if let Ok(exact) = syn::parse2::<syn::LitInt>(arguments.clone()) {
        let exact = exact.base10_parse()?;
        return Ok(Check::Length { min: Some(exact), max: Some(exact) });
    }
    let range = parse_range(arguments, "write a range of numbers, such as `length(1..=64)`, or `length(3)`")?;
    let end = |expr: &Option<Box<Expr>>| expr.as_ref().map(|expr| whole_number(expr)).transpose();
    let (min, mut max) = (end(&range.start)?, end(&range.end)?);
    let empty = || syn::Error::new_spanned(&range, "no value can be in this range");
    if let (Some(top), RangeLimits::HalfOpen(_)) = (max, range.limits) {
        max = Some(top.checked_sub(1).ok_or_else(empty)?);
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(empty());
    }
    Ok(Check::Length { min, max })
}

fn whole_number(expr: &Expr) -> syn::Result<usize> {
    match expr {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => number.base10_parse(),
        other => Err(syn::Error::new_spanned(other, "a length is a plain number")),
    }
}

/// `pattern("^[a-z]+$")`.
pub(crate) fn pattern(arguments: &TokenStream, ty: &Type) -> syn::Result<Check> {
    let ty = innermost(ty);
    match shape(ty) {
        Shape::String | Shape::Str | Shape::Text | Shape::Other => {}
        _ => {
            let message = format!("`pattern` is for text, not for `{}`", pretty(ty));
            return Err(syn::Error::new_spanned(arguments, message));
        }
    }
    let pattern: LitStr = syn::parse2(arguments.clone())
        .map_err(|error| syn::Error::new(error.span(), "write a string, such as `pattern(\"^[a-z]+$\")`"))?;
    match regex::Regex::new(&pattern.value()) {
        Ok(_) => Ok(Check::Pattern(pattern)),
        Err(error) => {
            Err(syn::Error::new_spanned(pattern, format!("no regular expression: {}", last_line(&error))))
        }
    }
}

/// The regex crate draws the place over several lines; the last one says what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// `one_of("a", "b")`.
pub(crate) fn one_of(arguments: &TokenStream, ty: &Type) -> syn::Result<Check> {
    let ty = innermost(ty);
    if matches!(shape(ty), Shape::Bool | Shape::List(_) | Shape::Map(..) | Shape::Array(_)) {
        let message = format!("`one_of` does not fit `{}`", pretty(ty));
        return Err(syn::Error::new_spanned(arguments, message));
    }
    let exprs = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(arguments.clone())?;
    let mut values: Vec<Bound> = Vec::new();
    let is_text = matches!(shape(ty), Shape::String | Shape::Str | Shape::Text);
    for expr in &exprs {
        let mut next = bound(expr, ty)?;
        if is_text {
            // Compared as `str`: no value has to be made for it.
            next.tokens = expr.to_token_stream();
        }
        if values.iter().any(|value| value.text == next.text) {
            return Err(syn::Error::new_spanned(expr, format!("{} stands here twice", next.text)));
        }
        values.push(next);
    }
    Ok(Check::OneOf(values))
}

impl Known {
    /// The order of two values of one kind.
    fn compare(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.partial_cmp(right),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(right),
            (Self::Char(left), Self::Char(right)) => left.partial_cmp(right),
            (Self::Duration(left), Self::Duration(right)) => left.partial_cmp(right),
            _ => None,
        }
    }
}

impl Check {
    /// Why this value, known while compiling, fails; `None` where it passes or where nobody can tell yet.
    pub(crate) fn refuses(&self, default: &Known) -> Option<String> {
        match (self, default) {
            (Self::Range { min, max, exclusive }, _) => {
                let below =
                    known(min).and_then(|min| default.compare(min)).is_some_and(|order| order.is_lt());
                let above = known(max)
                    .and_then(|max| default.compare(max))
                    .is_some_and(|order| order.is_gt() || (*exclusive && order.is_eq()));
                (below || above).then(|| format!("outside its own range {}", self.shown()))
            }
            (Self::Length { min, max }, Known::Text(_) | Known::Items(_)) => {
                let length = match default {
                    Known::Text(text) => text.chars().count(),
                    Known::Items(items) => *items,
                    _ => return None,
                };
                let out = min.is_some_and(|min| length < min) || max.is_some_and(|max| length > max);
                out.then(|| format!("outside its own length {}: it has {length}", self.shown()))
            }
            (Self::Pattern(pattern), Known::Text(text)) => {
                let regex = regex::Regex::new(&pattern.value()).ok()?;
                (!regex.is_match(text)).then(|| format!("not matched by its own pattern {}", pattern.value()))
            }
            (Self::OneOf(values), _) => {
                let listed = |value: &Bound| value.known.as_ref().is_none_or(|known| known == default);
                (!values.iter().any(listed)).then(|| format!("not one of its own values: {}", self.shown()))
            }
            _ => None,
        }
    }

    /// As a person would write it.
    fn shown(&self) -> String {
        match self {
            Self::Range { min, max, exclusive } => {
                let text = |bound: &Option<Bound>| bound.as_ref().map(|b| b.text.clone()).unwrap_or_default();
                let between = if *exclusive || max.is_none() { ".." } else { "..=" };
                format!("{}{between}{}", text(min), text(max))
            }
            Self::Length { min, max } => match (min, max) {
                (Some(min), Some(max)) if min == max => min.to_string(),
                (min, Some(max)) => format!("{}..={max}", min.map(|n| n.to_string()).unwrap_or_default()),
                (min, None) => format!("{}..", min.map(|n| n.to_string()).unwrap_or_default()),
            },
            Self::OneOf(values) => {
                values.iter().map(|value| value.text.as_str()).collect::<Vec<_>>().join(", ")
            }
            Self::Pattern(pattern) => pattern.value(),
            Self::Function(path) => pretty(path.to_token_stream()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&TokenStream, &Type) -> syn::Result<Check>;

    fn read(read: Read, arguments: &str, ty: &str) -> syn::Result<Check> {
        read(&arguments.parse().unwrap(), &syn::parse_str(ty).unwrap())
    }

    #[test]
    fn bounds_stand_in_stored_form() {
        for (arguments, ty, shown) in [
            ("1..=500", "u32", "1..=500"),
            ("1_000..", "u32", "1000.."),
            ("..10", "Option<i8>", "..10"),
            ("-1.5..=1", "f64", "-1.5..=1"),
            ("\"1s\"..=\"1m 30s\"", "Duration", "1s..=1m 30s"),
            ("'a'..='z'", "char", "a..=z"),
            ("\"1 KiB\"..\"1 MiB\"", "ByteSize", "1 KiB..1 MiB"),
            ("MIN..=Self::MAX", "Size", "MIN..=Self::MAX"),
        ] {
            assert_eq!(read(range, arguments, ty).unwrap().shown(), shown);
        }
        assert_eq!(read(length, "1..5", "String").unwrap().shown(), "1..=4");
        assert_eq!(read(length, "3", "Vec<u8>").unwrap().shown(), "3");
        assert_eq!(read(one_of, "\"a\", \"b\"", "String").unwrap().shown(), "a, b");
    }

    #[test]
    fn checks_that_no_value_can_pass_or_that_do_not_fit_the_type_are_refused() {
        for (check, arguments, ty, message) in [
            (range as Read, "5..=1", "u32", "no value can be in this range"),
            (range, "5..5", "u32", "no value can be in this range"),
            (range, "1, 5", "u32", "unexpected token; write a range, such as `range(1..=500)`"),
            (range, "..", "u32", "write a range, such as `range(1..=500)`"),
            (range, "1..=300", "u8", "300 does not fit `u8`"),
            (range, "1..=3", "String", "`range` does not fit `String`; for its length write `length(…)`"),
            (range, "\"1\"..", "Size", "write a value of `Size` here, such as a constant"),
            (length, "1..", "u32", "`u32` has no length; for its value write `range(…)`"),
            (length, "..0", "String", "no value can be in this range"),
            (length, "MIN..", "String", "a length is a plain number"),
            (pattern, "\"a\"", "u32", "`pattern` is for text, not for `u32`"),
            (pattern, "\"(\"", "String", "no regular expression: unclosed group"),
            (one_of, "1, 1", "u8", "1 stands here twice"),
        ] {
            assert_eq!(read(check, arguments, ty).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_known_default_is_held_against_the_check() {
        let refuses = |check: syn::Result<Check>, known| check.unwrap().refuses(&known);
        let text = |text: &str| Known::Text(text.to_owned());
        assert_eq!(refuses(read(range, "1..=5", "u8"), Known::Int(5)), None);
        assert_eq!(
            refuses(read(range, "1..5", "u8"), Known::Int(5)).as_deref(),
            Some("outside its own range 1..5")
        );
        assert_eq!(refuses(read(range, "MIN..", "u8"), Known::Int(5)), None);
        assert_eq!(
            refuses(read(length, "2..", "String"), text("é")).as_deref(),
            Some("outside its own length 2..: it has 1")
        );
        assert_eq!(
            refuses(read(pattern, "\"^a\"", "String"), text("b")).as_deref(),
            Some("not matched by its own pattern ^a")
        );
        assert_eq!(refuses(read(one_of, "1, OTHER", "u8"), Known::Int(5)), None);
        assert_eq!(
            refuses(read(one_of, "1, 2", "u8"), Known::Int(5)).as_deref(),
            Some("not one of its own values: 1, 2")
        );
    }
}

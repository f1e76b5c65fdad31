//! What only the compiler can find.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::context::Context;
use super::rows;
use crate::constraint::{Bound, Check};
use crate::model::{Absent, Field, Kind};
use crate::spans::at;
use crate::types::{Shape, pretty, shape};

/// Assertions that are evaluated as soon as the struct is compiled, each by itself: one that fails hides no other.
pub(super) fn eager(context: &Context<'_>) -> TokenStream {
    if context.is_generic() {
        return TokenStream::new();
    }
    let nested = of_nested(context);
    let defaults = context.model.fields.iter().filter_map(|field| of_default(context, field));
    let all = nested.into_iter().chain(defaults);
    quote!(#(const _: () = { #all };)*)
}

/// What takes the fields of other structs to know: keys that collide after flattening, the depth, and
/// environment variables.
pub(super) fn of_nested(context: &Context<'_>) -> Vec<TokenStream> {
    let shapes = rows::shapes(context);
    let mut out = Vec::new();
    for (_, field) in context.model.rows() {
        let ty = &field.ty;
        if matches!(field.kind, Kind::Nested | Kind::Flatten) {
            out.push(quote_spanned! {at(ty)=> __kv::assert_depth(<#ty as __kv::KvConfig>::__SCHEMA.shape); });
        }
        if matches!(field.kind, Kind::Flatten) {
            out.push(quote_spanned!(at(ty)=> __kv::assert_disjoint(&[#shapes]);));
        }
    }
    out.extend(of_environment(context, &shapes));
    out
}

/// No two fields read one environment variable, wherever they stand. Without a struct below, the macro knows by itself.
fn of_environment(context: &Context<'_>, shapes: &TokenStream) -> Option<TokenStream> {
    let inner = |field: &&Field| matches!(field.kind, Kind::Nested | Kind::Flatten);
    let first = context.model.fields.iter().find(inner)?;
    let place = context.model.env_prefix.as_ref().map_or_else(|| at(&first.ty), at);
    Some(quote_spanned!(place=> __kv::assert_env_apart(&[#shapes]);))
}

/// A default against its own range, where one of them is a constant of the user: `default = DEFAULT, range(1..=MOST)`.
/// Literals alone have been compared already, and what is no constant cannot be.
fn of_default(context: &Context<'_>, field: &Field) -> Option<TokenStream> {
    let Kind::Leaf { absent: Absent::Value { source, tokens, known }, checks, .. } = &field.kind else {
        return None;
    };
    let comparable = matches!(shape(&field.ty), Shape::Int(_) | Shape::Float | Shape::Char);
    let range = checks.iter().find_map(|check| match check {
        Check::Range { min, max, exclusive } => Some((min.as_ref(), max.as_ref(), *exclusive)),
        _ => None,
    });
    let (min, max, exclusive) = range.filter(|_| comparable)?;
    let bounds = || min.into_iter().chain(max);
    let all_literal = known.is_some() && bounds().all(|bound| bound.known.is_some());
    let all_constant = (known.is_some() || is_constant(&pretty(source)))
        && bounds().all(|bound| bound.known.is_some() || is_constant(&bound.text));
    if all_literal || !all_constant {
        return None;
    }
    let (ty, default) = (context.outside(&field.ty), context.outside(tokens));
    let value = |bound: &Bound| context.outside(&bound.tokens);
    let low = min.map(value).map(|min| quote!(__DEFAULT >= #min));
    let high = max
        .map(value)
        .map(|max| if exclusive { quote!(__DEFAULT < #max) } else { quote!(__DEFAULT <= #max) });
    let holds = low.into_iter().chain(high);
    Some(quote_spanned! {at(source)=> {
        const __DEFAULT: #ty = #default;
        ::core::assert!(#(#holds)&&*, "the default is outside its own range");
    }})
}

/// Whether a path is spelled like that of a constant. A function call or any other expression may not be one.
fn is_constant(text: &str) -> bool {
    let path = text.split("::").all(|part| part.chars().all(|c| c.is_alphanumeric() || c == '_'));
    let name = text.rsplit("::").next().unwrap_or_default();
    path && name.chars().any(|c| c.is_ascii_uppercase()) && !name.chars().any(char::is_lowercase)
}

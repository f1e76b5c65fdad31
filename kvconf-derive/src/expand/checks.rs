//! Checks as rows of a constant table: what each asks for, and a function that tests it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

use super::context::Context;
use super::option;
use crate::constraint::{Bound, Check};
use crate::spans::at;
use crate::types::{Shape, pretty, shape};

/// The checks of a field, separated by commas.
pub(super) fn checks(context: &Context<'_>, ty: &Type, checks: &[Check]) -> TokenStream {
    let checks = checks.iter().map(|check| {
        let (constraint, test) = (constraint(check), test(context, check, ty));
        let values = option(values(context, check, ty));
        quote!(__kv::Check { constraint: __kv::Constraint::#constraint, test: |__v| #test, values: #values })
    });
    quote!(#(#checks),*)
}

fn constraint(check: &Check) -> TokenStream {
    match check {
        Check::Range { min, max, exclusive } => {
            let (min, max) = (option(min.as_ref().map(borrowed)), option(max.as_ref().map(borrowed)));
            quote!(Range { min: #min, max: #max, exclusive: #exclusive })
        }
        Check::Length { min, max } => {
            let (min, max) = (option(*min), option(*max));
            quote!(Length { min: #min, max: #max })
        }
        Check::Pattern(pattern) => quote!(Pattern(__kv::Cow::Borrowed(#pattern))),
        Check::OneOf(values) => {
            let values = values.iter().map(borrowed);
            quote!(OneOf(__kv::Cow::Borrowed(&[#(#values),*])))
        }
        Check::Function(path) => {
            let name = pretty(path);
            quote!(Function(__kv::Cow::Borrowed(#name)))
        }
    }
}

fn borrowed(bound: &Bound) -> TokenStream {
    let text = &bound.text;
    quote!(__kv::Cow::Borrowed(#text))
}

/// The values that a check compares with, as a function: for constants of the user, whose text in the source says nothing
/// to anybody else.
fn values(context: &Context<'_>, check: &Check, ty: &Type) -> Option<TokenStream> {
    let bounds: Vec<&Bound> = match check {
        Check::Range { min, max, .. } => min.iter().chain(max).collect(),
        Check::OneOf(values) => values.iter().collect(),
        Check::Length { .. } | Check::Pattern(_) | Check::Function(_) => return None,
    };
    if bounds.iter().all(|bound| bound.known.is_some()) {
        return None;
    }
    let values = bounds.iter().map(|bound| whole(context.outside(&bound.tokens), check, ty));
    Some(quote!(|| ::std::vec::Vec::from([#(#values),*])))
}

/// A value of the field's type around one that it holds.
fn whole(value: TokenStream, check: &Check, ty: &Type) -> TokenStream {
    match shape(ty) {
        Shape::Option(inner) => {
            let value = whole(value, check, inner);
            quote!(::core::option::Option::Some(#value))
        }
        Shape::Secret(inner) => {
            let value = whole(value, check, inner);
            quote!(__kv::Secret::new(#value))
        }
        Shape::String | Shape::Text if matches!(check, Check::OneOf(_)) => {
            quote!(::core::convert::From::from(#value))
        }
        _ => quote!(::core::clone::Clone::clone(&#value)),
    }
}

/// The test of a value `__v: &V`. An absent option passes; a secret is tested by what it holds, except by a function of the
/// user, which gets the secret.
fn test(context: &Context<'_>, check: &Check, ty: &Type) -> TokenStream {
    match (shape(ty), check) {
        (Shape::Option(inner), _) => {
            let test = test(context, check, inner);
            quote! {
                match __v {
                    ::core::option::Option::Some(__v) => #test,
                    ::core::option::Option::None => ::core::result::Result::Ok(()),
                }
            }
        }
        (Shape::Secret(inner), check) if !matches!(check, Check::Function(_)) => {
            let test = test(context, check, inner);
            quote!({ let __v = __kv::Secret::expose(__v); #test })
        }
        (shape, _) => plain_test(context, check, shape),
    }
}

fn plain_test(context: &Context<'_>, check: &Check, shape: Shape<'_>) -> TokenStream {
    let value = |bound: &Option<Bound>| bound.as_ref().map(|bound| context.outside(&bound.tokens));
    match check {
        Check::Range { min, max, exclusive } => {
            let (min, max) = (value(min), value(max));
            let between = if *exclusive || max.is_none() { quote!(..) } else { quote!(..=) };
            quote!(__kv::holds((#min #between #max).contains(__v)))
        }
        Check::Length { min, max } => {
            let (min, max) = (option(*min), option(*max));
            quote!(__kv::has_length(__v, #min, #max))
        }
        Check::Pattern(pattern) => quote! {{
            static PATTERN: __kv::Pattern = __kv::Pattern::new(#pattern);
            PATTERN.test(::core::convert::AsRef::<str>::as_ref(__v))
        }},
        Check::OneOf(values) => {
            let values = values.iter().map(|value| context.outside(&value.tokens));
            let value = match shape {
                Shape::String | Shape::Str | Shape::Text => {
                    quote!(&::core::convert::AsRef::<str>::as_ref(__v))
                }
                _ => quote!(__v),
            };
            quote!(__kv::holds([#(#values),*].contains(#value)))
        }
        Check::Function(path) => {
            let (span, path) = (at(path), context.outside(path));
            quote_spanned!(span=> __kv::by_function(#path(__v)))
        }
    }
}

//! Checks as rows of a constant table: what each asks for, and a function that tests it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

use super::context::{Context, at};
use super::option;
use crate::constraint::{Bound, Check};
use crate::types::{Shape, pretty, shape};

/// The checks of a field, separated by commas.
pub(super) fn checks(context: &Context<'_>, ty: &Type, checks: &[Check]) -> TokenStream {
    let checks = checks.iter().map(|check| {
        let (constraint, test) = (constraint(check), test(context, check, ty));
        quote!(__kv::Check { constraint: __kv::Constraint::#constraint, test: |__v| #test })
    });
    quote!(#(#checks),*)
}

fn constraint(check: &Check) -> TokenStream {
    match check {
        Check::Range { min, max, exclusive } => {
            let (min, max) = (option(min.as_ref().map(text)), option(max.as_ref().map(text)));
            quote!(Range { min: #min, max: #max, exclusive: #exclusive })
        }
        Check::Length { min, max } => {
            let (min, max) = (option(*min), option(*max));
            quote!(Length { min: #min, max: #max })
        }
        Check::Pattern(pattern) => quote!(Pattern(#pattern)),
        Check::OneOf(values) => {
            let values = values.iter().map(text);
            quote!(OneOf(&[#(#values),*]))
        }
        Check::Function(path) => {
            let name = pretty(path);
            quote!(Function(#name))
        }
    }
}

fn text(bound: &Bound) -> &str {
    &bound.text
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

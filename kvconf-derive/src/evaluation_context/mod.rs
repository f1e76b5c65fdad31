//! `derive(EvaluationContext)`: a struct becomes named attributes, an enum the text of its variant.

mod expand;
mod read;

use proc_macro2::{Span, TokenStream};
use syn::{DeriveInput, Generics, Ident, Type};

use crate::error::Errors;

/// A type as the macro understands it.
pub(crate) struct Model {
    ident: Ident,
    generics: Generics,
    /// What the type, its fields and its variants allow.
    allowed: Vec<TokenStream>,
    /// The path of the library.
    library: TokenStream,
    shape: Shape,
}

enum Shape {
    Struct(Vec<Field>),
    Enum(Vec<Variant>),
}

struct Field {
    ident: Ident,
    ty: Type,
    name: String,
    span: Span,
    is_targeting_key: bool,
}

struct Variant {
    ident: Ident,
    name: String,
    span: Span,
}

/// The code for a type, and every mistake in it.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let model = read::read(input, &mut errors);
    if errors.is_empty() {
        return expand::expand(&model);
    }
    // Without the implementations each use of the type would be one more mistake.
    let stub = match model.shape {
        Shape::Struct(_) => expand::expand(&Model { shape: Shape::Struct(Vec::new()), ..model }),
        Shape::Enum(_) => expand::expand_stub_of_enum(&model),
    };
    let mut tokens = errors.into_tokens();
    tokens.extend(stub);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(source: &str) -> String {
        derive(&syn::parse_str(source).unwrap()).to_string()
    }

    #[test]
    fn a_renamed_library_is_named_nowhere_else() {
        let source =
            "#[context(crate = other)] struct S<'a> { #[context(targeting_key)] a: &'a str, b: Option<u8> }";
        let tokens = derive(&syn::parse_str(source).unwrap());
        assert!(!crate::types::mentions(tokens, &[&syn::parse_quote!(kvconf)]));
    }

    #[test]
    fn all_mistakes_are_told_and_the_type_is_a_context_all_the_same() {
        let tokens =
            expand("struct S { #[context(rnename = \"x\")] a: u8, #[context(rename = \"b.c\")] b: u8 }");
        assert_eq!(tokens.matches("compile_error").count(), 2);
        assert!(tokens.contains("TypedContext for S"));
    }
}

//! Where generated tokens stand.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::{Attribute, Ident};

/// A span for generated tokens whose faults should be reported at this place of the source.
pub(crate) fn at(place: &impl Spanned) -> Span {
    quiet_span(place.span())
}

/// At the same place, but a part of what the macro has written. Lints of style, of what is deprecated and of what is never
/// used pass over code of a derive: so it needs no `allow`, which a crate that forbids the lint would refuse.
fn quiet_span(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// A name of the user's as generated code uses it: what is marked `#[deprecated]` may be used there. All others keep their place in
/// the source, which makes for better messages.
pub(crate) fn used(ident: &Ident, attributes: &[Attribute]) -> Ident {
    let is_deprecated = attributes.iter().any(|attribute| attribute.path().is_ident("deprecated"));
    if is_deprecated { quiet(ident) } else { ident.clone() }
}

/// A name of the user's in code that no lint looks at: its use here is not the user's.
pub(crate) fn quiet(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(quiet_span(ident.span()));
    ident
}

/// The same for all names in these tokens. `$crate` stays: its span is what it means.
pub(crate) fn all_quiet(tokens: TokenStream) -> TokenStream {
    let one = |mut token: TokenTree| {
        match &mut token {
            TokenTree::Group(group) => {
                let mut new = Group::new(group.delimiter(), all_quiet(group.stream()));
                new.set_span(quiet_span(group.span()));
                *group = new;
            }
            TokenTree::Ident(ident) if *ident == "$crate" => {}
            other => other.set_span(quiet_span(other.span())),
        }
        token
    };
    tokens.into_iter().map(one).collect()
}

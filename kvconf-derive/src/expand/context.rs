//! What every part of the expansion refers to.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{GenericParam, Generics, Ident};

use super::bounds;
use crate::model::Model;

/// A struct and the names under which its generated code refers to it.
pub(super) struct Context<'a> {
    pub(super) model: &'a Model,
    /// The struct as a type: `Pool<T, N>`.
    pub(super) this: TokenStream,
    /// The struct as an expression: `Pool::<T, N>`.
    receiver: TokenStream,
    /// Bounds that the fields need.
    bounds: Vec<TokenStream>,
}

impl<'a> Context<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        let ident = &model.ident;
        let (_, arguments, _) = model.generics.split_for_impl();
        let turbofish = arguments.as_turbofish();
        Self {
            this: quote!(#ident #arguments),
            receiver: quote!(#ident #turbofish),
            bounds: bounds::bounds(model),
            model,
        }
    }

    pub(super) fn is_generic(&self) -> bool {
        self.model.generics.params.iter().any(|param| !matches!(param, GenericParam::Lifetime(_)))
    }

    /// `<T: Bound, const N: usize>`.
    pub(super) fn impl_generics(&self) -> TokenStream {
        self.model.generics.split_for_impl().0.to_token_stream()
    }

    /// The bounds of the struct, of its fields, and those of every `KvConfig`.
    pub(super) fn impl_bounds(&self) -> TokenStream {
        if !self.is_generic() {
            return self.where_clause(&[]);
        }
        let this = &self.this;
        self.where_clause(&[
            quote!(#this: ::core::clone::Clone + ::core::marker::Send + ::core::marker::Sync),
        ])
    }

    /// The bounds of the struct and of its fields.
    pub(super) fn field_bounds(&self) -> TokenStream {
        self.where_clause(&[])
    }

    fn where_clause(&self, more: &[TokenStream]) -> TokenStream {
        let own = self.model.generics.where_clause.as_ref().map(|clause| &clause.predicates);
        let own = own.into_iter().flatten().map(ToTokens::to_token_stream);
        let all: Vec<_> = own.chain(self.bounds.iter().cloned()).chain(more.iter().cloned()).collect();
        if all.is_empty() { TokenStream::new() } else { quote!(where #(#all),*) }
    }

    /// The parameters of the struct of typed names: the root in front of the struct's own.
    pub(super) fn fields_parameters(&self) -> TokenStream {
        let mut generics = Generics { where_clause: None, ..self.model.generics.clone() };
        generics.params.insert(0, syn::parse_quote!(__Root: 'static));
        generics.split_for_impl().0.to_token_stream()
    }

    /// The same as arguments.
    pub(super) fn fields_arguments(&self) -> TokenStream {
        let names = self.model.generics.params.iter().map(|param| match param {
            GenericParam::Type(param) => param.ident.to_token_stream(),
            GenericParam::Const(param) => param.ident.to_token_stream(),
            GenericParam::Lifetime(param) => param.lifetime.to_token_stream(),
        });
        quote!(<__Root, #(#names),*>)
    }

    /// Where the rows stand, as an expression.
    pub(super) fn rows_path(&self) -> TokenStream {
        let (_, arguments, _) = self.model.generics.split_for_impl();
        let turbofish = arguments.as_turbofish();
        quote!(__Rows #turbofish)
    }

    /// Tokens of the user, for a place where `Self` is not the struct.
    pub(super) fn outside(&self, tokens: impl ToTokens) -> TokenStream {
        replace_self(tokens.to_token_stream(), &self.receiver)
    }
}

fn replace_self(tokens: TokenStream, with: &TokenStream) -> TokenStream {
    let one = |token: TokenTree| match token {
        TokenTree::Ident(ident) if ident == "Self" => with.clone(),
        TokenTree::Group(group) => {
            let mut new = Group::new(group.delimiter(), replace_self(group.stream(), with));
            new.set_span(group.span());
            TokenTree::Group(new).into()
        }
        other => other.into(),
    };
    tokens.into_iter().map(one).collect()
}

/// The constant of a row.
pub(super) fn row(index: u16) -> Ident {
    format_ident!("F{index}")
}

/// The variable of a loaded field.
pub(super) fn local(index: u16) -> Ident {
    format_ident!("__f{index}")
}

//! The struct of typed names that `S::fields()` gives.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};

use super::context::Context;
use crate::model::{Field, Kind};
use crate::spans::{all_quiet, at, quiet};

/// `struct __Fields<__Root, …> { … }`, as visible as the struct itself, each field as visible as the field.
pub(super) fn declaration(context: &Context<'_>) -> TokenStream {
    let (vis, this) = (all_quiet(context.model.vis.to_token_stream()), &context.this);
    let (parameters, bounds) = (context.fields_parameters(), context.field_bounds());
    let fields = context.model.rows().map(|(_, field)| {
        let (name, vis) = (quiet(&field.ident), all_quiet(field.vis.to_token_stream()));
        let doc = if field.description.is_empty() {
            format!("`{}`.", field.name())
        } else {
            field.description.clone()
        };
        let ty = name_type(context, field);
        quote!(#[doc = #doc] #vis #name: #ty)
    });
    let doc = format!("The fields of [`{}`] as typed names.", context.model.ident);
    quote! {
        #[doc = #doc]
        #vis struct __Fields #parameters #bounds {
            #(#fields,)*
            __marker: ::core::marker::PhantomData<fn(&__Root) -> #this>,
        }
    }
}

fn name_type(context: &Context<'_>, field: &Field) -> TokenStream {
    let ty = context.outside(&field.ty);
    match field.kind {
        Kind::Nested | Kind::Flatten => {
            quote_spanned!(at(&field.ty)=> <#ty as __kv::KvConfig>::Fields<__Root>)
        }
        _ => quote!(__kv::Field<__Root, #ty>),
    }
}

/// The value of it.
pub(super) fn construction(context: &Context<'_>) -> TokenStream {
    let fields = context.model.rows().map(|(index, field)| {
        let (name, ty) = (&field.ident, &field.ty);
        match field.kind {
            Kind::Nested | Kind::Flatten => {
                quote_spanned!(at(ty)=> #name: <#ty as __kv::KvConfig>::__fields::<__Root>(__at.join(#index)))
            }
            _ => quote!(#name: __kv::Field::new(__at.join(#index))),
        }
    });
    quote!(__Fields { #(#fields,)* __marker: ::core::marker::PhantomData })
}

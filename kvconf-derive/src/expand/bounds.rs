//! The bounds that a generic struct's fields need.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{GenericParam, Ident};

use crate::model::{Absent, Codec, Field, Kind, Model};
use crate::types::mentions;

/// One bound for everything that the table asks of a type with a parameter in it. A struct without parameters gets none:
/// there the compiler checks the table itself, and says more about what is missing.
pub(super) fn bounds(model: &Model) -> Vec<TokenStream> {
    let names: Vec<&Ident> = model
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    let mut bounds: Vec<TokenStream> = model
        .generics
        .type_params()
        .map(|param| param.ident.to_token_stream())
        .map(|t| quote!(#t: 'static))
        .collect();
    for field in model.fields.iter().filter(|field| mentions(field.ty.to_token_stream(), &names)) {
        bounds.extend(field_bounds(field));
    }
    bounds
}

fn field_bounds(field: &Field) -> Vec<TokenStream> {
    let ty = &field.ty;
    let mut bounds = match &field.kind {
        Kind::Leaf { codec, .. } => {
            let mut bounds = vec![
                quote!(#ty: ::core::clone::Clone + ::core::marker::Send + ::core::marker::Sync + 'static),
            ];
            if let Codec::Flag(_) = codec {
                bounds.push(quote!(#ty: __kv::FlagField));
            }
            bounds.extend(codec_bound(codec, &quote!(#ty)));
            bounds
        }
        Kind::Entries { codec, .. } => {
            let mut bounds = vec![quote!(#ty: __kv::EntryMap)];
            bounds.extend(codec_bound(codec, &quote!(<#ty as __kv::EntryMap>::Value)));
            bounds
        }
        Kind::Nested | Kind::Flatten => vec![quote!(#ty: __kv::KvConfig)],
        Kind::Skip(_) => Vec::new(),
    };
    if let Kind::Leaf { absent: Absent::Default(_), .. } | Kind::Skip(Absent::Default(_)) = &field.kind {
        bounds.push(match &field.kind {
            Kind::Leaf { codec: Codec::Flag(_), .. } => {
                quote!(<#ty as __kv::FlagField>::Value: ::core::default::Default)
            }
            _ => quote!(#ty: ::core::default::Default),
        });
    }
    bounds
}

fn codec_bound(codec: &Codec, ty: &TokenStream) -> Option<TokenStream> {
    match codec {
        Codec::Text => Some(quote!(__kv::Text: __kv::Codec<#ty>)),
        Codec::Json => Some(quote!(__kv::Json: __kv::Codec<#ty>)),
        Codec::Secret => Some(quote!(__kv::SecretText: __kv::Codec<#ty>)),
        Codec::Flag(_) => Some(quote!(__kv::FlagCodec<<#ty as __kv::FlagField>::Value>: __kv::Codec<#ty>)),
        Codec::Given(_) => None,
    }
}

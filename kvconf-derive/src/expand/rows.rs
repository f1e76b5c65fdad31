//! The rows of the table.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;

use super::context::{Context, row};
use super::{checks, option};
use crate::model::{Absent, Codec, Field, Kind};
use crate::spans::{all_quiet, at};
use crate::types::pretty;

/// One constant for each row. They stand on a type of their own, since a constant in a trait's implementation has to be
/// declared by the trait, and one beside it could not name the struct's parameters.
pub(super) fn rows(context: &Context<'_>) -> TokenStream {
    let (generics, this, bounds) = (context.impl_generics(), &context.this, context.field_bounds());
    let (_, arguments, _) = context.model.generics.split_for_impl();
    let rows = context.model.rows().map(|(index, field)| {
        let name = row(index);
        let (ty, value) = (row_type(context, field), row_value(context, field));
        quote_spanned!(at(&field.ty)=> const #name: &'static #ty = &#value;)
    });
    quote! {
        struct __Rows #generics (::core::marker::PhantomData<#this>) #bounds;
        impl #generics __Rows #arguments #bounds {
            #(#rows)*
        }
    }
}

fn row_type(context: &Context<'_>, field: &Field) -> TokenStream {
    let (this, ty) = (&context.this, context.outside(&field.ty));
    let span = at(&field.ty);
    match field.kind {
        Kind::Leaf { .. } => quote_spanned!(span=> __kv::Leaf<#this, #ty>),
        Kind::Entries { .. } => quote_spanned!(span=> __kv::Entries<#this, #ty>),
        _ => quote_spanned!(span=> __kv::Nested<#this, #ty>),
    }
}

fn row_value(context: &Context<'_>, field: &Field) -> TokenStream {
    let (name, meta) = (&field.ident, meta(field));
    let access = quote!(get: |__s| &__s.#name, get_mut: |__s| &mut __s.#name);
    match &field.kind {
        Kind::Leaf { codec, absent, checks } => {
            let (codec, absent) = match codec {
                Codec::Flag(visitor) => flag_values(context, field, visitor.as_ref(), absent),
                codec => (codec_value(context, field, codec), absent_value(context, absent)),
            };
            let checks = checks::checks(context, &field.ty, checks);
            quote! {
                __kv::Leaf { meta: #meta, #access, codec: #codec, absent: #absent, checks: &[#checks] }
            }
        }
        Kind::Entries { codec, checks } => {
            let codec = codec_value(context, field, codec);
            let checks = checks::checks(context, &field.ty, checks);
            quote_spanned! {at(&field.ty)=>
                __kv::Entries { meta: #meta, #access, codec: #codec, checks: &[#checks] }
            }
        }
        _ => quote_spanned!(at(&field.ty)=> __kv::Nested { meta: #meta, #access }),
    }
}

fn meta(field: &Field) -> TokenStream {
    let (name, key, description) = (field.name(), &field.key.text, &field.description);
    let type_name = pretty(&field.ty);
    let aliases = field.aliases.iter().map(|alias| &alias.text);
    let (secret, restart) = (field.secret, field.restart);
    let (deprecated, env) = (option(field.deprecated.as_ref()), option(field.env.as_ref()));
    let unit = option(field.unit.as_ref());
    quote! {
        __kv::Meta {
            name: #name,
            key: #key,
            aliases: &[#(#aliases),*],
            description: #description,
            type_name: #type_name,
            secret: #secret,
            restart: #restart,
            deprecated: #deprecated,
            env: #env,
            unit: #unit,
        }
    }
}

fn codec_value(context: &Context<'_>, field: &Field, codec: &Codec) -> TokenStream {
    let span = at(&field.ty);
    match codec {
        Codec::Text => quote_spanned!(span=> &__kv::Text),
        Codec::Json => quote_spanned!(span=> &__kv::Json),
        Codec::Secret => quote_spanned!(span=> &__kv::SecretText),
        Codec::Flag(visitor) => flag_codec(context, field, visitor.as_ref(), None),
        Codec::Given(expr) => {
            let (span, expr) = (at(expr), context.outside(expr));
            quote_spanned!(span=> &#expr)
        }
    }
}

/// The codec of a flag and what it is without a key; both know the default.
fn flag_values(
    context: &Context<'_>,
    field: &Field,
    visitor: Option<&syn::Path>,
    absent: &Absent,
) -> (TokenStream, TokenStream) {
    let ty = context.outside(&field.ty);
    let default = match absent {
        Absent::Default(place) => quote_spanned!(at(place)=> ::core::default::Default::default()),
        Absent::Value { tokens, .. } => context.outside(tokens),
        Absent::Required | Absent::Optional | Absent::Stored(_) => {
            return (flag_codec(context, field, visitor, None), quote!(__kv::Absent::Required));
        }
    };
    let absent = quote! {
        __kv::Absent::Keyed(|__key| <#ty as __kv::FlagField>::missing(__key, #default))
    };
    (flag_codec(context, field, visitor, Some(&default)), absent)
}

fn flag_codec(
    context: &Context<'_>,
    field: &Field,
    visitor: Option<&syn::Path>,
    default: Option<&TokenStream>,
) -> TokenStream {
    let ty = context.outside(&field.ty);
    let default = option(default.map(|default| quote!(|| #default)));
    let visitor = option(visitor.map(|visitor| {
        // A context may have lifetimes, which nobody writes there.
        let (span, visitor) = (at(visitor), all_quiet(visitor.to_token_stream()));
        quote_spanned!(span=> || <#visitor as __kv::TypedContext>::described())
    }));
    quote_spanned! {at(&field.ty)=>
        &__kv::FlagCodec::<<#ty as __kv::FlagField>::Value> { default: #default, context: #visitor }
    }
}

fn absent_value(context: &Context<'_>, absent: &Absent) -> TokenStream {
    match absent {
        Absent::Required => quote!(__kv::Absent::Required),
        Absent::Optional => quote! {
            __kv::Absent::Optional { none: || ::core::option::Option::None, is_none: ::core::option::Option::is_none }
        },
        Absent::Default(place) => {
            quote_spanned!(at(place)=> __kv::Absent::Value(::core::default::Default::default))
        }
        Absent::Value { source, tokens, known } => {
            let value = context.outside(tokens);
            if known.is_some() || is_fixed(source) {
                quote!(__kv::Absent::Value(|| #value))
            } else {
                quote!(__kv::Absent::Computed(|| #value))
            }
        }
        Absent::Stored(text) => quote!(__kv::Absent::Text(#text)),
    }
}

/// Whether an expression has the same value wherever it is evaluated, by its looks: literals, constants, and what types
/// make of them (`Duration::from_secs(3)`). A call of a free function (`num_cpus::get()`) may look around.
fn is_fixed(expr: &Expr) -> bool {
    let of_type = |path: &syn::Path| {
        let name = path.segments.iter().rev().nth(1).map(|segment| segment.ident.to_string());
        name.is_some_and(|name| name.starts_with(|letter: char| letter.is_ascii_uppercase()))
    };
    match expr {
        Expr::Lit(_) | Expr::Path(_) => true,
        Expr::Array(array) => array.elems.iter().all(is_fixed),
        Expr::Tuple(tuple) => tuple.elems.iter().all(is_fixed),
        Expr::Struct(value) => value.fields.iter().all(|field| is_fixed(&field.expr)) && value.rest.is_none(),
        Expr::Unary(unary) => is_fixed(&unary.expr),
        Expr::Binary(binary) => is_fixed(&binary.left) && is_fixed(&binary.right),
        Expr::Paren(inner) => is_fixed(&inner.expr),
        Expr::Group(inner) => is_fixed(&inner.expr),
        Expr::Reference(inner) => is_fixed(&inner.expr),
        Expr::Cast(cast) => is_fixed(&cast.expr),
        Expr::Macro(call) => call.mac.path.is_ident("vec"),
        Expr::MethodCall(call) => is_fixed(&call.receiver) && call.args.iter().all(is_fixed),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => of_type(&path.path) && call.args.iter().all(is_fixed),
            _ => false,
        },
        _ => false,
    }
}

/// The rows without their types.
pub(super) fn nodes(context: &Context<'_>) -> TokenStream {
    let rows = context.rows_path();
    let nodes = context.model.rows().map(|(index, field)| {
        let row = row(index);
        quote_spanned!(at(&field.ty)=> #rows::#row)
    });
    quote!(#(#nodes),*)
}

/// The keys and environment variables as plain data.
pub(super) fn shapes(context: &Context<'_>) -> TokenStream {
    let shapes = context.model.rows().map(|(_, field)| {
        let (key, ty) = (&field.key.text, &field.ty);
        let env = env(field);
        let inner = || quote_spanned!(at(ty)=> <#ty as __kv::KvConfig>::__SCHEMA.shape);
        match field.kind {
            Kind::Entries { .. } => quote!(__kv::Shape::Entries(#key, #env)),
            Kind::Nested => {
                let inner = inner();
                quote!(__kv::Shape::Nested(#key, #env, #inner))
            }
            Kind::Flatten => {
                let inner = inner();
                quote!(__kv::Shape::Flat(#inner))
            }
            _ => {
                let aliases = field.aliases.iter().map(|alias| &alias.text);
                quote!(__kv::Shape::Leaf(#key, #env) #(, __kv::Shape::Leaf(#aliases, __kv::Env::None))*)
            }
        }
    });
    let prefix = context.model.env_prefix.iter().map(|prefix| quote!(__kv::Shape::EnvPrefix(#prefix)));
    let shapes = prefix.chain(shapes);
    quote!(#(#shapes),*)
}

/// Not as a call: the arguments of one are checked by themselves, and a struct below that is none is told twice.
fn env(field: &Field) -> TokenStream {
    if let Some(name) = &field.env {
        return quote!(__kv::Env::Given { name: #name });
    }
    let name = field.name().to_ascii_uppercase();
    quote!(__kv::Env::Below { name: #name })
}

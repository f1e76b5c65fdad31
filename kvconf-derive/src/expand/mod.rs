//! Model to tokens.

mod assertions;
mod bounds;
mod checks;
mod context;
mod fields;
mod rows;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use crate::model::{Absent, Kind, Model};
use crate::spans::at;
use context::Context;

/// What is written for a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Everything.
    Whole,
    /// No rows, only what other code refers to: the struct has mistakes, and each of them should be told once.
    Stub,
}

/// The code for a struct.
pub(crate) fn expand(model: &Model, body: Body) -> TokenStream {
    let context = Context::new(model);
    let library = &model.library;
    let fields = fields::declaration(&context);
    let (rows, assertions) = match body {
        Body::Whole => (rows::rows(&context), assertions::eager(&context)),
        Body::Stub => (TokenStream::new(), TokenStream::new()),
    };
    let implementation = implementation(&context, body);
    let allowed = &model.allowed;
    quote! {
        #(#allowed)*
        const _: () = {
            use #library::__private as __kv;
            #fields
            #rows
            #implementation
            #assertions
        };
    }
}

/// The code for what is no struct with named fields: enough that only the mistake itself is reported.
pub(crate) fn expand_empty(model: &Model) -> TokenStream {
    let context = Context::new(model);
    let library = &model.library;
    let (generics, this, bounds) = (context.impl_generics(), &context.this, context.impl_bounds());
    let schema = schema(&context, Body::Stub);
    quote! {
        const _: () = {
            use #library::__private as __kv;
            #[automatically_derived]
            impl #generics __kv::KvConfig for #this #bounds {
                type Fields<__Root: 'static> = ();
                const __SCHEMA: &'static __kv::Structure<Self> = #schema;
                fn __fields<__Root: 'static>(_: __kv::Path) {}
                fn __build(_: &mut __kv::Loader<'_>) -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
            }
        };
    }
}

fn implementation(context: &Context<'_>, body: Body) -> TokenStream {
    let (generics, this, bounds) = (context.impl_generics(), &context.this, context.impl_bounds());
    let fields = context.fields_arguments();
    let construct = fields::construction(context);
    let schema = schema(context, body);
    let build = match body {
        Body::Whole => build(context),
        Body::Stub => quote!(::core::option::Option::None),
    };
    quote! {
        #[automatically_derived]
        impl #generics __kv::KvConfig for #this #bounds {
            type Fields<__Root: 'static> = __Fields #fields;
            const __SCHEMA: &'static __kv::Structure<Self> = #schema;
            fn __fields<__Root: 'static>(__at: __kv::Path) -> __Fields #fields {
                #construct
            }
            fn __build(__loader: &mut __kv::Loader<'_>) -> ::core::option::Option<Self> {
                #build
            }
        }
    }
}

fn schema(context: &Context<'_>, body: Body) -> TokenStream {
    let model = context.model;
    let (name, description) = (model.ident.to_string(), &model.description);
    let prefix = option(model.prefix.as_ref());
    let env_prefix = option(model.env_prefix.as_ref());
    let (nodes, shapes, validate) = match body {
        Body::Whole => (rows::nodes(context), rows::shapes(context), option(model.validate.as_ref())),
        Body::Stub => Default::default(),
    };
    let validate = if body == Body::Stub { option::<TokenStream>(None) } else { validate };
    // In a generic struct the depth is known only when the type parameters are.
    let late = match body {
        Body::Whole if context.is_generic() => assertions::of_nested(context),
        _ => Vec::new(),
    };
    quote! {{
        #(#late)*
        &__kv::Structure {
            name: #name,
            prefix: #prefix,
            env_prefix: #env_prefix,
            description: #description,
            nodes: &[#nodes],
            shape: &[#shapes],
            validate: #validate,
        }
    }}
}

/// Loads every field, and only then looks whether one is missing: every problem is reported, not the first alone.
///
/// One match over all of them, not a `?` on each: three hundred early returns, each with everything loaded so far to drop,
/// took the optimizer a minute, where this takes a second.
fn build(context: &Context<'_>) -> TokenStream {
    let rows = context.rows_path();
    let loads = context.model.rows().map(|(index, field)| {
        let (local, row) = (context::local(index), context::row(index));
        match field.kind {
            Kind::Leaf { .. } => quote!(let #local = __loader.leaf(#index, #rows::#row);),
            Kind::Entries { .. } => {
                quote_spanned!(at(&field.ty)=> let #local = __loader.entries(#index, #rows::#row);)
            }
            _ => quote_spanned!(at(&field.ty)=> let #local = __loader.nested(#index, #rows::#row);),
        }
    });
    let (names, locals): (Vec<&Ident>, Vec<Ident>) =
        context.model.rows().map(|(index, field)| (&field.ident, context::local(index))).unzip();
    let skipped = context.model.fields.iter().filter_map(|field| match &field.kind {
        Kind::Skip(Absent::Value { tokens, .. }) => Some((field, tokens.clone())),
        Kind::Skip(_) => Some((field, quote_spanned!(at(&field.ty)=> ::core::default::Default::default()))),
        _ => None,
    });
    let skipped = skipped.map(|(field, value)| {
        let name = &field.ident;
        quote!(#name: #value)
    });
    let built = quote!(::core::option::Option::Some(Self { #(#names: #locals,)* #(#skipped,)* }));
    if locals.is_empty() {
        return built;
    }
    quote! {
        #(#loads)*
        match (#(#locals,)*) {
            (#(::core::option::Option::Some(#locals),)*) => #built,
            _ => ::core::option::Option::None,
        }
    }
}

fn option<T: quote::ToTokens>(value: Option<T>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

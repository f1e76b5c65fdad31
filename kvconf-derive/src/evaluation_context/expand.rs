//! Model to tokens.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};

use super::read::without_lifetimes;
use super::{Field, Model, Shape, Variant};
use crate::spans::{all_quiet, at};

pub(super) fn expand(model: &Model) -> TokenStream {
    let library = &model.library;
    let body = match &model.shape {
        Shape::Struct(fields) => of_struct(model, fields),
        Shape::Enum(variants) => of_enum(model, variants),
    };
    let allowed = &model.allowed;
    quote! {
        #(#allowed)*
        const _: () = {
            use #library::flag as __flag;
            #body
        };
    }
}

/// What stands for an enum with mistakes.
pub(super) fn expand_stub_of_enum(model: &Model) -> TokenStream {
    let library = &model.library;
    let [generics, ident, arguments, bounds] = header(model);
    quote! {
        const _: () = {
            use #library::flag as __flag;
            #[automatically_derived]
            impl #generics __flag::Attribute for #ident #arguments #bounds {
                fn value(&self) -> ::core::option::Option<__flag::Value<'_>> {
                    ::core::option::Option::None
                }
                fn kind() -> __flag::AttributeKind {
                    __flag::AttributeKind::Text
                }
            }
        };
    }
}

fn of_struct(model: &Model, fields: &[Field]) -> TokenStream {
    let [generics, ident, arguments, bounds] = header(model);
    let name = model.ident.to_string();
    let specs = fields.iter().map(spec);
    let arms = fields.iter().enumerate().map(|(index, field)| {
        let (field, span) = (&field.ident, at(&field.ty));
        quote_spanned!(span=> #index => __flag::Attribute::value(&self.#field))
    });
    let keys = fields.iter().filter(|field| field.is_targeting_key).map(|field| {
        let ty = without_lifetimes(field.ty.to_token_stream());
        quote_spanned!(at(&field.ty)=> __flag::assert_targeting_key::<#ty>();)
    });
    quote! {
        #[automatically_derived]
        impl #generics __flag::EvaluationContext for #ident #arguments #bounds {
            #[inline]
            fn schema(&self) -> ::core::option::Option<&'static __flag::ContextSchema> {
                ::core::option::Option::Some(<Self as __flag::TypedContext>::described())
            }
            #[inline]
            fn attribute(&self, index: usize) -> ::core::option::Option<__flag::Value<'_>> {
                match index {
                    #(#arms,)*
                    _ => ::core::option::Option::None,
                }
            }
        }
        #[automatically_derived]
        impl #generics __flag::TypedContext for #ident #arguments #bounds {
            #[inline]
            fn described() -> &'static __flag::ContextSchema {
                static SCHEMA: __flag::ContextSchema = __flag::ContextSchema::new(#name, &[#(#specs),*]);
                &SCHEMA
            }
        }
        #[automatically_derived]
        impl #generics __flag::Attribute for #ident #arguments #bounds {
            #[inline]
            fn value(&self) -> ::core::option::Option<__flag::Value<'_>> {
                ::core::option::Option::Some(__flag::Value::Object(self))
            }
            fn kind() -> __flag::AttributeKind {
                __flag::AttributeKind::Object(<Self as __flag::TypedContext>::described())
            }
        }
        const _: () = { #(#keys)* };
    }
}

fn spec(field: &Field) -> TokenStream {
    let (name, ty) = (&field.name, without_lifetimes(field.ty.to_token_stream()));
    quote_spanned!(at(&field.ty)=> __flag::AttributeSpec { name: #name, kind: <#ty as __flag::Attribute>::kind })
}

fn of_enum(model: &Model, variants: &[Variant]) -> TokenStream {
    let [generics, ident, arguments, bounds] = header(model);
    let (idents, names): (Vec<_>, Vec<_>) =
        variants.iter().map(|variant| (&variant.ident, &variant.name)).unzip();
    quote! {
        #[automatically_derived]
        impl #generics __flag::Attribute for #ident #arguments #bounds {
            #[inline]
            fn value(&self) -> ::core::option::Option<__flag::Value<'_>> {
                ::core::option::Option::Some(__flag::Value::Text(match self { #(Self::#idents => #names,)* }))
            }
            fn kind() -> __flag::AttributeKind {
                __flag::AttributeKind::OneOf(&[#(#names),*])
            }
        }
    }
}

/// The type and its parameters, as lints pass over them: `<'a, T: Bound>`, `Visitor`, `<'a, T>` and `where …`.
fn header(model: &Model) -> [TokenStream; 4] {
    let (generics, arguments, bounds) = model.generics.split_for_impl();
    let ident = model.ident.to_token_stream();
    [all_quiet(quote!(#generics)), ident, all_quiet(quote!(#arguments)), all_quiet(quote!(#bounds))]
}

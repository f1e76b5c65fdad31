//! Model to tokens.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::read::without_lifetimes;
use super::{Field, Model, Shape, Variant};

pub(super) fn expand(model: &Model) -> TokenStream {
    let library = &model.library;
    let body = match &model.shape {
        Shape::Struct(fields) => of_struct(model, fields),
        Shape::Enum(variants) => of_enum(model, variants),
    };
    // A deprecated field is an attribute all the same. What lints say of style, `automatically_derived` keeps quiet.
    quote! {
        #[allow(deprecated)]
        const _: () = {
            use #library::flag as __flag;
            #body
        };
    }
}

/// What stands for an enum with mistakes.
pub(super) fn expand_stub_of_enum(model: &Model) -> TokenStream {
    let library = &model.library;
    let (generics, arguments, bounds) = model.generics.split_for_impl();
    let ident = &model.ident;
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
    let (generics, arguments, bounds) = model.generics.split_for_impl();
    let (ident, name) = (&model.ident, model.ident.to_string());
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
    let (generics, arguments, bounds) = model.generics.split_for_impl();
    let ident = &model.ident;
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

/// A span for generated tokens whose faults should be reported at this place of the source.
fn at(place: &impl Spanned) -> Span {
    Span::call_site().located_at(place.span())
}

//! `derive(FlagVariant)`: what a flag gives out of an enum or a struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

use crate::error::Errors;
use crate::spans::used;

/// The code for a type, and every mistake in it.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let library = library(input, &mut errors);
    if let Some(parameter) = input.generics.params.first() {
        errors.at(parameter, "the variants of a flag have one type, without parameters");
    }
    let is_by_value = match &input.data {
        Data::Enum(data) => {
            for variant in data.variants.iter().filter(|variant| !variant.fields.is_empty()) {
                errors.at(
                    variant,
                    "the variants of a flag are all texts or all objects; a struct is an object",
                );
            }
            true
        }
        Data::Struct(_) => false,
        Data::Union(_) => {
            errors.at(&input.ident, "a union does not know which of its fields is set; write a struct");
            false
        }
    };
    if !errors.is_empty() {
        return errors.into_tokens();
    }
    let ident = used(&input.ident, &input.attrs);
    let (served, lent, expression) = if is_by_value {
        (quote!(Self), quote!(Self), quote!(::core::clone::Clone::clone(self)))
    } else {
        (quote!(&'__f Self), quote!(&Self), quote!(self))
    };
    quote! {
        const _: () = {
            use #library as __kv;
            #[automatically_derived]
            impl __kv::FlagVariant for #ident {
                type Served<'__f> = #served;
                #[inline]
                fn served(&self) -> #lent {
                    #expression
                }
            }
        };
    }
}

fn library(input: &DeriveInput, errors: &mut Errors) -> TokenStream {
    let mut library = quote!(::kvconf);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("flag_variant")) {
        let read = attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("the only word here is `crate = path`"));
            }
            let path: syn::Path = meta.value()?.parse()?;
            library = quote!(#path);
            Ok(())
        });
        errors.keep(read);
    }
    library
}

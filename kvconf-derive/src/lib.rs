//! The derive macros of kvconf: syntax to model, checks across fields, tokens out.

mod attributes;
mod byte_size;
mod casing;
mod check;
mod constraint;
mod duration;
mod error;
mod evaluation_context;
mod expand;
mod flag_variant;
mod literal;
mod model;
mod spans;
mod syntax;
mod types;
mod words;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Fields};

use error::Errors;
use expand::Body;

/// Maps a struct with named fields onto keys of a bucket.
///
/// The struct must be `Clone + Send + Sync + 'static`. Each field is one key, `<prefix>.<field>`, unless an attribute says
/// otherwise. An `Option` is `None` where its key is absent; any other field needs a key or a `default`. Doc comments
/// become descriptions. Attributes are written `#[kv(…)]`, several in one or each in its own.
///
/// # On the struct
/// | attribute | meaning |
/// |---|---|
/// | `prefix = "checkout"` | what all keys begin with; dots are allowed |
/// | `rename_all = "kebab-case"` | how names become keys; serde's casings: `snake_case`, `kebab-case`, `camelCase`, `PascalCase`, `SCREAMING_SNAKE_CASE`, `SCREAMING-KEBAB-CASE`, `lowercase`, `UPPERCASE` |
/// | `validate = Self::check` | a `fn(&Self, &mut Validation<Self>)` that sees all fields and reports every problem |
/// | `env_prefix = "CHECKOUT"` | every field can be overridden by the environment variable `CHECKOUT_<FIELD>` |
/// | `crate = path` | where the library is, when it is not `::kvconf` |
///
/// # On a field
/// | attribute | meaning |
/// |---|---|
/// | `rename = "payment-timeout"` | the key, instead of the field's name; dots are allowed |
/// | `alias = "timeout"`, `alias("a", "b")` | an older key, read where the key itself is absent; may be repeated |
/// | `default` | `Default::default()` where no source has a value |
/// | `default = 50` | this value where no source has one; see below |
/// | `nested` | the field is a struct with this derive; its keys stand below the field's |
/// | `flatten` | the same, but its keys stand beside the field's |
/// | `entries` | a `BTreeMap` or `HashMap` with one key per entry |
/// | `range(1..=500)` | numbers, `char`, `Duration` and `ByteSize` (`range("1s"..="10s")`), or constants of any ordered type |
/// | `length(1..=64)`, `length(3)` | of a text in characters, of a collection in items |
/// | `pattern("^[a-z]+$")` | a regular expression that must match somewhere in the text |
/// | `one_of("a", "b")` | the values that are allowed |
/// | `validate = path` | a `fn(&V) -> Result<(), impl Display>` |
/// | `secret` | never shown; the type is `Secret<…>`, which alone has the same effect |
/// | `unit = "items"` | what a number counts, for schemas and references; `Duration` and `ByteSize` have theirs |
/// | `env = "NAME"` | the environment variable that overrides the field; on a nested struct the prefix of its variables; on `entries` a JSON object, whose entries override one by one |
/// | `with = MyCodec` | another stored form: a unit struct that implements `Codec` for the field's type |
/// | `json` | stored as JSON, scalars too |
/// | `restart` | a change is recorded and reported, and takes effect at the next start |
/// | `deprecated`, `deprecated(use = "new_field")` | reading a value for it warns |
/// | `flag` | a feature flag: the type is a `Flag`, the `default` what it serves without a key |
/// | `context = Visitor` | beside `flag`: its rules may ask only for what this evaluation context has |
/// | `skip` | no key at all; the value is the `default`, else `Default::default()` |
///
/// Checks on an `Option` are for the value in it; on a `Secret` for what it holds, except that a `validate` function gets
/// the secret itself. On `entries`, `length` and `validate` see the whole map.
///
/// `validate` functions, codecs and comparisons run where a change is judged, and everything behind it waits: they are to compute, not
/// to wait. They may ask the handle, which answers from before the change. But they must not wait for another thread that asks it for an
/// explanation, an origin or an override: that thread waits for them in turn, and both do so for ever.
///
/// # Defaults
/// A literal is read as a value of the field's type while compiling: `default = "3s"` for a `Duration`, `"10.0.0.1"` for an
/// `IpAddr`, `["NL", "BE"]` for a `Vec<String>`, `[("gold", 3)]` for a map. One that does not fit, or that fails the field's
/// own checks, is an error at the literal. A text for a type that the macro does not know is read by the field's codec at
/// start: `default = "info"` for an enum. Any other expression is taken as it is, and evaluated for each load.
///
/// # Mistakes
/// All mistakes in a struct are reported at once, each at the token that it concerns: keys with characters that keys
/// cannot have, keys that collide, words that contradict each other, words that are not known. What only shows when another
/// struct's fields are known (keys that a flattened struct brings, nesting that is too deep) stops the compilation too.
///
/// # What it expands to
/// A constant table and very little code:
///
/// ```text
/// const _: () = {
///     use ::kvconf::__private as __kv;
///     struct __Fields<Root> { max_items: __kv::Field<Root, u32>, retry: <Retry as __kv::KvConfig>::Fields<Root>, … }
///     impl __Rows {
///         const F0: &'static __kv::Leaf<Checkout, u32> = &__kv::Leaf {
///             meta: __kv::Meta { name: "max_items", key: "max_items", … },
///             get: |s| &s.max_items,
///             get_mut: |s| &mut s.max_items,
///             codec: &__kv::Text,
///             absent: __kv::Absent::Value(|| 50),
///             checks: &[…],
///         };
///         …
///     }
///     impl __kv::KvConfig for Checkout {
///         type Fields<Root: 'static> = __Fields<Root>;
///         const __SCHEMA: &'static __kv::Structure<Self> = &__kv::Structure { nodes: &[__Rows::F0, …], … };
///         fn __fields<Root: 'static>(at: __kv::Path) -> __Fields<Root> { … }
///         fn __build(loader: &mut __kv::Loader<'_>) -> Option<Self> {
///             let f0 = loader.leaf(0, __Rows::F0);
///             let f1 = loader.nested(1, __Rows::F1);
///             …
///             Some(Self { max_items: f0?, retry: f1?, … })
///         }
///     }
/// };
/// ```
#[proc_macro_derive(KvConfig, attributes(kv))]
pub fn derive_kv_config(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive(&input).into()
}

/// Makes an enum without fields, or a struct, a type that the variants of a `Flag` can have.
///
/// An enum is served by value, its variants are texts; a struct is served by reference, its variants are objects. serde's
/// derives, which the type needs too, say how they are written. `#[flag_variant(crate = path)]` names the library when it is
/// not `::kvconf`.
#[proc_macro_derive(FlagVariant, attributes(flag_variant))]
pub fn derive_flag_variant(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    flag_variant::derive(&input).into()
}

/// Makes a struct an evaluation context for flags, or a part of one, and an enum without fields an attribute of one.
///
/// Each field is an attribute that rules ask for by its name. Fields are texts, numbers, `bool`, enums and structs with this
/// derive, and `Option`s, lists, references and boxes of these. A rule's names are turned into field numbers once, so finding
/// an attribute costs no search. A struct may borrow: `&'a str` is as good as `String`, and a context can be made on the spot.
///
/// ```text
/// #[derive(EvaluationContext)]
/// #[context(rename_all = "camelCase")]
/// struct Visitor<'a> {
///     #[context(targeting_key)]
///     id: &'a str,
///     tier: Tier,
///     country: Option<&'a str>,
///     #[context(rename = "years")]
///     age: u32,
///     roles: &'a [Role],
///     device: Device<'a>,        // {"var": "device.model"}
///     #[context(skip)]
///     session: &'a Session,
/// }
///
/// #[derive(EvaluationContext)]
/// #[context(rename_all = "lowercase")]
/// enum Tier { Free, Gold }
/// ```
///
/// # On a type
/// | attribute | meaning |
/// |---|---|
/// | `rename_all = "camelCase"` | how fields or variants are called in rules; serde's casings. Without it they have their Rust names |
/// | `crate = path` | where the library is, when it is not `::kvconf` |
///
/// # On a field
/// | attribute | meaning |
/// |---|---|
/// | `targeting_key` | whom a flag is evaluated for: this text is the attribute `targetingKey` |
/// | `rename = "name"` | its name in rules (also on a variant) |
/// | `skip` | no attribute |
///
/// What is `None` is absent: `{"var": ["country", "NL"]}` gives `"NL"` then. All mistakes are told at once.
#[proc_macro_derive(EvaluationContext, attributes(context))]
pub fn derive_evaluation_context(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    evaluation_context::derive(&input).into()
}

fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let model = syntax::read(input, &mut errors);
    check::check(&model, &mut errors);
    if errors.is_empty() {
        return expand::expand(&model, Body::Whole);
    }
    let mut tokens = errors.into_tokens();
    match &input.data {
        // An implementation for a type with a lifetime would be one more mistake.
        _ if input.generics.lifetimes().next().is_some() => {}
        Data::Struct(data) if matches!(data.fields, Fields::Named(_)) => {
            tokens.extend(expand::expand(&model, Body::Stub));
        }
        _ => tokens.extend(expand::expand_empty(&model)),
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(source: &str) -> TokenStream {
        derive(&syn::parse_str(source).unwrap())
    }

    #[test]
    fn a_renamed_library_is_named_nowhere_else() {
        let source = "#[kv(crate = other)] struct S { #[kv(default = \"1s\", range(..\"2s\"))] a: Duration, b: Option<u8> }";
        let expected = [syn::parse_quote!(kvconf)];
        let names: Vec<_> = expected.iter().collect();
        assert!(!types::mentions(expand(source), &names));
        assert!(types::mentions(expand("struct S { a: u8 }"), &names));
    }

    #[test]
    fn a_struct_with_mistakes_still_has_its_typed_names() {
        let tokens = expand("struct S { #[kv(rnage(1..))] a: u8, #[kv(default = 300)] b: u8 }").to_string();
        assert_eq!(tokens.matches("compile_error").count(), 2);
        assert_eq!(tokens.matches("KvConfig for S").count(), 1);
        assert!(!tokens.contains("__Rows"));
    }
}

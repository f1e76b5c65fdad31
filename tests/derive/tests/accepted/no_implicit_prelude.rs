//! Nothing of the standard library is in scope.
#![no_implicit_prelude]
#![expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    reason = "functions that an attribute names have a given shape"
)]

/// Settings.
#[derive(::kvconf::KvConfig, ::core::clone::Clone)]
#[kv(prefix = "a", env_prefix = "A", validate = check)]
pub struct Settings {
    /// A number.
    #[kv(default = 50, range(1..=500), one_of(50, 60), validate = fine)]
    pub number: u32,
    /// A text.
    #[kv(default = "a", length(1..), pattern("a"), one_of("a", "b"))]
    pub text: ::std::string::String,
    /// A list.
    #[kv(default = ["a"])]
    pub list: ::std::vec::Vec<::std::string::String>,
    /// A duration.
    #[kv(default = "1s")]
    pub pause: ::core::time::Duration,
    /// An option.
    #[kv(range(..9), deprecated(use = "number"))]
    pub maybe: ::core::option::Option<u8>,
    /// A secret.
    #[kv(secret, default = "abc", length(3))]
    pub secret: ::kvconf::Secret<::std::string::String>,
    /// A map.
    #[kv(entries)]
    pub map: ::std::collections::BTreeMap<::std::string::String, u8>,
    /// More.
    #[kv(nested)]
    pub nested: Inner,
    /// And more.
    #[kv(flatten)]
    pub flat: Inner,
    /// Not stored.
    #[kv(skip)]
    pub skipped: u8,
}

/// Inner settings.
#[derive(::kvconf::KvConfig, ::core::clone::Clone)]
pub struct Inner {
    /// With a default.
    #[kv(default)]
    pub inner: u8,
}

fn check(_: &Settings, _: &mut ::kvconf::Validation<Settings>) {}

fn fine(_: &u32) -> ::core::result::Result<(), &'static str> {
    ::core::result::Result::Ok(())
}

#[::core::prelude::v1::test]
fn generated_code_brings_its_own_names() {
    let _: fn(&Settings) -> u8 = |settings| settings.skipped;
    let path = <Settings as ::kvconf::KvConfig>::fields().nested.inner.path();
    ::std::assert_eq!(::std::format!("{path:?}"), "[7, 0]");
}

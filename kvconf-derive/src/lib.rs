//! The derive macro of kvconf: syntax to model, checks across fields, tokens out.

/// Maps a struct onto keys of a bucket.
#[proc_macro_derive(KvConfig, attributes(kv))]
pub fn derive_kv_config(_input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    proc_macro::TokenStream::new()
}

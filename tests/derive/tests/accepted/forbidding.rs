//! A crate that forbids lints: what is forbidden nobody may allow, generated code included.
#![forbid(
    unsafe_code,
    missing_docs,
    deprecated,
    unused,
    nonstandard_style,
    unreachable_pub,
    rust_2018_idioms
)]
#![forbid(
    unused_qualifications,
    single_use_lifetimes,
    unused_lifetimes,
    redundant_lifetimes,
    explicit_outlives_requirements
)]
#![forbid(
    missing_debug_implementations,
    missing_copy_implementations,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings
)]
#![forbid(unused_results, let_underscore_drop, variant_size_differences)]
#![forbid(clippy::all, clippy::pedantic, clippy::nursery)]
#![forbid(clippy::missing_docs_in_private_items, clippy::absolute_paths, clippy::default_trait_access)]
#![forbid(
    clippy::exhaustive_structs,
    clippy::pattern_type_mismatch,
    clippy::min_ident_chars,
    clippy::shadow_reuse
)]
#![forbid(clippy::single_char_lifetime_names, clippy::as_conversions, clippy::allow_attributes)]

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kvconf::flag::EvaluationContext;
use kvconf::{Flag, KvConfig, Secret, Validation};
use tokio::runtime::Builder;

/// Text in another form.
struct Plain;

impl kvconf::Codec<String> for Plain {
    fn decode(&self, bytes: &[u8]) -> Result<String, kvconf::DecodeError> {
        String::from_utf8(bytes.to_vec()).map_err(|_error| kvconf::DecodeError::new("not text"))
    }

    fn encode(&self, value: &String) -> Result<bytes::Bytes, kvconf::EncodeError> {
        Ok(bytes::Bytes::from(value.clone()))
    }
}

/// Every attribute that there is.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop", rename_all = "kebab-case", env_prefix = "FORBIDDING", validate = Self::check)]
struct Shop<Own: kvconf::FlagVariant> {
    /// A number.
    #[kv(default = 50, range(1..=500), one_of(50, 60), unit = "items")]
    number: u32,
    /// Gone one day, and a word of the language.
    #[deprecated]
    #[kv(default, restart)]
    r#type: u8,
    /// Another one.
    #[kv(deprecated(use = "number"), alias = "former", env = "FORBIDDING_FORMER")]
    old: Option<u8>,
    /// A time.
    #[kv(rename = "some.pause", default = "3s", range("1s"..))]
    pause: Duration,
    /// A text.
    #[kv(default = "abc", length(1..), pattern("^[a-z]+$"), validate = fine, with = Plain)]
    text: String,
    /// A secret.
    #[kv(secret, default = "abcd")]
    secret: Secret<String>,
    /// A map.
    #[kv(entries)]
    map: BTreeMap<String, u32>,
    /// A list.
    #[kv(default = ["a"], json)]
    list: Vec<String>,
    /// Below.
    #[kv(nested)]
    below: Below,
    /// Beside.
    #[kv(flatten)]
    beside: Below,
    /// A flag.
    #[kv(flag, default = true, context = Visitor)]
    on: Flag<bool>,
    /// Another one.
    #[kv(flag)]
    own: Flag<Own>,
    /// Not stored.
    #[kv(skip, default = 7)]
    seven: u8,
}

impl<Own: kvconf::FlagVariant> Shop<Own> {
    /// Looks at all of it.
    fn check(&self, problems: &mut Validation<Self>) {
        if self.number == 51 {
            let _problem = problems.problem("51");
        }
    }
}

/// A check.
fn fine(text: &str) -> Result<(), String> {
    if text == "def" { Err(String::from("def")) } else { Ok(()) }
}

/// Below.
#[derive(KvConfig, Debug, Clone)]
struct Below {
    /// A number.
    #[kv(default = 1)]
    inner: u8,
}

/// Has no keys.
#[derive(KvConfig, Debug, Clone)]
struct Nothing {}

/// Whom flags are for.
#[derive(EvaluationContext, Debug, Default)]
struct Visitor<'visitor> {
    /// Who.
    #[context(targeting_key)]
    id: &'visitor str,
    /// Since when.
    #[deprecated]
    since: Option<u32>,
    /// How dear.
    tier: Tier,
}

/// How dear.
#[derive(EvaluationContext, Debug, Default)]
enum Tier {
    /// Not at all.
    Free,
    /// Much.
    #[default]
    Gold,
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if matches!(self, Self::Free) { "free" } else { "gold" })
    }
}

#[test]
fn forbidden_lints_find_nothing_in_generated_code() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let bucket = kvconf::Bucket::memory();
    let start = bucket.live::<Shop<bool>>().start();
    let live = runtime.block_on(async {
        let revision = bucket.put("shop.own", "true").await.unwrap();
        let live = start.await.unwrap();
        assert_eq!(live.load().revision(), revision);
        live
    });
    let shop = live.load();
    let sums = (shop.number, shop.old, shop.pause, shop.beside.inner + shop.below.inner + shop.seven);
    assert_eq!(sums, (50, None, Duration::from_secs(3), 9));
    let texts = (shop.text.len(), shop.secret.expose().len(), shop.map.len(), shop.list.len());
    assert_eq!(texts, (3, 4, 0, 1));
    let visitor = Visitor { id: "user-1", ..Visitor::default() };
    assert!(shop.on.get(&visitor) && shop.own.get(&visitor));
    assert_eq!(
        (visitor.id, format!("{} {}", visitor.tier, Tier::Free)),
        ("user-1", String::from("gold free"))
    );
    let _nothing = (Nothing::fields(), Nothing {});
}

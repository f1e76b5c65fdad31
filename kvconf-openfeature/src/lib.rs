//! An [OpenFeature](https://openfeature.dev) provider: the flags of a kvconf [set](kvconf::Flags), through OpenFeature's API.
//!
//! ```
//! use kvconf::Bucket;
//! use kvconf_openfeature::FlagsProvider;
//! use open_feature::{EvaluationContext, OpenFeature};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bucket = Bucket::memory(); // on a server: Bucket::open(&client, "prod").await?
//! bucket.put("shop.flags.new-cart", "true").await?;
//!
//! let flags = bucket.flags("shop.flags").start().await?;
//! let mut api = OpenFeature::singleton_mut().await;
//! api.set_provider(FlagsProvider::new(flags)).await;
//! let client = api.create_client();
//! drop(api);
//!
//! let visitor = EvaluationContext::default().with_targeting_key("user-1").with_custom_field("country", "NL");
//! let new_cart = client.get_bool_value("new-cart", Some(&visitor), None).await.unwrap_or(false);
//! assert!(new_cart);
//! # Ok(()) }
//! ```
//!
//! # The caller's default
//!
//! The SDK's calls take no default: what is no value is an `Err`, and `unwrap_or(…)` is where the default stands. So a flag that has
//! nothing to serve, because it is disabled or has no default variant, is an `Err` as well, with the code
//! `General("DISABLED")` or `General("DEFAULT")`. A value of `false` that nobody chose would be worse.
//!
//! # The context
//!
//! Every field is an attribute for rules under its own name, and the targeting key is `targetingKey`. The rules see
//!
//! | a field | as |
//! |---|---|
//! | `Bool`, `Int`, `Float`, `String` | what it is; a float that is not finite is absent |
//! | `DateTime` | text as in RFC 3339: `2026-03-01T12:00:00Z` |
//! | `Struct` with a [`serde_json::Value`] or a `serde_json::Map` in it | that |
//! | `Struct` with [`open_feature::Value`] or [`open_feature::StructValue`] in it | the same in JSON |
//! | `Struct` with any other type in it | nothing: nobody can look into it |
//!
//! The SDK's context holds no `null` and, but for those inside a `Struct`, no lists.
//!
//! # What the SDK (0.3) does not have
//!
//! No defaults in calls nor in the details that hooks get, no reason beside an error, no provider status at the client, no status `FATAL`,
//! no events, no context for a transaction. The code `PROVIDER_FATAL` is `General("PROVIDER_FATAL")`. The
//! [`README`](https://crates.io/crates/kvconf-openfeature) lists which scenarios of the specification that takes.

mod context;
mod provider;
mod result;

pub use provider::FlagsProvider;

/// The examples of the README, compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

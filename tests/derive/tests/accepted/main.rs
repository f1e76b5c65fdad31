//! The derive in use: what a user's crate looks like that denies every lint, and what the table says.
#![deny(missing_docs, warnings, clippy::all, clippy::pedantic)]

mod behaviour;
mod contexts;
mod environment;
mod flags;
mod forbidding;
mod generics;
mod no_implicit_prelude;
mod renamed;
mod visibility;
mod wide;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use kvconf::{ByteSize, Codec, DecodeError, EncodeError, KvConfig, Secret, Validation};
use serde::{Deserialize, Serialize};

const MOST: u32 = 500;

/// What a service needs.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout", rename_all = "kebab-case", validate = Self::check, env_prefix = "CHECKOUT")]
pub struct Checkout {
    /// Most items in one basket.
    ///
    /// Counted before discounts.
    #[kv(default = 50, range(1..=MOST), validate = Self::is_round)]
    pub max_items: u32,
    /// How long to wait for the payment provider.
    #[kv(rename = "payment.timeout", alias = "timeout", alias("wait", "patience"))]
    #[kv(default = "3s", range("1s"..="10s"))]
    pub payment_timeout: Duration,
    /// Tries.
    #[kv(nested, rename = "again")]
    pub retry: Retry,
    /// Where.
    #[kv(length(2), pattern("^[A-Z]+$"))]
    pub region: Option<String>,
    /// Opens the door.
    #[kv(secret, default = "none", length(4..))]
    pub api_key: Secret<String>,
    /// By customer.
    #[kv(entries, length(..=9))]
    pub limits: BTreeMap<String, u32>,
    /// Where it may be used.
    #[kv(default = ["NL", "BE"], length(1..))]
    pub countries: Vec<String>,
    /// How much to say.
    #[kv(default = "info")]
    pub level: Level,
    /// Levels by room.
    #[kv(default = [("db", "debug")], json)]
    pub levels: HashMap<String, Level>,
    /// Stands beside the others.
    #[kv(flatten)]
    limit: Limit,
    /// Written backwards.
    #[kv(with = Backwards, default = "abc", one_of("abc", "abd"))]
    pub word: String,
    /// Old.
    #[kv(deprecated(use = "max_items"), env = "OLD_NAME", restart)]
    pub old: Option<u8>,
    /// Older.
    #[kv(deprecated, default)]
    pub older: u8,
    /// Not stored.
    #[kv(skip)]
    pub cache: Vec<u8>,
    /// Not stored either.
    #[kv(skip, default = 7)]
    pub seven: u8,
    /// A word of the language.
    #[kv(default = 'x', one_of('x', 'y'))]
    pub r#type: char,
}

impl Checkout {
    const TRIES: u32 = 3;

    fn check(&self, problems: &mut Validation<Self>) {
        if self.retry.max > self.max_items {
            problems
                .problem("more tries than items")
                .on(Self::fields().retry.max)
                .on(Self::fields().max_items);
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "a check borrows the value, whatever its type")]
    fn is_round(items: &u32) -> Result<(), String> {
        if items.is_multiple_of(10) { Ok(()) } else { Err(format!("{items} is not round")) }
    }
}

/// Tries.
#[derive(KvConfig, Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// How often.
    #[kv(default = Checkout::TRIES)]
    pub max: u32,
    /// How long between.
    #[kv(default = "0.5s")]
    pub pause: Duration,
    #[kv(default = 2, range(1..4))]
    factor: f64,
}

/// Bounds.
#[derive(KvConfig, Debug, Clone, PartialEq)]
struct Limit {
    #[kv(default = "127.0.0.1:80")]
    listen: SocketAddr,
    #[kv(default = ["::1", "10.0.0.1"])]
    allowed: BTreeSet<IpAddr>,
    #[kv(default = "/var/log")]
    log_dir: PathBuf,
    #[kv(default = "64 MiB", range("1 KiB"..="1.5 GiB"))]
    cache: ByteSize,
    #[kv(default = 8, range(NonZeroU16::MIN..))]
    workers: NonZeroU16,
    #[kv(default = [1, 2])]
    weights: [f32; 2],
}

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Much.
    Debug,
    /// Less.
    Info,
}

/// Writes text backwards.
struct Backwards;

impl Codec<String> for Backwards {
    fn decode(&self, bytes: &[u8]) -> Result<String, DecodeError> {
        std::str::from_utf8(bytes)
            .map(|text| text.chars().rev().collect())
            .map_err(|_| DecodeError::new("not text"))
    }

    fn encode(&self, value: &String) -> Result<bytes::Bytes, EncodeError> {
        Ok(value.chars().rev().collect::<String>().into())
    }
}

/// Typed names reach into nested and flattened structs, and are of the field's type.
#[test]
fn typed_names_have_the_type_of_their_field() {
    fn type_of<R, V>(_: kvconf::Field<R, V>) -> &'static str {
        std::any::type_name::<V>()
    }
    let fields = Checkout::fields();
    assert_eq!(type_of(fields.max_items), "u32");
    assert_eq!(type_of(fields.retry.pause), "core::time::Duration");
    assert_eq!(type_of(fields.limit.workers), std::any::type_name::<NonZeroU16>());
    assert_eq!(type_of(fields.limits), std::any::type_name::<BTreeMap<String, u32>>());
    assert_eq!(format!("{:?}", Checkout::fields().retry.pause.path()), "[2, 1]");
    assert_eq!(format!("{:?}", Checkout::fields().limit.allowed.path()), "[9, 1]");
    assert_eq!(format!("{:?}", Checkout::fields().r#type.path()), "[13]");
}

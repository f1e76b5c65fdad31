//! A struct with a setting of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use kvconf::{ByteSize, Codec, DecodeError, EncodeError, Flag, KvConfig, Secret, Validation};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    Debug,
    Info,
    Loud,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Action {
    Stop,
    Wait(Duration),
    Retry { times: u8, after: Option<Duration> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    #[serde(default)]
    tls: bool,
}

/// Permission bits.
pub(crate) struct Octal;

impl Codec<u32> for Octal {
    fn decode(&self, bytes: &[u8]) -> Result<u32, DecodeError> {
        let text = std::str::from_utf8(bytes).ok();
        text.and_then(|text| u32::from_str_radix(text, 8).ok())
            .ok_or_else(|| DecodeError::new("expected an octal number"))
    }

    fn encode(&self, value: &u32) -> Result<bytes::Bytes, EncodeError> {
        Ok(format!("{value:o}").into())
    }
}

const MOST_TRIES: u8 = 9;

fn cores() -> usize {
    4
}

#[expect(clippy::ptr_arg, reason = "the field's type")]
fn no_spaces(text: &String) -> Result<(), &'static str> {
    if text.contains(' ') { Err("has a space") } else { Ok(()) }
}

/// How baskets are paid for.
///
/// Read by every instance.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop.checkout", validate = Self::check)]
pub(crate) struct Checkout {
    /// Most items in one basket.
    #[kv(default = 50, range(1..=500), unit = "items")]
    pub(crate) max_items: u32,
    /// How long to wait for the payment provider.
    #[kv(rename = "payment-timeout", alias = "timeout", default = "3s", range("1s"..="1m 30s"))]
    pub(crate) payment_timeout: Duration,
    /// The largest body of a request.
    #[kv(default = "1 MiB", range(.."16 MiB"), restart)]
    pub(crate) body: ByteSize,
    #[kv(default = 0.5, range(0.0..1.0))]
    pub(crate) ratio: f64,
    #[kv(default = -7)]
    pub(crate) offset: i128,
    #[kv(default = "info")]
    pub(crate) level: Level,
    #[kv(default = Action::Wait(Duration::from_secs(2)))]
    pub(crate) action: Action,
    /// Where the shop is.
    ///
    /// Without it: anywhere.
    #[kv(length(2..=12), pattern("^[a-z-]+$"), env = "SHOP_REGION")]
    pub(crate) region: Option<String>,
    #[kv(default = "127.0.0.1")]
    pub(crate) host: IpAddr,
    pub(crate) bind: SocketAddr,
    #[kv(default = 'a', range('a'..='f'))]
    pub(crate) letter: char,
    pub(crate) retries: Option<NonZeroU16>,
    /// For the payment provider.
    #[kv(secret, length(8..))]
    pub(crate) api_key: Secret<String>,
    #[kv(secret, default = 1234, range(1000..))]
    pub(crate) pin: Secret<u16>,
    #[kv(default = ["NL", "BE"], length(1..=5))]
    pub(crate) countries: Vec<String>,
    #[kv(default, length(..=2))]
    pub(crate) tags: BTreeSet<u8>,
    #[kv(default = [("a", 1.5)])]
    pub(crate) weights: BTreeMap<String, f32>,
    pub(crate) endpoint: Option<Endpoint>,
    /// Requests a minute, by tier.
    #[kv(entries, length(..=3), unit = "requests")]
    pub(crate) limits: BTreeMap<String, u32>,
    #[kv(default = false, deprecated(use = "level"))]
    pub(crate) verbose: bool,
    #[kv(default = "plain", one_of("plain", "bold | loud"), validate = no_spaces)]
    pub(crate) style: String,
    #[kv(default = (80, 443))]
    pub(crate) ports: (u16, u16),
    #[kv(default = cores())]
    pub(crate) threads: usize,
    #[kv(with = Octal, default = 0o644)]
    pub(crate) permissions: u32,
    #[kv(json, default = "x")]
    pub(crate) note: String,
    #[kv(default = serde_json::Value::Null)]
    pub(crate) anything: serde_json::Value,
    /// What to do when the provider does not answer.
    #[kv(nested)]
    pub(crate) retry: Retry,
    #[kv(flatten)]
    pub(crate) log: Log,
    /// The new page.
    #[kv(flag, default = false)]
    pub(crate) new_cart: Flag<bool>,
}

impl Checkout {
    fn check(&self, problems: &mut Validation<Self>) {
        if u64::from(self.max_items) > 400 && self.ratio > 0.9 {
            problems.problem("many items, and most of them");
        }
    }
}

/// Trying again.
#[derive(KvConfig, Debug, Clone, PartialEq)]
pub(crate) struct Retry {
    /// How often.
    #[kv(default = 3, range(1..=MOST_TRIES))]
    pub(crate) max: u8,
    #[kv(default = Level::Debug, one_of(Level::Debug, Level::Loud))]
    pub(crate) told: Level,
}

#[derive(KvConfig, Debug, Clone, PartialEq)]
pub(crate) struct Log {
    #[kv(rename = "log.target", default = "shop")]
    pub(crate) target: String,
}

impl PartialEq for Checkout {
    fn eq(&self, other: &Self) -> bool {
        // A flag knows whether somebody has set it; all else has a value.
        format!("{self:?}") == format!("{other:?}") && self.api_key == other.api_key && self.pin == other.pin
    }
}

//! What the service can be told while it runs.

use std::time::Duration;

use kvconf::{ByteSize, KvConfig, Validation};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

/// All settings, under `checkout.` in the bucket.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
pub struct Settings {
    /// How much one request may ask for.
    #[kv(nested)]
    pub limits: Limits,
    /// When requests are turned away.
    #[kv(nested)]
    pub load: Load,
    /// How long one checkout may take.
    #[kv(default = "2s", range(Duration::from_millis(1)..=Duration::from_secs(60)))]
    pub timeout: Duration,
    /// From which level on events are logged.
    #[kv(default = Level::Info)]
    pub log_level: Level,
}

/// How much one request may ask for.
#[derive(KvConfig, Debug, Clone)]
pub struct Limits {
    /// Most items in one basket.
    #[kv(default = 50, range(1..=500))]
    pub max_items: usize,
    /// The largest body of a request.
    #[kv(default = "64 KiB", range(ByteSize::bytes(1)..=ByteSize::mib(8)))]
    pub max_body: ByteSize,
}

/// Turns requests away when too many are under way, until enough of them are done.
#[derive(KvConfig, Debug, Clone)]
#[kv(validate = Self::check)]
pub struct Load {
    /// From how many requests under way on new ones are turned away.
    #[kv(default = 200)]
    pub high: usize,
    /// Down to how many it stays so.
    #[kv(default = 100)]
    pub low: usize,
}

impl Load {
    fn check(&self, problems: &mut Validation<Self>) {
        if self.low >= self.high {
            problems
                .problem(format!("low ({}) must be less than high ({})", self.low, self.high))
                .on(Self::fields().low)
                .on(Self::fields().high);
        }
    }
}

/// How much is logged. In the bucket: `error`, `warn`, `info` or `debug`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What went wrong.
    Error,
    /// What may go wrong.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

//! The settings of a memory bucket, each with its value in force.

use std::time::Duration;

use crate::check_bucket_name;
use crate::store::{BucketConfig, Compression, ReadError, Storage};

/// What a server of version 2.15 does with a bucket of these settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    config: BucketConfig,
    /// Once turned on, a stream never loses per-key time to live; only the markers can be turned off.
    ttl_allowed: bool,
}

impl Settings {
    /// Checks settings for a new bucket and fills in the defaults.
    pub(super) fn new(config: BucketConfig) -> Result<Self, ReadError> {
        check_bucket_name(&config.name)?;
        if config.mirror.is_some() || config.sources.as_ref().is_some_and(|sources| !sources.is_empty()) {
            return Err(unsupported("a copy of another bucket", "a memory bucket stands alone"));
        }
        let mut settings = Self::plain(&config.name);
        settings.merge(config)?;
        Ok(settings)
    }

    /// What kvconf makes a bucket with. The name is taken as it is.
    pub(super) fn defaults(name: &str) -> Self {
        let mut settings = Self::plain(name);
        settings.take(BucketConfig::new(name));
        settings
    }

    /// What a server makes a bucket with.
    fn plain(name: &str) -> Self {
        let config = BucketConfig {
            history: Some(1),
            storage: Some(Storage::Memory),
            num_replicas: Some(1),
            compression: Some(Compression::None),
            mirror_direct: Some(false),
            allow_atomic_batches: Some(false),
            ..BucketConfig::unchanged(name)
        };
        Self { config, ttl_allowed: false }
    }

    /// The settings after an update that names some of them.
    pub(super) fn updated(&self, update: &BucketConfig) -> Result<Self, ReadError> {
        if update.name != self.config.name {
            return Err(unsupported("an update under another name", "a bucket cannot be renamed"));
        }
        if update.storage.is_some_and(|storage| Some(storage) != self.config.storage) {
            let words = "stream configuration update can not change storage type";
            return Err(super::refused("the bucket's settings", 10_052, words));
        }
        if update.mirror.is_some() || update.sources.as_ref().is_some_and(|sources| !sources.is_empty()) {
            return Err(unsupported("a copy of another bucket", "a memory bucket stands alone"));
        }
        let mut settings = self.clone();
        settings.merge(update.clone())?;
        Ok(settings)
    }

    fn merge(&mut self, update: BucketConfig) -> Result<(), ReadError> {
        if update.history.is_some_and(|history| !(1..=64).contains(&history)) {
            return Err(unsupported("this history", "a bucket keeps 1 to 64 revisions of a key"));
        }
        if update.num_replicas.is_some_and(|replicas| !(1..=5).contains(&replicas)) {
            return Err(unsupported("this number of replicas", "a bucket has 1 to 5"));
        }
        let too_short = |ttl: &Duration| !ttl.is_zero() && *ttl < Duration::from_secs(1);
        if update.limit_markers.as_ref().is_some_and(too_short) {
            return Err(unsupported("this time for markers", "they stay for one second at least"));
        }
        self.take(update);
        Ok(())
    }

    fn take(&mut self, update: BucketConfig) {
        let config = &mut self.config;
        take(&mut config.description, update.description);
        take(&mut config.history, update.history);
        take(&mut config.max_age, update.max_age);
        take(&mut config.max_bytes, update.max_bytes);
        take(&mut config.max_value_size, update.max_value_size);
        take(&mut config.storage, update.storage);
        take(&mut config.num_replicas, update.num_replicas);
        take(&mut config.compression, update.compression);
        take(&mut config.placement, update.placement);
        take(&mut config.republish, update.republish);
        take(&mut config.mirror_direct, update.mirror_direct);
        take(&mut config.limit_markers, update.limit_markers);
        take(&mut config.allow_atomic_batches, update.allow_atomic_batches);
        take(&mut config.max_consumers, update.max_consumers);
        config.metadata.extend(update.metadata);
        // Zero is the server's word for "no limit".
        config.max_age = config.max_age.filter(|age| !age.is_zero());
        config.limit_markers = config.limit_markers.filter(|ttl| !ttl.is_zero());
        config.max_bytes = config.max_bytes.filter(|max| *max > 0);
        config.max_value_size = config.max_value_size.filter(|max| *max > 0);
        self.ttl_allowed |= config.limit_markers.is_some();
    }

    pub(super) fn config(&self) -> &BucketConfig {
        &self.config
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) fn history(&self) -> usize {
        self.config.history.map_or(1, |kept| usize::try_from(kept).unwrap_or(usize::MAX))
    }

    pub(super) fn takes_batches(&self) -> bool {
        self.config.allow_atomic_batches == Some(true)
    }

    pub(super) fn ttl_allowed(&self) -> bool {
        self.ttl_allowed
    }

    pub(super) fn marker_ttl(&self) -> Option<Duration> {
        self.config.limit_markers
    }

    /// The time to live that the server makes of the one asked for: with a history above one it is never shorter than
    /// that of the markers (measured with 2.15.1).
    pub(super) fn effective_ttl(&self, asked: Duration) -> Duration {
        match self.config.limit_markers {
            Some(least) if self.history() > 1 => asked.max(least),
            _ => asked,
        }
    }
}

fn take<T>(setting: &mut Option<T>, update: Option<T>) {
    if update.is_some() {
        *setting = update;
    }
}

fn unsupported(what: &'static str, reason: &str) -> ReadError {
    ReadError::Unsupported { what, reason: reason.to_owned() }
}

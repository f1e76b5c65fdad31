//! What a bucket's settings keep kvconf from promising.

use std::time::Duration;

use derive_more::Display;

use super::BucketConfig;

/// From how many kept revisions of a key on a reader can prove that its state is exact. Measured with three writers at
/// full speed: with 3 kept up to 6 of 10 673 states were wrong, with 8 none of 23 540.
pub(crate) const SAFE_HISTORY: u32 = 8;

/// Something that a bucket's settings keep kvconf from promising. Told when the bucket is opened, through `tracing` and
/// [`Bucket::caveats`](crate::Bucket::caveats).
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum Caveat {
    /// Too few revisions are kept: a value that is overwritten at once can be gone before readers get it, and a snapshot
    /// taken between the two writes then lacks it. The last state is always right.
    #[display(
        "{history} revision{} of a key {} kept, {SAFE_HISTORY} are needed to prove that a snapshot under concurrent writes is exact",
        if *history == 1 { "" } else { "s" },
        if *history == 1 { "is" } else { "are" }
    )]
    FewRevisions {
        /// How many are kept.
        history: u32,
    },
    /// Keys expire without a marker: readers notice only by comparing, within a minute.
    #[display("keys expire after {after:?} without a marker: readers notice within a minute only")]
    SilentExpiry {
        /// After which time.
        after: Duration,
    },
    /// When the bucket is full its oldest values go, whatever they are: readers notice only by comparing, within a minute.
    #[display("the oldest values are dropped when it is full: readers notice within a minute only")]
    DropsOldest,
    /// Changes of several keys are refused, unless they are asked for one by one.
    #[display("no atomic batches are taken: changes of several keys are refused")]
    NoBatches,
    /// Readings are put together from what a consumer delivers: a change of several keys that comes in between may be there in
    /// part. The snapshots of a handle are whole all the same.
    #[display(
        "no direct reads are taken: readings are not of one moment, and earlier states are not to be had"
    )]
    NoDirectReads,
    /// The client may not ask for the settings: what holds is not known, and the least is assumed.
    #[display("the settings may not be asked for")]
    Unknown,
}

impl Caveat {
    /// What the settings of a bucket, each with its value in force, do not allow.
    pub(crate) fn of(config: &BucketConfig) -> Vec<Self> {
        let silent = config.max_age.filter(|age| !age.is_zero() && config.limit_markers.is_none());
        let few = config.history.filter(|kept| *kept < SAFE_HISTORY);
        let few = few.map(|history| Self::FewRevisions { history });
        let silent = silent.map(|after| Self::SilentExpiry { after });
        let no_batches = (config.allow_atomic_batches != Some(true)).then_some(Self::NoBatches);
        [few, silent, no_batches].into_iter().flatten().collect()
    }

    #[cfg(feature = "nats")]
    pub(crate) fn tell(bucket: &str, caveats: &[Self]) {
        for caveat in caveats {
            tracing::warn!(bucket, %caveat, "what this bucket cannot promise");
        }
    }
}

//! How a handle is.

use std::fmt;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Live, lock};
use crate::cache::CacheHealth;
use crate::judging::Judging;
use crate::schema::KvConfig;
use crate::view::Rejected;
use crate::watch::Attachment;
use crate::{Basis, Report, Revision, WatchState};

/// What the watch last said, and what was last wrong.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) state: WatchState,
    pub(crate) since: SystemTime,
    /// When the bucket last said something; while it is followed it does so all the time.
    pub(crate) contact: Option<SystemTime>,
    pub(crate) report: Option<Arc<Report>>,
    pub(crate) cache: Option<CacheHealth>,
}

impl Condition {
    pub(crate) fn new(state: WatchState, report: Option<Arc<Report>>) -> Self {
        Self { state, since: SystemTime::now(), contact: None, report, cache: None }
    }

    /// Whether that is another state than before.
    pub(crate) fn enter(&mut self, state: WatchState) -> bool {
        if self.state == state {
            return false;
        }
        let now = SystemTime::now();
        if !self.state.is_stale() || !state.is_stale() {
            self.contact = Some(now);
        }
        // Another cause, or another number of waiting entries, does not make it begin anew.
        if discriminant(&self.state) != discriminant(&state) {
            self.since = now;
        }
        self.state = state;
        true
    }

    fn last_contact(&self) -> Option<SystemTime> {
        // Three missed heartbeats end this state: the last one is not older than that.
        if self.state.is_stale() { self.contact } else { Some(SystemTime::now()) }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn contact_age(&self) -> Option<Duration> {
        let age = |contact| SystemTime::now().duration_since(contact).unwrap_or_default();
        self.last_contact().map(age)
    }
}

/// How a handle is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How its watch is.
    pub state: WatchState,
    /// Since when it is so, by this process's clock. Details, such as the cause of a resynchronization, may have changed
    /// meanwhile.
    pub since: SystemTime,
    /// When the bucket was last heard of: now, to within three seconds, while the watch delivers. `None` for a handle that
    /// has never heard of it.
    pub last_contact: Option<SystemTime>,
    /// What readers get was made from this: the bucket, unless the handle started without it.
    pub basis: Basis,
    /// The revision that readers get.
    pub applied: Revision,
    /// The newest revision under the handle's prefix that was looked at, rejected ones included.
    pub seen: Revision,
    /// The change sets and the contents of files that readers do not see.
    pub rejected: Vec<Rejected>,
    /// Everything that is wrong with the values of the bucket and of other sources right now, warnings included.
    pub report: Option<Arc<Report>>,
    /// Fields, by key, whose newest value takes effect at the next start.
    pub awaiting_restart: Vec<String>,
    /// The last good state on disk; `None` for a handle without a cache.
    pub cache: Option<CacheHealth>,
    /// Whether the fleet can ask it; `None` for a handle without [`instance`](crate::LiveBuilder::instance).
    #[cfg(feature = "fleet")]
    pub fleet: Option<crate::fleet::Presence>,
}

/// What to answer a readiness probe. Serializes as `{"status":"degraded","reason":"disconnected"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Readiness {
    /// Readers get the bucket's newest state.
    Ready,
    /// Readers get a good state that may be old, or lacks rejected changes. The probe should pass: to restart the service,
    /// or to send its requests to another one that sees the same bucket, mends nothing.
    Degraded {
        /// Why, on one line.
        reason: String,
    },
    /// The handle is at its end.
    NotReady {
        /// Why, on one line.
        reason: String,
    },
}

impl Readiness {
    /// Whether the probe should pass.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        !matches!(self, Self::NotReady { .. })
    }
}

/// `ready`, `degraded: disconnected`.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Degraded { reason } => write!(f, "degraded: {reason}"),
            Self::NotReady { reason } => write!(f, "not ready: {reason}"),
        }
    }
}

impl Health {
    /// Whether a readiness probe should pass. A handle that started has a good state to serve, so this is `false` only
    /// after [`Live::stop`]; use [`Health::is_current`] to ask whether the state is also up to date.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state != WatchState::Stopped
    }

    /// Whether readers get the newest state of the bucket and of files: the watch delivers and is neither lagging nor late,
    /// and nothing is rejected.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.state == WatchState::Live && self.rejected.is_empty() && self.basis == Basis::Bucket
    }

    /// How long ago the bucket was last heard of; `None` for a handle that has never heard of it. At most three seconds
    /// are hidden while the watch delivers.
    #[must_use]
    pub fn contact_age(&self) -> Option<Duration> {
        self.last_contact.map(|contact| SystemTime::now().duration_since(contact).unwrap_or_default())
    }

    /// What to answer a readiness probe, with the reason.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if !self.is_ready() {
            return Readiness::NotReady { reason: self.state.to_string() };
        }
        let served = match self.basis {
            Basis::Bucket => None,
            Basis::Cache { .. } => Some(format!("serving revision {} from the cache", self.applied)),
            Basis::Defaults => Some("serving the defaults".to_owned()),
        };
        let stale = (self.state != WatchState::Live).then(|| self.state.to_string());
        let sets = self.rejected.len();
        let rejected = (sets > 0)
            .then(|| format!("{sets} change set{} rejected", if sets == 1 { " is" } else { "s are" }));
        let reasons: Vec<String> = [served, stale, rejected].into_iter().flatten().collect();
        if reasons.is_empty() { Readiness::Ready } else { Readiness::Degraded { reason: reasons.join("; ") } }
    }
}

impl<T: KvConfig> Live<T> {
    /// How the handle is now. Asks nobody; costs a lock and some copies.
    #[must_use]
    pub fn health(&self) -> Health {
        let condition = self.shared.condition.borrow();
        let (mut state, mut since) = (condition.state.clone(), condition.since);
        let mut last_contact = condition.last_contact();
        let starved_for = lock(&self.shared.attachment).as_ref().and_then(Attachment::starved_for);
        if let Some(still) = starved_for.filter(|_| !state.is_stale()) {
            (state, since) = (WatchState::Starved, SystemTime::now() - still);
            last_contact = Some(since);
        }
        let told = lock(&self.shared.told);
        Health {
            state,
            since,
            last_contact,
            basis: told.basis,
            applied: told.applied,
            seen: told.seen,
            rejected: told.rejected.clone(),
            report: told.report.clone(),
            awaiting_restart: told.awaiting_restart.clone(),
            cache: condition.cache.clone(),
            #[cfg(feature = "fleet")]
            fleet: lock(&self.shared.membership).as_ref().map(crate::instance::Membership::presence),
        }
    }

    /// What to answer a readiness probe: `(StatusCode, Json(live.readiness()))`. Asks nobody.
    ///
    /// ```
    /// # use kvconf::{Live, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// let live = Live::fixed(Checkout { max_items: 50 });
    /// assert_eq!(serde_json::to_string(&live.readiness()).unwrap(), r#"{"status":"ready"}"#);
    /// live.stop();
    /// assert_eq!(
    ///     serde_json::to_string(&live.readiness()).unwrap(),
    ///     r#"{"status":"not_ready","reason":"stopped"}"#
    /// );
    /// ```
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.health().readiness()
    }

    /// Waits until the health fulfils a condition, and returns it. Asked by a `validate` function or a codec, for which nothing
    /// moves on, it returns what there is at once.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_for_health(&self, mut fulfilled: impl FnMut(&Health) -> bool) -> Health {
        let mut condition = self.shared.condition.subscribe();
        let mut progress = self.shared.progress.subscribe();
        loop {
            let health = self.health();
            if fulfilled(&health) || Judging::is_on() {
                return health;
            }
            // The senders live as long as this handle.
            tokio::select! {
                _ = condition.changed() => {}
                _ = progress.changed() => {}
            }
        }
    }
}

//! All running instances of the services that use a bucket: who they are, whether they would take a change, and whether
//! they have taken it.
//!
//! An instance answers when its handles were started with [`LiveBuilder::instance`](crate::LiveBuilder::instance). Whoever
//! has the bucket can ask. How it works, what it needs and what it cannot know stands in
//! [`guide::fleet`](crate::guide::fleet).
//!
//! ```
//! use kvconf::fleet::Instance;
//! use kvconf::{Bucket, KvConfig};
//!
//! #[derive(KvConfig, Debug, Clone)]
//! #[kv(prefix = "checkout")]
//! struct Checkout {
//!     #[kv(default = 50, range(1..=500))]
//!     max_items: u32,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bucket = Bucket::memory();
//! let live = bucket.live::<Checkout>().instance(Instance::named("checkout").id("a")).start().await?;
//!
//! let plan = live.edit().set(Checkout::fields().max_items, 80).plan().await?;
//! println!("{}", plan.preflight().await?); // 1 accepts
//! let applied = plan.commit().author("ops").await?;
//! let settled = applied.wait_for_fleet().await?;
//! assert_eq!(settled.applied().count(), 1);
//! # Ok(()) }
//! ```

mod error;
mod gather;
mod list;
mod preflight;
mod share;
mod tally;
#[cfg(test)]
mod tests;
mod typed;
mod wait;
mod way_back;

use std::sync::Arc;

pub use error::{FleetError, FleetWaitError};
pub use list::{List, Roster};
pub use preflight::{Opinion, Preflight, PreflightRequest, Vote};
pub use share::{Share, ShareError};
pub use wait::{FleetStatus, FleetWait, InstanceStatus, Progress};

pub use crate::instance::{
    Base, Candidate, Fault, Handle, Instance, Judged, Member, Outcome, Presence, RejectedSet, Settled,
    Verdict,
};

use crate::instance::scope::Scope;
use crate::store::Store;
use crate::{Bucket, Key, KeyError, Prefix, Revision};

/// The instances that use a bucket. From [`Bucket::fleet`].
#[derive(Clone)]
pub struct Fleet {
    store: Arc<dyn Store>,
    scope: Option<Scope>,
}

impl Bucket {
    /// The running instances that use this bucket, to be asked.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        Fleet::of(Arc::clone(&self.store))
    }
}

impl Fleet {
    pub(crate) fn of(store: Arc<dyn Store>) -> Self {
        Self { store, scope: None }
    }

    /// Only handles that read exactly this prefix: for whoever may ask no others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = kvconf::Bucket::memory();
    /// assert_eq!(bucket.fleet().reading("checkout")?.list().await?.members().len(), 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] for what is no prefix.
    pub fn reading(self, prefix: &str) -> Result<Self, KeyError> {
        Ok(Self { scope: Some(Scope::of([&Prefix::new(prefix)?])), ..self })
    }

    /// Asks who is there and how it is: `bucket.fleet().list().await?`.
    pub fn list(&self) -> List {
        List::new(self.clone())
    }

    /// Asks every instance what it would make of a change, which is not made. Nobody's readers see it.
    ///
    /// For plans of a struct there is [`Plan::preflight`](crate::Plan::preflight).
    ///
    /// ```
    /// use kvconf::fleet::Candidate;
    /// use kvconf::{Bucket, Key, Revision};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let candidate = Candidate::put(Key::new("checkout.max_items")?, "80", Revision::ZERO);
    /// let verdict = bucket.fleet().preflight([candidate]).await?;
    /// assert_eq!(verdict.to_string(), "nobody answers");
    /// # Ok(()) }
    /// ```
    pub fn preflight(&self, candidates: impl IntoIterator<Item = Candidate>) -> PreflightRequest {
        PreflightRequest::new(self.clone(), candidates.into_iter().collect())
    }

    /// Waits until the instances have taken what was written: keys with their revisions, as
    /// [`Applied::written`](crate::Applied::written) has them.
    ///
    /// For changes that were just made there is [`Applied::wait_for_fleet`](crate::Applied::wait_for_fleet), which can also
    /// take them back.
    pub fn wait_for(&self, written: impl IntoIterator<Item = (Key, Revision)>) -> FleetWait {
        FleetWait::new(self.clone(), written.into_iter().collect(), None)
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("bucket", &self.store.name()).field("scope", &self.scope).finish()
    }
}

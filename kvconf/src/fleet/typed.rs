//! Asking the fleet about plans and changes of a struct.

use std::sync::Arc;
use std::time::SystemTime;

use super::way_back::Back;
use super::{Fleet, FleetError, FleetWait, PreflightRequest};
use crate::change::{Applied, PlainPlan, Plan, Provisional, RollbackPlan};
use crate::schema::KvConfig;

impl<T: KvConfig> Plan<T> {
    /// Asks every running instance what it would make of this plan: `println!("{}", plan.preflight().await?)`.
    ///
    /// Each decodes and validates it with its own code, on top of what it has, and its readers see nothing of it. What is
    /// asked is what a commit would write: secrets that are sealed stay so. [`Commit::ask_fleet`](crate::Commit::ask_fleet)
    /// does the same and stops at a rejection.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// use kvconf::fleet::Instance;
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().instance(Instance::named("checkout")).start().await?;
    /// let plan = live.edit().set(Checkout::fields().max_items, 80).plan().await?;
    /// let verdict = plan.preflight().await?;
    /// assert!(verdict.is_unanimous());
    /// assert_eq!(verdict.to_string(), "1 accepts");
    /// # Ok(()) }
    /// ```
    pub fn preflight(&self) -> PreflightRequest {
        match self.store() {
            Some(store) => PreflightRequest::new(Fleet::of(store), self.candidates()),
            None => PreflightRequest::impossible(FleetError::Fixed),
        }
    }
}

impl RollbackPlan {
    /// As [`Plan::preflight`].
    pub fn preflight(&self) -> PreflightRequest {
        match self.store() {
            Some(store) => PreflightRequest::new(Fleet::of(store), self.candidates()),
            None => PreflightRequest::impossible(FleetError::Fixed),
        }
    }
}

impl PlainPlan {
    /// As [`Plan::preflight`]: the instances know what the values mean, also where whoever asks does not.
    pub fn preflight(&self) -> PreflightRequest {
        PreflightRequest::new(Fleet::of(Arc::clone(self.bucket())), self.candidates())
    }
}

impl Applied {
    /// Waits until the running instances have taken this change: all of them, unless [`FleetWait::share`] says otherwise.
    ///
    /// They are asked once, and answer when they have it or have rejected it. A change that wrote nothing is there
    /// already.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// use kvconf::fleet::{Instance, Share};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().instance(Instance::named("checkout")).start().await?;
    /// let applied = live.update(|checkout| checkout.max_items = 80).author("ops").await?;
    /// let settled = applied.wait_for_fleet().share(Share::percent(95.0)?).or_rollback().await?;
    /// assert_eq!(settled.to_string(), "1 of 1 instances have it");
    /// # Ok(()) }
    /// ```
    pub fn wait_for_fleet(&self) -> FleetWait {
        match self.store() {
            Some(store) => {
                let back = Back::Revert(Arc::from(self.change()));
                FleetWait::new(Fleet::of(store), self.written().to_vec(), Some(back))
            }
            None => FleetWait::impossible(FleetError::Fixed),
        }
    }
}

impl Provisional {
    /// As [`Applied::wait_for_fleet`], of a change with a deadline: what has it can be confirmed.
    ///
    /// It waits no longer than until the deadline, as far as this machine's clock knows it, unless [`FleetWait::within`] says
    /// otherwise. [`FleetWait::or_rollback`] takes the change back at once, and not at the deadline.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kvconf::{Bucket, KvConfig};
    /// use kvconf::fleet::Instance;
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let live = bucket.live::<Checkout>().instance(Instance::named("checkout")).start().await?;
    /// let plan = live.edit().set(Checkout::fields().max_items, 80).plan().await?;
    /// let change = plan.commit().author("ops").confirm_within(Duration::from_secs(600)).await?;
    ///
    /// let settled = change.wait_for_fleet().or_rollback().await?;
    /// assert_eq!(settled.to_string(), "1 of 1 instances have it");
    /// change.confirm().author("ops").await?;
    /// # Ok(()) }
    /// ```
    pub fn wait_for_fleet(&self) -> FleetWait {
        let back = Back::TakeBack(self.clone());
        let left = self.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        FleetWait::new(Fleet::of(self.store()), self.written(), Some(back)).at_most(left)
    }
}

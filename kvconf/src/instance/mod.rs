//! What an instance answers about itself: who it is, what it would make of a change, and what became of one.
//!
//! [`desk`] reads questions and bounds answers, purely; [`endpoint`] is the one task of an instance that listens, waits and
//! answers. What a handle has to say comes through [`Participant`].

mod candidate;
mod desk;
mod endpoint;
mod identity;
mod member;
pub(crate) mod scope;
#[cfg(test)]
pub(crate) mod test;
mod verdict;
mod when;
pub(crate) mod wire;

use futures_util::future::BoxFuture;

pub use candidate::Candidate;
pub use endpoint::Presence;
pub(crate) use endpoint::{Endpoints, Membership};
pub use identity::Instance;
pub use member::{Fault, Handle, Member, RejectedSet};
pub use verdict::{Base, Judged, Outcome, Settled, Verdict};

use crate::{Prefix, Revision};

/// A handle, as far as it answers questions. It is not kept alive by them.
pub(crate) trait Participant: Send + Sync + 'static {
    /// What it reads. Never changes.
    fn prefixes(&self) -> &[Prefix];

    /// How it is; `None` when it is gone.
    fn describe(&self) -> Option<Handle>;

    /// What it would make of a candidate; `None` when it is gone. The user's code runs in it, panics contained.
    fn judge(&self, candidates: &[Candidate]) -> Option<Judged>;

    /// What became of a revision; `None` when it is gone.
    fn settled(&self, revision: Revision) -> Option<Settled>;

    /// Completes when it has looked at a revision, or is gone.
    fn reached(&self, revision: Revision) -> BoxFuture<'static, ()>;
}

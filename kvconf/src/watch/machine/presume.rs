//! Loading before the bucket was asked about itself.
//!
//! The first load of a watch has nothing to be compared with, so it need not wait for the answer to when the bucket was
//! created: the bucket is presumed to be the one that was opened, and asked once the load is there. Until then nothing is
//! taken for known that the state could be wrong by: the margin of a bucket that keeps one revision counts. Where the bucket
//! is another one, nobody knows which of the two was loaded; then it is loaded again, as another one.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{Effect, Machine, Phase};
use crate::Revision;
use crate::store::{ReadError, Status};

/// What a bucket says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) created: SystemTime,
    /// How many revisions of a key it keeps.
    pub(crate) history: u64,
}

impl About {
    pub(crate) fn of(status: &Status) -> Self {
        Self { created: status.created, history: status.config.history.map_or(u64::MAX, u64::from) }
    }
}

/// Whether what is known of the bucket is what it said some time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presumption {
    /// It is not.
    None,
    /// It is, and the bucket is yet to be asked.
    Unasked,
    /// It is, and the bucket was asked.
    Asked,
}

impl Machine {
    /// Whether a load has nothing that it is to be compared with.
    pub(crate) fn knows_nothing(&self) -> bool {
        !self.loaded && self.failures == 0 && self.incarnation.is_none() && self.remembered == Revision::ZERO
    }

    /// Asks the bucket about itself when all has come that stood in it: what is asked before holds that up.
    pub(super) fn describe_once_loaded(&mut self, effects: &mut Vec<Effect>) {
        let is_here = match &self.phase {
            Phase::Down => false,
            Phase::Loading(load) => load.remaining == 0,
            Phase::Live => true,
        };
        if is_here && self.presumed == Presumption::Unasked {
            self.presumed = Presumption::Asked;
            effects.push(Effect::Describe);
        }
    }

    /// What the bucket says of itself. Where it does not answer, it stays presumed to be the same, and the next subscription
    /// asks. A live watch asks from time to time: how many revisions a key has decides which states are exact.
    pub(super) fn described(
        &mut self,
        now: Instant,
        result: &Result<About, ReadError>,
        effects: &mut Vec<Effect>,
    ) {
        let was_presumed = std::mem::replace(&mut self.presumed, Presumption::None) != Presumption::None;
        if !was_presumed && !matches!(self.phase, Phase::Live) {
            return;
        }
        let Ok(about) = result else { return };
        if self.incarnation.is_some_and(|presumed| presumed != about.created) {
            self.resync("the bucket was created again", effects);
            return;
        }
        self.history = about.history;
        self.publish_if_exact(now, effects);
    }
}

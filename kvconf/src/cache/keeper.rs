//! When to save, and when to trust. Pure: time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::later;

/// How long changes are collected before they are saved.
const SETTLE: Duration = Duration::from_secs(1);

/// After which time saving is tried again where it failed, or where another process has the folder.
const RETRY: Duration = Duration::from_secs(30);

/// What is to be done on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Save the state that is served.
    Save,
    /// This generation was served for long enough since it was saved.
    Promote(u64),
    /// The start from this generation came to a good end.
    Succeeded(u64),
    /// The start from this generation is no longer of interest.
    Withdraw(u64),
}

/// What saving came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stands there as a generation that is to be trusted after a while.
    Candidate(u64),
    /// It stood there already, trusted.
    Trusted,
    /// It was not saved.
    Failed,
}

/// One handle's cache over time.
///
/// While a candidate waits to be trusted nothing else is saved: a state that changes every few seconds would never be
/// trusted otherwise. What counts is that the process lived on after it had applied the state, not that it kept it.
#[derive(Debug)]
pub(super) struct Keeper {
    trust_after: Duration,
    /// When to save.
    save_at: Option<Instant>,
    /// What waits to be trusted, and until when.
    candidate: Option<(u64, Instant)>,
    /// What was started from and is still served.
    booted: Option<(u64, Instant)>,
}

impl Keeper {
    /// `booted`: the generation that is served, where the start was from the cache; then there is nothing to save yet.
    pub(super) fn new(now: Instant, trust_after: Duration, booted: Option<u64>) -> Self {
        Self {
            trust_after,
            save_at: booted.is_none().then_some(now),
            candidate: None,
            booted: booted.map(|number| (number, later(now, trust_after))),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = [self.candidate, self.booted].into_iter().flatten().map(|(_, at)| at);
        waits.chain(self.save_at.filter(|_| self.candidate.is_none())).min()
    }

    /// The bucket's state is served, another one than before.
    pub(super) fn changed(&mut self, now: Instant) -> Option<Effect> {
        self.save_at.get_or_insert(now + SETTLE);
        // If the process dies now it is not the cached state's fault.
        self.booted.take().map(|(number, _)| Effect::Withdraw(number))
    }

    /// What is due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some((number, _)) = self.booted.take_if(|(_, at)| *at <= now) {
            effects.push(Effect::Succeeded(number));
        }
        if let Some((number, _)) = self.candidate.take_if(|(_, at)| *at <= now) {
            effects.push(Effect::Promote(number));
        }
        if self.candidate.is_none() && self.save_at.take_if(|at| *at <= now).is_some() {
            effects.push(Effect::Save);
        }
        effects
    }

    pub(super) fn saved(&mut self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Candidate(number) => self.candidate = Some((number, later(now, self.trust_after))),
            Outcome::Trusted => {}
            Outcome::Failed => {
                self.save_at.get_or_insert(now + RETRY);
            }
        }
    }

    /// The handle ends, the process lives on.
    pub(super) fn ended(&mut self) -> Option<Effect> {
        self.booted.take().map(|(number, _)| Effect::Withdraw(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUST: Duration = Duration::from_secs(60);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    // P9
    #[test]
    fn a_state_is_trusted_when_the_process_has_lived_with_it_for_long_enough() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, TRUST, None);
        assert_eq!(keeper.due(start), [Effect::Save]);
        keeper.saved(start, Outcome::Candidate(1));
        // A change each second: none of them keeps the first state from being trusted.
        for n in 1..60 {
            assert_eq!(keeper.changed(start + seconds(n)), None);
            assert_eq!(keeper.due(start + seconds(n)), []);
        }
        assert_eq!(keeper.deadline(), Some(start + TRUST));
        assert_eq!(keeper.due(start + TRUST), [Effect::Promote(1), Effect::Save]);
        keeper.saved(start + TRUST, Outcome::Candidate(2));
        assert_eq!(keeper.due(start + TRUST * 2), [Effect::Promote(2)]);
        assert_eq!(keeper.deadline(), None);
    }

    #[test]
    fn changes_are_collected_for_a_moment_and_saved_once() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, TRUST, None);
        keeper.due(start);
        keeper.saved(start, Outcome::Trusted);
        for ms in 0..10 {
            keeper.changed(start + Duration::from_millis(ms));
        }
        assert_eq!(keeper.deadline(), Some(start + SETTLE));
        assert_eq!(keeper.due(start + SETTLE), [Effect::Save]);
        assert_eq!(keeper.due(start + SETTLE), []);
    }

    #[test]
    fn a_disk_that_refuses_is_asked_again_without_haste() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, TRUST, None);
        assert_eq!(keeper.due(start), [Effect::Save]);
        keeper.saved(start, Outcome::Failed);
        assert_eq!(keeper.deadline(), Some(start + RETRY));
        assert_eq!(keeper.due(start + RETRY), [Effect::Save]);
    }

    // P10
    #[test]
    fn a_state_that_is_never_to_be_trusted_is_saved_all_the_same() {
        let start = Instant::now();
        assert_eq!(Keeper::new(start, Duration::MAX, Some(3)).due(start + TRUST), []);
        let mut keeper = Keeper::new(start, Duration::MAX, None);
        assert_eq!(keeper.due(start), [Effect::Save]);
        keeper.saved(start, Outcome::Candidate(1));
        assert_eq!(keeper.due(start + TRUST), []);
    }

    // P9
    #[test]
    fn a_cached_state_that_was_served_for_long_enough_is_told_and_one_that_gave_way_is_withdrawn() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, TRUST, Some(7));
        assert_eq!(keeper.due(start), [], "what was read needs no saving");
        assert_eq!(keeper.due(start + TRUST), [Effect::Succeeded(7)]);
        let mut keeper = Keeper::new(start, TRUST, Some(7));
        assert_eq!(keeper.changed(start), Some(Effect::Withdraw(7)));
        assert_eq!(keeper.due(start + SETTLE), [Effect::Save]);
        let mut keeper = Keeper::new(start, TRUST, Some(7));
        assert_eq!(keeper.ended(), Some(Effect::Withdraw(7)));
        assert_eq!(keeper.ended(), None);
    }
}

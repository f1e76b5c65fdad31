//! When to save, and when to trust. Pure: time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::later;

/// How long changes are collected before they are saved.
const SETTLE: Duration = Duration::from_secs(1);

/// After which time it is tried again where another process has the folder. What failed is tried again sooner at first: after
/// one second, two, four and so on up to this.
const RETRY: Duration = Duration::from_secs(30);

/// How long to wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    SETTLE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(RETRY)
}

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
    /// Another process writes here.
    Elsewhere,
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
    /// How often saving has failed in a row.
    failures: u32,
    /// What is to be said of a start and could not be written: when it is tried again, and how often it failed.
    unsaid: Option<(Effect, Instant, u32)>,
}

impl Keeper {
    /// `booted`: the generation that is served, where the start was from the cache; then there is nothing to save yet.
    pub(super) fn new(now: Instant, trust_after: Duration, booted: Option<u64>) -> Self {
        Self {
            trust_after,
            save_at: booted.is_none().then_some(now),
            candidate: None,
            booted: booted.map(|number| (number, later(now, trust_after))),
            failures: 0,
            unsaid: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = [self.candidate, self.booted].into_iter().flatten().map(|(_, at)| at);
        let unsaid = self.unsaid.map(|(_, at, _)| at);
        waits.chain(unsaid).chain(self.save_at.filter(|_| self.candidate.is_none())).min()
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
        // Stays until it is said.
        effects.extend(self.unsaid.filter(|(_, at, _)| *at <= now).map(|(effect, ..)| effect));
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
        self.failures = if outcome == Outcome::Failed { self.failures.saturating_add(1) } else { 0 };
        match outcome {
            Outcome::Candidate(number) => self.candidate = Some((number, later(now, self.trust_after))),
            Outcome::Trusted => {}
            Outcome::Elsewhere => _ = self.save_at.get_or_insert(now + RETRY),
            Outcome::Failed => _ = self.save_at.get_or_insert(now + pause(self.failures)),
        }
    }

    /// Whether what is to be said of a start was written.
    pub(super) fn said(&mut self, now: Instant, effect: Effect, written: bool) {
        let failures =
            self.unsaid.take_if(|(known, ..)| *known == effect).map_or(0, |(.., failures)| failures) + 1;
        if !written {
            self.unsaid = Some((effect, now + pause(failures), failures));
        }
    }

    /// Whether something failed and is still to be tried again.
    pub(super) const fn is_behind(&self) -> bool {
        self.failures > 0 || self.unsaid.is_some()
    }

    /// The handle ends, the process lives on.
    pub(super) fn ended(&mut self) -> Option<Effect> {
        let unsaid = self.unsaid.take().map(|(effect, ..)| effect);
        self.booted.take().map(|(number, _)| Effect::Withdraw(number)).or(unsaid)
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
        let mut now = start;
        for pause in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert!(keeper.is_behind());
            assert_eq!(keeper.deadline(), Some(now + seconds(pause)));
            now += seconds(pause);
            assert_eq!(keeper.due(now), [Effect::Save]);
            keeper.saved(now, Outcome::Failed);
        }
        // Once it takes something, that is over.
        keeper.due(now + RETRY);
        keeper.saved(now + RETRY, Outcome::Candidate(1));
        assert!(!keeper.is_behind());
        assert_eq!(keeper.due(now + RETRY + TRUST), [Effect::Promote(1)]);
        keeper.saved(now + RETRY + TRUST, Outcome::Failed);
        assert_eq!(keeper.deadline(), Some(now + RETRY + TRUST + seconds(1)));
    }

    // P9
    #[test]
    fn what_could_not_be_said_of_a_start_is_said_later() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, TRUST, Some(7));
        assert_eq!(keeper.due(start + TRUST), [Effect::Succeeded(7)]);
        let mut now = start + TRUST;
        keeper.said(now, Effect::Succeeded(7), false);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            assert!(keeper.is_behind());
            assert_eq!((keeper.deadline(), keeper.due(now)), (Some(now + seconds(pause)), vec![]));
            now += seconds(pause);
            assert_eq!(keeper.due(now), [Effect::Succeeded(7)]);
            keeper.said(now, Effect::Succeeded(7), false);
        }
        keeper.said(now, Effect::Succeeded(7), true);
        assert!(!keeper.is_behind());
        assert_eq!(keeper.deadline(), None);
        // Also at the end, and beside what is to be saved.
        let mut keeper = Keeper::new(start, TRUST, Some(7));
        assert_eq!(keeper.changed(start), Some(Effect::Withdraw(7)));
        keeper.said(start, Effect::Withdraw(7), false);
        assert_eq!(keeper.due(start + SETTLE), [Effect::Withdraw(7), Effect::Save]);
        assert_eq!(keeper.ended(), Some(Effect::Withdraw(7)));
        assert_eq!(keeper.ended(), None);
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

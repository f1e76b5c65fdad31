//! Putting questions and collecting answers.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::error::FleetError;
use super::tally::{Cell, Reply, Tally, Who};
use crate::ReadError;
use crate::instance::scope::{Scope, Verb};
use crate::instance::wire::{self, Ask, Said, Told};
use crate::store::Store;
use crate::store::exchange::{self, Exchange, Gathering};

/// Over how many milliseconds so many answers are spread: one a millisecond, and not longer than somebody likes to wait.
/// An answer has some hundred bytes, so this is less than a tenth of what one connection takes.
pub(super) fn spread(instances: usize) -> u64 {
    (instances as u64).min(1_000)
}

/// In milliseconds, as questions have it.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A place where answers arrive, and what is known of the other side.
pub(super) struct Round {
    gathering: Box<dyn Gathering>,
    max_payload: usize,
    /// For each question that was put what it is about: several may be put about the same.
    about: Vec<usize>,
}

/// What came.
pub(super) enum Came {
    /// An answer, and what it is about.
    Told { about: usize, told: Told },
    /// Something that cannot be read.
    Garbage,
    /// Nobody listens to one of the questions.
    Nobody,
    /// The time is up.
    Late,
}

impl Round {
    pub(super) async fn begin(store: &dyn Store) -> Result<Self, FleetError> {
        let exchange = store.exchange();
        let max_payload = Exchange::max_payload(&*exchange);
        Ok(Self { gathering: exchange.gather().await?, max_payload, about: Vec::new() })
    }

    /// Asks those who listen to a topic.
    pub(super) async fn ask(&mut self, about: usize, topic: &str, ask: &Ask) -> Result<(), FleetError> {
        let payload = ask.bytes();
        if payload.len() > self.max_payload {
            return Err(FleetError::TooLarge { bytes: payload.len(), max: self.max_payload });
        }
        self.gathering.ask(topic, payload).await?;
        self.about.push(about);
        Ok(())
    }

    /// Waits for the next thing that comes.
    pub(super) async fn next(&mut self, until: Instant) -> Result<Came, FleetError> {
        let said = tokio::select! {
            biased;
            said = self.gathering.next() => said,
            () = sleep_until(until) => return Ok(Came::Late),
        };
        let about = |question: usize| self.about.get(question).copied();
        Ok(match said {
            exchange::Said::Answer { question, payload } => {
                match (about(question), wire::read_told(&payload)) {
                    (Some(about), Some(told)) => Came::Told { about, told },
                    _ => Came::Garbage,
                }
            }
            exchange::Said::Nobody { question } if about(question).is_some() => Came::Nobody,
            exchange::Said::Nobody { .. } => Came::Garbage,
            exchange::Said::NotPermitted { subject } => {
                return Err(ReadError::NotPermitted { subject }.into());
            }
            exchange::Said::Over => return Err(ReadError::Disconnected.into()),
        })
    }
}

/// A question about one scope.
pub(super) struct Part {
    pub(super) scope: Scope,
    pub(super) ask: Ask,
}

/// Takes what came into the tally. `read` picks what is an answer to the question that was put.
pub(super) fn note<V: Reply>(tally: &mut Tally<V>, came: Came, read: impl FnOnce(Said) -> Option<V>) {
    let Came::Told { about, told } = came else {
        if matches!(came, Came::Garbage) {
            tally.take_unreadable();
        }
        return;
    };
    let who = Who::from(&told);
    let cell = match told.said {
        Said::Error(refusal) if refusal.code == 410 => Cell::Left,
        Said::Error(refusal) => Cell::Refused(refusal),
        said => match read(said) {
            Some(value) => Cell::Said(value),
            None => return tally.take_unreadable(),
        },
    };
    tally.take(&told.id, who, about, cell);
}

/// Puts each part to its scope: to all, or to those whose answer is still to come.
pub(super) async fn put<V: Reply>(
    round: &mut Round,
    verb: Verb,
    parts: &mut [Part],
    open: Option<&Tally<V>>,
) -> Result<(), FleetError> {
    for (about, part) in parts.iter_mut().enumerate() {
        part.ask.only = None;
        if let Some(tally) = open {
            let only = tally.open(about);
            if only.is_empty() {
                continue;
            }
            part.ask.only = Some(only);
        }
        round.ask(about, &part.scope.topic(verb), &part.ask).await?;
    }
    Ok(())
}

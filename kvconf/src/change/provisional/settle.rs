//! Confirming a change with a deadline, or taking it back before its time.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use derive_more::{Display, Error};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::commit::cut;
use super::{Held, Provisional};
use crate::attribution::{CONFIRMS, TAKES_BACK, new_change_id};
use crate::change::ASKED_AT_ONCE;
use crate::change::commit::{Applied, CommitError, Job, Mark, Terms};
use crate::change::conflict::Conflict;
use crate::change::guard::Guards;
use crate::change::plan::Planned;
use crate::store::{Action, ReadError};
use crate::{Attribution, Entry, Key, Revision, WriteError};

/// How often it is tried while others write: each time their change is looked at anew.
const ATTEMPTS: usize = 4;

/// Why a change was neither confirmed nor taken back. Nothing was written.
#[derive(Debug, Display, Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The deadline has passed: the change has gone back, and cannot be confirmed.
    #[display("change {change} has gone back")]
    WentBack {
        /// The change's id.
        change: Arc<str>,
    },
    /// It was confirmed before: it cannot be taken back as a change that waits.
    #[display("change {change} was confirmed before")]
    Confirmed {
        /// The change's id.
        change: Arc<str>,
        /// Who confirmed it.
        by: Attribution,
    },
    /// It was taken back before.
    #[display("change {change} was taken back before")]
    TakenBack {
        /// The change's id.
        change: Arc<str>,
        /// Who took it back.
        by: Attribution,
    },
    /// Somebody has changed one of its keys since. [`Settle::remaining`] settles the others.
    #[display("{_0}")]
    Conflict(#[error(not(source))] Box<Conflict>),
    /// Not all keys of the change are known; see [`Provisional::is_whole`]. [`Settle::remaining`] settles those that are.
    #[display("only {known} of the {total} keys are known")]
    Incomplete {
        /// How many are known.
        known: usize,
        /// How many there are.
        total: usize,
    },
    /// What the key goes back to was removed from the bucket.
    #[display("what {key} goes back to, revision {revision}, is lost")]
    Lost {
        /// The key.
        key: Key,
        /// The revision.
        revision: Revision,
    },
    /// The author or the reason cannot stand in a header.
    #[display("the {what} {problem}")]
    Attribution {
        /// `author` or `reason`.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The bucket could not be looked at.
    #[display("the change could not be looked at")]
    Read(ReadError),
    /// The server refused or did not answer; [`WriteError::Unconfirmed`] says that it is unknown.
    #[display("nothing was written")]
    Write(WriteError),
}

impl SettleError {
    /// Whether somebody else changed a key of the change.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether the change is over: there is nothing left to settle.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::WentBack { .. } | Self::Confirmed { .. } | Self::TakenBack { .. })
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Write(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl From<ReadError> for SettleError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Confirm,
    TakeBack,
}

impl Verb {
    const fn header(self) -> &'static str {
        match self {
            Self::Confirm => CONFIRMS,
            Self::TakeBack => TAKES_BACK,
        }
    }
}

/// The end of a change with a deadline, to be awaited. From [`Provisional::confirm`] and [`Provisional::take_back`].
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct Settle<'a> {
    change: &'a Provisional,
    verb: Verb,
    terms: Terms,
    remaining: bool,
}

impl<'a> Settle<'a> {
    pub(super) fn confirm(change: &'a Provisional) -> Self {
        Self { change, verb: Verb::Confirm, terms: Terms::default(), remaining: false }
    }

    pub(super) fn take_back(change: &'a Provisional) -> Self {
        Self { verb: Verb::TakeBack, ..Self::confirm(change) }
    }

    /// Who does it; the program's name by default. At most 256 bytes, no control characters.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.terms.set_author(author.into());
        self
    }

    /// Why; by default that it settles the change, with the change's id and reason. At most 1 024 bytes, no control
    /// characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.terms.set_reason(reason.into());
        self
    }

    /// Leaves alone what others have changed since, and settles the other keys all the same.
    pub fn remaining(mut self) -> Self {
        self.remaining = true;
        self
    }

    async fn run(mut self) -> Result<Applied, SettleError> {
        let Provisional { change, held, total, .. } = self.change;
        if !self.terms.has_reason() {
            self.terms.set_reason(self.default_reason());
        }
        let attribution = self.terms.attribution(new_change_id()).map_err(Self::explain)?;
        if held.len() < *total && !self.remaining {
            return Err(SettleError::Incomplete { known: held.len(), total: *total });
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let writes = match self.look().await? {
                Outlook::Write(writes) => writes,
                Outlook::Done(done) => return Ok(done),
            };
            let mark = Mark::Header(self.verb.header(), Arc::clone(change));
            let id = attribution.change.clone().unwrap_or_default();
            let store = &*self.change.store;
            let job =
                Job { store, attribution: attribution.clone(), change: &id, guards: Guards::NONE, mark };
            match job.atomic(&writes).await {
                Ok(written) => {
                    let revision = written.iter().map(|(_, revision)| *revision).max().unwrap_or_default();
                    if let Some(newest) = &self.change.written {
                        newest.fetch_max(revision.get(), Ordering::AcqRel);
                    }
                    return Ok(Applied::new(&self.change.store, revision, id, written));
                }
                // The deadline, or somebody else: looking again tells which.
                Err(CommitError::Conflict(_)) if attempt < ATTEMPTS => {}
                Err(error) => return Err(Self::explain(error)),
            }
        }
    }

    fn default_reason(&self) -> String {
        let verb = match self.verb {
            Verb::Confirm => "confirms",
            Verb::TakeBack => "takes back",
        };
        let why = self.change.by.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        cut(&format!("{verb} change {}{why}", self.change.change)).to_owned()
    }

    fn explain(error: CommitError) -> SettleError {
        match error {
            CommitError::Conflict(conflict) => SettleError::Conflict(conflict),
            CommitError::Attribution { what, problem } => SettleError::Attribution { what, problem },
            CommitError::Write(error) => SettleError::Write(error),
            other => SettleError::Write(WriteError::Invalid { reason: other.to_string() }),
        }
    }

    /// Looks how the change's keys stand, and at what is left to do.
    async fn look(&self) -> Result<Outlook, SettleError> {
        let mut writes = Vec::new();
        let mut done = Vec::new();
        let mut over = None;
        let mut conflict = None;
        let standings: Vec<BoxFuture<'_, _>> =
            self.change.held.iter().map(|held| self.standing(held).boxed()).collect();
        let mut standings =
            stream::iter(&self.change.held).zip(stream::iter(standings).buffered(ASKED_AT_ONCE));
        while let Some((held, standing)) = standings.next().await {
            match standing? {
                Standing::Held(write) => writes.push(*write),
                Standing::Back(_) if self.verb == Verb::Confirm => {
                    over = Some(SettleError::WentBack { change: Arc::clone(&self.change.change) });
                }
                // Once more, for clients that heard of the change and not of its end.
                Standing::Back(kept) => writes.push(again(held, &kept, held.back)),
                Standing::Done(entry) => done.push((held.key.clone(), entry)),
                Standing::Over(error) => over = Some(error),
                Standing::Changed(other) => conflict = conflict.or(Some(other)),
            }
        }
        if let Some((_, entry)) = done.first() {
            // It was this very call, made before: all its keys were written at once.
            let change = Attribution::of(entry).change.unwrap_or_default();
            let written: Vec<_> = done.iter().map(|(key, entry)| (key.clone(), entry.revision())).collect();
            let revision = written.iter().map(|(_, revision)| *revision).max().unwrap_or_default();
            return Ok(Outlook::Done(Applied::new(&self.change.store, revision, change, written)));
        }
        if let Some(error) = over {
            return Err(error);
        }
        match conflict {
            Some(conflict) if !self.remaining || writes.is_empty() => Err(SettleError::Conflict(conflict)),
            _ => Ok(Outlook::Write(writes)),
        }
    }

    async fn standing(&self, held: &Held) -> Result<Standing, SettleError> {
        let found = self.change.store.entry(&held.key, None).await?;
        let changed = |found: Option<&Entry>| {
            Standing::Changed(Box::new(Conflict::new(&held.key, held.revision, found)))
        };
        let Some(entry) = found else { return Ok(changed(None)) };
        let change = &self.change.change;
        let settled = |verb: Verb| entry.headers().get(verb.header()) == Some(&**change);
        Ok(if entry.revision() == held.revision {
            Standing::Held(Box::new(self.write(held, &entry).await?))
        } else if settled(self.verb) {
            Standing::Done(entry)
        } else if settled(Verb::Confirm) {
            let by = Attribution::of(&entry);
            Standing::Over(SettleError::Confirmed { change: Arc::clone(change), by })
        } else if settled(Verb::TakeBack) {
            let by = Attribution::of(&entry);
            Standing::Over(SettleError::TakenBack { change: Arc::clone(change), by })
        } else if entry.revision() == held.back {
            Standing::Back(entry)
        } else {
            changed(Some(&entry))
        })
    }

    /// What settles one key.
    async fn write(&self, held: &Held, entry: &Entry) -> Result<Planned, SettleError> {
        let lost = || SettleError::Lost { key: held.key.clone(), revision: held.back };
        let kept = match self.verb {
            Verb::Confirm => None,
            Verb::TakeBack => {
                let kept = self.change.store.entry(&held.key, Some(held.back)).await?;
                Some(kept.ok_or_else(lost)?)
            }
        };
        Ok(again(held, kept.as_ref().unwrap_or(entry), held.revision))
    }
}

/// Writes once more what an entry did.
fn again(held: &Held, entry: &Entry, expected: Revision) -> Planned {
    let action = entry.put_value().map_or(Action::Delete, |value| Action::Put(value.clone()));
    Planned::bare(held.key.clone(), action, expected)
}

/// How one key stands.
enum Standing {
    /// As the change has left it; with what settles it.
    Held(Box<Planned>),
    /// The server has brought back what was there before.
    Back(Entry),
    /// This very call was made before.
    Done(Entry),
    /// The change is over in another way.
    Over(SettleError),
    /// Somebody has changed it.
    Changed(Box<Conflict>),
}

enum Outlook {
    Write(Vec<Planned>),
    Done(Applied),
}

impl<'a> IntoFuture for Settle<'a> {
    type Output = Result<Applied, SettleError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// Doing it twice is no error: the second call gives what the first one wrote.
    ///
    /// # Errors
    /// [`SettleError`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave it done or not done, never half done.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

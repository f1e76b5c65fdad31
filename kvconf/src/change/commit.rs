//! Writing a plan.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use derive_more::{Display, Error, From};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::conflict::{Conflict, SETTLED_WITHIN, Verdict, inspect, inspect_again, is_electing, waited_since};
use super::guard::{Guards, Unwritten, carrier};
use super::on_part::OnPart;
use super::over_rejected::OverRejected;
use super::plan::{Masked, Plan, PlanError, Planned};
use crate::attribution;
use crate::live::Shared;
use crate::schema::KvConfig;
use crate::store::{Expect, ReadError, Store, Write};
use crate::watch::sets::Layout;
use crate::{Attribution, Filter, Headers, Key, Report, Revision, WriteError};

/// The longest author, in bytes.
const MAX_AUTHOR_BYTES: usize = 256;
/// The longest reason, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 1_024;

/// Why a change was not made.
#[derive(Debug, Display, Error, From)]
#[non_exhaustive]
pub enum CommitError {
    /// Readers would reject the result. Nothing was written.
    #[display("the result would not be valid")]
    Invalid(#[error(source)] Box<Report>),
    /// Somebody else changed a key meanwhile. Nothing was written.
    #[display("{_0}")]
    Conflict(#[error(not(source))] Box<Conflict>),
    /// An update would overwrite what somebody wrote and readers rejected, which it never saw. Nothing was written.
    #[display("{_0}")]
    OverRejected(#[error(not(source))] Box<OverRejected>),
    /// An update would write a key whose value its function did not get, because a more specific layer has one. Nothing was
    /// written.
    #[display("{_0}")]
    Masked(#[error(not(source))] Box<Masked>),
    /// A value has no stored form, or a key is not valid. Nothing was written.
    #[display("there is no plan")]
    Plan(PlanError),
    /// The author or the reason cannot stand in a header, or force was asked for without a reason. Nothing was written.
    #[display("the {what} {problem}")]
    #[from(ignore)]
    Attribution {
        /// `author` or `reason`.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The state changed each time while the function of an update ran: it is too slow for what happens here. Nothing was
    /// written.
    #[display("the state changed during each of {attempts} attempts")]
    #[from(ignore)]
    Overtaken {
        /// How often it was tried.
        attempts: u32,
    },
    /// The handle has no bucket.
    #[display("a fixed handle has no bucket to write to")]
    Fixed,
    /// An instance would reject the change. Nothing was written.
    #[cfg(feature = "fleet")]
    #[display("the fleet would reject the change")]
    Rejected(#[error(source)] Box<crate::fleet::Preflight>),
    /// The fleet was to be asked first and could not be. Nothing was written.
    #[cfg(feature = "fleet")]
    #[display("the fleet could not be asked before the change")]
    Fleet(crate::fleet::FleetError),
    /// The server refused or did not answer; nothing was written unless [`WriteError::Unconfirmed`] says that it is unknown.
    #[display("the change was not written")]
    Write(WriteError),
    /// Writing one by one stopped in the middle.
    #[display("{}, {key} was not", were_written(written.len()))]
    #[from(ignore)]
    Partial {
        /// What was written, with the revisions.
        written: Vec<(Key, Revision)>,
        /// The key that failed; those behind it were not tried.
        key: Key,
        /// Why.
        #[error(source)]
        error: Box<CommitError>,
    },
    /// Writing in parts was stopped after one of them, as whoever was told of it wanted.
    #[display("stopped: {}, {left} {} not", were_written(written.len()), if *left == 1 { "was" } else { "were" })]
    #[from(ignore)]
    Stopped {
        /// What was written, with the revisions.
        written: Vec<(Key, Revision)>,
        /// How many keys were not.
        left: usize,
    },
}

fn were_written(count: usize) -> String {
    if count == 1 { "1 key was written".to_owned() } else { format!("{count} keys were written") }
}

impl CommitError {
    /// Whether somebody else was faster.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Overtaken { .. })
    }

    /// Whether the same call can succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Write(error) if error.is_retryable())
    }

    /// The report, when the result would not be valid.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Invalid(report) => Some(report),
            _ => None,
        }
    }
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    revision: Revision,
    change: Arc<str>,
    written: Vec<(Key, Revision)>,
    #[cfg(feature = "fleet")]
    pub(super) place: super::ask::Place,
}

impl Applied {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        revision: Revision,
        change: Arc<str>,
        written: Vec<(Key, Revision)>,
    ) -> Self {
        #[cfg(not(feature = "fleet"))]
        let _ = store;
        Self {
            revision,
            change,
            written,
            #[cfg(feature = "fleet")]
            place: super::ask::Place(Some(Arc::clone(store))),
        }
    }

    /// The newest revision of the change: wait for it with [`Live::wait_for`](crate::Live::wait_for). The handle's own
    /// revision when there was nothing to write.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The change's id, as it stands in the header `Kvconf-Change`.
    #[must_use]
    pub fn change(&self) -> &str {
        &self.change
    }

    /// Exactly what was written. After a lost acknowledgement, keys that others have overwritten since are missing.
    #[must_use]
    pub fn written(&self) -> &[(Key, Revision)] {
        &self.written
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// All or nothing.
    Atomic,
    OneByOne,
}

/// How a commit is to be made, apart from what it writes.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    author: Option<String>,
    reason: Option<String>,
    force: bool,
    guard: bool,
    #[cfg(feature = "fleet")]
    asks: bool,
    manner: Manner,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            author: None,
            reason: None,
            force: false,
            guard: false,
            #[cfg(feature = "fleet")]
            asks: false,
            manner: Manner::Atomic,
        }
    }
}

macro_rules! terms {
    ($($path:tt)+) => {
        /// Who makes the change; the program's name by default. At most 256 bytes, no control characters.
        pub fn author(mut self, author: impl Into<String>) -> Self {
            self.$($path)+.set_author(author.into());
            self
        }

        /// Why. At most 1 024 bytes, no control characters.
        pub fn reason(mut self, reason: impl Into<String>) -> Self {
            self.$($path)+.set_reason(reason.into());
            self
        }

        /// Also conflicts when any other key under the struct's prefix was changed meanwhile, not only those that are
        /// written: for a change whose reason lies in values that it does not touch. With layers, in each of them.
        pub fn guard_all(mut self) -> Self {
            self.$($path)+.set_guard();
            self
        }

        /// Writes the keys one after the other where the server or the bucket has no atomic batches. Readers then see
        /// every key as a change of its own, and [`CommitError::Partial`](crate::CommitError::Partial) says where it stopped.
        pub fn one_by_one(mut self) -> Self {
            self.$($path)+.set_one_by_one();
            self
        }
    };
}
pub(super) use terms;

impl Terms {
    /// What a plan is to be guarded by.
    pub(super) fn guards(&self, tails: &[(Filter, Revision)], unwritten: Unwritten) -> Guards {
        if self.guard { Guards { all: tails.to_vec(), unwritten } } else { Guards::NONE }
    }

    pub(super) const fn guards_all(&self) -> bool {
        self.guard
    }

    pub(super) const fn forces(&self) -> bool {
        self.force
    }

    pub(super) const fn is_one_by_one(&self) -> bool {
        matches!(self.manner, Manner::OneByOne)
    }

    #[cfg(feature = "fleet")]
    pub(super) const fn set_ask(&mut self) {
        self.asks = true;
    }

    /// Whether the fleet is asked first.
    #[cfg(feature = "fleet")]
    pub(super) const fn asks(&self) -> bool {
        self.asks
    }

    pub(super) const fn set_force(&mut self) {
        self.force = true;
    }

    pub(super) fn set_author(&mut self, author: String) {
        self.author = Some(author);
    }

    pub(super) const fn has_reason(&self) -> bool {
        self.reason.is_some()
    }

    pub(super) fn set_reason(&mut self, reason: String) {
        self.reason = Some(reason);
    }

    pub(super) const fn set_guard(&mut self) {
        self.guard = true;
    }

    pub(super) const fn set_one_by_one(&mut self) {
        self.manner = Manner::OneByOne;
    }

    /// Takes author and reason out, for the change of this id.
    pub(super) fn attribution(&mut self, change: Arc<str>) -> Result<Attribution, CommitError> {
        let author = self.author.take().unwrap_or_else(attribution::program_name);
        check_header("author", &author, MAX_AUTHOR_BYTES)?;
        check_header("reason", self.reason.as_deref().unwrap_or("-"), MAX_REASON_BYTES)?;
        let reason = self.reason.take().filter(|reason| !reason.trim().is_empty()).map(Arc::from);
        if self.force && reason.is_none() {
            return Err(CommitError::Attribution { what: "reason", problem: "is missing: force needs one" });
        }
        Ok(Attribution { author: Some(author.into()), reason, change: Some(change) })
    }
}

fn check_header(what: &'static str, text: &str, max: usize) -> Result<(), CommitError> {
    if attribution::is_plain(text) && (1..=max).contains(&text.len()) {
        return Ok(());
    }
    let problem = if text.trim().is_empty() && what == "author" {
        "is empty"
    } else if text.len() > max {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "has a control character, such as a line break"
    } else {
        return Ok(());
    };
    Err(CommitError::Attribution { what, problem })
}

/// A commit to be awaited. From [`Plan::commit`].
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct Commit<T: KvConfig> {
    pub(super) plan: Plan<T>,
    pub(super) terms: Terms,
    races: Races,
}

/// What a refused write is looked into by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Races {
    /// By asking the bucket: once, for people who want to know.
    Seldom,
    /// By what the watch brings anyway: the question would take as long as the next attempt, and whoever asks it each time
    /// is always later than the writer who won.
    Often,
}

impl<T: KvConfig> Commit<T> {
    pub(super) fn new(plan: Plan<T>) -> Self {
        Self { plan, terms: Terms::default(), races: Races::Seldom }
    }

    /// One attempt of several to get through.
    pub(super) fn attempt(plan: Plan<T>, terms: Terms) -> Self {
        Self { plan, terms, races: Races::Often }
    }

    terms!(terms);

    /// Writes values that readers will reject. Needs a reason.
    pub fn force(mut self) -> Self {
        self.terms.set_force();
        self
    }

    pub(super) async fn run(self) -> Result<Applied, CommitError> {
        let Self { plan, mut terms, races } = self;
        let shared = Arc::clone(&plan.shared);
        let store = shared.store.clone().ok_or(CommitError::Fixed)?;
        let change = Arc::clone(&plan.change);
        let attribution = terms.attribution(Arc::clone(&change))?;
        if plan.writes.is_empty() {
            let revision = shared.progress.borrow().seen;
            return Ok(Applied::new(&store, revision, change, Vec::new()));
        }
        if let Some(report) = plan.report
            && !terms.force
        {
            return Err(CommitError::Invalid(Box::new(report)));
        }
        #[cfg(feature = "fleet")]
        if terms.asks() {
            super::ask::ask(&store, super::ask::candidates(&plan.writes), terms.force).boxed().await?;
        }
        let guards = terms.guards(&plan.tails, Unwritten::Carried);
        let mut job = Job { store: &*store, attribution, change: &change, guards, mark: Mark::None };
        let written = match terms.manner {
            Manner::OneByOne => {
                let parts = plan.writes.into_iter().map(|write| vec![write]).collect();
                job.in_parts(parts, &mut OnPart::nobody()).boxed().await?
            }
            Manner::Atomic if races == Races::Often => match job.send(&plan.writes).await? {
                Ok(written) => written,
                Err(error) => match shared.lost_race(&error, &plan.writes, &change).boxed().await {
                    Some(conflict) => return Err(CommitError::Conflict(conflict)),
                    None => job.explain(error, &plan.writes).boxed().await?,
                },
            },
            Manner::Atomic => job.atomic(&plan.writes).await?,
        };
        let revision = written.iter().map(|(_, revision)| *revision).max().unwrap_or_default();
        shared.note_written(revision);
        Ok(Applied::new(&store, revision, change, written))
    }
}

impl<T: KvConfig> IntoFuture for Commit<T> {
    type Output = Result<Applied, CommitError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Cancel safety
    /// Dropping the future may leave the change made or not made, never half made (but see [`Commit::one_by_one`]).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// What the entries of a change say besides who made it.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    None,
    /// They live so long; then what stood there before is current again.
    Provisional(Duration),
    /// They have this header.
    Header(&'static str, Arc<str>),
}

/// Writes to be made in the name of one change.
pub(super) struct Job<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) attribution: Attribution,
    pub(super) change: &'a Arc<str>,
    pub(super) guards: Guards,
    pub(super) mark: Mark,
}

impl Job<'_> {
    fn write(&self, planned: &Planned) -> Write {
        let mut headers = Headers::new();
        self.attribution.stamp(&mut headers);
        let mut ttl = None;
        match &self.mark {
            Mark::None => {}
            Mark::Provisional(lives) => {
                ttl = Some(*lives);
                headers.add(attribution::PROVISIONAL, planned.expected.to_string());
            }
            Mark::Header(name, value) => headers.add(*name, &**value),
        }
        Write {
            key: planned.key.clone(),
            action: planned.action.clone(),
            expect: Expect::Revision(planned.expected),
            ttl,
            headers,
        }
    }

    /// One change set, or nothing.
    pub(super) async fn atomic(&self, planned: &[Planned]) -> Result<Vec<(Key, Revision)>, CommitError> {
        match self.send(planned).await? {
            Ok(written) => Ok(written),
            Err(error) => self.explain(error, planned).boxed().await,
        }
    }

    /// The same, with the server's own words when it refuses. One key is what most changes are: it goes the short way.
    async fn send(
        &self,
        planned: &[Planned],
    ) -> Result<Result<Vec<(Key, Revision)>, WriteError>, CommitError> {
        if let ([only], true) = (planned, self.guards.all.is_empty()) {
            let result = self.store.write(self.write(only)).await;
            return Ok(result.map(|revision| vec![(only.key.clone(), revision)]));
        }
        self.send_several(planned).boxed().await
    }

    async fn send_several(
        &self,
        planned: &[Planned],
    ) -> Result<Result<Vec<(Key, Revision)>, WriteError>, CommitError> {
        let keys: Vec<Key> = planned.iter().map(|write| write.key.clone()).collect();
        let mut writes = self.writes(planned)?;
        let count = keys.len() as u64;
        let result = match writes.pop() {
            Some(only) if writes.is_empty() => self.store.write(only).await,
            Some(last) => {
                writes.push(last);
                self.store.write_batch(writes).await
            }
            None => return Ok(Ok(Vec::new())),
        };
        Ok(result.map(|last| {
            let revision = |at: usize| last - (count - 1 - at as u64);
            keys.into_iter().enumerate().map(|(at, key)| (key, revision(at))).collect()
        }))
    }

    /// The messages. Those that are there for what they expect stand before those of the keys.
    fn writes(&self, planned: &[Planned]) -> Result<Vec<Write>, CommitError> {
        let mut writes: Vec<Write> = planned.iter().map(|write| self.write(write)).collect();
        let left = self.guards.put_on(&mut writes);
        if !left.is_empty() && self.guards.unwritten == Unwritten::Refused {
            let filters: Vec<String> = left.iter().map(|(filter, _)| filter.to_string()).collect();
            let reason = format!("nothing is written under {} that could guard it", filters.join(", "));
            return Err(CommitError::Write(WriteError::Invalid { reason }));
        }
        let carriers = left.into_iter().enumerate().map(|(at, guard)| {
            let mut headers = Headers::new();
            self.attribution.stamp(&mut headers);
            carrier(at, guard, headers)
        });
        let carriers = carriers.collect::<Result<Vec<Write>, _>>();
        let mut all = carriers.map_err(|error| WriteError::Invalid { reason: error.to_string() })?;
        all.append(&mut writes);
        if all.len() > 1 {
            let keys: Vec<Key> = all.iter().map(|write| write.key.clone()).collect();
            let layout = Layout::new(&keys);
            for (at, write) in all.iter_mut().enumerate() {
                write.headers.add(attribution::SET, layout.header(at + 1));
            }
        }
        Ok(all)
    }

    /// A conflict names a key and its author; a lost acknowledgement is looked into.
    async fn explain(
        &self,
        error: WriteError,
        planned: &[Planned],
    ) -> Result<Vec<(Key, Revision)>, CommitError> {
        if !matches!(error, WriteError::Conflict { .. } | WriteError::Unconfirmed { .. }) {
            return Err(CommitError::Write(error));
        }
        let keys: Vec<(Key, Revision)> =
            planned.iter().map(|write| (write.key.clone(), write.expected)).collect();
        let asked = Instant::now();
        match inspect(self.store, &keys, self.change).await {
            Ok(Verdict::Written(written)) => Ok(written),
            Ok(Verdict::Conflict(conflict)) => Err(CommitError::Conflict(conflict)),
            Ok(Verdict::Unchanged | Verdict::Behind(_)) => match self.guard_conflict().await {
                Some(conflict) => Err(CommitError::Conflict(conflict)),
                None if matches!(error, WriteError::Conflict { .. }) => self.contradicted(&keys).await,
                None => Err(CommitError::Write(waited_since(asked, error))),
            },
            // Whoever spoke of a conflict may not have been the leader; what the leader did is not to be had.
            Err(unread) if is_electing(&unread) && !matches!(unread, ReadError::Timeout { .. }) => {
                Err(CommitError::Write(WriteError::Unconfirmed { after: SETTLED_WITHIN }))
            }
            Err(_) => Err(CommitError::Write(waited_since(asked, error))),
        }
    }

    /// The server spoke of a conflict, and there is none.
    async fn contradicted(&self, keys: &[(Key, Revision)]) -> Result<Vec<(Key, Revision)>, CommitError> {
        match inspect_again(self.store, keys, self.change).await {
            Ok(Verdict::Written(written)) => Ok(written),
            Ok(Verdict::Conflict(conflict)) => Err(CommitError::Conflict(conflict)),
            _ => Err(CommitError::Write(WriteError::Unconfirmed { after: SETTLED_WITHIN })),
        }
    }

    /// The key under a guarded filter that changed.
    async fn guard_conflict(&self) -> Option<Box<Conflict>> {
        for (filter, tail) in &self.guards.all {
            let found = self.newest_under(filter).await.ok()?;
            if let Some(found) = found.filter(|found| found.revision() != *tail) {
                return Some(Box::new(Conflict {
                    key: found.key().clone(),
                    expected: *tail,
                    found: Some(found.revision()),
                    by: Attribution::of(&found),
                    at: Some(found.created()),
                }));
            }
        }
        None
    }

    async fn newest_under(&self, filter: &Filter) -> Result<Option<crate::Entry>, ReadError> {
        let reading = self.store.read(std::slice::from_ref(filter), crate::store::Point::Latest).await?;
        Ok(reading.entries.into_iter().max_by_key(|entry| entry.revision()))
    }
}

impl<T: KvConfig> Shared<T> {
    pub(super) fn note_written(&self, revision: Revision) {
        self.written.fetch_max(revision.get(), std::sync::atomic::Ordering::AcqRel);
    }

    /// The bucket is another one.
    pub(crate) fn forget_written(&self) {
        self.written.store(0, std::sync::atomic::Ordering::Release);
    }

    /// The newest revision that was written through this handle.
    pub(super) fn written(&self) -> Revision {
        Revision::new(self.written.load(std::sync::atomic::Ordering::Acquire))
    }
}

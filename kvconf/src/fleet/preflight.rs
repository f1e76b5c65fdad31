//! What the instances would make of a change.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use derive_more::Display;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use super::Fleet;
use super::error::FleetError;
use super::gather::{Came, Part, Round, millis, note, put, spread};
use super::list::{List, Roster};
use super::tally::{Cell, Row, Tally, Who};
use crate::Prefix;
use crate::backoff::later;
use crate::instance::scope::{Scope, Verb};
use crate::instance::wire::{Ask, Change, MAX_CHANGES, Said};
use crate::instance::{Base, Candidate, Fault, Handle, Judged, Verdict};

/// How long answers are waited for unless told otherwise.
const WITHIN: Duration = Duration::from_secs(5);

/// How many instances a message names before it says how many more there are.
const NAMED: usize = 5;

/// A question to be awaited: would you take it? From [`Fleet::preflight`] and [`Plan::preflight`](crate::Plan::preflight).
#[derive(Debug, Clone)]
#[must_use = "nobody is asked before it is awaited"]
pub struct PreflightRequest {
    fleet: Result<Fleet, FleetError>,
    candidates: Vec<Candidate>,
    within: Duration,
    expected: Option<usize>,
}

impl PreflightRequest {
    pub(super) const fn new(fleet: Fleet, candidates: Vec<Candidate>) -> Self {
        Self { fleet: Ok(fleet), candidates, within: WITHIN, expected: None }
    }

    pub(super) const fn impossible(error: FleetError) -> Self {
        Self { fleet: Err(error), candidates: Vec::new(), within: WITHIN, expected: None }
    }

    /// How long to wait for the answers of those who are there; 5 s by default. Those who have not answered by then are
    /// told as silent.
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// How many instances there should be, also those that are not concerned. Their word that they are there is waited for as
    /// [`List::expect`] does; the verdict says how many are [missing](Preflight::missing) then.
    pub const fn expect(mut self, instances: usize) -> Self {
        self.expected = Some(instances);
        self
    }

    /// Only handles that read exactly this prefix; see [`Fleet::reading`].
    ///
    /// # Errors
    /// [`KeyError`](crate::KeyError) for what is no prefix.
    pub fn reading(self, prefix: &str) -> Result<Self, crate::KeyError> {
        let fleet = match self.fleet {
            Ok(fleet) => Ok(fleet.reading(prefix)?),
            Err(error) => Err(error),
        };
        Ok(Self { fleet, ..self })
    }

    pub(super) async fn run(self) -> Result<Preflight, FleetError> {
        let Self { fleet, candidates, within, expected } = self;
        let fleet = fleet?;
        if candidates.len() > MAX_CHANGES {
            return Err(FleetError::TooMany { keys: candidates.len(), max: MAX_CHANGES });
        }
        let list = List::new(fleet.clone());
        let list = if let Some(expected) = expected { list.expect(expected) } else { list };
        let roster = list.run().await?;
        let mut tally = Tally::<Vec<Judged>>::default();
        let changes = |key: &Prefix| {
            let own = candidates.iter().filter(|candidate| candidate.key.under(key).is_some());
            own.map(Change::of).collect::<Vec<_>>()
        };
        let mut parts = parts(&roster, &mut tally, |prefixes| {
            let changes: Vec<Change> = prefixes.iter().flat_map(changes).collect();
            let mut ask = Ask::new(spread(roster.members().len()), millis(within / 2));
            ask.changes = (!changes.is_empty()).then_some(changes);
            ask.changes.is_some().then_some(ask)
        });
        if !parts.is_empty() {
            ask(&fleet, &mut parts, &mut tally, within).await?;
        }
        let votes: Vec<_> = tally.rows().map(|(id, row)| Vote::of(id, row)).collect();
        let missing = expected.unwrap_or(0).saturating_sub(votes.len());
        Ok(Preflight { roster, votes, missing, unreadable: tally.unreadable() })
    }
}

/// One question for each scope that is concerned, and who is asked what.
pub(super) fn parts<V: super::tally::Reply>(
    roster: &Roster,
    tally: &mut Tally<V>,
    ask: impl Fn(&[Prefix]) -> Option<Ask>,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut known: BTreeMap<Scope, Option<usize>> = BTreeMap::new();
    for member in roster.members() {
        tally.know(&member.id, Who::from(member));
        for handle in &member.handles {
            let Some(prefixes) = prefixes(handle) else { continue };
            let scope = Scope::of(&prefixes);
            let about = *known.entry(scope.clone()).or_insert_with(|| {
                let ask = ask(&prefixes)?;
                parts.push(Part { scope, ask });
                Some(parts.len() - 1)
            });
            if let Some(about) = about {
                tally.expect(&member.id, Who::from(member), about);
            }
        }
    }
    parts
}

/// `None` for a handle that says something that no handle can read.
fn prefixes(handle: &Handle) -> Option<Vec<Prefix>> {
    handle.prefixes.iter().map(|prefix| Prefix::new(prefix).ok()).collect()
}

/// Asks once, and those who have not answered at half time once more.
async fn ask(
    fleet: &Fleet,
    parts: &mut [Part],
    tally: &mut Tally<Vec<Judged>>,
    within: Duration,
) -> Result<(), FleetError> {
    let mut round = Round::begin(&*fleet.store).await?;
    let begun = Instant::now();
    put::<Vec<Judged>>(&mut round, Verb::Preflight, parts, None).await?;
    let ends = [later(begun, within / 4 * 3), later(begun, within)];
    for (at, end) in ends.into_iter().enumerate() {
        if at > 0 {
            put(&mut round, Verb::Preflight, parts, Some(tally)).await?;
        }
        while !tally.is_complete() {
            match round.next(end).await? {
                Came::Late => break,
                // Who was there a moment ago is about to be back, or gone for good.
                Came::Nobody => {}
                came => note(tally, came, |said| match said {
                    Said::Preflight(judged) => Some(judged),
                    _ => None,
                }),
            }
        }
        if tally.is_complete() {
            break;
        }
    }
    Ok(())
}

/// What one instance would make of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Vote {
    /// Its id.
    pub id: String,
    /// The service.
    pub name: String,
    /// Its build.
    pub version: String,
    /// Where it runs.
    pub host: String,
    /// What it would do.
    pub opinion: Opinion,
    /// What each of its handles would do that was asked.
    pub handles: Vec<Judged>,
}

/// What an instance would do with a change.
#[derive(Debug, Clone, PartialEq, Eq, Display, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Opinion {
    /// Its readers would see it.
    #[display("accepts")]
    Accepts,
    /// Readers of one of its handles would keep what they have.
    #[display("rejects")]
    Rejects,
    /// It reads none of the keys.
    #[display("is not concerned")]
    NotConcerned,
    /// It was there and has not answered in time.
    #[display("is silent")]
    Silent,
    /// It left before it answered.
    #[display("has left")]
    Left,
    /// It could not answer, for this reason.
    #[display("cannot say: {_0}")]
    CannotSay(String),
}

impl Vote {
    fn of(id: &str, row: &Row<Vec<Judged>>) -> Self {
        let mut handles: Vec<Judged> = Vec::new();
        let (mut waits, mut refusal) = (false, None);
        for cell in row.cells.values() {
            match cell {
                Cell::Said(judged) => handles.extend(judged.iter().cloned()),
                Cell::Waiting => waits = true,
                Cell::Refused(why) => refusal = Some(why.message.clone()),
                Cell::Left => {}
            }
        }
        let worst = handles.iter().map(|judged| judged.verdict).max();
        let opinion = match worst {
            Some(Verdict::Rejects) => Opinion::Rejects,
            _ if waits => Opinion::Silent,
            _ if refusal.is_some() => Opinion::CannotSay(refusal.unwrap_or_default()),
            _ if row.has_left() => Opinion::Left,
            Some(Verdict::Accepts) => Opinion::Accepts,
            Some(Verdict::NotConcerned) | None => Opinion::NotConcerned,
        };
        let Who { name, version, host } = row.who.clone();
        Self { id: id.to_owned(), name, version, host, opinion, handles }
    }

    /// The problems that it has with the change.
    pub fn problems(&self) -> impl Iterator<Item = &Fault> {
        self.handles
            .iter()
            .filter(|judged| judged.verdict == Verdict::Rejects)
            .flat_map(|judged| &judged.problems)
    }

    /// Whether it has judged on what the author saw.
    #[must_use]
    pub fn base(&self) -> Base {
        self.handles.iter().map(|judged| judged.base).max().unwrap_or(Base::Same)
    }
}

/// What the instances would make of a change. `Display` has the counts on the first line, then who rejects what.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preflight {
    #[serde(skip)]
    roster: Roster,
    votes: Vec<Vote>,
    missing: usize,
    unreadable: usize,
}

impl Preflight {
    /// Every instance with its opinion, by id.
    #[must_use]
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Those of one opinion; [`Opinion::CannotSay`] with any reason stands for all of them.
    pub fn with<'a>(&'a self, opinion: &'a Opinion) -> impl Iterator<Item = &'a Vote> {
        let is_kind = |vote: &&Vote| std::mem::discriminant(&vote.opinion) == std::mem::discriminant(opinion);
        self.votes.iter().filter(is_kind)
    }

    /// Whether an instance would reject the change. A commit that asks the fleet is stopped by this.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.with(&Opinion::Rejects).next().is_some()
    }

    /// Whether every instance that is there accepts the change or is not concerned: none rejects, is silent or cannot say, and
    /// none that should be there is [missing](Self::missing).
    #[must_use]
    pub fn is_unanimous(&self) -> bool {
        let agrees =
            |vote: &Vote| matches!(vote.opinion, Opinion::Accepts | Opinion::NotConcerned | Opinion::Left);
        self.missing == 0 && self.votes.iter().all(agrees)
    }

    /// How many of those that should be there are not: see [`PreflightRequest::expect`].
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Who was there when it was asked.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// How many answers could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Each problem with the instances that have it, the most frequent first.
    fn problems(&self) -> Vec<(&Fault, Vec<&Vote>)> {
        let mut all: BTreeMap<&Fault, Vec<&Vote>> = BTreeMap::new();
        for vote in &self.votes {
            for fault in vote.problems().filter(|fault| !fault.warning) {
                let of = all.entry(fault).or_default();
                if of.last().is_none_or(|last| last.id != vote.id) {
                    of.push(vote);
                }
            }
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(_, votes)| std::cmp::Reverse(votes.len()));
        all
    }

    fn write_problems(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, votes) in self.problems() {
            write!(f, "\n  × {fault}\n      in ")?;
            write_named(f, votes.iter().map(|vote| vote.id.as_str()))?;
        }
        Ok(())
    }
}

/// `, 3 are not there`
pub(super) fn write_missing(f: &mut fmt::Formatter<'_>, missing: usize) -> fmt::Result {
    match missing {
        0 => Ok(()),
        1 => f.write_str(", 1 is not there"),
        many => write!(f, ", {many} are not there"),
    }
}

/// `a, b and 3 more`
pub(super) fn write_named<'a>(
    f: &mut fmt::Formatter<'_>,
    mut ids: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    for (at, id) in ids.by_ref().take(NAMED).enumerate() {
        write!(f, "{}{id}", if at == 0 { "" } else { ", " })?;
    }
    match ids.count() {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// `38 accept, 2 reject, 1 is silent`, then every problem and who has it.
impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let kinds = [
            (Opinion::Accepts, "accepts", "accept"),
            (Opinion::Rejects, "rejects", "reject"),
            (Opinion::NotConcerned, "is not concerned", "are not concerned"),
            (Opinion::Silent, "is silent", "are silent"),
            (Opinion::CannotSay(String::new()), "cannot say", "cannot say"),
            (Opinion::Left, "has left", "have left"),
        ];
        for (opinion, one, many) in &kinds {
            let count = self.with(opinion).count();
            if count > 0 {
                let words = if count == 1 { one } else { many };
                write!(f, "{}{count} {words}", if first { "" } else { ", " })?;
                first = false;
            }
        }
        if first {
            f.write_str(self.roster.nobody())?;
        }
        write_missing(f, self.missing)?;
        self.write_problems(f)?;
        for (opinion, words) in
            [(Opinion::Silent, "silent: "), (Opinion::CannotSay(String::new()), "cannot say: ")]
        {
            if self.with(&opinion).next().is_some() {
                write!(f, "\n  {words}")?;
                write_named(f, self.with(&opinion).map(|vote| vote.id.as_str()))?;
            }
        }
        let bases = [(Base::Behind, "judged on older entries: "), (Base::Ahead, "have newer entries: ")];
        for (base, words) in bases {
            let of = || self.votes.iter().filter(|vote| vote.base() == base);
            if of().next().is_some() {
                write!(f, "\n  {words}")?;
                write_named(f, of().map(|vote| vote.id.as_str()))?;
            }
        }
        if self.unreadable > 0 {
            write!(f, "\n  answers that could not be read: {}", self.unreadable)?;
        }
        Ok(())
    }
}

/// So that a refusal can name it as its cause.
impl std::error::Error for Preflight {}

impl IntoFuture for PreflightRequest {
    type Output = Result<Preflight, FleetError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Errors
    /// [`FleetError`]. That instances reject, or that nobody answers, is no error.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

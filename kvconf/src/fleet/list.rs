//! Who is there.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use super::Fleet;
use super::error::FleetError;
use super::gather::{Came, Round};
use crate::backoff::later;
use crate::instance::Member;
use crate::instance::scope::{Verb, everybody};
use crate::instance::wire::{Ask, Said};

/// How long answers are waited for unless told otherwise.
const WITHIN: Duration = Duration::from_secs(2);

/// How long nobody new may answer before all are taken to have answered.
const QUIET: Duration = Duration::from_millis(400);

/// Over how long the answers are spread: nobody knows yet how many there are.
const SPREAD_MS: u64 = 100;

/// A question to be awaited: who is there? From [`Fleet::list`].
#[derive(Debug, Clone)]
#[must_use = "nobody is asked before it is awaited"]
pub struct List {
    fleet: Fleet,
    within: Duration,
    expected: Option<usize>,
}

impl List {
    pub(super) const fn new(fleet: Fleet) -> Self {
        Self { fleet, within: WITHIN, expected: None }
    }

    /// How long to wait at most; 2 s by default.
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// How many there should be: it is waited until so many have answered, or the time is up. Without, it ends when nobody
    /// new has answered for 400 ms.
    pub const fn expect(mut self, instances: usize) -> Self {
        self.expected = Some(instances);
        self
    }

    pub(super) async fn run(self) -> Result<Roster, FleetError> {
        let mut round = Round::begin(&*self.fleet.store).await?;
        let topic = self.fleet.scope.as_ref().map_or_else(everybody, |scope| scope.topic(Verb::Who));
        round.ask(0, &topic, &Ask::new(SPREAD_MS, 0)).await?;
        let end = later(Instant::now(), self.within);
        let mut found = Found::default();
        let mut quiet = end;
        while self.expected.is_none_or(|expected| found.members.len() < expected) {
            match round.next(end.min(quiet)).await? {
                Came::Told { told, .. } => {
                    let member = match told.said {
                        Said::Who(member) => member,
                        // It leaves.
                        Said::Error(refusal) if refusal.code == 410 => {
                            found.have_left = true;
                            continue;
                        }
                        _ => {
                            found.unreadable += 1;
                            continue;
                        }
                    };
                    if found.take(*member) && self.expected.is_none() {
                        quiet = Instant::now() + QUIET + Duration::from_millis(SPREAD_MS);
                    }
                }
                Came::Garbage => found.unreadable += 1,
                Came::Nobody => break,
                Came::Late => {
                    found.is_silent = found.members.is_empty() && !found.have_left;
                    break;
                }
            }
        }
        Ok(found.roster(self.fleet.store.name()))
    }
}

impl IntoFuture for List {
    type Output = Result<Roster, FleetError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Errors
    /// [`FleetError::Ask`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

#[derive(Default)]
struct Found {
    members: BTreeMap<String, Member>,
    doubled: Vec<String>,
    unreadable: usize,
    have_left: bool,
    is_silent: bool,
}

impl Found {
    /// Whether it is a new one.
    fn take(&mut self, member: Member) -> bool {
        match self.members.get(&member.id) {
            None => {
                self.members.insert(member.id.clone(), member);
                return true;
            }
            Some(known) if (known.started, &known.host) != (member.started, &member.host) => {
                if !self.doubled.contains(&member.id) {
                    self.doubled.push(member.id);
                }
            }
            Some(_) => {}
        }
        false
    }

    fn roster(self, bucket: &str) -> Roster {
        let mut members: Vec<Member> = self.members.into_values().collect();
        members.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let Self { doubled, unreadable, is_silent, .. } = self;
        Roster { bucket: bucket.to_owned(), members, doubled, unreadable, is_silent }
    }
}

/// Who answered, once each. `Display` has a line for each instance and handle.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Roster {
    bucket: String,
    members: Vec<Member>,
    doubled: Vec<String>,
    unreadable: usize,
    #[serde(skip)]
    is_silent: bool,
}

impl Roster {
    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The instances, by name and id.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Those that lag, are disconnected, serve from a cache or reject something.
    pub fn not_current(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_current())
    }

    /// Ids under which more than one process answered: they count as one, which is a mistake of whoever gave them.
    #[must_use]
    pub fn doubled(&self) -> &[String] {
        &self.doubled
    }

    /// How many answers could not be read: of another version, or not from an instance.
    #[must_use]
    pub const fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Whether nobody answered in time although somebody listens: instances that are out of reach for a moment, or others that
    /// only listen. Where nobody listens, servers say so.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// What is said where there is no instance.
    pub(super) const fn nobody(&self) -> &'static str {
        if self.is_silent { "nobody answers, though somebody listens" } else { "nobody answers" }
    }
}

impl fmt::Display for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.members.is_empty() {
            f.write_str(self.nobody())?;
        }
        for (at, member) in self.members.iter().enumerate() {
            write!(f, "{}{member}", if at == 0 { "" } else { "\n" })?;
        }
        for id in &self.doubled {
            write!(f, "\nmore than one process has the id {id}")?;
        }
        if self.unreadable > 0 {
            write!(f, "\nanswers that could not be read: {}", self.unreadable)?;
        }
        Ok(())
    }
}

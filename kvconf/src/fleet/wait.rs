//! Waiting until the instances have taken a change.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use derive_more::Display;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use super::Fleet;
use super::error::{FleetError, FleetWaitError};
use super::gather::{Came, Part, Round, millis, note, put, spread};
use super::list::{List, Roster};
use super::preflight::{parts, write_missing, write_named};
use super::share::Share;
use super::tally::{Cell, Row, Tally, Who};
use super::way_back::{Back, WayBack};
use crate::backoff::later;
use crate::instance::scope::Verb;
use crate::instance::wire::{Ask, Said};
use crate::instance::{Fault, Outcome, Settled};
use crate::{Key, Revision};

/// How long is waited unless told otherwise.
const WITHIN: Duration = Duration::from_secs(30);

/// For how long instances hold a question before they say how far they are; the last one is repeated. Nothing travels
/// meanwhile, and whoever was cut off when it was asked is asked again.
const ROUNDS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(15)];

/// How much earlier than the asker an instance gives up, so that its word arrives.
const MARGIN: Duration = Duration::from_millis(200);

/// For how long more is collected once too many have rejected the change.
const GRACE: Duration = Duration::from_millis(500);

type OnProgress = Box<dyn FnMut(&Progress) + Send>;

/// A wait to be awaited. From [`Applied::wait_for_fleet`](crate::Applied::wait_for_fleet),
/// [`Provisional::wait_for_fleet`](crate::Provisional::wait_for_fleet) and [`Fleet::wait_for`].
#[must_use = "nobody is asked before it is awaited"]
pub struct FleetWait {
    fleet: Result<Fleet, FleetError>,
    written: Vec<(Key, Revision)>,
    share: Share,
    within: Duration,
    roster: Option<Roster>,
    expected: Option<usize>,
    on_progress: Option<OnProgress>,
    way_back: Option<WayBack>,
}

impl FleetWait {
    pub(super) fn new(fleet: Fleet, written: Vec<(Key, Revision)>, back: Option<Back>) -> Self {
        Self { way_back: back.map(WayBack::new), ..Self::begin(Ok(fleet), written) }
    }

    pub(super) fn impossible(error: FleetError) -> Self {
        Self::begin(Err(error), Vec::new())
    }

    fn begin(fleet: Result<Fleet, FleetError>, written: Vec<(Key, Revision)>) -> Self {
        Self {
            fleet,
            written,
            share: Share::ALL,
            within: WITHIN,
            roster: None,
            expected: None,
            on_progress: None,
            way_back: None,
        }
    }

    /// No longer than this, unless it is said for how long.
    pub(super) fn at_most(self, left: Duration) -> Self {
        Self { within: self.within.min(left), ..self }
    }

    /// How many of those that are asked are enough; all by default.
    pub const fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// How long to wait; 30 s by default.
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Asks those who were there then, such as [`Preflight::roster`](super::Preflight::roster), and not first who is there.
    pub fn among(mut self, roster: &Roster) -> Self {
        self.roster = Some(roster.clone());
        self
    }

    /// How many instances there should be, also those that are not concerned. Their word that they are there is waited for as
    /// [`List::expect`] does; whoever is missing then has not taken the change ([`Progress::missing`]).
    pub const fn expect(mut self, instances: usize) -> Self {
        self.expected = Some(instances);
        self
    }

    /// Calls a function with every step of the way: at first, and whenever an instance has said something new.
    pub fn on_progress(mut self, function: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(function));
        self
    }

    /// Takes the change back if too few have taken it, as [`Bucket::revert`](crate::Bucket::revert) does: by a new change set,
    /// and not where somebody has changed one of its keys since. Only for what one change has written. A change with a
    /// deadline is taken back as [`Provisional::take_back`](crate::Provisional::take_back) does it; without this, it goes back
    /// at its deadline.
    pub fn or_rollback(mut self) -> Self {
        if let Some(way_back) = &mut self.way_back {
            way_back.wanted = true;
        }
        self
    }

    /// Who takes it back; the program's name by default.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        if let Some(way_back) = &mut self.way_back {
            way_back.author = Some(author.into());
        }
        self
    }

    /// Why, instead of what the fleet said.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        if let Some(way_back) = &mut self.way_back {
            way_back.reason = Some(reason.into());
        }
        self
    }

    async fn run(mut self) -> Result<FleetStatus, FleetWaitError> {
        let way_back = self.way_back.take().filter(|way_back| way_back.wanted);
        let (written, bucket) = (self.written.clone(), self.fleet.clone());
        let short = match self.ask().await {
            Ok(status) if status.is_reached() => return Ok(status),
            Ok(status) => Box::new(status),
            // Not known to be too few: taking a change back is left to somebody who knows.
            Err(error) => return Err(error.into()),
        };
        let (Some(way_back), Ok(fleet)) = (way_back, bucket) else {
            return Err(FleetWaitError::Short(short));
        };
        Err(way_back.go(&fleet, &written, short).await)
    }

    async fn ask(self) -> Result<FleetStatus, FleetError> {
        let Self { fleet, written, share, within, roster, expected, on_progress, .. } = self;
        let fleet = fleet?;
        let begun = Instant::now();
        let roster = match roster {
            Some(roster) => roster,
            None => {
                let list = List::new(fleet.clone());
                let list = if let Some(expected) = expected { list.expect(expected) } else { list };
                list.run().await?
            }
        };
        // Whoever took this for an empty fleet would leave a bad change where it is.
        if roster.is_silent() {
            return Err(FleetError::Silent);
        }
        let mut tally = Tally::<Vec<Settled>>::default();
        let mut parts = parts(&roster, &mut tally, |prefixes| {
            let own = |key: &Key| prefixes.iter().any(|prefix| key.under(prefix).is_some());
            let newest = written.iter().filter(|(key, _)| own(key)).map(|(_, revision)| *revision).max()?;
            let mut ask = Ask::new(0, 0);
            ask.revision = Some(newest.get());
            Some(ask)
        });
        let mut waiting = Waiting { share, expected: expected.unwrap_or(0), within, begun, on_progress };
        if !parts.is_empty() {
            waiting.until_settled(&fleet, &mut parts, &mut tally).await?;
        }
        Ok(waiting.status(&tally))
    }
}

/// The rounds of one wait.
struct Waiting {
    share: Share,
    expected: usize,
    within: Duration,
    begun: Instant,
    on_progress: Option<OnProgress>,
}

impl Waiting {
    async fn until_settled(
        &mut self,
        fleet: &Fleet,
        parts: &mut [Part],
        tally: &mut Tally<Vec<Settled>>,
    ) -> Result<(), FleetError> {
        let mut round = Round::begin(&*fleet.store).await?;
        let end = later(self.begun, self.within);
        let mut told = self.progress(tally);
        self.tell(&told);
        let mut lengths = ROUNDS.into_iter();
        let mut length = Duration::ZERO;
        let mut is_first = true;
        let mut last: Option<Instant> = None;
        loop {
            length = lengths.next().unwrap_or(length);
            let until = (Instant::now() + length).min(end);
            let spread = spread(if is_first { told.asked } else { told.pending });
            let hold = until.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
            for part in parts.iter_mut() {
                part.ask.spread_ms = spread.min(millis(hold));
                part.ask.within_ms = millis(hold).saturating_sub(part.ask.spread_ms);
            }
            put(&mut round, Verb::Settled, parts, if is_first { None } else { Some(&*tally) }).await?;
            is_first = false;
            loop {
                if tally.is_complete() || told.is_reached() {
                    return Ok(());
                }
                // Whoever reads the outcome wants to know of all who reject.
                if told.is_hopeless() && last.is_none() {
                    last = Some(Instant::now() + GRACE + Duration::from_millis(spread));
                }
                match round.next(last.map_or(until, |last| last.min(until))).await? {
                    Came::Late if last.is_some() => return Ok(()),
                    Came::Late => break,
                    Came::Nobody => {}
                    came => note(tally, came, |said| match said {
                        Said::Settled(settled) => Some(settled),
                        _ => None,
                    }),
                }
                let now = self.progress(tally);
                if now != told {
                    told = now;
                    self.tell(&told);
                }
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    fn progress(&self, tally: &Tally<Vec<Settled>>) -> Progress {
        Progress::of(tally, self.share, self.expected)
    }

    fn tell(&mut self, progress: &Progress) {
        if let Some(function) = &mut self.on_progress {
            function(progress);
        }
    }

    fn status(&self, tally: &Tally<Vec<Settled>>) -> FleetStatus {
        let progress = self.progress(tally);
        let instances = tally.rows().filter(|(_, row)| !row.cells.is_empty());
        FleetStatus {
            progress,
            instances: instances.map(|(id, row)| InstanceStatus::of(id, row)).collect(),
            unreadable: tally.unreadable(),
            took: self.begun.elapsed(),
        }
    }
}

/// How far the fleet is. `Display` has it on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// How many instances are asked. Those that said that they leave do not count any more.
    pub asked: usize,
    /// How many of them must have taken the change.
    pub wanted: usize,
    /// How many have.
    pub applied: usize,
    /// How many have rejected it.
    pub rejected: usize,
    /// How many have not answered, have not come so far, or cannot say.
    pub pending: usize,
    /// How many of those that should be there are not: see [`FleetWait::expect`]. Asked they are not, and wanted all the same.
    pub missing: usize,
}

impl Progress {
    fn of(tally: &Tally<Vec<Settled>>, share: Share, expected: usize) -> Self {
        let (mut asked, mut applied, mut rejected, mut pending) = (0, 0, 0, 0);
        for (_, row) in tally.rows().filter(|(_, row)| !row.cells.is_empty() && !row.has_left()) {
            asked += 1;
            *match state(row) {
                State::Applied => &mut applied,
                State::Rejected => &mut rejected,
                _ => &mut pending,
            } += 1;
        }
        // Who is known and not concerned is not missing, nor is who leaves.
        let missing = expected.saturating_sub(tally.rows().count());
        Self { asked, wanted: share.of(asked + missing), applied, rejected, pending, missing }
    }

    /// Whether enough have taken it.
    #[must_use]
    pub const fn is_reached(&self) -> bool {
        self.applied >= self.wanted
    }

    /// How many there should be to have it.
    const fn all(&self) -> usize {
        self.asked + self.missing
    }

    /// Whether nothing that is still to come makes it enough.
    const fn is_hopeless(&self) -> bool {
        self.asked - self.rejected < self.wanted
    }
}

/// `37 of 41 instances have it, 2 reject it, 1 not yet, 1 is not there; 39 are enough`
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all() == 0 {
            return f.write_str("nobody is there to take it");
        }
        write!(f, "{} of {} instances have it", self.applied, self.all())?;
        match self.rejected {
            0 => {}
            1 => f.write_str(", 1 rejects it")?,
            many => write!(f, ", {many} reject it")?,
        }
        match self.pending {
            0 => {}
            many => write!(f, ", {many} not yet")?,
        }
        write_missing(f, self.missing)?;
        if self.wanted != self.all() {
            write!(f, "; {} {} enough", self.wanted, if self.wanted == 1 { "is" } else { "are" })?;
        }
        Ok(())
    }
}

/// What became of a change in one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display)]
enum State {
    Applied,
    Left,
    Silent,
    CannotSay,
    Pending,
    Rejected,
}

fn state(row: &Row<Vec<Settled>>) -> State {
    let of = |cell: &Cell<Vec<Settled>>| match cell {
        Cell::Said(all) => match all.iter().map(|settled| settled.outcome).max() {
            Some(Outcome::Rejected) => State::Rejected,
            Some(Outcome::Pending) => State::Pending,
            Some(Outcome::Applied) | None => State::Applied,
        },
        Cell::Waiting => State::Silent,
        Cell::Refused(_) => State::CannotSay,
        Cell::Left => State::Left,
    };
    row.cells.values().map(of).max().unwrap_or(State::Silent)
}

/// What became of a change in one instance, in words and with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// The service.
    pub name: String,
    /// Its build.
    pub version: String,
    /// Where it runs.
    pub host: String,
    /// What became of the change there; `None` where it did not answer, has left, or cannot say.
    pub outcome: Option<Outcome>,
    /// Whether it said that it leaves.
    pub left: bool,
    /// Why it cannot say.
    pub error: Option<String>,
    /// How far each of its handles is that was asked.
    pub handles: Vec<Settled>,
}

impl InstanceStatus {
    fn of(id: &str, row: &Row<Vec<Settled>>) -> Self {
        let state = state(row);
        let outcome = match state {
            State::Applied => Some(Outcome::Applied),
            State::Rejected => Some(Outcome::Rejected),
            State::Pending => Some(Outcome::Pending),
            State::Left | State::Silent | State::CannotSay => None,
        };
        let mut handles = Vec::new();
        let mut error = None;
        for cell in row.cells.values() {
            match cell {
                Cell::Said(all) => handles.extend(all.iter().cloned()),
                Cell::Refused(refusal) => error = Some(refusal.message.clone()),
                Cell::Waiting | Cell::Left => {}
            }
        }
        let Who { name, version, host } = row.who.clone();
        let left = state == State::Left;
        Self { id: id.to_owned(), name, version, host, outcome, left, error, handles }
    }

    fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.handles.iter().flat_map(|settled| &settled.problems).filter(|fault| !fault.warning)
    }
}

/// What became of a change in the instances that were asked. `Display` says who does not have it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FleetStatus {
    progress: Progress,
    instances: Vec<InstanceStatus>,
    unreadable: usize,
    #[serde(skip)]
    took: Duration,
}

impl FleetStatus {
    /// The counts.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether enough have taken it.
    #[must_use]
    pub const fn is_reached(&self) -> bool {
        self.progress.is_reached()
    }

    /// Every instance that was asked, by id.
    #[must_use]
    pub fn instances(&self) -> &[InstanceStatus] {
        &self.instances
    }

    /// Those that have it.
    pub fn applied(&self) -> impl Iterator<Item = &InstanceStatus> {
        self.instances.iter().filter(|instance| instance.outcome == Some(Outcome::Applied))
    }

    /// Those that have rejected it.
    pub fn rejected(&self) -> impl Iterator<Item = &InstanceStatus> {
        self.instances.iter().filter(|instance| instance.outcome == Some(Outcome::Rejected))
    }

    /// Those that are behind it.
    pub fn pending(&self) -> impl Iterator<Item = &InstanceStatus> {
        self.instances.iter().filter(|instance| instance.outcome == Some(Outcome::Pending))
    }

    /// Those that did not answer, or could not say.
    pub fn silent(&self) -> impl Iterator<Item = &InstanceStatus> {
        self.instances.iter().filter(|instance| instance.outcome.is_none() && !instance.left)
    }

    /// How many answers could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// How long it took.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for FleetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.progress)?;
        let mut told: Vec<&Fault> = Vec::new();
        for fault in self.rejected().flat_map(InstanceStatus::faults) {
            if told.contains(&fault) {
                continue;
            }
            told.push(fault);
            write!(f, "\n  × {fault}\n      in ")?;
            let having = self.rejected().filter(|instance| instance.faults().any(|other| other == fault));
            write_named(f, having.map(|instance| instance.id.as_str()))?;
        }
        if self.is_reached() {
            return Ok(());
        }
        if self.pending().next().is_some() {
            f.write_str("\n  behind: ")?;
            write_named(f, self.pending().map(|instance| instance.id.as_str()))?;
        }
        if self.silent().next().is_some() {
            f.write_str("\n  silent: ")?;
            write_named(f, self.silent().map(|instance| instance.id.as_str()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for FleetWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, share, within, .. } = self;
        f.debug_struct("FleetWait")
            .field("written", written)
            .field("share", share)
            .field("within", within)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for FleetWait {
    type Output = Result<FleetStatus, FleetWaitError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// # Errors
    /// [`FleetWaitError`]. A fleet of nobody has everything; whether it is one is not known where somebody listens and nobody
    /// answers ([`FleetError::Silent`]).
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing back, unless it was about to.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

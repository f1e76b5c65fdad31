//! What a build would have said to every state that the bucket still knows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::error::LostKey;
use super::log::Set;
use super::past::Frame;
use crate::retention::{Before, Follower, Retention};
use crate::schema::KvConfig;
use crate::view::Trial;
use crate::{Entry, Key, Origin, Problem, ProblemKind, Report, Revision};

/// A state, or several in a row with the same problems, that a build would have refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectedState {
    /// The revision of the first of them: the end of the change set that led to it.
    pub from: Revision,
    /// The revision of the last of them.
    pub until: Revision,
    /// How many they are.
    pub states: usize,
    /// Every problem. [`Report::serving`] is the state before that the build would have gone on serving.
    pub report: Report,
}

/// What a build would have said to every state that the bucket still knows. From [`Check::replay`](crate::Check::replay).
///
/// `Display` writes a summary, and every report below it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// The struct's name.
    pub name: Cow<'static, str>,
    /// The bucket.
    pub bucket: String,
    /// How many states were tried: one for each change set.
    pub states: usize,
    /// From which revision on the states are complete. Earlier ones lack what is in [`Replay::lost`]: of these only the
    /// values themselves were tried, and not `validate`, which needs them all. Zero when nothing was lost.
    pub complete_from: Revision,
    /// Keys whose earlier values the bucket no longer keeps.
    pub lost: Vec<LostKey>,
    /// What would have been refused, oldest first.
    pub rejected: Vec<RejectedState>,
}

impl Replay {
    /// Whether every state would have been taken.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.rejected.is_empty()
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, bucket, states, .. } = self;
        let refused: usize = self.rejected.iter().map(|rejected| rejected.states).sum();
        write!(f, "{name} refuses {refused} of {states} states of bucket {bucket}")?;
        if self.complete_from > Revision::ZERO {
            write!(f, " (values before revision {} are kept in part)", self.complete_from)?;
        }
        for rejected in &self.rejected {
            write!(f, "\n\nrevision {}", rejected.from)?;
            if rejected.until != rejected.from {
                write!(f, " to {}, {} states", rejected.until, rejected.states)?;
            }
            write!(f, "\n{}", rejected.report)?;
        }
        Ok(())
    }
}

/// Whose states are tried.
pub(crate) struct Play<'a> {
    /// The struct's name.
    pub(crate) name: Cow<'static, str>,
    pub(crate) bucket: String,
    /// Whether an entry is one of the struct's.
    pub(crate) is_field: &'a dyn Fn(&Entry) -> bool,
}

/// What a replay is made from.
pub(crate) struct Tape {
    /// Oldest first, without the framework's own keys.
    pub(crate) sets: Vec<Set>,
    /// How many entries of each key are retained.
    pub(crate) retained: HashMap<Key, u64>,
    pub(crate) retention: Retention,
}

impl Tape {
    /// Holds one state after the other against the struct.
    pub(crate) fn play<T: KvConfig>(self, frame: &Frame) -> Replay {
        let mut trial = Trial::seeded(Arc::clone(&frame.table), self.seed::<T>(frame));
        let is_field = |entry: &Entry| {
            let place = frame.table.layers.place(entry.key());
            place.is_some_and(|(_, key)| frame.table.target(key).is_some())
        };
        let play = Play { name: frame.table.name.into(), bucket: frame.bucket.clone(), is_field: &is_field };
        self.play_with(play, &mut |entries| {
            trial.step(entries.iter().filter_map(|entry| below(entry, frame)))
        })
    }

    /// Holds one state after the other against whatever judges: it is given what changes from one to the next.
    pub(crate) fn play_with(
        self,
        play: Play<'_>,
        step: &mut dyn FnMut(&[Arc<Entry>]) -> Vec<Problem>,
    ) -> Replay {
        let beginnings = self.beginnings(play.is_field);
        let lost: Vec<LostKey> = beginnings
            .iter()
            .map(|entry| LostKey { key: entry.key().to_string(), known_since: Some(entry.revision()) })
            .collect();
        let complete_from = beginnings.iter().map(|entry| entry.revision()).max().unwrap_or_default();
        let mut replay = Replay {
            name: play.name,
            bucket: play.bucket,
            states: 0,
            complete_from,
            lost,
            rejected: Vec::new(),
        };
        // What is not known yet stands as it will be known first.
        step(&beginnings);
        let mut good = None;
        for set in &self.sets {
            let mut problems = step(&set.entries);
            if set.last < complete_from {
                problems.retain(|problem| is_about_the_past(problem, set.last));
            }
            replay.states += 1;
            if problems.is_empty() {
                good = Some(set.last);
            } else {
                replay.refuse(set.last, good, problems);
            }
        }
        replay
    }

    /// The oldest entry of each field's key that was not its first.
    fn beginnings(&self, is_field: &dyn Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        let mut follower = Follower::new([], self.retained.clone(), self.retention);
        let mut seen: HashMap<Key, ()> = HashMap::new();
        let mut beginnings = Vec::new();
        for entry in self.sets.iter().flat_map(|set| &set.entries) {
            let is_oldest = seen.insert(entry.key().clone(), ()).is_none();
            if follower.next(entry) == Before::Lost && is_oldest && is_field(entry) {
                beginnings.push(Arc::clone(entry));
            }
        }
        beginnings
    }

    /// A value to read changes into: the newest state usually is one.
    fn seed<T: KvConfig>(&self, frame: &Frame) -> Option<T> {
        let mut trial = Trial::new(Arc::clone(&frame.table));
        trial.step(self.sets.iter().flat_map(|set| &set.entries).filter_map(|entry| below(entry, frame)));
        trial.into_value()
    }
}

impl Replay {
    fn refuse(&mut self, revision: Revision, good: Option<Revision>, problems: Vec<Problem>) {
        if let Some(last) = self.rejected.last_mut()
            && last.report.problems == problems
            && last.report.serving == good
        {
            last.until = revision;
            last.states += 1;
            return;
        }
        let report = Report {
            name: self.name.clone(),
            bucket: self.bucket.clone(),
            revision: Some(revision),
            serving: good,
            at: SystemTime::now(),
            problems,
        };
        self.rejected.push(RejectedState { from: revision, until: revision, states: 1, report });
    }
}

fn below(entry: &Arc<Entry>, frame: &Frame) -> Option<(usize, String, Arc<Entry>)> {
    let (layer, key) = frame.table.layers.place(entry.key())?;
    Some((layer, key.to_owned(), Arc::clone(entry)))
}

/// Whether a problem is one of a value that stood there at that revision, and not of one that stands in for a lost one.
fn is_about_the_past(problem: &Problem, revision: Revision) -> bool {
    let is_of_a_value =
        matches!(problem.kind, ProblemKind::Decode | ProblemKind::Check | ProblemKind::Operation);
    is_of_a_value
        && match &problem.origin {
            Some(Origin::Key(origin)) => origin.revision <= revision,
            Some(_) => true,
            None => false,
        }
}

//! What an instance says of itself.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::identity::write_identity;
use crate::value::tame;
use crate::{Prefix, Problem, Rejected, Revision};

/// The most handles that one answer tells of.
pub(crate) const MAX_HANDLES: usize = 32;
/// The most problems of one handle.
pub(crate) const MAX_FAULTS: usize = 20;
/// The most change sets of one handle, and keys of one set.
const MAX_REJECTED: usize = 8;
const MAX_KEYS: usize = 16;

/// An instance as it told of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// Its id: unique among those that use the bucket, unless two were given the same.
    pub id: String,
    /// The service.
    pub name: String,
    /// Its build; empty where it did not say.
    pub version: String,
    /// Where it runs; empty where it does not know.
    pub host: String,
    /// When the process made its [`Instance`](super::Instance), by its own clock.
    #[serde(with = "super::when")]
    pub started: SystemTime,
    /// The version of kvconf in it.
    pub kvconf: String,
    /// Its handles on the bucket, as far as they were asked for.
    pub handles: Vec<Handle>,
    /// How many handles more it has than it told of.
    #[serde(default)]
    pub more_handles: usize,
}

/// One live handle of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Handle {
    /// The struct's name.
    #[serde(rename = "struct")]
    pub structure: String,
    /// What it reads: one prefix, or several layers from the general one to the special one. Empty text for all keys.
    pub prefixes: Vec<String>,
    /// A hash of the struct's schema: two handles with the same one read keys alike. `None` where the instance does not
    /// tell it.
    #[serde(default)]
    pub schema: Option<String>,
    /// The revision that its readers get.
    pub applied: Revision,
    /// The newest revision that it has looked at.
    pub seen: Revision,
    /// Whether readers get the newest state, with nothing rejected.
    pub current: bool,
    /// How its watch is: `live`, `disconnected` and so on.
    pub state: String,
    /// Since when, by its own clock.
    #[serde(with = "super::when")]
    pub since: SystemTime,
    /// What readers get was made from: `bucket`, `cache` or `defaults`.
    pub basis: String,
    /// The change sets that readers do not see, eight at most.
    pub rejected: Vec<RejectedSet>,
    /// What is wrong with the values, warnings included, twenty at most.
    pub problems: Vec<Fault>,
    /// How many problems more there are.
    #[serde(default)]
    pub more_problems: usize,
}

/// A change set that an instance rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RejectedSet {
    /// Its newest revision among the keys of the handle.
    pub revision: Revision,
    /// Its keys, sixteen at most.
    pub keys: Vec<String>,
}

/// One thing that an instance finds wrong. Secrets are never shown in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// The key, in full; the prefix when the values do not fit together.
    pub key: String,
    /// What is wrong, to be read behind the key.
    pub message: String,
    /// Whether the values are used all the same.
    #[serde(default)]
    pub warning: bool,
}

impl Fault {
    /// As many as an answer has, and how many more there are. Those that keep values from being used come first.
    pub(crate) fn all(problems: &[Problem]) -> (Vec<Self>, usize) {
        let fault = |problem: &Problem| Self {
            key: problem.key.clone(),
            message: tame(&problem.message),
            warning: problem.kind.is_warning(),
        };
        let mut all: Vec<Self> = problems.iter().map(fault).collect();
        all.sort_by_key(|fault| fault.warning);
        let more = all.len().saturating_sub(MAX_FAULTS);
        all.truncate(MAX_FAULTS);
        (all, more)
    }

    pub(crate) fn tame(&mut self) {
        (self.key, self.message) = (tame_key(&self.key), tame(&self.message));
    }
}

/// `checkout.max_items: 9999 is outside 1..=500`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

impl RejectedSet {
    pub(crate) fn all(rejected: &[Rejected]) -> Vec<Self> {
        let set = |set: &Rejected| {
            let keys = set.keys.iter().take(MAX_KEYS).cloned().collect();
            Self { revision: set.revision, keys }
        };
        // The newest are the ones that somebody is asking about.
        let newest = rejected.len().saturating_sub(MAX_REJECTED);
        rejected.iter().skip(newest).map(set).collect()
    }
}

/// A key can be longer than a message; what is none is somebody's play.
fn tame_key(text: &str) -> String {
    if Prefix::new(text).is_ok() { text.to_owned() } else { tame(text) }
}

impl Handle {
    fn tame(&mut self) {
        let texts = [&mut self.structure, &mut self.state, &mut self.basis];
        texts.into_iter().chain(&mut self.schema).for_each(|text| *text = tame(text));
        let keys = self.rejected.iter_mut().flat_map(|set| &mut set.keys).chain(&mut self.prefixes);
        keys.for_each(|key| *key = tame_key(key));
        self.problems.iter_mut().for_each(Fault::tame);
    }
}

impl Member {
    pub(crate) fn tame(&mut self) {
        for text in [&mut self.id, &mut self.name, &mut self.version, &mut self.host, &mut self.kvconf] {
            *text = tame(text);
        }
        self.handles.iter_mut().for_each(Handle::tame);
    }

    /// Leaves out what can be long.
    pub(crate) fn shorten(&mut self) {
        for handle in &mut self.handles {
            handle.more_problems += handle.problems.len();
            handle.problems.clear();
            handle.rejected.iter_mut().for_each(|set| set.keys.clear());
        }
    }

    /// Whether every handle that it told of is current.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.handles.iter().all(|handle| handle.current)
    }
}

/// The instance on one line, its handles below.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_identity(f, &self.id, &self.name, &self.version, &self.host)?;
        for handle in &self.handles {
            write!(f, "\n  {handle}")?;
        }
        if self.more_handles > 0 {
            write!(f, "\n  and {} more", self.more_handles)?;
        }
        Ok(())
    }
}

/// `Checkout under checkout: revision 12, seen 13, live; 1 change set rejected`
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes = self.prefixes.join(", ");
        let prefixes = if prefixes.is_empty() { "the whole bucket" } else { &prefixes };
        write!(f, "{} under {prefixes}: revision {}", self.structure, self.applied)?;
        if self.seen != self.applied {
            write!(f, ", seen {}", self.seen)?;
        }
        write!(f, ", {}", self.state)?;
        if self.basis != "bucket" {
            write!(f, ", from the {}", self.basis)?;
        }
        match self.rejected.len() {
            0 => {}
            1 => f.write_str("; 1 change set rejected")?,
            sets => write!(f, "; {sets} change sets rejected")?,
        }
        for fault in &self.problems {
            write!(f, "\n    × {fault}")?;
        }
        if self.more_problems > 0 {
            write!(f, "\n    and {} more problems", self.more_problems)?;
        }
        Ok(())
    }
}

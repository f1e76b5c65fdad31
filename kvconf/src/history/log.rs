//! Change sets, put together again from the entries that they left.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::SystemTime;

use super::render::{Colored, Ink, Line, Render, Stamp, Style, write_lines};
use crate::retention::{Before, Beginning, Follower, Retention};
use crate::value::{show, tame};
use crate::view::{Table, Target, shown_bytes};
use crate::watch::sets::{Extent, Membership, membership, place};
use crate::{Attribution, Entry, Key, MarkerReason, Operation, Prefix, Revision};

/// What stood under a key, as it may be shown. `Display` writes it in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// No value.
    Absent,
    /// A value in stored form: shortened, and masked for a secret.
    Value(String),
    /// It was deleted.
    Deleted,
    /// It was purged: what stood there before is gone with it.
    Purged,
    /// Its time to live ran out.
    Expired,
    /// An entry whose operation nobody knows here.
    Unusable,
    /// Something that the bucket no longer keeps, or nothing: that is not known any more.
    NoLongerKept,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(value) => value,
            Self::Absent => "(none)",
            Self::Deleted => "(deleted)",
            Self::Purged => "(purged)",
            Self::Expired => "(expired)",
            Self::Unusable => "(written by an unknown operation)",
            Self::NoLongerKept => "(no longer kept)",
        })
    }
}

/// The gate through which values of a log pass.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    /// Keys of a struct: masked as it says. What no field knows may be a secret of another program: its size only.
    Fields(Arc<Table>),
    /// Plain keys, of which nobody says what is a secret: the size only.
    Sizes,
    /// Plain keys, whose values were asked for by name.
    Values,
}

impl Shown {
    fn value(&self, key: &Key, bytes: &[u8]) -> String {
        let slot = match self {
            Self::Values => return show(bytes),
            Self::Sizes => None,
            Self::Fields(table) => match table.layers.place(key).and_then(|(_, key)| table.target(key)) {
                Some(Target::Field(at) | Target::Entry(at, _)) => table.slot(at),
                None => None,
            },
        };
        slot.map_or_else(|| format!("({} bytes)", bytes.len()), |slot| shown_bytes(bytes, slot))
    }

    /// What an entry leaves behind.
    pub(crate) fn after(&self, entry: &Entry) -> KeyState {
        match (entry.operation(), entry.marker_reason()) {
            (Operation::Put, _) => KeyState::Value(self.value(entry.key(), entry.value())),
            (_, Some(MarkerReason::MaxAge)) => KeyState::Expired,
            (Operation::Delete, _) => KeyState::Deleted,
            (Operation::Purge, _) => KeyState::Purged,
            (Operation::Unknown, _) => KeyState::Unusable,
        }
    }

    fn before(&self, before: &Before<Arc<Entry>>) -> KeyState {
        match before {
            Before::Lost => KeyState::NoLongerKept,
            Before::Nothing => KeyState::Absent,
            Before::Entry(entry) if entry.operation().is_removal() => KeyState::Absent,
            Before::Entry(entry) => self.after(entry),
        }
    }
}

/// One key of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedKey {
    /// What stood there before.
    pub before: KeyState,
    /// What stood there afterwards.
    pub after: KeyState,
    entry: Arc<Entry>,
    replaced: Option<Arc<Entry>>,
}

impl LoggedKey {
    /// The key, in full.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.entry.key()
    }

    /// The revision that this write got.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.entry.revision()
    }

    /// The entry that the change wrote, its value in the clear.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The entry that it replaced, its value in the clear, a marker included; `None` where there was none or it is no
    /// longer kept.
    #[must_use]
    pub fn replaced(&self) -> Option<&Entry> {
        self.replaced.as_deref()
    }
}

/// A change set of the past: keys that were changed together, by whom, when and why.
///
/// `Display` writes it over several lines, the last without a line break:
///
/// ```text
/// revision 41 to 42, 2026-03-01 14:02:09, by ops: "sale" (change 5bd0f7a4c1e29d3368af0b12)
///   checkout.max_items  50     → 80
///   checkout.region     (none) → `eu`
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedChange {
    attribution: Attribution,
    first: Revision,
    last: Revision,
    time: SystemTime,
    keys: Vec<LoggedKey>,
    missing: u64,
}

impl LoggedChange {
    /// Who made it, why, and its id: all `None` for a client that does not say it.
    #[must_use]
    pub const fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// Who made it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.attribution.author.as_deref()
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.attribution.reason.as_deref()
    }

    /// Its id.
    #[must_use]
    pub fn change(&self) -> Option<&str> {
        self.attribution.change.as_deref()
    }

    /// The revision of its last write: the state right after it.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.last
    }

    /// All revisions of the set, as far as its entries tell: those of keys outside of what was asked for included.
    #[must_use]
    pub const fn revisions(&self) -> RangeInclusive<Revision> {
        self.first..=self.last
    }

    /// When the server took it, by the server's clock.
    #[must_use]
    pub const fn time(&self) -> SystemTime {
        self.time
    }

    /// Its keys that the bucket still keeps, in the order in which they were written.
    #[must_use]
    pub fn keys(&self) -> &[LoggedKey] {
        &self.keys
    }

    /// How many more keys it changed, among those asked for, whose entries the bucket no longer keeps.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Whether some of it is no longer kept.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.missing > 0
    }

    /// The same in colours.
    #[must_use]
    pub const fn colored(&self) -> Colored<'_, Self> {
        Colored(self)
    }
}

impl Render for LoggedChange {
    fn render(&self, f: &mut fmt::Formatter<'_>, style: Style) -> fmt::Result {
        let revisions = if self.first == self.last {
            format!("revision {}", self.last)
        } else {
            format!("revision {} to {}", self.first, self.last)
        };
        style.paint(f, Ink::Head, &revisions)?;
        write!(f, ", {}", Stamp(self.time))?;
        match self.author().map(tame) {
            Some(author) => write!(f, ", by {author}")?,
            None => f.write_str(", author unknown")?,
        }
        if let Some(reason) = self.reason() {
            write!(f, ": {reason:?}")?;
        }
        if let Some(change) = self.change().map(tame) {
            write!(f, " (change {change})")?;
        }
        let lines: Vec<Line<'_>> = self
            .keys
            .iter()
            .map(|key| Line {
                key: key.key().as_str(),
                before: key.before.to_string(),
                after: key.after.to_string(),
            })
            .collect();
        f.write_str("\n")?;
        write_lines(f, style, "  ", &lines)?;
        if self.missing > 0 {
            let s = if self.missing == 1 { "" } else { "s" };
            f.write_str("\n  ")?;
            style.paint(f, Ink::Note, &format!("and {} key{s} no longer kept", self.missing))?;
        }
        Ok(())
    }
}

impl fmt::Display for LoggedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Style::Plain)
    }
}

/// Entries of one change set.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The revisions of the whole batch, whatever its keys.
    pub(crate) first: Revision,
    pub(crate) last: Revision,
}

/// Which entries belong together, oldest first. `entries` are in the order of revisions.
///
/// Together are those that say so: entries next to each other with one change id and a place in its set, or with the
/// server's headers of one batch. Everything else is a change of its own; that it has happened at the same time proves
/// nothing.
pub(crate) fn sets(entries: impl IntoIterator<Item = Arc<Entry>>) -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    let mut open: Option<(String, Revision)> = None;
    for entry in entries {
        let revision = entry.revision();
        let Some(found) = place(&entry) else {
            open = None;
            sets.push(Set { entries: vec![entry], first: revision, last: revision });
            continue;
        };
        let (start, end) = (found.start, found.end.unwrap_or(revision));
        let same = open.as_ref().is_some_and(|(id, first)| *first == start && id == found.id);
        if !same {
            open = Some((found.id.to_owned(), start));
        }
        match sets.last_mut().filter(|_| same) {
            Some(set) => {
                set.last = set.last.max(end);
                set.entries.push(entry);
            }
            None => sets.push(Set { entries: vec![entry], first: start, last: end }),
        }
    }
    sets
}

impl Set {
    /// How many more entries it had for a reader of these prefixes, as far as they say it.
    fn missing(&self, prefixes: &[Prefix]) -> u64 {
        let expected = self.entries.iter().find_map(|entry| match membership(entry, prefixes) {
            Membership::Part { extent: Extent::Known { entries, .. }, .. } => Some(u64::from(entries)),
            _ => None,
        });
        // Of another client's batch only its length is known, and only where its last message is there. It tells a
        // reader of everything how many are gone.
        let whole = || {
            let length = self.last.get().saturating_sub(self.first.get()).saturating_add(1);
            (prefixes.iter().any(Prefix::is_root) && self.entries.len() > 1).then_some(length)
        };
        // Keys that were asked for by name may stand elsewhere.
        let is_below =
            |entry: &&Arc<Entry>| prefixes.iter().any(|prefix| entry.key().under(prefix).is_some());
        let kept = self.entries.iter().filter(is_below).count() as u64;
        expected.or_else(whole).map_or(0, |expected| expected.saturating_sub(kept))
    }
}

/// All that a log is made from.
pub(crate) struct Material {
    /// The newest entry of each key before the first of `sets`.
    pub(crate) base: Vec<Arc<Entry>>,
    /// Oldest first.
    pub(crate) sets: Vec<Set>,
    /// How many entries of each key are retained.
    pub(crate) retained: HashMap<Key, u64>,
    pub(crate) retention: Retention,
}

impl Material {
    /// Puts the log together, newest first.
    pub(crate) fn assemble(self, prefixes: &[Prefix], shown: &Shown) -> Vec<LoggedChange> {
        let Self { base, sets, retained, retention } = self;
        let mut follower = Follower::new(base, retained, retention);
        let mut changes: Vec<LoggedChange> = Vec::with_capacity(sets.len());
        for set in sets {
            let missing = set.missing(prefixes);
            let keys: Vec<LoggedKey> =
                set.entries.into_iter().map(|entry| logged(entry, &mut follower, shown)).collect();
            let Some(last) = keys.last().map(|key| &key.entry) else { continue };
            changes.push(LoggedChange {
                attribution: Attribution::of(last),
                first: set.first,
                last: set.last,
                time: last.created(),
                missing,
                keys,
            });
        }
        changes.reverse();
        changes
    }
}

fn logged(entry: Arc<Entry>, follower: &mut Follower<Arc<Entry>>, shown: &Shown) -> LoggedKey {
    let mut before = follower.next(&entry);
    if Beginning::of(&entry) == Beginning::Stated {
        // Whatever is kept, and whoever may ask for it: the server has checked that nothing stood there.
        before = Before::Nothing;
    }
    LoggedKey {
        before: shown.before(&before),
        after: shown.after(&entry),
        entry,
        replaced: match before {
            Before::Entry(replaced) => Some(replaced),
            Before::Nothing | Before::Lost => None,
        },
    }
}

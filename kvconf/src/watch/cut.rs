//! Whether a reading stands in the middle of a change set.

use std::sync::Arc;

use super::sets::{Extent, MOST, Membership, membership, place};
use crate::{Entry, Prefix, Revision};

/// How a moment lies to the change sets of some prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// No set is open.
    Clean,
    /// A set that begins at this revision goes on behind the moment.
    Torn { start: Revision },
    /// The batch of another client began at this revision; whether more of it follows, its next entry tells.
    Open { start: Revision, id: Arc<str> },
}

/// Whether the state of some prefixes as of `moment` ends in the middle of a change set.
///
/// The messages of a set stand next to each other. So all that it wrote up to the moment is the newest entry of its key,
/// and in the reading.
pub(crate) fn cut(entries: &[Arc<Entry>], prefixes: &[Prefix], moment: Revision) -> Cut {
    let mut open: Option<(Revision, Cut)> = None;
    for entry in entries.iter().filter(|entry| entry.revision().get().saturating_add(MOST) > moment.get()) {
        let Some(place) = place(entry) else { continue };
        let ends = match membership(entry, prefixes) {
            Membership::Part { extent: Extent::Known { end, .. }, .. } => Some(end),
            _ => place.end,
        };
        match ends {
            Some(end) if end > moment => return Cut::Torn { start: place.start },
            Some(_) => {}
            None => {
                // Only the newest one can be unfinished: a later entry that is not part of it has ended it.
                let found = Cut::Open { start: place.start, id: place.id.into() };
                if open.as_ref().is_none_or(|(newest, _)| *newest < entry.revision()) {
                    open = Some((entry.revision(), found));
                }
            }
        }
    }
    let newest = entries.iter().map(|entry| entry.revision()).max();
    open.filter(|(revision, _)| Some(*revision) == newest).map_or(Cut::Clean, |(_, cut)| cut)
}

/// Whether an entry belongs to the batch that [`Cut::Open`] found.
pub(crate) fn goes_on(start: Revision, id: &str, next: &Entry) -> bool {
    place(next).is_some_and(|place| place.start == start && place.id == id)
}

//! Questions about change sets and entries that have nothing to do with the struct.
//!
//! They stand apart from [`View`](super::View) so that they are compiled once. A closure in a method of a generic type is
//! another one for each type, and with it every adapter and every sort that it is given to: in a program with 45 small
//! structs that was a quarter of all functions.

use std::collections::BTreeSet;

use super::overlay::{Overlay, origin_of};
use super::{Group, RawState, Rejected, Table, report};
use crate::attribution::PROVISIONAL;
use crate::layer::Layers;
use crate::{Filter, Problem, Revision};

/// All changes, later ones over earlier ones.
pub(super) fn merge(groups: &[Group]) -> Overlay {
    let mut merged = Overlay::default();
    for group in groups {
        merged.extend(&group.changes);
    }
    merged
}

/// The same of those that are taken.
pub(super) fn merge_taken(groups: &[Group], taken: &[bool]) -> Overlay {
    let mut merged = Overlay::default();
    for (group, _) in groups.iter().zip(taken).filter(|(_, taken)| **taken) {
        merged.extend(&group.changes);
    }
    merged
}

/// Which groups cannot be taken, whatever else is.
pub(super) fn unreadable(groups: &[Group]) -> Vec<bool> {
    groups.iter().map(|group| !group.problems.is_empty()).collect()
}

/// The others.
pub(super) fn not(flags: &[bool]) -> Vec<bool> {
    flags.iter().map(|flag| !flag).collect()
}

/// Why groups cannot be taken, whatever their values are.
pub(super) fn problems(groups: &[Group]) -> Vec<Problem> {
    groups.iter().flat_map(|group| &group.problems).cloned().collect()
}

/// Whether those that cannot be taken ask for nothing: files that are no text of their format.
pub(super) fn unreadable_are_empty(groups: &[Group]) -> bool {
    groups.iter().all(|group| group.problems.is_empty() || group.changes.is_empty())
}

/// The groups that are neither hopeless nor taken, oldest first.
pub(super) fn open(hopeless: &[bool], taken: &[bool]) -> Vec<usize> {
    let flags = hopeless.iter().zip(taken).enumerate();
    flags.filter(|(_, (hopeless, taken))| !**hopeless && !**taken).map(|(at, _)| at).collect()
}

/// What to try on top of what is taken: each group that is open, oldest first, then each with the newest of them.
///
/// The newest change with any one that waits: more than two that need each other are found by the first trial of all,
/// unless something else is wrong at the same time.
pub(super) fn additions(open: &[usize]) -> Vec<Vec<usize>> {
    let singles = open.iter().map(|at| vec![*at]);
    let newest = open.last().copied();
    let pairs =
        open.iter().filter_map(|at| newest.filter(|newest| newest != at).map(|newest| vec![*at, newest]));
    singles.chain(pairs).collect()
}

/// Those behind the newest of an addition.
pub(super) fn behind(open: &[usize], addition: &[usize]) -> Vec<usize> {
    let newest = addition.iter().max();
    open.iter().copied().filter(|at| Some(at) > newest).collect()
}

/// What is taken with an addition.
pub(super) fn with(addition: &[usize], taken: &[bool]) -> Vec<bool> {
    let mut with = taken.to_vec();
    for at in addition {
        if let Some(taken) = with.get_mut(*at) {
            *taken = true;
        }
    }
    with
}

/// Keys among the changes that something can be odd about.
pub(super) fn may_be_odd(table: &Table, groups: &[Group]) -> BTreeSet<(usize, String)> {
    let keys = groups.iter().flat_map(|group| group.changes.iter());
    let keys = keys.filter(|(_, key, _)| report::may_be_odd(table, key));
    keys.map(|(layer, key, _)| (layer, key.to_owned())).collect()
}

/// What readers are told of groups that they do not see.
pub(super) fn rejections(table: &Table, groups: &[Group]) -> Vec<Rejected> {
    groups.iter().map(|group| describe(&table.layers, group)).collect()
}

fn describe(layers: &Layers, group: &Group) -> Rejected {
    let of_bucket = group.changes.iter().map(|(layer, key, _)| layers.full_key(layer, key));
    let given = group.changes.given.keys().map(|key| layers.field_key(key));
    let mut keys: Vec<String> = of_bucket.chain(given).collect();
    keys.sort_unstable();
    let placed = group.changes.iter().filter_map(|(layer, _, entry)| Some((layer, entry?)));
    let newest = placed.max_by_key(|(_, entry)| entry.revision());
    let newest = newest.map(|(layer, entry)| origin_of(layers, layer, entry));
    let given = || group.changes.given.values().next().map(|given| given.origin.clone());
    let unread = || group.problems.first().and_then(|problem| problem.origin.clone());
    Rejected { revision: group.revision, keys, origin: newest.or_else(given).or_else(unread) }
}

/// What asks for each layer, with the newest revision that stands there in the bucket.
pub(super) fn tails(layers: &Layers, raw: &RawState, rejected: &[Group]) -> Vec<(Filter, Revision)> {
    let rejected = merge(rejected);
    let tail = |layer: usize| {
        let waiting = rejected.iter().filter(|(of, ..)| *of == layer);
        let waiting = waiting.filter_map(|(.., entry)| Some(entry?.revision())).max();
        let taken = raw.newest_revision(layer, |key| rejected.get(layer, key).is_none());
        taken.max(waiting.unwrap_or_default())
    };
    layers.filters().into_iter().enumerate().map(|(at, filter)| (filter, tail(at))).collect()
}

/// How many of these groups are not among the ones with these revisions.
pub(crate) fn newly_rejected(groups: &[Group], before: &[Revision]) -> usize {
    groups.iter().filter(|group| !before.contains(&group.revision)).count()
}

/// The revisions of groups.
pub(crate) fn revisions(groups: &[Group]) -> Vec<Revision> {
    groups.iter().map(|group| group.revision).collect()
}

/// Whether a value of a state waits to be confirmed.
pub(super) fn is_provisional(raw: &RawState) -> bool {
    raw.entries().any(|entry| entry.headers().get(PROVISIONAL).is_some())
}

/// The problems of a report that are more than warnings.
#[cfg(feature = "files")]
pub(super) fn fatal(report: Option<&crate::Report>) -> Vec<Problem> {
    let problems = report.into_iter().flat_map(|report| &report.problems);
    problems.filter(|problem| !problem.kind.is_warning()).cloned().collect()
}

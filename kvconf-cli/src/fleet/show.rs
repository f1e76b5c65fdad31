//! Instances as a table for people.

use std::time::SystemTime;

use kvconf::fleet::{Fault, Handle, Member};

use crate::output::{Column, Table, Tone, ago};

/// How many instances a line names.
const NAMED: usize = 5;

/// A row for each handle.
pub(crate) fn table<'a>(members: impl IntoIterator<Item = &'a Member>, now: SystemTime) -> Table {
    let mut table = Table::new([
        Column::fixed("INSTANCE", Tone::Key),
        Column::flexible("SERVICE", Tone::Plain),
        Column::flexible("VERSION", Tone::Dim),
        Column::flexible("HOST", Tone::Dim),
        Column::flexible("STRUCT", Tone::Plain),
        Column::flexible("PREFIX", Tone::Plain),
        Column::fixed("REVISION", Tone::Plain),
        Column::flexible("STATE", Tone::Plain),
    ]);
    for member in members {
        for handle in &member.handles {
            let prefixes = handle.prefixes.join(", ");
            table.row([
                member.id.clone(),
                member.name.clone(),
                member.version.clone(),
                member.host.clone(),
                handle.structure.clone(),
                if prefixes.is_empty() { "(all)".to_owned() } else { prefixes },
                handle.applied.to_string(),
                state(handle, now),
            ]);
        }
    }
    table
}

/// `current`, `disconnected 3 min ago`, `live, 1 rejected`.
fn state(handle: &Handle, now: SystemTime) -> String {
    if handle.current {
        return "current".to_owned();
    }
    let mut words = handle.state.clone();
    if handle.state != "live" {
        words += &format!(" since {}", ago(handle.since, now));
    }
    if handle.basis != "bucket" {
        words += &format!(", from the {}", handle.basis);
    }
    if !handle.rejected.is_empty() {
        words += &format!(", {} rejected", handle.rejected.len());
    }
    words
}

/// Every problem once, with the instances that have it.
pub(crate) fn faults_of(members: &[Member]) -> Vec<String> {
    let mut all: Vec<(&Fault, Vec<&str>)> = Vec::new();
    for member in members {
        for fault in member.handles.iter().flat_map(|handle| &handle.problems) {
            match all.iter_mut().find(|(known, _)| *known == fault) {
                Some((_, ids)) if ids.last() == Some(&member.id.as_str()) => {}
                Some((_, ids)) => ids.push(&member.id),
                None => all.push((fault, vec![&member.id])),
            }
        }
    }
    let line = |(fault, ids): &(&Fault, Vec<&str>)| {
        let named: Vec<&str> = ids.iter().take(NAMED).copied().collect();
        let more = ids.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("× {fault} (in {}{more})", named.join(", "))
    };
    all.iter().map(line).collect()
}

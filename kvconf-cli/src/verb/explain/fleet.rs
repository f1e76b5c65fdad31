//! What the running instances make of a key.

use kvconf::fleet::{Handle, Roster};
use kvconf::{Key, Prefix, Revision};
use serde_json::{Value, json};

/// How many instances a line names.
const NAMED: usize = 5;

/// What is known of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Instances {
    /// How many read the key.
    reading: usize,
    /// How many of them have its newest revision.
    having: usize,
    /// Those that reject it, each with what it says.
    rejecting: Vec<(String, Vec<String>)>,
}

/// What a roster says of a key whose newest revision this is.
pub(super) fn of(roster: &Roster, key: &Key, newest: Option<Revision>) -> Instances {
    let mut found = Instances::default();
    for member in roster.members() {
        let handles: Vec<&Handle> = member.handles.iter().filter(|handle| reads(handle, key)).collect();
        if handles.is_empty() {
            continue;
        }
        found.reading += 1;
        let faults: Vec<String> = handles
            .iter()
            .flat_map(|handle| &handle.problems)
            .filter(|fault| fault.key == key.as_str())
            .map(|fault| fault.message.clone())
            .collect();
        let is_rejected = handles
            .iter()
            .flat_map(|handle| &handle.rejected)
            .any(|set| set.keys.iter().any(|rejected| rejected == key.as_str()));
        if is_rejected {
            found.rejecting.push((member.id.clone(), faults));
        } else if handles.iter().all(|handle| newest.is_none_or(|newest| handle.applied >= newest)) {
            found.having += 1;
        }
    }
    found
}

fn reads(handle: &Handle, key: &Key) -> bool {
    let under = |prefix: &String| Prefix::new(prefix).is_ok_and(|prefix| key.under(&prefix).is_some());
    handle.prefixes.is_empty() || handle.prefixes.iter().any(under)
}

impl Instances {
    /// `None` where nobody reads it.
    pub(super) fn words(&self) -> Option<String> {
        let Self { reading, having, rejecting } = self;
        if *reading == 0 {
            return None;
        }
        let (instances, read) = if *reading == 1 { ("instance", "reads") } else { ("instances", "read") };
        let mut text = format!("{reading} {instances} {read} it, {having} up to date");
        if rejecting.is_empty() {
            return Some(text);
        }
        let reject = if rejecting.len() == 1 { "rejects" } else { "reject" };
        text += &format!(", {} {reject} it:", rejecting.len());
        for (id, faults) in rejecting.iter().take(NAMED) {
            let why = if faults.is_empty() { "another key of the change".to_owned() } else { faults.join("; ") };
            text += &format!("\n    × {id}: {why}");
        }
        if let more @ 1.. = rejecting.len().saturating_sub(NAMED) {
            text += &format!("\n    and {more} more: kvconf fleet --lagging");
        }
        Some(text)
    }

    pub(super) fn json(&self) -> Value {
        let rejecting = self.rejecting.iter().map(|(id, faults)| json!({ "id": id, "problems": faults }));
        json!({ "reading": self.reading, "having": self.having, "rejecting": rejecting.collect::<Vec<_>>() })
    }
}

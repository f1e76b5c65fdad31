//! Change sets of the past, for people and for programs; and which of them is meant.

use std::time::{Duration, SystemTime};

use kvconf::{
    Bucket, ChangeRef, Entry, Filter, Key, KeyState, LogError, LogStream, LoggedChange, LoggedKey, PastError,
    Revision,
};
use serde_json::{Value, json};

use crate::change::{flag_parts, value_json};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Style, Table, Tone, ago, rfc3339, shown};
use crate::secrecy::Secrecy;

/// How many columns of a value are kept; the table cuts further.
const KEPT: usize = 200;

/// The largest change set that there is.
const MOST_KEYS: u64 = 1_000;

/// The fewest characters of an id that name a change.
const SHORTEST_ID: usize = 4;

/// Parts of one change that was not made at once lie within this.
const ONE_CHANGE_WITHIN: Duration = Duration::from_secs(600);

/// Which change is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Revision(Revision),
    /// An id, or how it begins.
    Id(String),
    /// Digits, which the beginning of an id can have alone: about two of a hundred that have eight characters do.
    Either(Revision, String),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Read(error) => error.into(),
            LogError::Prefix(error) => error.into(),
            other => Self::new(Exit::Failed, other),
        }
    }
}

/// Reads a revision, or an id of a change or its first characters. `@4182` is a revision and nothing else.
pub(crate) fn named(text: &str) -> Result<Named, String> {
    let text = text.trim();
    if let Ok(revision) = text.strip_prefix('@').unwrap_or(text).parse::<u64>() {
        let revision = Revision::new(revision);
        let is_id_too = text.len() >= SHORTEST_ID && !text.starts_with('@');
        return Ok(if is_id_too {
            Named::Either(revision, text.to_owned())
        } else {
            Named::Revision(revision)
        });
    }
    if text.len() < SHORTEST_ID {
        return Err(format!("neither a revision nor at least {SHORTEST_ID} characters of a change's id"));
    }
    Ok(Named::Id(text.to_owned()))
}

/// The change sets that are meant, newest first: several only of a change that was not made at once.
pub(crate) async fn find(bucket: &Bucket, filters: &[Filter], named: &Named) -> Outcome<Vec<LoggedChange>> {
    let log = || bucket.log_of(filters.to_vec()).show_values();
    // A set that it lies in may end so far behind it.
    let up_to =
        |revision: Revision| log().before(Revision::new(revision.get().saturating_add(MOST_KEYS + 1)));
    let found = match named {
        Named::Revision(revision) => of_revision(up_to(*revision).stream(), *revision).await?,
        Named::Id(id) => of_id(log().stream(), id).await?,
        Named::Either(revision, id) => match of_revision(up_to(*revision).stream(), *revision).await? {
            none if none.is_empty() => of_id(log().stream(), id).await?,
            found => found,
        },
    };
    if found.is_empty() {
        return Err(not_found(bucket, filters, named).await);
    }
    Ok(found)
}

/// Says that no such change is found: that it is of other keys, or which revisions there are.
pub(crate) async fn not_found(bucket: &Bucket, filters: &[Filter], named: &Named) -> Failure {
    let what = match named {
        Named::Revision(revision) => {
            format!("no change that is kept wrote revision {revision}, or only to keys of kvconf itself")
        }
        Named::Id(id) => format!("no change that is kept has an id that begins with {id:?}"),
        Named::Either(revision, _) => {
            format!("no change that is kept wrote revision {revision} or has an id that begins so")
        }
    };
    if !filters.contains(&Filter::all())
        && let Ok(found) = Box::pin(find(bucket, &[Filter::all()], named)).await
        && let Some(change) = found.first()
    {
        let asked: Vec<&str> = filters.iter().map(Filter::as_str).collect();
        let words = format!("the change wrote none of {}: it wrote {}", asked.join(", "), some_keys(change));
        return Failure::new(Exit::NotFound, words).hint(format!("kvconf show {}", change.revision()));
    }
    // A user of one prefix may not ask which revisions there are.
    match (named, bucket.status().await) {
        (Named::Revision(asked), Ok(status))
            if !(status.first_revision..=status.last_revision).contains(asked) =>
        {
            let (oldest, newest) = (status.first_revision, status.last_revision);
            PastError::OutOfRange { asked: *asked, oldest, newest }.into()
        }
        _ => Failure::new(Exit::NotFound, what).hint("kvconf log"),
    }
}

/// The first keys of a change.
fn some_keys(change: &LoggedChange) -> String {
    const MOST: usize = 3;
    let names: Vec<&str> = change.keys().iter().take(MOST).map(|key| key.key().as_str()).collect();
    match change.keys().len().saturating_sub(MOST) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// The change that is meant, as the library takes it: with its whole id.
pub(crate) async fn reference(bucket: &Bucket, filters: &[Filter], named: Named) -> Outcome<ChangeRef> {
    let revision = match &named {
        Named::Revision(revision) => return Ok(ChangeRef::Revision(*revision)),
        Named::Either(revision, _) => Some(*revision),
        Named::Id(_) => None,
    };
    let found = find(bucket, filters, &named).await?;
    // Something is found, or that was an error; clients that give no ids are found by a revision only.
    let set = found.first();
    let by_revision = revision.filter(|revision| set.is_some_and(|set| set.revisions().contains(revision)));
    let id = set.and_then(|set| set.change()).unwrap_or_default();
    Ok(by_revision.map_or_else(|| ChangeRef::Id(id.to_owned()), ChangeRef::Revision))
}

async fn of_revision(mut log: LogStream, revision: Revision) -> Outcome<Vec<LoggedChange>> {
    while let Some(change) = log.next().await {
        let change = change?;
        if change.revisions().contains(&revision) {
            return Ok(vec![change]);
        }
        if change.revision() < revision {
            break;
        }
    }
    Ok(Vec::new())
}

async fn of_id(mut log: LogStream, id: &str) -> Outcome<Vec<LoggedChange>> {
    let mut found: Vec<LoggedChange> = Vec::new();
    while let Some(change) = log.next().await {
        let change = change?;
        if change.change().is_some_and(|known| known.starts_with(id)) {
            if let Some(other) = found.first().filter(|known| known.change() != change.change()) {
                let names = [other, &change].map(|change| change.change().unwrap_or_default());
                let words = format!("{id:?} could be {} or {}", names[0], names[1]);
                return Err(Failure::new(Exit::Usage, words).hint("give more characters of it"));
            }
            found.push(change);
        } else if found.first().is_some_and(|known| change.time() + ONE_CHANGE_WITHIN < known.time()) {
            break;
        }
    }
    Ok(found)
}

/// One change set as a JSON document.
pub(crate) fn change_json(change: &LoggedChange, keys: &[&LoggedKey], secrecy: Secrecy) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "key": key.key().as_str(),
                "revision": key.revision().get(),
                "before": state_json(&key.before, key.key(), key.replaced(), secrecy),
                "after": state_json(&key.after, key.key(), Some(key.entry()), secrecy),
            })
        })
        .collect();
    let mut document = json!({
        "revision": change.revision().get(),
        "first_revision": change.revisions().start().get(),
        "time": rfc3339(change.time()),
        "author": change.author(),
        "reason": change.reason(),
        "change": change.change(),
        "keys": keys,
    });
    if let (true, Some(members)) = (change.is_partial(), document.as_object_mut()) {
        members.insert("lost_keys".to_owned(), change.missing().into());
    }
    document
}

/// What stood there: `null` for nothing, a value, or why there is none.
fn state_json(state: &KeyState, key: &Key, entry: Option<&Entry>, secrecy: Secrecy) -> Value {
    match state {
        KeyState::Value(_) => value_json(secrecy, key, entry.and_then(Entry::put_value)),
        KeyState::Absent => Value::Null,
        KeyState::Deleted => json!({ "removed": "deleted" }),
        KeyState::Purged => json!({ "removed": "purged" }),
        KeyState::Expired => json!({ "removed": "expired" }),
        KeyState::NoLongerKept => json!({ "lost": true }),
        other => json!({ "unusable": other.to_string() }),
    }
}

/// What stood there, in a few words.
pub(crate) fn state_text(state: &KeyState, key: &Key, entry: Option<&Entry>, secrecy: Secrecy) -> String {
    match (state, entry.and_then(Entry::put_value)) {
        (KeyState::Value(_), Some(value)) => shown(secrecy, key, value).short(KEPT),
        (other, _) => other.to_string(),
    }
}

/// `4182  3 min ago  by ops: "raise for sale"`.
pub(crate) fn heading(change: &LoggedChange, now: SystemTime, style: Style) -> String {
    let revision = style.paint(Tone::Heading, &format!("revision {}", change.revision()));
    let mut text = format!("{revision}, {}, {}", ago(change.time(), now), by(change.author()));
    if let Some(reason) = change.reason() {
        text += &format!(": {reason:?}");
    }
    text
}

/// Who made it; any client may leave that open.
pub(crate) fn by(author: Option<&str>) -> String {
    author.map_or_else(|| "author unknown".to_owned(), |author| format!("by {}", author.escape_debug()))
}

/// Keys of change sets with what they held before and after.
pub(crate) fn keys_table(keys: &[&LoggedKey], secrecy: Secrecy) -> Table {
    let mut table = Table::new([
        Column::fixed("", Tone::Plain),
        Column::fixed("", Tone::Key),
        Column::flexible("", Tone::Removed),
        Column::fixed("", Tone::Dim),
        Column::flexible("", Tone::Added),
    ]);
    for key in keys {
        let value = |entry: &'_ Entry| entry.put_value().cloned();
        let (old, new) = (key.replaced().and_then(value), value(key.entry()));
        let parts = flag_parts(secrecy, key.key(), old.as_ref(), new.as_ref());
        let name = key.key().to_string();
        if parts.is_empty() {
            let before = state_text(&key.before, key.key(), key.replaced(), secrecy);
            let after = state_text(&key.after, key.key(), Some(key.entry()), secrecy);
            table.row([" ".to_owned(), name, before, "→".to_owned(), after]);
            continue;
        }
        table.row([" ".to_owned(), name, String::new(), String::new(), String::new()]);
        parts.iter().for_each(|part| table.line(format!("     {part}")));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_by_a_revision_or_the_beginning_of_its_id() {
        assert_eq!(named("418"), Ok(Named::Revision(Revision::new(418))));
        assert_eq!(named("0418"), Ok(Named::Either(Revision::new(418), "0418".to_owned())));
        assert_eq!(named("@4182"), Ok(Named::Revision(Revision::new(4182))));
        assert_eq!(named("5bd0f7"), Ok(Named::Id("5bd0f7".to_owned())));
        let error = "neither a revision nor at least 4 characters of a change's id";
        assert_eq!((named("abc"), named("")), (Err(error.to_owned()), Err(error.to_owned())));
    }
}

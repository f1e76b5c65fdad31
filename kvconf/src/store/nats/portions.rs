//! Reading more keys as of one moment than the server answers for at once: in portions of named keys, all as of the same
//! revision.
//!
//! Every portion may be answered by another replica, and one that lags behind does not say so. Asked for a revision that it
//! has not got to, it answers with file storage as if no key had been there, and with memory storage with what stood there
//! before. So a portion asks for one message more: the one at that revision, or the first one behind it that is kept. Whoever
//! has that has everything before it.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

use super::NatsStore;
use super::error::Failure;
use super::message::{Stored, direct};
use super::snapshot::{Answer, LAG, LAG_ATTEMPTS};
use crate::store::Reading;
use crate::store::header::{BATCH_COMMIT, BATCH_SEQUENCE, COPIED_FROM};
use crate::{Entry, ReadError, Revision};

/// The most subjects that the server answers for at once.
const MOST_SUBJECTS: usize = 1_024;

/// The most of a portion: with its anchor they are as many as the server answers for.
const MOST_OF_A_PORTION: usize = MOST_SUBJECTS - 1;

/// How many bytes of subjects are put in one request: well below the smallest payload limit in use.
const MOST_BYTES: usize = 256 * 1024;

/// How many portions are read at the same time.
const AT_ONCE: usize = 4;

/// How often a large read of the latest state is begun again when keys were overwritten under it.
const ATTEMPTS: usize = 8;

/// How often a portion without an anchor is asked for before the leader is asked whether there is nothing.
const UNPROVEN_ATTEMPTS: u32 = 5;

/// After how many answers without the anchor another one is looked for: it may have been pushed out meanwhile.
const ANCHOR_ATTEMPTS: u32 = 5;

/// A message that proves by standing in an answer that whoever gave it has got as far as a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    subject: String,
    /// The revision that is asked for, or the first one behind it that is kept.
    revision: Revision,
}

impl Anchor {
    /// Whether it tells without changing the answer. Behind the moment, the subject's own entry of then would be hidden by it.
    fn fits(&self, moment: Revision, is_asked_for: bool) -> bool {
        self.revision == moment || !is_asked_for
    }
}

/// What an answer with an anchor comes to: the entries of the moment, or `None` where whoever gave it has not got that far.
fn proven(
    mut entries: Vec<Entry>,
    newest: Revision,
    (anchor, is_asked_for): (&Anchor, bool),
    moment: Revision,
) -> Option<Vec<Entry>> {
    if newest != anchor.revision {
        return None;
    }
    if !is_asked_for {
        entries.retain(|entry| entry.revision() != anchor.revision);
    }
    // Between the moment and the anchor nothing is kept any more, but it may be still where the answer comes from.
    entries.iter().all(|entry| entry.revision() <= moment).then_some(entries)
}

impl NatsStore {
    pub(super) async fn read_in_portions(
        &self,
        subjects: &[String],
        at: Option<Revision>,
    ) -> Result<Reading, ReadError> {
        for _ in 0..ATTEMPTS {
            let reading = self.attempt_in_portions(subjects, at).await;
            if let Some(reading) = reading.map_err(|failure| self.read_error(failure))? {
                return Ok(reading);
            }
            tokio::time::sleep(LAG).await;
        }
        Err(ReadError::Unsupported {
            what: "a consistent read of so many keys",
            reason: "they change faster than they can be read, for the revisions that the bucket keeps"
                .to_owned(),
        })
    }

    /// Reads more keys than the server answers for at once. `None` when a key was overwritten so often meanwhile that its
    /// revision of that moment is gone.
    async fn attempt_in_portions(
        &self,
        subjects: &[String],
        at: Option<Revision>,
    ) -> Result<Option<Reading>, Failure> {
        let (names, last) = self.names(subjects).await?;
        let revision = match at {
            Some(revision) => revision,
            None => match self.state_at(last, names.first()).await? {
                Some(revision) => revision,
                None => return Ok(None),
            },
        };
        let expected = names.len();
        let entries = self.portions_at(names, revision).await?;
        // Names and revision are of one moment, when the latest state is asked for: each name had an entry then.
        if at.is_none() && entries.len() < expected {
            return Ok(None);
        }
        Ok(Some(Reading { entries, revision, isolated: true }))
    }

    /// The newest state that the stream had at what its info calls its last revision. `None` where nobody can tell.
    ///
    /// The info also tells of the middle of an atomic batch that is being stored (2.15.1: in 6 of 6 runs with batches of 400);
    /// a direct get of the latest messages does not. A batch in flight is left out: who writes it has no answer yet.
    async fn state_at(&self, last: Revision, name: Option<&String>) -> Result<Option<Revision>, Failure> {
        let Some(name) = name else { return Ok(Some(last)) };
        let Answer::Found { as_of, .. } = self.multi_last(std::slice::from_ref(name), None).await? else {
            return Ok(None);
        };
        // A replica that is behind knows nothing of it.
        if as_of <= last {
            return Ok((as_of == last).then_some(last));
        }
        // Something was written behind it: the batch that goes on there, or something else.
        if let Some(next) = self.entry_at(last.next()).await? {
            return Ok(match batch_start(&next) {
                Some(start) if start <= last => before(start),
                _ => Some(last),
            });
        }
        // That has gone already. Of a batch that is not said to end here nobody knows whether it went on.
        let entry = self.entry_at(last).await?;
        let is_end =
            |entry: &Entry| batch_start(entry).is_none() || entry.headers().get(BATCH_COMMIT).is_some();
        Ok(entry.as_ref().is_some_and(is_end).then_some(last))
    }

    /// The entry at a revision, from whichever replica answers.
    async fn entry_at(&self, revision: Revision) -> Result<Option<Entry>, Failure> {
        let found = self.direct_get(&json!({ "seq": revision.get() })).await?;
        match found.and_then(|message| direct(&self.read_prefix, message)) {
            Some(Stored::Entry(entry)) => Ok(Some(entry)),
            Some(Stored::Other { .. }) | None => Ok(None),
        }
    }

    /// The entries of named keys as of a revision, in the order of revisions; nothing of those that had none.
    pub(super) async fn portions_at(
        &self,
        names: Vec<String>,
        revision: Revision,
    ) -> Result<Vec<Entry>, Failure> {
        let anchor = self.anchor(revision).await?;
        let portions = futures_util::stream::iter(portions(names))
            .map(|portion| {
                let anchor = anchor.clone();
                async move {
                    let is_asked_for = |subject: &str| portion.iter().any(|name| name == subject);
                    match self.as_of(&portion, &is_asked_for, revision, anchor).await? {
                        Answer::Found { entries, .. } => Ok(entries),
                        Answer::Nothing => Ok(Vec::new()),
                        Answer::TooMany => {
                            Err(Failure::Unexpected("too many results for a portion".to_owned()))
                        }
                    }
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut entries: Vec<Entry> = portions.try_concat().await?;
        entries.sort_unstable_by_key(Entry::revision);
        Ok(entries)
    }

    /// The message at a revision, or the first one behind it. `None` where none is kept, or the client may not ask.
    pub(super) async fn anchor(&self, revision: Revision) -> Result<Option<Anchor>, Failure> {
        if !self.known.message_get.is_open() {
            return Ok(None);
        }
        let query = json!({ "seq": revision.get(), "next_by_subj": ">" });
        match self.ask_leader(&query).await {
            Ok(found) => Ok(found.map(|stored| match stored {
                Stored::Entry(entry) => {
                    Anchor { subject: format!("{}{}", self.read_prefix, entry.key), revision: entry.revision }
                }
                Stored::Other { subject, revision } => Anchor { subject, revision },
            })),
            Err(failure) if failure.may_be_denial() => {
                self.known.message_get.failed(&failure);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// What a `multi_last` request as of a revision finds, from whoever has got as far as that.
    pub(super) async fn as_of(
        &self,
        subjects: &[String],
        is_asked_for: &(dyn Fn(&str) -> bool + Sync),
        revision: Revision,
        mut anchor: Option<Anchor>,
    ) -> Result<Answer, Failure> {
        for attempt in 1..=LAG_ATTEMPTS {
            let usable = anchor.as_ref().map(|anchor| (anchor, is_asked_for(&anchor.subject)));
            let usable = usable.filter(|(anchor, is_asked_for)| anchor.fits(revision, *is_asked_for));
            let Some((proof, is_asked_for)) = usable else {
                match self.multi_last(subjects, Some(revision)).await? {
                    // None of them was there then, or the replica has not got that far.
                    Answer::Nothing if attempt < UNPROVEN_ATTEMPTS => {}
                    Answer::Nothing if self.leader_has_any(subjects, revision).await => {}
                    answer => return Ok(answer),
                }
                tokio::time::sleep(LAG).await;
                continue;
            };
            let extra = (!is_asked_for).then(|| proof.subject.clone());
            let all: Vec<String> = subjects.iter().cloned().chain(extra).collect();
            match self.multi_last(&all, Some(proof.revision)).await? {
                Answer::TooMany => return Ok(Answer::TooMany),
                Answer::Nothing => {}
                Answer::Found { entries, newest, .. } => {
                    if let Some(entries) = proven(entries, newest, (proof, is_asked_for), revision) {
                        return Ok(Answer::Found { entries, as_of: revision, newest });
                    }
                }
            }
            tokio::time::sleep(LAG).await;
            if attempt % ANCHOR_ATTEMPTS == 0 {
                anchor = self.anchor(revision).await?;
            }
        }
        Err(Failure::Timeout(LAG * LAG_ATTEMPTS))
    }

    /// The subjects that stand in the stream now, and its last revision at that moment.
    async fn names(&self, subjects: &[String]) -> Result<(Vec<String>, Revision), Failure> {
        let mut names = HashSet::new();
        let mut revision: Option<Revision> = None;
        for subject in subjects {
            let mut offset = 0;
            loop {
                let page = self.listing(subject, offset).await?;
                // The first one counts: what is listed later than that was there already, or does not matter.
                revision.get_or_insert(Revision::new(page.state.last_seq));
                offset += page.state.subjects.len();
                let is_last = page.state.subjects.is_empty() || offset >= page.total;
                let names_of_keys =
                    page.state.subjects.into_keys().filter(|name| self.key_of(name).is_some());
                names.extend(names_of_keys);
                if is_last {
                    break;
                }
            }
        }
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        Ok((names, revision.unwrap_or_default()))
    }
}

/// The revision of the first message of the atomic batch that an entry is of, by the server's headers.
fn batch_start(entry: &Entry) -> Option<Revision> {
    // What was copied had another revision in its batch.
    if entry.headers().get(COPIED_FROM).is_some() {
        return None;
    }
    let place: u64 = entry.headers().get(BATCH_SEQUENCE)?.parse().ok()?;
    entry.revision().get().checked_sub(place.checked_sub(1)?).map(Revision::new)
}

/// The revision before one, where there is one.
fn before(revision: Revision) -> Option<Revision> {
    Some(revision - 1).filter(|before| *before > Revision::ZERO)
}

/// Whether these are too many, or too long, for one request.
pub(super) fn is_much(subjects: &[String]) -> bool {
    subjects.len() > MOST_OF_A_PORTION || subjects.iter().map(String::len).sum::<usize>() > MOST_BYTES
}

/// Cuts names into portions that the server takes.
fn portions(names: Vec<String>) -> Vec<Vec<String>> {
    let mut portions: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for name in names {
        bytes += name.len();
        match portions.last_mut() {
            Some(portion) if portion.len() < MOST_OF_A_PORTION && bytes <= MOST_BYTES => portion.push(name),
            _ => {
                bytes = name.len();
                portions.push(vec![name]);
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Headers, Key, Operation};

    #[test]
    fn portions_keep_to_the_number_and_the_size_that_a_server_takes() {
        let many: Vec<String> = (0..2_500).map(|number| format!("k{number}")).collect();
        let sizes: Vec<_> = portions(many).iter().map(|portion| portion.len()).collect();
        assert_eq!(sizes, [1_023, 1_023, 454]);
        let long: Vec<String> = (0..1_000).map(|_| "x".repeat(1_000)).collect();
        let portions = portions(long);
        assert_eq!(portions.iter().map(|portion| portion.len()).sum::<usize>(), 1_000);
        assert!(portions.iter().all(|portion| portion.len() <= MOST_BYTES / 1_000));
    }

    fn entries(revisions: &[u64]) -> Vec<Entry> {
        let entry = |revision: &u64| Entry {
            key: Key::new(format!("k{revision}")).unwrap(),
            revision: Revision::new(*revision),
            value: bytes::Bytes::new(),
            operation: Operation::Put,
            marker: None,
            created: SystemTime::UNIX_EPOCH,
            headers: Headers::new(),
        };
        revisions.iter().map(entry).collect()
    }

    /// The revisions that are taken from an answer with these, where the anchor stands at one revision and the moment is 10.
    fn taken(answer: &[u64], anchor: u64, is_asked_for: bool) -> Option<Vec<u64>> {
        let newest = Revision::new(answer.last().copied().unwrap_or(0));
        let anchor = Anchor { subject: "a".to_owned(), revision: Revision::new(anchor) };
        let found = proven(entries(answer), newest, (&anchor, is_asked_for), Revision::new(10));
        found.map(|entries| entries.iter().map(|entry| entry.revision().get()).collect())
    }

    // P8
    #[test]
    fn an_answer_counts_only_with_its_anchor_and_without_what_is_younger_than_the_moment() {
        assert_eq!(taken(&[3, 7, 10], 10, true), Some(vec![3, 7, 10]));
        assert_eq!(taken(&[3, 7, 10], 10, false), Some(vec![3, 7]), "nobody asked for it");
        assert_eq!(taken(&[3, 7], 10, true), None, "of one that lags");
        assert_eq!(taken(&[3, 7, 12], 12, false), Some(vec![3, 7]));
        assert_eq!(taken(&[3, 11, 12], 12, false), None, "of one that still has what others have let go of");
        assert_eq!(taken(&[12], 12, false), Some(vec![]), "there was nothing");
    }

    #[test]
    fn an_anchor_behind_the_moment_must_not_hide_what_is_asked_for() {
        let at = |revision| Anchor { subject: "a".to_owned(), revision: Revision::new(revision) };
        let moment = Revision::new(10);
        assert!(at(10).fits(moment, true) && at(10).fits(moment, false) && at(12).fits(moment, false));
        assert!(!at(12).fits(moment, true));
    }
}

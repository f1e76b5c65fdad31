//! The writers. Each writes whole groups, with a number that nobody else uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::Client;
use kvconf::{Bucket, CommitError, Edit, Field, KvConfig, Live};
use kvconf_tests::foreign;

use super::Everything;
use super::record::{Batch, GROUPS};

/// Numbers that are given out once.
#[derive(Clone, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// What the next batch writes: one group or two, put or deleted.
    fn writes(&self, salt: u64) -> Vec<(&'static str, Option<u64>)> {
        let number = self.next();
        // Spreads the writers over the groups differently, and in the same way in every run.
        let dice = (number + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let value = |deleted: bool| (!deleted).then_some(number);
        let first = value(dice.is_multiple_of(7));
        let whole = |group: usize, value| GROUPS[group].iter().map(move |key| (*key, value));
        match dice % 6 {
            // Two groups that others write alone: sets that overlap in part, and a delete beside a put.
            5 => whole(0, Some(number)).chain(whole(3, first)).collect(),
            4 => whole(2, first).collect(),
            group => whole(group as usize, first).collect(),
        }
    }

    /// Writes all groups: no reader is left without a last batch.
    fn farewell(&self) -> Vec<(&'static str, Option<u64>)> {
        let number = Some(self.next());
        GROUPS.iter().flat_map(|group| group.iter().map(move |key| (*key, number))).collect()
    }
}

fn acknowledged(writes: Vec<(&'static str, Option<u64>)>, last: u64) -> Batch {
    let first = last + 1 - writes.len() as u64;
    (first..).zip(writes).map(|(revision, (key, number))| (revision, key, number)).collect()
}

/// Compare-and-swap commits through a live handle; what lost a race is written again, as a new plan. Gives the number of
/// lost races too.
pub async fn by_edit(live: Live<Everything>, numbers: Numbers, batches: u64) -> (Vec<Batch>, u64) {
    let (mut log, mut conflicts) = (Vec::new(), 0);
    while (log.len() as u64) < batches {
        let writes = numbers.writes(1);
        let edit = writes.iter().fold(live.edit(), |edit, (key, number)| set(edit, key, *number));
        let applied = match edit.plan().await.unwrap().commit().author("stress").await {
            Ok(applied) => applied,
            Err(CommitError::Conflict(conflict)) => {
                assert!(conflict.found.is_none_or(|found| found > conflict.expected), "{conflict}");
                conflicts += 1;
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        let number_of = |key: &str| writes.iter().find(|(name, _)| *name == key).copied().unwrap();
        let batch: Batch = applied
            .written()
            .iter()
            .map(|(key, revision)| (revision.get(), number_of(key.as_str()).0, number_of(key.as_str()).1))
            .collect();
        // Nothing is written when the group is deleted already.
        if !batch.is_empty() {
            log.push(batch);
        }
    }
    (log, conflicts)
}

fn set(edit: Edit<Everything>, key: &str, number: Option<u64>) -> Edit<Everything> {
    edit.set(field(key), number)
}

fn field(key: &str) -> Field<Everything, Option<u64>> {
    let fields = Everything::fields();
    let (area, name) = key.split_once('.').unwrap();
    let area = match area {
        "a" => fields.a,
        "b" => fields.b,
        _ => fields.c,
    };
    match name {
        "x0" => area.x0,
        "x1" => area.x1,
        "x2" => area.x2,
        _ => area.x3,
    }
}

/// Batches of kvconf's own, without conditions.
pub async fn by_batch(bucket: Bucket, numbers: Numbers, batches: u64) -> Vec<Batch> {
    let mut log = Vec::new();
    for _ in 0..batches {
        let writes = numbers.writes(2);
        let batch = writes.iter().fold(bucket.batch(), |batch, (key, number)| match number {
            Some(number) => batch.put(*key, number.to_string()),
            None => batch.delete(*key),
        });
        let last = batch.commit().await.unwrap();
        log.push(acknowledged(writes, last.get()));
    }
    log
}

/// Batches of a client that knows nothing of kvconf.
pub async fn by_foreign_client(client: Client, numbers: Numbers, batches: u64, salt: u64) -> Vec<Batch> {
    let mut log = Vec::new();
    for number in 1..=batches {
        let writes = if number == batches { numbers.farewell() } else { numbers.writes(salt) };
        let texts: Vec<_> =
            writes.iter().map(|(key, number)| (*key, number.map(|number| number.to_string()))).collect();
        let texts: Vec<foreign::Write<'_>> =
            texts.iter().map(|(key, text)| (*key, text.as_deref())).collect();
        let last = foreign::batch(&client, "stress", &texts).await;
        log.push(acknowledged(writes, last));
    }
    log
}

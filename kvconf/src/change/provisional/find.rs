//! Finding changes that wait to be confirmed, from the entries alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{Held, Provisional};
use crate::attribution::{PROVISIONAL, SET};
use crate::bucket::disjoint;
use crate::schema::KvConfig;
use crate::store::{Point, Store};
use crate::watch::time_to_live;
use crate::{Attribution, Bucket, Entry, Filter, IntoFilters, Live, ReadError, Revision};

impl Bucket {
    /// The changes that wait to be confirmed and have written a key that the filters ask for; the one that goes back first
    /// stands first.
    ///
    /// Any process can confirm what it finds. A change of which every key was written over since is not listed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kvconf::{Bucket, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// # let live = bucket.live::<Checkout>().start().await?;
    /// # let plan = live.edit().set(Checkout::fields().max_items, 80).plan().await?;
    /// let _ = plan.commit().author("ops").confirm_within(Duration::from_secs(60)).await?;
    /// for change in bucket.pending("checkout.>").await? {
    ///     println!("{change}"); // 5f3a… by ops, goes back at 11:20: checkout.max_items
    ///     change.take_back().author("dev").reason("not now").await?;
    /// }
    /// assert!(bucket.pending(">").await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::read`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn pending(&self, filters: impl IntoFilters) -> Result<Vec<Provisional>, ReadError> {
        find(&self.store, None, &disjoint(filters)?).await
    }
}

impl<T: KvConfig> Live<T> {
    /// The changes of this struct that wait to be confirmed, as [`Bucket::pending`]. None for a fixed handle.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn pending(&self) -> Result<Vec<Provisional>, ReadError> {
        match &self.shared.store {
            Some(store) => {
                let filters = self.shared.table.layers.filters();
                find(store, Some(&self.shared.written), &filters).await
            }
            None => Ok(Vec::new()),
        }
    }
}

async fn find(
    store: &Arc<dyn Store>,
    written: Option<&Arc<AtomicU64>>,
    filters: &[Filter],
) -> Result<Vec<Provisional>, ReadError> {
    let reading = store.read(filters, Point::Latest).await?;
    let mut found: HashMap<Arc<str>, Provisional> = HashMap::new();
    for entry in &reading.entries {
        if let Some(part) = part(store, entry) {
            merge(found.entry(Arc::clone(&part.change)).or_insert_with(|| empty(&part)), part);
        }
    }
    // Keys that somebody has written over, then keys that the filters do not ask for.
    if !is_whole(&found) {
        complete(store, &mut found, filters).await?;
    }
    if !is_whole(&found) {
        match complete(store, &mut found, &[Filter::all()]).await {
            Ok(()) | Err(ReadError::NotPermitted { .. } | ReadError::Timeout { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut found: Vec<Provisional> = found.into_values().collect();
    for change in &mut found {
        change.held.sort_unstable_by_key(|held| held.revision);
        change.written = written.cloned();
    }
    found.sort_by(|left, right| (left.deadline, &left.change).cmp(&(right.deadline, &right.change)));
    Ok(found)
}

fn is_whole(found: &HashMap<Arc<str>, Provisional>) -> bool {
    found.values().all(Provisional::is_whole)
}

/// Adds what earlier entries tell of the changes that were found.
async fn complete(
    store: &Arc<dyn Store>,
    found: &mut HashMap<Arc<str>, Provisional>,
    filters: &[Filter],
) -> Result<(), ReadError> {
    for entry in store.history(filters).await? {
        if let Some(part) = part(store, &entry)
            && let Some(change) = found.get_mut(&part.change)
        {
            merge(change, part);
        }
    }
    Ok(())
}

fn merge(change: &mut Provisional, part: Provisional) {
    for held in part.held {
        if !change.held.contains(&held) {
            change.held.push(held);
        }
    }
}

fn empty(part: &Provisional) -> Provisional {
    Provisional { held: Vec::new(), ..part.clone() }
}

/// The change that an entry is a part of, as far as the entry tells; `None` for an entry that lasts.
fn part(store: &Arc<dyn Store>, entry: &Entry) -> Option<Provisional> {
    let headers = entry.headers();
    let back = Revision::new(headers.get(PROVISIONAL)?.parse().ok()?);
    let by = Attribution::of(entry);
    let total = headers.get(SET).and_then(|set| set.split(' ').next()?.split_once('/')?.1.parse().ok());
    let held = Held { key: entry.key().clone(), revision: entry.revision(), back };
    Some(Provisional {
        store: Arc::clone(store),
        written: None,
        change: by.change.clone()?,
        by,
        since: entry.created(),
        deadline: entry.created().checked_add(time_to_live(entry)?)?,
        held: vec![held],
        total: total.unwrap_or(1),
    })
}

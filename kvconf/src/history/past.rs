//! A struct as it was.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::at::KeysAt;
use super::error::PastError;
use crate::layer::Layers;
use crate::origin::KeyOrigin;
use crate::schema::{Field, KvConfig};
use crate::store::Point;
use crate::view::{RawState, Table, View, origin_in};
use crate::watch::{Change, ChangeSet, Update};
use crate::{Entry, Key, Origin, Report, Revision, Snapshot};

/// With which eyes a struct looks at a bucket.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) table: Arc<Table>,
    pub(crate) bucket: String,
}

/// A struct as it stood in the bucket at one moment, read with today's type. Dereferences to the struct.
///
/// It is the bucket's state at exactly [`Past::revision`], nothing left out. Environment variables count as they do for
/// the handle that was asked; [`Past::origin`] tells which fields they set.
pub struct Past<T> {
    asked: Point,
    snapshot: Arc<Snapshot<T>>,
    raw: RawState,
    frame: Frame,
    report: Option<Arc<Report>>,
}

impl<T: KvConfig> Past<T> {
    /// Reads the struct from raw keys. `serving` is what readers have meanwhile, to be named in a report.
    pub(crate) fn new(
        keys: KeysAt,
        asked: Point,
        frame: Frame,
        serving: Option<Revision>,
    ) -> Result<Self, PastError> {
        let keys = keys.complete(&frame.bucket)?;
        let view = View::start(Arc::clone(&frame.table), &frame.bucket, &update_of(&keys));
        let View { snapshot, raw, report, .. } = view.map_err(|mut report| {
            report.serving = serving;
            PastError::Invalid(Box::new(report))
        })?;
        Ok(Self { asked, snapshot, raw, frame, report })
    }

    /// Where a field's value comes from. The entries of a map have a key each: see [`Past::entry`].
    #[must_use]
    pub fn origin<V>(&self, field: Field<T, V>) -> Origin {
        origin_in(&self.frame.table, &self.raw, field.path())
    }
}

impl<T> Past<T> {
    fn layers(&self) -> &Layers {
        &self.frame.table.layers
    }

    /// The struct.
    #[must_use]
    pub fn value(&self) -> &T {
        self.snapshot.value()
    }

    /// The revision whose state this is.
    ///
    /// It is the revision that was asked for, except where that lies in the middle of a change set: then it is the one
    /// before the set, for no reader ever saw half of it. So `live.at(applied.revision() - 1)` is the state before a
    /// change, also where the change took several revisions.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.snapshot.revision()
    }

    /// What was asked for.
    #[must_use]
    pub const fn asked(&self) -> Point {
        self.asked
    }

    /// The newest entry under the struct's prefix, in any of its layers, at that moment; `None` when there was none.
    #[must_use]
    pub fn newest(&self) -> Option<KeyOrigin> {
        let newest = self.raw.iter().max_by_key(|(.., entry)| entry.revision());
        newest.map(|(layer, _, entry)| KeyOrigin::in_layer(entry, self.layers().name(layer)))
    }

    /// The newest entry of a key at that moment, the marker of a removal included; `None` when there was none, or the key
    /// is not under the struct's prefix. Its value is in the clear.
    #[must_use]
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        let (layer, below) = self.layers().place(key)?;
        self.raw.get(layer, below).map(|entry| &**entry)
    }

    /// What was odd about the values, though they are usable: unknown keys, old names, deprecated fields.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }

    /// The struct as a snapshot, to be kept or handed on.
    #[must_use]
    pub const fn snapshot(&self) -> &Arc<Snapshot<T>> {
        &self.snapshot
    }
}

impl<T> Deref for Past<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.snapshot.value()
    }
}

impl<T: fmt::Debug> fmt::Debug for Past<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past")
            .field("revision", &self.revision().get())
            .field("asked", &self.asked)
            .field("value", self.value())
            .finish_non_exhaustive()
    }
}

/// A state as one update, as a watch would give it at its start.
pub(crate) fn update_of(keys: &KeysAt) -> Update {
    let changes = keys
        .entries
        .iter()
        .map(|entry| Change { key: entry.key().clone(), entry: Some(Arc::clone(entry)) })
        .collect();
    Update { revision: keys.revision, epoch: 0, sets: vec![ChangeSet { changes }] }
}

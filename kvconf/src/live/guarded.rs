//! A lock that knows which thread holds it.
//!
//! A view runs the program's own code while it is locked: codecs, `validate`, comparisons. That code may well have the handle at
//! hand and ask it something. What a handle tells of itself stands outside ([`super::told`]); what needs the view can ask first
//! whether this very thread has it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::judging::Judging;

/// No thread.
const NOBODY: u64 = 0;

thread_local! {
    static THIS_THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(NOBODY + 1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// A mutex that can tell whether the caller holds it.
pub(crate) struct Guarded<V> {
    inner: Mutex<V>,
    holder: AtomicU64,
}

/// The lock, while it is held.
pub(crate) struct Held<'a, V> {
    guard: MutexGuard<'a, V>,
    holder: &'a AtomicU64,
    _judging: Judging,
}

impl<V> Guarded<V> {
    pub(super) const fn new(value: V) -> Self {
        Self { inner: Mutex::new(value), holder: AtomicU64::new(NOBODY) }
    }

    /// Whether this thread holds it: then waiting for it would last for ever.
    pub(super) fn is_mine(&self) -> bool {
        // Nobody else ever writes this thread's number.
        THIS_THREAD.try_with(|me| self.holder.load(Ordering::Relaxed) == *me).unwrap_or(false)
    }

    pub(super) fn lock(&self) -> Held<'_, V> {
        let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let me = THIS_THREAD.try_with(|me| *me).unwrap_or(NOBODY);
        self.holder.store(me, Ordering::Relaxed);
        Held { guard, holder: &self.holder, _judging: Judging::begin() }
    }
}

impl<V> Drop for Held<'_, V> {
    fn drop(&mut self) {
        // Before the lock itself is given free, which fields are after this.
        self.holder.store(NOBODY, Ordering::Relaxed);
    }
}

impl<V> Deref for Held<'_, V> {
    type Target = V;
    fn deref(&self) -> &V {
        &self.guard
    }
}

impl<V> DerefMut for Held<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.guard
    }
}

/// What can be locked.
pub(crate) trait Lockable {
    /// The lock, while it is held.
    type Held<'a>
    where
        Self: 'a;

    fn hold(&self) -> Self::Held<'_>;
}

impl<G> Lockable for Mutex<G> {
    type Held<'a>
        = MutexGuard<'a, G>
    where
        G: 'a;

    fn hold(&self) -> MutexGuard<'_, G> {
        // Every writer leaves the state whole before it runs code that could panic.
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Lockable for Guarded<V> {
    type Held<'a>
        = Held<'a, V>
    where
        V: 'a;

    fn hold(&self) -> Held<'_, V> {
        self.lock()
    }
}

pub(crate) fn lock<L: Lockable>(lockable: &L) -> L::Held<'_> {
    lockable.hold()
}

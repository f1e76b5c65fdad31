//! Whether a thread is in the middle of a decision, and whoever asks is called for it.
//!
//! A handle calls the program's own code, codecs and `validate`, while its view is locked, and the watch does so while all
//! handles of the bucket stand still. If that code waited for a handle it would wait for itself, so that what waits is refused
//! there. It is refused for other handles too: whether one of them moves on depends on how many threads the runtime has.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    /// How many decisions this thread is in, one inside the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A decision that is being made on this thread, until it is dropped. It stays on its thread.
#[must_use]
pub(crate) struct Judging(PhantomData<*const ()>);

impl Judging {
    pub(crate) fn begin() -> Self {
        // A thread that is about to end has no number any more, and asks nothing.
        let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_add(1)));
        Self(PhantomData)
    }

    /// Whether this thread is making one.
    pub(crate) fn is_on() -> bool {
        DEPTH.try_with(Cell::get).is_ok_and(|depth| depth > 0)
    }
}

impl Drop for Judging {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

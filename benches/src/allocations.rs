//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static GIVEN_BACK: Cell<u64> = const { Cell::new(0) };
}

static TRACKING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count of each thread's calls and, when asked for, the bytes in use.
pub struct Counting;

fn count(grown: usize, freed: usize) {
    let calls = if grown > 0 { &TAKEN } else { &GIVEN_BACK };
    let _ = calls.try_with(|calls| calls.set(calls.get() + 1));
    if TRACKING.load(Ordering::Relaxed) {
        // Wraps below zero where something from before is freed: only differences are looked at.
        let step = grown.wrapping_sub(freed);
        let now = LIVE.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        if (now as isize) > (PEAK.load(Ordering::Relaxed) as isize) {
            PEAK.store(now, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Calls of the allocator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    /// To take memory.
    pub taken: u64,
    /// To give it back.
    pub given_back: u64,
}

impl std::ops::AddAssign for Calls {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.given_back += other.given_back;
    }
}

/// What this thread calls the allocator for while `run` runs.
pub fn of(run: impl FnOnce()) -> Calls {
    let (taken, given_back) = (TAKEN.get(), GIVEN_BACK.get());
    run();
    Calls { taken: TAKEN.get() - taken, given_back: GIVEN_BACK.get() - given_back }
}

/// Begins to watch the bytes in use.
pub fn track() {
    LIVE.store(0, Ordering::Relaxed);
    PEAK.store(0, Ordering::Relaxed);
    TRACKING.store(true, Ordering::Relaxed);
}

/// Ends it, and says how many bytes more than at the beginning were in use at most.
pub fn peak() -> usize {
    TRACKING.store(false, Ordering::Relaxed);
    PEAK.load(Ordering::Relaxed)
}

//! Reading a snapshot allocates nothing and waits for nobody, also while changes arrive.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvconf::{Bucket, KvConfig};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what each thread asks for.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain thread-local number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "p")]
struct Settings {
    #[kv(default = 1)]
    number: u64,
    #[kv(default = "text")]
    text: String,
}

// P12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_allocate_nothing_while_changes_arrive() {
    let bucket = Bucket::memory();
    let live = bucket.live::<Settings>().start().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (live, done) = (live.clone(), Arc::clone(&done));
        move || {
            let mut cached = live.reader();
            // What a thread needs once, for its place among arc-swap's readers.
            let _first = live.load().number;
            let before = ALLOCATIONS.get();
            let (mut reads, mut states, mut last) = (0_u64, 0_u64, 0_u64);
            while !done.load(Ordering::Relaxed) {
                for _ in 0..1_000 {
                    let number = live.load().number;
                    assert!(number >= last, "a reader went back");
                    states += u64::from(number != last);
                    last = number;
                    assert!(cached.load().number >= number && !cached.load().text.is_empty());
                    reads += 2;
                }
            }
            (ALLOCATIONS.get() - before, reads, states)
        }
    });
    let mut revision = kvconf::Revision::ZERO;
    for n in 2..=3_000_u64 {
        revision = bucket.put("p.number", n.to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let (allocations, reads, states) = reader.join().unwrap();
    assert_eq!(live.load().revision(), revision);
    assert_eq!(allocations, 0, "in {reads} reads of {states} states");
    assert!(reads > 10_000 && states > 10, "the reader saw too little: {reads} reads, {states} states");
}

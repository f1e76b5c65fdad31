//! Reading while the bucket changes a thousand times a second, and from two threads.

use std::hint::black_box;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// One way of reading: nanoseconds a read, and what it allocated.
type Measure<'a> = Box<dyn FnMut() -> (f64, Calls) + 'a>;

use anyhow::Result;
use arc_swap::{ArcSwap, Cache};
use kvconf::{Bucket, Live};

use crate::allocations::{self, Calls};
use crate::figures::{Row, median, ratio};
use crate::settings::Checkout;

const ROUNDS: usize = 101;
/// Long enough for twenty changes.
const ROUND: Duration = Duration::from_millis(20);
const READS_BETWEEN_LOOKS: u32 = 1_000;
const PERIOD: Duration = Duration::from_millis(1);

/// A bucket that is changed a thousand times a second while it is asked to, by a thread with a runtime of its own; a bare
/// `ArcSwap` beside it gets as many.
struct Changing {
    live: Live<Checkout>,
    bare: Arc<ArcSwap<Checkout>>,
    busy: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Result<u32>>>,
}

impl Changing {
    fn start() -> Result<Self> {
        let (busy, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let bare = Arc::new(ArcSwap::from_pointee(Checkout::usual()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let (its_busy, its_over, its_bare) = (Arc::clone(&busy), Arc::clone(&over), Arc::clone(&bare));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let bucket = Bucket::memory();
                let live = bucket.live::<Checkout>().start().await?;
                sender.send(live.clone())?;
                let mut changes = 0;
                let mut tick = tokio::time::interval(PERIOD);
                while !its_over.load(Ordering::Relaxed) {
                    tick.tick().await;
                    if its_busy.load(Ordering::Relaxed) {
                        changes += 1;
                        let revision = bucket.put("checkout.other", changes.to_string()).await?;
                        live.wait_for(revision).await?;
                        its_bare.store(Arc::new(Checkout { other: changes, ..Checkout::usual() }));
                    }
                }
                Ok(changes)
            })
        });
        Ok(Self { live: receiver.recv()?, bare, busy, over, thread: Some(thread) })
    }

    fn end(mut self) -> Result<u32> {
        self.over.store(true, Ordering::Relaxed);
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Ok(changes)) => changes,
            _ => anyhow::bail!("the writer panicked"),
        }
    }
}

/// Nanoseconds a read over one round, and the calls of the allocator in it.
///
/// Counted is the time on the processor, as the kernel tells it: what else runs on the machine takes the processor away
/// without a read being any slower.
fn measure(mut read: impl FnMut()) -> (f64, Calls) {
    let mut reads = 0_u64;
    let mut took = 0;
    let calls = allocations::of(|| {
        let (begin, before) = (Instant::now(), on_processor());
        while begin.elapsed() < ROUND {
            (0..READS_BETWEEN_LOOKS).for_each(|_| read());
            reads += u64::from(READS_BETWEEN_LOOKS);
        }
        took = on_processor() - before;
    });
    (took as f64 / reads as f64, calls)
}

/// Nanoseconds that this thread has run so far. Without allocating: the caller counts that.
fn on_processor() -> u64 {
    let mut text = [0; 64];
    let length = std::fs::File::open("/proc/thread-self/schedstat").and_then(|mut file| file.read(&mut text));
    let text = length.ok().and_then(|length| std::str::from_utf8(text.get(..length)?).ok());
    let first = text.and_then(|text| text.split(' ').next()?.parse().ok());
    first.expect("the kernel tells how long a thread ran")
}

/// One variant quiet and busy, or with one and two threads, by round.
#[derive(Default)]
struct Samples {
    quiet: Vec<f64>,
    loaded: Vec<f64>,
    calls: Calls,
}

impl Samples {
    fn row(&self, what: &str, bound: bool) -> Row {
        let found = ratio(&self.loaded, &self.quiet);
        let how = format!(
            "medians {:.2} and {:.2} ns, {} rounds of {} ms; the readers took memory {} times and gave back {}",
            median(&self.loaded),
            median(&self.quiet),
            self.quiet.len(),
            ROUND.as_millis(),
            self.calls.taken,
            self.calls.given_back
        );
        let mut row = Row::ratio(what, found, bound.then_some((1.10, "≤ 1.10 ×, no allocation")), how);
        row.holds = row.holds.map(|holds| holds && self.calls.taken == 0);
        row
    }
}

/// The rows of reads under load.
pub fn rows() -> Result<Vec<Row>> {
    let changing = Changing::start()?;
    let live = changing.live.clone();
    let mut reader = live.reader();
    let bare = Arc::clone(&changing.bare);
    let mut cache = Cache::new(Arc::clone(&bare));
    let mut variants: [(&str, bool, Measure<'_>); 4] = [
        ("`Live::load()` and a field", true, Box::new(|| measure(|| _ = black_box(live.load().max_items)))),
        (
            "`Reader::load()` and a field",
            true,
            Box::new(|| measure(|| _ = black_box(reader.load().max_items))),
        ),
        (
            "bare `ArcSwap::load` and a field",
            false,
            Box::new(|| measure(|| _ = black_box(bare.load().max_items))),
        ),
        (
            "bare `arc_swap::Cache::load` and a field",
            false,
            Box::new(|| measure(|| _ = black_box(cache.load().max_items))),
        ),
    ];
    let mut samples: [Samples; 4] = Default::default();
    for round in 0..ROUNDS + 2 {
        for at in 0..variants.len() {
            // Each begins a round as often as the others.
            let at = (at + round) % variants.len();
            let ((_, _, measure), samples) = (&mut variants[at], &mut samples[at]);
            for busy in if round % 2 == 0 { [false, true] } else { [true, false] } {
                changing.busy.store(busy, Ordering::Relaxed);
                std::thread::sleep(2 * PERIOD);
                let (each, calls) = measure();
                if round >= 2 {
                    let side = if busy { &mut samples.loaded } else { &mut samples.quiet };
                    side.push(each);
                    samples.calls += calls;
                }
            }
        }
    }
    changing.busy.store(false, Ordering::Relaxed);
    let under = "under 1 000 changes a second";
    let mut rows: Vec<Row> = variants
        .iter()
        .zip(&samples)
        .map(|((name, bound, _), samples)| samples.row(&format!("{name}, {under}, to quiet"), *bound))
        .collect();
    // What the changes cost a bare swap they cost on this machine: the processor's caches, not the library.
    let [load, reader, bare, cache] = &samples;
    for (what, ours, theirs) in [
        ("`Live::load()` and a field, to bare `ArcSwap::load` and a field", load, bare),
        ("`Reader::load()` and a field, to bare `arc_swap::Cache::load` and a field", reader, cache),
    ] {
        let how = format!("medians {:.2} and {:.2} ns", median(&ours.loaded), median(&theirs.loaded));
        let found = ratio(&ours.loaded, &theirs.loaded);
        rows.push(Row::ratio(&format!("{what}, both {under}"), found, Some((1.15, "≤ 1.15 ×")), how));
    }
    drop(variants);
    let changes = changing.end()?;
    anyhow::ensure!(changes > 1_000, "the bucket did not change: {changes}");
    rows.extend(from_two_threads());
    Ok(rows)
}

/// One thread alone, and two at once: the slower one counts.
fn from_two_threads() -> Vec<Row> {
    let live = Live::fixed(Checkout::usual());
    let bare = Arc::new(ArcSwap::from_pointee(Checkout::usual()));
    type Read = Box<dyn FnMut() -> (f64, Calls) + Send>;
    type Make = Box<dyn Fn() -> Read>;
    let (for_load, for_reader, for_bare) = (live.clone(), live, bare);
    let variants: [(&str, bool, Make); 3] = [
        (
            "`Live::load()` and a field",
            true,
            Box::new(move || {
                let live = for_load.clone();
                Box::new(move || measure(|| _ = black_box(live.load().max_items)))
            }),
        ),
        (
            "`Reader::load()` and a field",
            true,
            Box::new(move || {
                let mut reader = for_reader.reader();
                Box::new(move || measure(|| _ = black_box(reader.load().max_items)))
            }),
        ),
        (
            "bare `ArcSwap::load` and a field",
            false,
            Box::new(move || {
                let bare = Arc::clone(&for_bare);
                Box::new(move || measure(|| _ = black_box(bare.load().max_items)))
            }),
        ),
    ];
    let mut samples: [Samples; 3] = Default::default();
    for _ in 0..ROUNDS {
        for ((_, _, make), samples) in variants.iter().zip(&mut samples) {
            let (alone, calls) = run(1, make);
            samples.quiet.push(alone);
            samples.calls += calls;
            let (together, calls) = run(2, make);
            samples.loaded.push(together);
            samples.calls += calls;
        }
    }
    let row = |((name, bound, _), samples): (&(&str, bool, Make), &Samples)| {
        samples.row(&format!("{name}, from 2 threads at once, to 1"), *bound)
    };
    variants.iter().zip(&samples).map(row).collect()
}

fn run(threads: usize, make: &dyn Fn() -> Box<dyn FnMut() -> (f64, Calls) + Send>) -> (f64, Calls) {
    let barrier = Arc::new(Barrier::new(threads));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (mut read, barrier) = (make(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                // The first reads of a thread set up what the thread keeps.
                let _ = read();
                barrier.wait();
                read()
            })
        })
        .collect();
    let results = threads.into_iter().filter_map(|thread| thread.join().ok());
    results.fold((0.0, Calls::default()), |(each, mut calls), (one, more)| {
        calls += more;
        (f64::max(each, one), calls)
    })
}

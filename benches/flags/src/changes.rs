//! Two threads that evaluate a flag, quiet and with the flag changing a thousand times a second.

use std::hint::black_box;
use std::io::Read;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvconf::Live;
use kvconf::flag::Bucketing;

use crate::cases::{self, Rule};
use crate::load::{self, Shop};
use crate::timing::median;

const ROUNDS: usize = 101;
/// Long enough for twenty changes.
const ROUND: Duration = Duration::from_millis(20);
const PERIOD: Duration = Duration::from_millis(1);

/// What was found: nanoseconds by round, and how many changes there were in a busy round.
pub(crate) struct Changes {
    pub(crate) quiet: f64,
    pub(crate) busy: f64,
    /// The median of the ratios within one round.
    pub(crate) ratio: f64,
    pub(crate) each_round: f64,
}

/// Measures it: three conditions, each evaluation by a `load()` of its own.
pub(crate) fn changes() -> Changes {
    let flag = cases::object(Rule::Three.json(), Bucketing::V3);
    let (runtime, bucket, live) = load::live(&flag.to_string());
    let (busy, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut written = 0_u32;
    let (mut of_quiet, mut of_busy) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            runtime.block_on(async {
                let mut tick = tokio::time::interval(PERIOD);
                let mut written = 0_u32;
                while !over.load(Ordering::Relaxed) {
                    tick.tick().await;
                    if busy.load(Ordering::Relaxed) {
                        written += 1;
                        let mut flag = flag.clone();
                        flag["metadata"]["version"] = written.into();
                        let revision = bucket.put("shop.new_cart", flag.to_string()).await.expect("writes");
                        live.wait_for(revision).await.expect("arrives");
                    }
                }
                written
            })
        });
        for round in 0..ROUNDS {
            for changing in if round % 2 == 0 { [false, true] } else { [true, false] } {
                busy.store(changing, Ordering::Relaxed);
                let taken = two_threads(&live);
                busy.store(false, Ordering::Relaxed);
                if changing { &mut of_busy } else { &mut of_quiet }.push(taken);
            }
        }
        over.store(true, Ordering::Relaxed);
        written = writer.join().expect("a writer");
    });
    let ratio = median(of_busy.iter().zip(&of_quiet).map(|(busy, quiet)| busy / quiet).collect());
    Changes {
        quiet: median(of_quiet),
        busy: median(of_busy),
        ratio,
        each_round: f64::from(written) / ROUNDS as f64,
    }
}

/// Nanoseconds an evaluation, of the slower thread.
fn two_threads(live: &Live<Shop>) -> f64 {
    let barrier = Barrier::new(2);
    let reader = || {
        let visitor = cases::typed();
        barrier.wait();
        let (begun, before) = (Instant::now(), on_processor());
        let mut evaluations = 0_u64;
        while begun.elapsed() < ROUND {
            for _ in 0..1_000 {
                black_box(live.load().new_cart.get(black_box(&visitor)));
            }
            evaluations += 1_000;
        }
        (on_processor() - before) as f64 / evaluations as f64
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(&reader);
        let mine = reader();
        mine.max(other.join().expect("a reader"))
    })
}

/// Nanoseconds that this thread has run so far, as the kernel tells it: what else runs takes the processor away without an
/// evaluation being any slower.
fn on_processor() -> u64 {
    let mut text = [0; 64];
    let length = std::fs::File::open("/proc/thread-self/schedstat").and_then(|mut file| file.read(&mut text));
    let text = length.ok().and_then(|length| std::str::from_utf8(text.get(..length)?).ok());
    let first = text.and_then(|text| text.split(' ').next()?.parse().ok());
    first.expect("the kernel tells how long a thread ran")
}

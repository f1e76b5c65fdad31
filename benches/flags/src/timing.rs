//! Times of small things, taken in turns so that a busy machine is unfair to all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Something to time, and what it took in each round.
pub(crate) struct Subject<'a> {
    pub(crate) name: String,
    work: Box<dyn FnMut(u32) + 'a>,
    rounds: Vec<f64>,
}

impl<'a> Subject<'a> {
    /// Times `work`, whose result is kept from the optimizer.
    pub(crate) fn new<R>(name: impl Into<String>, mut work: impl FnMut() -> R + 'a) -> Self {
        let repeat = move |times| {
            for _ in 0..times {
                black_box(work());
            }
        };
        Self { name: name.into(), work: Box::new(repeat), rounds: Vec::new() }
    }

    /// The median of the rounds, in nanoseconds for one time.
    pub(crate) fn median(&mut self) -> f64 {
        self.rounds.sort_by(f64::total_cmp);
        self.rounds[self.rounds.len() / 2]
    }
}

/// Runs all subjects in turns, many rounds of a few hundred microseconds.
pub(crate) fn run(subjects: &mut [Subject<'_>], rounds: usize) {
    let slice = Duration::from_micros(300);
    let times: Vec<u32> = subjects.iter_mut().map(|subject| calibrate(subject, slice)).collect();
    for _ in 0..rounds {
        for (subject, times) in subjects.iter_mut().zip(&times) {
            let begun = Instant::now();
            (subject.work)(*times);
            subject.rounds.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(*times));
        }
    }
}

/// How many times fill a slice.
fn calibrate(subject: &mut Subject<'_>, slice: Duration) -> u32 {
    let mut times = 1;
    loop {
        let begun = Instant::now();
        (subject.work)(times);
        let taken = begun.elapsed();
        if taken >= slice {
            return times;
        }
        times = times.saturating_mul(2).max(1);
    }
}

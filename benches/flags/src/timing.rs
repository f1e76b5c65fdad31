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

    /// Works so many times.
    pub(crate) fn run(&mut self, times: u32) {
        (self.work)(times);
    }

    /// The median of the rounds, in nanoseconds for one time.
    pub(crate) fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// How many times as long the other takes: the median of the ratios within one round.
    pub(crate) fn beats(&self, other: &Self) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(ours, theirs)| theirs / ours).collect())
    }

    /// How much longer this takes than the other, in nanoseconds: the median of the differences within one round.
    pub(crate) fn above(&self, other: &Self) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(ours, theirs)| ours - theirs).collect())
    }
}

/// The middle one.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Runs all subjects in turns, many rounds of a few hundred microseconds, and begins each round at another one.
pub(crate) fn run(subjects: &mut [Subject<'_>], rounds: usize) {
    let slice = Duration::from_micros(300);
    let times: Vec<u32> = subjects.iter_mut().map(|subject| calibrate(subject, slice)).collect();
    for round in 0..rounds {
        for turn in 0..subjects.len() {
            let place = (round + turn) % subjects.len();
            let (subject, times) = (&mut subjects[place], times[place]);
            let begun = Instant::now();
            subject.run(times);
            subject.rounds.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(times));
        }
    }
}

/// How many times fill a slice.
fn calibrate(subject: &mut Subject<'_>, slice: Duration) -> u32 {
    let mut times = 1;
    loop {
        let begun = Instant::now();
        subject.run(times);
        let taken = begun.elapsed();
        if taken >= slice {
            return times;
        }
        times = times.saturating_mul(2).max(1);
    }
}

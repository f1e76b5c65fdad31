//! What evaluating a flag costs, beside other engines: `cargo run --release` in this folder.

mod allocations;
mod cases;
mod peers;
mod timing;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use kvconf::flag::{Bucketing, CompiledFlag, EvaluationContext};
use peers::Rule;
use timing::Subject;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

const ROUNDS: usize = 400;

/// What a typed flag does on top of the engine: the variant's number picks the value.
fn get(flag: &CompiledFlag, context: &dyn EvaluationContext) -> bool {
    const VALUES: [bool; 2] = [false, true];
    flag.resolve(context, 0).variant().and_then(|variant| VALUES.get(variant)).copied().unwrap_or(false)
}

fn main() {
    evaluations();
    compilation();
    changes();
}

fn evaluations() {
    let (typed, dynamic) = (cases::typed(), cases::dynamic());
    for rule in Rule::ALL {
        let versions: &[_] =
            if rule == Rule::Percentage { &[Bucketing::V2, Bucketing::V3] } else { &[Bucketing::V3] };
        let flags: Vec<_> = versions.iter().map(|version| (version, cases::flag(rule.json(), *version))).collect();
        let mut subjects = Vec::new();
        for (version, flag) in &flags {
            let shown = if rule == Rule::Percentage { format!(", {version}") } else { String::new() };
            let (typed, dynamic) = (&typed, &dynamic);
            for (kind, context) in [("typed", typed as &dyn EvaluationContext), ("dynamic", dynamic)] {
                get(flag, context);
                let calls = allocations::of(|| get(black_box(flag), black_box(context)));
                assert_eq!(calls, 0, "{} allocates", rule.name());
                subjects.push(Subject::new(format!("kvconf, {kind}{shown}"), move || {
                    get(black_box(flag), black_box(context))
                }));
            }
        }
        subjects.extend(peers::subjects(rule));
        timing::run(&mut subjects, ROUNDS);
        println!("{}", rule.name());
        for subject in &mut subjects {
            println!("  {:26} {:9.1} ns", subject.name.clone(), subject.median());
        }
    }
}

fn compilation() {
    let definition = cases::definition(Some(cases::twenty()));
    let text = definition.to_json().to_string();
    let set = kvconf::flag::SetProperties::default();
    let mut subjects = [
        Subject::new("from its definition", || CompiledFlag::compile("new-cart", black_box(&definition), &set)),
        Subject::new("from JSON", || {
            let definition = kvconf::flag::FlagDefinition::parse(black_box(&text)).expect("a flag");
            CompiledFlag::compile("new-cart", &definition, &set)
        }),
    ];
    timing::run(&mut subjects, ROUNDS);
    println!("compile a rule of 20 conditions");
    for subject in &mut subjects {
        println!("  {:26} {:9.2} µs", subject.name.clone(), subject.median() / 1e3);
    }
}

/// Two threads that evaluate a flag, quiet and with the flag changing a thousand times a second.
fn changes() {
    let flag = ArcSwap::from_pointee(cases::flag(Some(cases::three()), Bucketing::V3));
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        quiet.push(two_threads(&flag, false));
        busy.push(two_threads(&flag, true));
    }
    let median = |rounds: &mut Vec<f64>| {
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    };
    let (quiet, busy) = (median(&mut quiet), median(&mut busy));
    println!("3 conditions on 2 threads, each by its own `load()`");
    println!("  quiet                      {quiet:9.1} ns");
    println!("  1 000 changes a second     {busy:9.1} ns, {:+.1} %", (busy / quiet - 1.0) * 100.0);
}

fn two_threads(flag: &ArcSwap<CompiledFlag>, changing: bool) -> f64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if changing {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    flag.store(Arc::new(cases::flag(Some(cases::three()), Bucketing::V3)));
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let reader = || {
            let visitor = cases::typed();
            let times = 400_000;
            let begun = Instant::now();
            for _ in 0..times {
                black_box(get(&flag.load(), black_box(&visitor)));
            }
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(times)
        };
        let other = scope.spawn(reader);
        let taken = (reader() + other.join().expect("a reader")) / 2.0;
        done.store(true, Ordering::Relaxed);
        taken
    })
}

//! What evaluating a flag costs, beside other engines: `cargo run --release` in this folder.

mod allocations;
mod cases;
mod changes;
mod counts;
mod load;
mod ours;
mod peers;
mod report;
mod timing;

use cases::Rule;
use timing::Subject;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => report::report(),
        ["counts"] => counts::counts(),
        ["repeat", rule, name, times] => counts::repeat(rule, name, times.parse().expect("a number")),
        _ => {
            eprintln!("usage: kvconf-flag-benches [counts]");
            std::process::exit(2);
        }
    }
}

/// Everybody on this rule, ours first. All give the same answer, and ours without a call of the allocator.
fn subjects(rule: Rule) -> Vec<Subject<'static>> {
    let mut ours = ours::subjects(rule);
    for subject in &mut ours {
        subject.run(1);
        assert_eq!(allocations::of(|| subject.run(1)), 0, "{}, {}: allocates", rule.name(), subject.name);
    }
    ours.into_iter().chain(peers::subjects(rule)).collect()
}

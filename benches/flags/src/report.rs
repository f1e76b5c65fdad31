//! The table of times.

use crate::cases::{self, Rule};
use crate::changes::changes;
use crate::timing::{self, Subject};
use crate::{load, ours};

const ROUNDS: usize = 400;

/// What is promised of a rule.
struct Bound {
    /// Nanoseconds at most.
    most: f64,
    /// How many times as fast as the fastest peer, at least.
    times: f64,
}

/// Measures all rows and prints them, each as soon as it is there.
pub(crate) fn report() {
    println!("| what | bound | measured | how |");
    println!("|---|---|---|---|");
    from_load();
    let bounds = [(Rule::One, 10.0, 2.5), (Rule::Three, 25.0, 5.0), (Rule::Percentage, 30.0, 2.0)];
    let mut everybody = vec![evaluations(Rule::Static, None)];
    for (rule, most, times) in bounds {
        everybody.push(evaluations(rule, Some(&Bound { most, times })));
    }
    compilation();
    under_changes();
    println!("\nEverybody, medians in nanoseconds:\n");
    for (rule, subjects) in Rule::ALL.into_iter().zip(&everybody) {
        let shown: Vec<_> = subjects.iter().map(|it| format!("{} {:.1}", it.name, it.median())).collect();
        println!("- {}: {}", rule.name(), shown.join("; "));
    }
}

fn row(what: &str, bound: &str, measured: &str, holds: bool, how: &str) {
    println!("| {what} | {bound} | {measured} {} | {how} |", if holds { "✓" } else { "✗" });
}

fn from_load() {
    let text = cases::object(None, kvconf::flag::Bucketing::V3).to_string();
    let (_runtime, _bucket, live) = load::live(&text);
    let mut subjects = load::subjects(&live);
    timing::run(&mut subjects, ROUNDS);
    let [plain, flag] = &subjects;
    let above = flag.above(plain);
    let how = format!("medians {:.1} and {:.1} ns", flag.median(), plain.median());
    row(
        "static flag, from `load()` to its value",
        "≤ 3 ns above `load()`",
        &format!("{above:.1} ns"),
        above <= 3.0,
        &how,
    );
}

fn evaluations(rule: Rule, bound: Option<&Bound>) -> Vec<Subject<'static>> {
    let mut subjects = crate::subjects(rule);
    timing::run(&mut subjects, ROUNDS);
    let Some(bound) = bound else { return subjects };
    let named = |name: &'static str| subjects.iter().filter(move |it| it.name.starts_with(name));
    let peers = subjects.iter().filter(|it| !it.name.starts_with("kvconf"));
    let fastest = peers.min_by(|left, right| left.median().total_cmp(&right.median())).expect("a peer");
    let with_its_version =
        |it: &Subject<'_>, kind: &str| format!("{}{}", rule.name(), &it.name[kind.len()..]);
    let is_plain = |it: &&Subject<'_>| !it.name.contains("dyn`");
    for (typed, dynamic) in named("kvconf, typed").filter(is_plain).zip(named("kvconf, dynamic")) {
        let (median, times) = (typed.median(), typed.beats(fastest));
        let what = format!("{}, typed context", with_its_version(typed, "kvconf, typed"));
        row(
            &what,
            &format!("≤ {} ns, ≥ {} × as fast as the fastest peer", bound.most, bound.times),
            &format!("{median:.1} ns, {times:.1} ×"),
            median <= bound.most && times >= bound.times,
            &format!("{} {:.1} ns", fastest.name, fastest.median()),
        );
        let ratio = typed.beats(dynamic);
        row(
            &format!("the same, dynamic context"),
            "≤ 2 × the typed one",
            &format!("{ratio:.2} ×"),
            ratio <= 2.0,
            &format!("{:.1} ns", dynamic.median()),
        );
    }
    subjects
}

fn compilation() {
    let mut subjects = ours::compilations();
    timing::run(&mut subjects, ROUNDS);
    let [definition, json] = &subjects;
    let median = definition.median() / 1e3;
    let how = format!("with reading its JSON {:.1} µs", json.median() / 1e3);
    row("compile a rule of 20 conditions", "≤ 20 µs", &format!("{median:.1} µs"), median <= 20.0, &how);
}

fn under_changes() {
    let found = changes();
    let how = format!(
        "medians {:.1} and {:.1} ns, 101 rounds of 20 ms with {:.0} changes each",
        found.busy, found.quiet, found.each_round
    );
    row(
        "3 conditions from `load()`, on 2 threads, with the flag changing 1 000 times a second, to quiet",
        "within 10 %",
        &format!("{:+.1} %", (found.ratio - 1.0) * 100.0),
        found.ratio <= 1.1,
        &how,
    );
}

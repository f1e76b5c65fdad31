//! How many instructions an evaluation takes, as valgrind counts them: `cargo run --release -- counts`.
//!
//! What else runs on the machine changes times, and not these.

use std::process::Command;

use crate::cases::Rule;
use crate::ours;
use crate::timing::Subject;

const TIMES: u32 = 2_000;

/// Prints a table. The evaluations of a longer run less those of a shorter one leave out what comes before and behind.
pub(crate) fn counts() {
    for rule in Rule::ALL {
        println!("{}", rule.name());
        table(rule.name(), &crate::subjects(rule));
    }
    println!("{TOLD}");
    table(TOLD, &ours::told());
}

/// The subjects beside those of a rule.
const TOLD: &str = "1 condition, and who is told";

fn table(rule: &str, subjects: &[Subject<'_>]) {
    for subject in subjects {
        let [short, long] = [TIMES, 2 * TIMES].map(|times| instructions(rule, &subject.name, times));
        println!("  {:30} {:9.1} instructions", subject.name, (long - short) as f64 / f64::from(TIMES));
    }
}

/// Evaluates so many times and does nothing else: what runs below valgrind.
pub(crate) fn repeat(rule: &str, name: &str, times: u32) {
    let mut subjects = match Rule::ALL.into_iter().find(|known| known.name() == rule) {
        Some(rule) => crate::subjects(rule),
        None => ours::told(),
    };
    subjects.iter_mut().find(|subject| subject.name == name).expect("a subject").run(times);
}

fn instructions(rule: &str, name: &str, times: u32) -> u64 {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["repeat", rule, name, &times.to_string()])
        .output()
        .expect("valgrind is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let count = told.lines().find_map(|line| line.split_once("Collected : "));
    count.expect("valgrind tells").1.trim().parse().expect("a number")
}

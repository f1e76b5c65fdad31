//! How many instructions an evaluation takes, as valgrind counts them: `cargo run --release -- counts`.
//!
//! What else runs on the machine changes times, and not these.

use std::process::Command;

use crate::cases::Rule;

const TIMES: u32 = 2_000;

/// Prints a table. The evaluations of a longer run less those of a shorter one leave out what comes before and behind.
pub(crate) fn counts() {
    for rule in Rule::ALL {
        println!("{}", rule.name());
        for subject in crate::subjects(rule) {
            let [short, long] = [TIMES, 2 * TIMES].map(|times| instructions(rule, &subject.name, times));
            println!("  {:30} {:9.1} instructions", subject.name, (long - short) as f64 / f64::from(TIMES));
        }
    }
}

/// Evaluates so many times and does nothing else: what runs below valgrind.
pub(crate) fn repeat(rule: &str, name: &str, times: u32) {
    let rule = Rule::ALL.into_iter().find(|known| known.name() == rule).expect("a rule");
    let mut subjects = crate::subjects(rule);
    subjects.iter_mut().find(|subject| subject.name == name).expect("a subject").run(times);
}

fn instructions(rule: Rule, name: &str, times: u32) -> u64 {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["repeat", rule.name(), name, &times.to_string()])
        .output()
        .expect("valgrind is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let count = told.lines().find_map(|line| line.split_once("Collected : "));
    count.expect("valgrind tells").1.trim().parse().expect("a number")
}

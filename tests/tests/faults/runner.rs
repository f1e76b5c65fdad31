//! Runs faults, several at a time, and prints the table.

use std::any::Any;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use tokio::time::timeout;

use super::table::{Row, docs_differ, is_for_the_docs, markdown, write_docs};

/// How many run at a time unless told otherwise. Each has a server or three; most of the time all of them wait.
const AT_A_TIME: usize = 10;

/// Nothing takes longer, not even on a machine that is busy with a build.
const LIMIT: Duration = Duration::from_secs(300);

/// A fault by name.
#[derive(Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    pub run: fn() -> LocalBoxFuture<'static, Row>,
}

macro_rules! faults {
    ($($room:ident::$name:ident),* $(,)?) => {
        &[$($crate::runner::Fault { name: stringify!($name), run: || Box::pin($room::$name()) }),*]
    };
}
pub(crate) use faults;

/// What the command line asks for; what other test programs know besides is not minded.
struct Arguments {
    filters: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
    lists: bool,
    ignored_only: bool,
    at_a_time: usize,
}

impl Arguments {
    fn parse(given: impl Iterator<Item = String>) -> Self {
        let (filters, skipped) = (Vec::new(), Vec::new());
        let mut parsed = Self {
            filters,
            skipped,
            is_exact: false,
            lists: false,
            ignored_only: false,
            at_a_time: AT_A_TIME,
        };
        let mut given = given.flat_map(|argument| match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
            _ => vec![argument],
        });
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--exact" => parsed.is_exact = true,
                "--list" => parsed.lists = true,
                "--ignored" => parsed.ignored_only = true,
                "--skip" => parsed.skipped.extend(given.next()),
                "--test-threads" => {
                    let number = given.next().and_then(|number| number.parse().ok());
                    parsed.at_a_time = number.filter(|number| *number > 0).expect("a number of threads");
                }
                "--format" | "--color" | "--logfile" | "-Z" => drop(given.next()),
                flag if flag.starts_with('-') => {}
                _ => parsed.filters.push(argument),
            }
        }
        parsed
    }

    fn wants(&self, name: &str) -> bool {
        let matches = |word: &String| if self.is_exact { name == word } else { name.contains(word.as_str()) };
        !self.ignored_only
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}

/// Runs what the command line asks for, those first that are named in `first`.
pub fn run(faults: &[Fault], first: &[&str]) -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let wanted: Vec<Fault> = faults.iter().copied().filter(|fault| arguments.wants(fault.name)).collect();
    if arguments.lists {
        wanted.iter().for_each(|fault| println!("{}: test", fault.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} faults, {} at a time", wanted.len(), arguments.at_a_time);
    let begun = Instant::now();
    let outcomes = run_all(wanted, first, arguments.at_a_time);
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (name, outcome) in outcomes {
        match outcome {
            Ok(row) => rows.push(row),
            Err(_) => failed.push(name),
        }
    }
    if !rows.is_empty() {
        println!("\n{}", markdown(&rows));
    }
    if failed.is_empty() && rows.len() == faults.len() {
        if is_for_the_docs() {
            write_docs(&rows);
        }
        let differences = docs_differ(&rows);
        if !differences.is_empty() {
            println!(
                "docs/faults.md tells of other faults; KVCONF_FAULTS=write mends it:\n{}",
                differences.join("\n")
            );
            failed.push("docs");
        }
    }
    let (passed, took) = (rows.len(), begun.elapsed().as_secs_f64());
    if failed.is_empty() {
        println!("test result: ok. {passed} passed; 0 failed; finished in {took:.2}s\n");
        ExitCode::SUCCESS
    } else {
        println!("test result: FAILED. {passed} passed; {} failed: {}\n", failed.len(), failed.join(", "));
        ExitCode::from(101)
    }
}

type Outcome = Result<Row, String>;

/// In the order given.
fn run_all(faults: Vec<Fault>, first: &[&str], at_a_time: usize) -> Vec<(&'static str, Outcome)> {
    let mut order: Vec<(usize, Fault)> = faults.into_iter().enumerate().collect();
    order.sort_by_key(|(at, fault)| (!first.contains(&fault.name), *at));
    let (waiting, outcomes) = (Mutex::new(order.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((at, fault)) = next else { return };
                    let outcome = run_one(fault);
                    outcomes.lock().unwrap().push((at, fault.name, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(at, ..)| *at);
    outcomes.into_iter().map(|(_, name, outcome)| (name, outcome)).collect()
}

/// In a thread and a runtime of its own: a panic is the end of this fault only, and names it.
fn run_one(fault: Fault) -> Outcome {
    let begun = Instant::now();
    let running = thread::Builder::new().name(fault.name.to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(async { timeout(LIMIT, (fault.run)()).await })
    });
    let outcome = match running.expect("a thread").join() {
        Ok(Ok(row)) => Ok(row),
        Ok(Err(_)) => Err(format!("not over within {LIMIT:?}")),
        Err(panic) => Err(text_of(panic)),
    };
    let took = begun.elapsed().as_secs_f64();
    match &outcome {
        Ok(_) => println!("test {} ... ok ({took:.1} s)", fault.name),
        Err(why) => println!("test {} ... FAILED ({took:.1} s)\n    {why}", fault.name),
    }
    outcome
}

/// What a panic said.
fn text_of(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned()),
    }
}

//! What is told of the faults.

use std::fmt::Write;
use std::time::Duration;

use super::ledger::Books;

/// One line: a fault, and what was measured.
#[derive(Debug, Default)]
pub struct Row {
    fault: &'static str,
    told: String,
    noticed: Option<(Duration, Duration)>,
    converged: Option<(Duration, Duration)>,
    writes: String,
    note: String,
}

impl Row {
    pub fn new(fault: &'static str) -> Self {
        Self { fault, ..Self::default() }
    }

    /// What the health, or an error, said.
    pub fn told(mut self, told: impl std::fmt::Display) -> Self {
        self.told = told.to_string();
        self
    }

    pub const fn noticed(mut self, took: Duration, bound: Duration) -> Self {
        self.noticed = Some((took, bound));
        self
    }

    pub const fn converged(mut self, took: Duration, bound: Duration) -> Self {
        self.converged = Some((took, bound));
        self
    }

    pub fn books(mut self, books: &Books) -> Self {
        let Books { acknowledged, unconfirmed, landed, failed, .. } = books;
        self.writes = format!("{acknowledged} / {failed} / {unconfirmed} ({landed})");
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// The table as it stands in the docs.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| fault | what is said | noticed after | converged after | increments acknowledged / failed / unconfirmed (made) | |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { fault, told, writes, note, .. } = row;
        let (noticed, converged) = (measured(row.noticed), measured(row.converged));
        let _ = writeln!(text, "| {fault} | {told} | {noticed} | {converged} | {writes} | {note} |");
    }
    text
}

/// Where the table stands in the docs, between these marks.
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kvconf/docs/faults.md");
const BEGIN: &str = "<!-- table -->\n";
const END: &str = "<!-- end of table -->";

/// The text before the table in the docs, the table, and the text after it.
fn docs() -> (String, String, String) {
    let text = std::fs::read_to_string(DOCS).unwrap_or_else(|error| panic!("{DOCS}: {error}"));
    let (before, rest) = text.split_once(BEGIN).expect("the mark before the table");
    let (table, after) = rest.split_once(END).expect("the mark after the table");
    (before.to_owned(), table.to_owned(), after.to_owned())
}

/// Whether what is measured is to stand in the docs.
pub fn is_for_the_docs() -> bool {
    std::env::var_os("KVCONF_FAULTS").is_some_and(|value| value == "write")
}

/// Writes the table into the docs.
pub fn write_docs(rows: &[Row]) {
    let (before, _, after) = docs();
    std::fs::write(DOCS, format!("{before}{BEGIN}{}{END}{after}", markdown(rows))).expect("write the docs");
}

/// What the docs do not tell of, and what they tell of and is not there.
pub fn docs_differ(rows: &[Row]) -> Vec<String> {
    let (_, table, _) = docs();
    let told: Vec<&str> = table.lines().skip(2).filter_map(|line| line.split(" | ").next()).collect();
    let made: Vec<String> = rows.iter().map(|row| format!("| {}", row.fault)).collect();
    let missing =
        made.iter().filter(|row| !told.contains(&row.as_str())).map(|row| format!("missing: {row}"));
    let gone =
        told.iter().filter(|row| !made.iter().any(|made| made == *row)).map(|row| format!("gone: {row}"));
    missing.chain(gone).collect()
}

fn measured(measured: Option<(Duration, Duration)>) -> String {
    measured
        .map_or_else(|| "–".to_owned(), |(took, bound)| format!("{} (≤ {})", seconds(took), seconds(bound)))
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if duration < Duration::from_millis(100) => format!("{} ms", duration.as_millis()),
        _ if seconds.fract() < 0.05 || seconds.fract() > 0.95 => format!("{seconds:.0} s"),
        _ => format!("{seconds:.1} s"),
    }
}

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

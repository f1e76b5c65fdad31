//! How far something is that takes more than a second, on one line of the terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// What is faster is not worth a line.
const SILENT_FOR: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);
const BAR: usize = 24;

/// Counts keys, and shows it after a second where standard error is a terminal.
pub(crate) struct Progress {
    is_shown: bool,
    total: Option<u64>,
    done: u64,
    next: Instant,
    has_drawn: bool,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        let is_shown = !quiet && io::stderr().is_terminal();
        Self { is_shown, total, done: 0, next: Instant::now() + SILENT_FOR, has_drawn: false }
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, count: u64) {
        self.done += count;
        if !self.is_shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        self.has_drawn = true;
        // Nobody is harmed by a line that does not appear.
        let _ = write!(io::stderr(), "\r\x1b[K{}", line(self.done, self.total));
        let _ = io::stderr().flush();
    }
}

/// Takes the line away.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.has_drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}

/// Fits into 40 columns.
fn line(done: u64, total: Option<u64>) -> String {
    match total.filter(|total| *total > 0) {
        None => format!("{done} keys"),
        Some(total) => {
            let share = (done.min(total) as f64 / total as f64 * BAR as f64) as usize;
            let bar = "#".repeat(share) + &" ".repeat(BAR - share);
            format!("[{bar}] {:>3} %", done.min(total) * 100 / total)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_within_40_columns() {
        assert_eq!(line(70_000, None), "70000 keys");
        assert_eq!(line(50, Some(100)), format!("[{}{}]  50 %", "#".repeat(12), " ".repeat(12)));
        assert_eq!(line(101, Some(100)), format!("[{}] 100 %", "#".repeat(24)));
        assert!(line(0, Some(1)).len() <= 40);
    }
}

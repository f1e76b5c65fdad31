//! How far something is that takes more than a second, on one line of the terminal that standard error is.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Output;
use super::value::{cut, width_of};

/// What is faster is not worth a line.
const SILENT_FOR: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);
const BAR: usize = 24;

/// A line that is written over itself, from a second after it was made on; taken away when dropped.
pub(crate) struct StatusLine {
    is_shown: bool,
    next: Instant,
    has_drawn: bool,
}

impl StatusLine {
    /// Where nobody looks at the terminal, or `quiet`, nothing is ever drawn.
    pub(crate) fn new(quiet: bool) -> Self {
        let is_shown = !quiet && io::stderr().is_terminal();
        Self { is_shown, next: Instant::now() + SILENT_FOR, has_drawn: false }
    }

    /// Draws it, unless that was done just now. It should fit into 40 columns.
    pub(crate) fn draw(&mut self, text: impl FnOnce() -> String) {
        if !self.is_shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        self.has_drawn = true;
        // Nobody is harmed by a line that does not appear.
        let _ = write!(io::stderr(), "\r\x1b[K{}", text());
        let _ = io::stderr().flush();
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        if self.has_drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}

/// Counts keys, and shows it after a second.
pub(crate) struct Progress {
    line: StatusLine,
    total: Option<u64>,
    done: u64,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        Self { line: StatusLine::new(quiet), total, done: 0 }
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, count: u64) {
        self.set(self.done + count);
    }

    /// So many are done in all.
    pub(crate) fn set(&mut self, done: u64) {
        self.done = done;
        self.line.draw(|| bar(done, self.total));
    }
}

/// Waits for something of which nobody knows how far it is, and shows after a second that it is being waited for.
pub(crate) async fn patiently<T>(words: &str, out: &Output, work: impl Future<Output = T>) -> T {
    watched(out, |since| waiting(words, since), work).await
}

/// Waits for something, and shows after a second what `text` says of it: it is given how long that has taken.
pub(crate) async fn watched<T>(
    out: &Output,
    text: impl Fn(Duration) -> String,
    work: impl Future<Output = T>,
) -> T {
    let mut line = StatusLine::new(out.is_quiet());
    let begun = Instant::now();
    let mut tick = tokio::time::interval(EVERY);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = tick.tick() => line.draw(|| text(begun.elapsed())),
        }
    }
}

/// That something is being waited for, in 40 columns.
pub(crate) fn waiting(words: &str, since: Duration) -> String {
    // One column is left, for a line that is full may make the terminal begin another.
    let after = format!(" … {} s", since.as_secs());
    format!("{}{after}", cut(words, 39_usize.saturating_sub(width_of(&after))))
}

/// How far it is, in 40 columns.
pub(crate) fn bar(done: u64, total: Option<u64>) -> String {
    match total.filter(|total| *total > 0) {
        None => format!("{done} key{}", if done == 1 { "" } else { "s" }),
        Some(total) => {
            let share = (done.min(total) as f64 / total as f64 * BAR as f64) as usize;
            let drawn = "#".repeat(share) + &" ".repeat(BAR - share);
            format!("[{drawn}] {:>3} %", done.min(total) * 100 / total)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_within_40_columns() {
        assert_eq!(bar(70_000, None), "70000 keys");
        assert_eq!(bar(50, Some(100)), format!("[{}{}]  50 %", "#".repeat(12), " ".repeat(12)));
        assert_eq!(bar(101, Some(100)), format!("[{}] 100 %", "#".repeat(24)));
        assert!(bar(0, Some(1)).len() <= 40);
        assert_eq!(waiting("planning", Duration::from_millis(2_100)), "planning … 2 s");
        let long = waiting("connecting to nats://a-very-long-name.example.com:4222", Duration::from_secs(12));
        assert_eq!(long, "connecting to nats://a-very-lon… … 12 s");
    }
}

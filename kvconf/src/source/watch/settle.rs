//! Whether what a look gave is to be believed.

use std::time::Duration;

use tokio::time::Instant;

use crate::source::{Reading, Unreadable};

/// How long something that looks like a file in the making must last to be believed.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// What to make of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it was.
    Same,
    /// This is how it is now.
    New(Reading),
    /// It may be changing right now.
    LookAgain(Duration),
}

/// What is known of one file.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// What was handed on last.
    known: Option<Reading>,
    /// What is not believed yet, and since when it is so.
    doubtful: Option<(Reading, Instant)>,
}

impl Settling {
    /// The first look counts as it is.
    pub(super) fn begin(&mut self, reading: Reading) {
        self.known = Some(reading);
    }

    pub(super) fn weigh(
        &mut self,
        reading: Reading,
        now: Instant,
        unfinished: &dyn Fn(&Reading) -> bool,
    ) -> Verdict {
        let was_there = self.known.as_ref().is_some_and(|known| *known != Err(Unreadable::Missing));
        let reading = match reading {
            Err(Unreadable::Missing) if was_there => Err(Unreadable::Gone),
            reading => reading,
        };
        if self.known.as_ref() == Some(&reading) {
            self.doubtful = None;
            return Verdict::Same;
        }
        if unfinished(&reading) {
            let since = match &self.doubtful {
                Some((before, since)) if *before == reading => *since,
                _ => now,
            };
            let lasted = now.saturating_duration_since(since);
            if lasted < PATIENCE {
                self.doubtful = Some((reading, since));
                return Verdict::LookAgain(PATIENCE - lasted);
            }
        }
        self.doubtful = None;
        self.known = Some(reading.clone());
        Verdict::New(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reading {
        Ok(text.as_bytes().to_vec())
    }

    fn unfinished(reading: &Reading) -> bool {
        matches!(reading, Err(Unreadable::Gone | Unreadable::Missing)) || *reading == text("half")
    }

    // P3
    #[test]
    fn a_half_written_file_is_not_believed_until_it_stays_so() {
        let (start, mut file) = (Instant::now(), Settling::default());
        let at = |millis| start + Duration::from_millis(millis);
        file.begin(text("old"));
        assert_eq!(file.weigh(text("old"), at(0), &unfinished), Verdict::Same);
        assert_eq!(file.weigh(text("half"), at(10), &unfinished), Verdict::LookAgain(PATIENCE));
        let rest = Duration::from_millis(300);
        assert_eq!(file.weigh(text("half"), at(210), &unfinished), Verdict::LookAgain(rest));
        assert_eq!(file.weigh(text("new"), at(220), &unfinished), Verdict::New(text("new")));
        assert_eq!(file.weigh(text("half"), at(230), &unfinished), Verdict::LookAgain(PATIENCE));
        assert_eq!(file.weigh(text("half"), at(730), &unfinished), Verdict::New(text("half")));
        assert_eq!(file.weigh(text("half"), at(740), &unfinished), Verdict::Same);
    }

    #[test]
    fn a_file_that_was_there_is_gone_and_one_that_was_not_is_missing() {
        let (start, mut file) = (Instant::now(), Settling::default());
        file.begin(Err(Unreadable::Missing));
        assert_eq!(file.weigh(Err(Unreadable::Missing), start, &unfinished), Verdict::Same);
        assert_eq!(file.weigh(text("new"), start, &unfinished), Verdict::New(text("new")));
        let gone = || Err(Unreadable::Missing);
        assert_eq!(file.weigh(gone(), start, &unfinished), Verdict::LookAgain(PATIENCE));
        // A replacement is no loss.
        assert_eq!(file.weigh(text("new"), start, &unfinished), Verdict::Same);
        assert_eq!(file.weigh(gone(), start, &unfinished), Verdict::LookAgain(PATIENCE));
        let later = start + PATIENCE;
        assert_eq!(file.weigh(gone(), later, &unfinished), Verdict::New(Err(Unreadable::Gone)));
        assert_eq!(file.weigh(gone(), later, &unfinished), Verdict::Same);
        assert_eq!(file.weigh(text("new"), later, &unfinished), Verdict::New(text("new")));
    }
}

//! Looks at files whenever something may have changed, and hands on what is new.
//!
//! An event is only a reason to look: what counts is what the file holds then. So a lost event costs time and nothing else,
//! and there is no case for every habit of editors and of Kubernetes. Besides, everything is looked at every
//! [`COMPARE`], for what no event tells: a file on another machine, a folder far above that was renamed.

mod entries;
mod look;
mod settle;
mod system;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::{KnownFile, Reading, Unreadable};
use settle::{PATIENCE, Settling, Verdict};
use system::System;
pub(crate) use system::{Make, by_system};

/// How long nothing may happen before files are looked at: a file is seldom written by one call.
const QUIET: Duration = Duration::from_millis(50);

/// How long a folder in which something happens all the time may put that off.
const LONGEST_UNREST: Duration = Duration::from_millis(500);

/// How often files are looked at where the system tells of changes.
const COMPARE: Duration = Duration::from_secs(5);

/// How often files are looked at where it does not.
const POLL: Duration = Duration::from_secs(2);

/// How long a file system may take to answer. A local one takes less than a millisecond.
const ANSWER: Duration = Duration::from_secs(3);

/// What there is to say about files.
#[derive(Debug)]
pub(crate) enum News {
    /// The file at this place holds something else now, or cannot be read any more.
    Reading(usize, Reading),
    /// Why the system tells of no changes, from now on; `None` where it does again.
    Polled(Option<String>),
}

/// Who is told. Boxed, as it differs for each struct, and what calls it does not.
pub(crate) type Tell = Box<dyn FnMut(&KnownFile, News) + Send>;

/// How a file is looked at.
type Look = fn(&Path) -> Reading;

/// The files of one handle, in the order in which they were named.
#[derive(Debug)]
pub(crate) struct Files {
    files: Vec<KnownFile>,
    settling: Vec<Settling>,
    look: Look,
}

/// What one look gave.
struct Seen {
    system: System,
    /// Why the system tells of no changes.
    trouble: Option<String>,
    readings: Vec<Reading>,
}

impl Files {
    pub(crate) fn new(files: Vec<KnownFile>) -> Self {
        let settling = files.iter().map(|_| Settling::default()).collect();
        Self { files, settling, look: look::look }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The first look at all of them. A file that is no text of its format may be half written: it gets a second look.
    pub(crate) async fn first_look(&mut self) -> Vec<(&KnownFile, Reading)> {
        let mut readings = self.look_once().await;
        let unfinished = |(file, reading): (&KnownFile, &Reading)| {
            matches!(reading, Ok(bytes) if !bytes.trim_ascii().is_empty()) && file.looks_unfinished(reading)
        };
        if self.files.iter().zip(&readings).any(unfinished) {
            sleep(PATIENCE).await;
            readings = self.look_once().await;
        }
        for (settling, reading) in self.settling.iter_mut().zip(&readings) {
            settling.begin(reading.clone());
        }
        self.files.iter().zip(readings).collect()
    }

    async fn look_once(&self) -> Vec<Reading> {
        let (paths, look) = (self.paths(), self.look);
        let looking = spawn_blocking(move || paths.iter().map(|path| look(path)).collect());
        match timeout(ANSWER, looking).await {
            Ok(Ok(readings)) => readings,
            _ => self.no_answer(),
        }
    }

    fn no_answer(&self) -> Vec<Reading> {
        self.files.iter().map(|_| Err(Unreadable::NoAnswer)).collect()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Sees to it that the system tells of changes, then looks: what came before the watch was set up is seen now, what
    /// comes after it wakes us.
    fn watch_and_look(&self, mut system: System) -> JoinHandle<Seen> {
        let (paths, look) = (self.paths(), self.look);
        spawn_blocking(move || {
            let trouble = system.cover(&|| paths.iter().flat_map(|path| entries::of(path)).collect());
            Seen { system, trouble, readings: paths.iter().map(|path| look(path)).collect() }
        })
    }

    /// Follows the files for ever, or until the runtime shuts down.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch.
    pub(crate) async fn follow(mut self, make: Make, mut tell: Tell) {
        let wake = Arc::new(Notify::new());
        let mut looking = self.watch_and_look(System::new(make, Arc::clone(&wake)));
        let mut polled = None;
        loop {
            let seen = match timeout(ANSWER, &mut looking).await {
                Ok(Ok(seen)) => seen,
                Ok(Err(_)) => return,
                // A file system that is gone can keep its callers for ever: one of us is enough.
                Err(_) => {
                    self.weigh(self.no_answer(), &mut tell);
                    match looking.await {
                        Ok(seen) => seen,
                        Err(_) => return,
                    }
                }
            };
            let Seen { system, trouble, readings } = seen;
            let again = self.weigh(readings, &mut tell);
            if trouble != polled {
                polled.clone_from(&trouble);
                if let Some(file) = self.files.first() {
                    tell(file, News::Polled(trouble));
                }
            }
            let pause = if polled.is_some() { POLL } else { COMPARE };
            rest(&wake, again.unwrap_or(pause).min(pause)).await;
            looking = self.watch_and_look(system);
        }
    }

    /// Hands on what is new and certain. Returns when to look again at what is not.
    fn weigh(&mut self, readings: Vec<Reading>, tell: &mut Tell) -> Option<Duration> {
        let mut again: Option<Duration> = None;
        let known = self.files.iter().zip(&mut self.settling);
        for (at, ((file, settling), reading)) in known.zip(readings).enumerate() {
            match settling.weigh(reading, Instant::now(), &|reading| file.looks_unfinished(reading)) {
                Verdict::Same => {}
                Verdict::New(reading) => tell(file, News::Reading(at, reading)),
                Verdict::LookAgain(after) => again = Some(again.map_or(after, |other| other.min(after))),
            }
        }
        again
    }
}

/// Waits until something happened and it is quiet again, or until it is time.
async fn rest(wake: &Notify, pause: Duration) {
    let first = Instant::now() + pause;
    tokio::select! {
        () = sleep_until(first) => return,
        () = wake.notified() => {}
    }
    let latest = Instant::now() + LONGEST_UNREST;
    loop {
        let quiet = Instant::now() + QUIET;
        if quiet >= latest || timeout_at(quiet, wake.notified()).await.is_err() {
            return;
        }
    }
}

/// What of the file system decides what a path leads to: names in folders.
type Entries = BTreeSet<PathBuf>;

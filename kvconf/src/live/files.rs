//! Files among a handle's sources.

use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;

use super::builder::LiveBuilder;
use super::start::StartError;
use super::task::spawn;
use super::{Shared, lock};
use crate::schema::KvConfig;
use crate::source::watch::{Files, Make, News, Tell, by_system};
use crate::source::{BadFile, Content, FileSource, KnownFile, Reading, Source};
use crate::view::{FieldsOf, Table, contained};
use crate::{FileOrigin, Origin, Problem, ProblemKind};

impl<T: KvConfig> LiveBuilder<T> {
    /// Takes settings from a file too, and follows its changes: `.file("app.toml")`.
    ///
    /// Values of files count where the bucket and stronger sources have none; of two files the one that is named later is
    /// stronger. [`guide::files`](crate::guide::files) tells what a file may hold and what happens to a bad one.
    ///
    /// ```
    /// use kvconf::{Bucket, FileSource, KvConfig};
    ///
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("kvconf-doc-file-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("app.toml");
    /// std::fs::write(&path, "[checkout]\nmax_items = 60\n")?;
    ///
    /// let local = FileSource::new(folder.join("local.toml")).optional();
    /// let live = Bucket::memory().live::<Checkout>().file(path).file(local).start().await?;
    /// assert_eq!(live.load().max_items, 60);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(()) }
    /// ```
    pub fn file(mut self, file: impl Into<FileSource>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Asks somebody else than the system for news of files.
    #[cfg(test)]
    pub(crate) fn watched_by(mut self, make: Make) -> Self {
        self.watched_by = make;
        self
    }
}

/// How the system is asked for news.
pub(super) const BY_SYSTEM: Make = by_system;

/// The files that a builder was given.
pub(super) fn known(files: Vec<FileSource>) -> Result<Files, StartError> {
    let check = |file: FileSource| {
        file.check().map_err(|bad| match bad {
            BadFile::Format(path) => StartError::Format { path },
            BadFile::Prefix(error) => StartError::Prefix(error),
        })
    };
    files.into_iter().map(check).collect::<Result<_, _>>().map(Files::new)
}

fn source(at: usize) -> Source {
    // Nobody names 65 536 files.
    Source::File(u16::try_from(at).unwrap_or(u16::MAX))
}

/// What the files say at the start.
pub(super) async fn first_contents<T: KvConfig>(files: &mut Files, table: &Table) -> Vec<(Source, Content)> {
    let mut contents = Vec::new();
    for (at, (file, reading)) in files.first_look().await.into_iter().enumerate() {
        contents.push((source(at), content::<T>(file, &reading, table)));
    }
    contents
}

/// What a file says. How a value of a file is stored is up to its codec and its type, which are the program's own code: where
/// that panics the file is a bad one, and goes on to be followed.
fn content<T: KvConfig>(file: &KnownFile, reading: &Reading, table: &Table) -> Content {
    let read = || file.content(reading, table.layers.prefix(), &FieldsOf::<T>::new(table));
    contained(read).unwrap_or_else(|| file.panicked())
}

/// Follows the files until the handle ends.
pub(super) fn follow<T: KvConfig>(shared: &Arc<Shared<T>>, files: Files, make: Make) {
    let handle = Arc::downgrade(shared);
    let tell = Box::new(move |file: &KnownFile, news| {
        if let Some(shared) = Weak::upgrade(&handle) {
            shared.hear(file, news);
        }
    });
    follow_until(shared.ended.clone(), files, make, tell);
}

fn follow_until(ended: CancellationToken, files: Files, make: Make, tell: Tell) {
    spawn(Box::pin(async move {
        tokio::select! {
            () = files.follow(make, tell) => {}
            () = ended.cancelled() => {}
        }
    }));
}

impl<T: KvConfig> Shared<T> {
    fn hear(&self, file: &KnownFile, news: News) {
        match news {
            News::Reading(at, reading) => {
                let table = Arc::clone(&self.table);
                let content = content::<T>(file, &reading, &table);
                let mut view = lock(&self.view);
                let outcome = view.renew(source(at), content);
                self.show(&view, &outcome);
            }
            News::Polled(reason) => {
                let polled = reason.map(|reason| polled(file, &reason));
                let mut view = lock(&self.view);
                let report_changed = view.set_polled(polled);
                self.show(&view, &crate::view::Outcome { snapshot: None, report_changed });
            }
        }
    }
}

fn polled(file: &KnownFile, reason: &str) -> Problem {
    Problem {
        key: String::new(),
        kind: ProblemKind::Polled,
        message: format!(
            "files are looked at in intervals, because the system does not tell of changes: {reason}"
        ),
        origin: Some(Origin::File(FileOrigin { path: Arc::clone(&file.name), line: 0, column: 0 })),
        before: None,
        before_revision: None,
        fields: Vec::new(),
    }
}

//! From what a handle starts: the bucket, else the cache, else the defaults, as the caller allows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use derive_more::{Display, Error};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::observer::{Beginning, LiveObserver, Seat};
use super::{Live, Shared, keep};
use crate::cache::{Cache, Kept, Loaded, Owner, Skipped};
use crate::schema::KvConfig;
use crate::view::{Storing, Table, View};
use crate::watch::{Hub, Remembered};
use crate::{KeyError, LayerError, Report, Revision, WatchState};

/// Why a handle did not start.
#[derive(Debug, Display, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The values in the bucket are no valid struct. The report has every problem.
    #[display("the settings are not valid")]
    Invalid(#[error(source)] Box<Report>),
    /// No format is known by a file's ending: name it with `FileSource::format`.
    #[display("no format is known by the ending of {}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The prefix is not valid.
    #[display("invalid prefix")]
    Prefix(#[error(source)] KeyError),
    /// The layers cannot be told apart, or one of them is not valid.
    #[display("the layers cannot be read together")]
    Layers(#[error(source)] LayerError),
    /// The server refuses the watch.
    #[display("not permitted: {subject}")]
    NotPermitted {
        /// The subject that the client's user may not use.
        subject: String,
    },
    /// The bucket's state did not come in time.
    #[display("bucket {bucket} was not loaded within {after:?}: {state}")]
    Timeout {
        /// The bucket.
        bucket: String,
        /// How its watch was at the end.
        state: WatchState,
        /// How long was waited.
        after: Duration,
    },
    /// The caller is called to judge values, as `validate` and codecs are: everything that it would wait for waits for it.
    #[display("asked by code that is called to judge values: it would wait for itself")]
    Judging,
    /// Neither the bucket nor what was to stand in for it gave a state.
    #[display("there is no state to start from: {}", list(tried))]
    Exhausted {
        /// What was tried, in this order, and why it failed.
        tried: Vec<Tried>,
    },
}

/// One source that a start has tried in vain.
#[derive(Debug, Display)]
#[non_exhaustive]
pub enum Tried {
    /// The bucket.
    #[display("{}", chain(_0))]
    Bucket(Box<StartError>),
    /// The cache, which holds no state for this handle that could be read.
    #[display("the cache in {} holds no usable state{}", folder.display(), faults(skipped))]
    Cache {
        /// The handle's folder.
        folder: PathBuf,
        /// Files that were passed over, and why.
        skipped: Vec<Skipped>,
    },
    /// A state in the cache, which is not valid for the struct as it is now, or lacks secrets.
    #[display("the cached state of revision {revision} is not valid:{}", problems(report))]
    CachedState {
        /// Its revision.
        revision: Revision,
        /// Every problem.
        report: Box<Report>,
    },
    /// The defaults.
    #[display("the defaults are not valid:{}", problems(_0))]
    Defaults(Box<Report>),
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A refusal that is one of several has no `source()` of its own: it is told whole.
fn chain(error: &StartError) -> String {
    match error {
        StartError::Invalid(report) => format!("{error}:{}", problems(report)),
        error => error.to_string(),
    }
}

fn problems(report: &Report) -> String {
    let all: Vec<String> = report
        .problems
        .iter()
        .filter(|problem| !problem.kind.is_warning())
        .map(|problem| format!(" {problem}"))
        .collect();
    all.join(",")
}

fn faults(skipped: &[Skipped]) -> String {
    let all: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// What may stand in for the bucket, and for how long the bucket is waited for.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) deadline: Duration,
    pub(super) cache: Option<Cache>,
    pub(super) defaults: bool,
}

impl Policy {
    pub(super) const fn has_fallback(&self) -> bool {
        self.cache.is_some() || self.defaults
    }

    /// Starts a handle.
    pub(super) async fn start<T: KvConfig>(
        self,
        hub: &Hub,
        beginning: Beginning,
    ) -> Result<Live<T>, StartError> {
        let mut kept = self.open_cache::<T>(&beginning).await;
        // Also when the bucket answers: it tells whether that is older, or another bucket of the same name.
        let newest = match &mut kept {
            Some(kept) => kept.next().await,
            None => None,
        };
        let remembered = newest
            .as_ref()
            .map(|loaded| Remembered { incarnation: loaded.saved.created, tail: loaded.saved.tail });
        let (started, mut outcome) = oneshot::channel();
        let seat = Seat::<T>::new(beginning.clone(), started);
        let observer = Box::new(LiveObserver::new(&seat));
        let attachment = hub.attach_remembering(beginning.layers.prefixes(), observer, remembered);
        // The watch begins on this very thread, and would begin only when the table is made.
        tokio::task::yield_now().await;
        // While the server is at it: for 10 000 fields this takes a tenth of what the load takes.
        let table = beginning.table::<T>();
        let late = |seat: &Seat<T>| StartError::Timeout {
            bucket: beginning.store.name().to_owned(),
            state: seat.state(),
            after: self.deadline,
        };
        let first = timeout(self.deadline, &mut outcome).await.ok().and_then(Result::ok);
        let shared = match first.unwrap_or_else(|| Err(late(&seat))) {
            Ok(shared) => shared,
            Err(error) if !self.has_fallback() => return Err(error),
            Err(error) => {
                let stand_ins = StandIns { policy: &self, kept: &mut kept, newest, table, tried: Vec::new() };
                match stand_ins.find(&seat, error, &beginning).await? {
                    Some(shared) => shared,
                    // The bucket's state came in the last moment.
                    None => match outcome.try_recv() {
                        Ok(outcome) => outcome?,
                        Err(_) => return Err(late(&seat)),
                    },
                }
            }
        };
        shared.attach(attachment);
        if let (Some(kept), Some(cache)) = (kept, &self.cache) {
            let storing = if cache.is_encrypted() { Storing::Encrypted } else { Storing::Clear };
            keep::keep(&shared, kept, storing);
        }
        #[cfg(feature = "metrics")]
        super::meter::tell_contact(&shared);
        Ok(Live::from_shared(shared))
    }

    async fn open_cache<T: KvConfig>(&self, beginning: &Beginning) -> Option<Kept> {
        let owner = Owner {
            bucket: beginning.store.name().to_owned(),
            prefix: beginning.layers.to_string(),
            name: T::__SCHEMA.name.to_owned(),
        };
        self.cache.as_ref()?.open(owner).await
    }
}

/// Looks for a state that can stand in for the bucket's.
struct StandIns<'a> {
    policy: &'a Policy,
    kept: &'a mut Option<Kept>,
    newest: Option<Loaded>,
    table: Arc<Table>,
    tried: Vec<Tried>,
}

impl StandIns<'_> {
    /// `None` when the handle has begun by itself meanwhile.
    async fn find<T: KvConfig>(
        mut self,
        seat: &Seat<T>,
        error: StartError,
        beginning: &Beginning,
    ) -> Result<Option<Arc<Shared<T>>>, StartError> {
        // Bad values are no reason to run with none: where nothing good is known, somebody has to mend them first.
        let defaults = self.policy.defaults && !matches!(error, StartError::Invalid(_));
        let why = chain(&error);
        self.tried.push(Tried::Bucket(Box::new(error)));
        let bucket = beginning.store.name();
        if let Some(view) = self.cached::<T>(beginning).await {
            let revision = view.snapshot.revision().get();
            let stands = seat.stand_in(view);
            if let (Some(kept), Some(cache)) = (self.kept.as_mut(), &self.policy.cache) {
                match &stands {
                    Some(_) => {
                        tracing::warn!(bucket, revision, why, "serving the last good state from the cache");
                        kept.serves();
                    }
                    None => kept.is_not_needed(cache.trust()).await,
                }
            }
            return Ok(stands);
        }
        if defaults {
            match View::<T>::from_defaults(Arc::clone(&self.table), bucket, beginning.given.to_vec()) {
                Ok(view) => {
                    tracing::warn!(bucket, why, "serving the defaults");
                    return Ok(seat.stand_in(view));
                }
                Err(report) => self.tried.push(Tried::Defaults(Box::new(report))),
            }
        }
        Err(StartError::Exhausted { tried: self.tried })
    }

    /// The first generation that the struct takes.
    async fn cached<T: KvConfig>(&mut self, beginning: &Beginning) -> Option<View<T>> {
        let (cache, mut next) = (self.policy.cache.as_ref()?, self.newest.take());
        let kept = self.kept.as_mut()?;
        let before = self.tried.len();
        while let Some(loaded) = next {
            let table = Arc::clone(&self.table);
            match View::<T>::from_saved(table, &loaded.saved, beginning.given.to_vec()) {
                Ok(view) => {
                    kept.boot(&loaded, cache.trust()).await;
                    return Some(view);
                }
                Err(report) => {
                    let revision = loaded.saved.revision;
                    self.tried.push(Tried::CachedState { revision, report: Box::new(report) });
                }
            }
            next = kept.next().await;
        }
        if self.tried.len() == before {
            let (folder, skipped) = (kept.health.folder.clone(), kept.health.skipped.clone());
            self.tried.push(Tried::Cache { folder, skipped });
        }
        None
    }
}

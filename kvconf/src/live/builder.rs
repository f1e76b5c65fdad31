//! Starting a handle.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use derive_more::{Display, Error};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::observer::{Beginning, Environment, LiveObserver, table_of};
use super::{Live, lock};
use crate::schema::KvConfig;
use crate::{Bucket, KeyError, Prefix, Report, WatchState};

/// How long a start waits for the bucket's state unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a handle did not start.
#[derive(Debug, Display, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The values are no valid struct, or a file of them cannot be read. The report has every problem.
    #[display("the settings are not valid")]
    Invalid(#[error(source)] Box<Report>),
    /// The prefix is not valid.
    #[display("invalid prefix")]
    Prefix(#[error(source)] KeyError),
    /// No format is known by a file's ending: name it with `FileSource::format`.
    #[display("no format is known by the ending of {}", path.display())]
    Format {
        /// The file.
        path: std::path::PathBuf,
    },
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
}

/// How a handle is to start. From [`Bucket::live`].
#[derive(Debug)]
#[must_use = "nothing happens before `start`"]
pub struct LiveBuilder<T> {
    #[cfg(feature = "files")]
    pub(super) files: Vec<crate::FileSource>,
    #[cfg(feature = "files")]
    pub(super) watched_by: crate::source::watch::Make,
    bucket: Bucket,
    prefix: Option<String>,
    deadline: Duration,
    environment: bool,
    marker: PhantomData<fn() -> T>,
}

impl Bucket {
    /// Begins a live handle of a struct: `bucket.live::<Checkout>().start().await?`.
    pub fn live<T: KvConfig>(&self) -> LiveBuilder<T> {
        LiveBuilder {
            #[cfg(feature = "files")]
            files: Vec::new(),
            #[cfg(feature = "files")]
            watched_by: super::files::BY_SYSTEM,
            bucket: self.clone(),
            prefix: None,
            deadline: DEADLINE,
            environment: true,
            marker: PhantomData,
        }
    }
}

impl<T: KvConfig> LiveBuilder<T> {
    /// Reads the keys under this prefix instead of the one that the struct names. One struct can be live under several.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// How long to wait for the bucket's state; 10 s by default.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Leaves environment variables alone.
    pub const fn without_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// Loads the struct and keeps it live. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Invalid`] with every problem when the bucket's values are not valid: there is no good state to serve
    /// yet. [`StartError::Timeout`] and [`StartError::NotPermitted`] when the bucket cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future ends what was begun.
    pub async fn start(self) -> Result<Live<T>, StartError> {
        let prefix = self.prefix.as_deref().or(T::__SCHEMA.prefix).unwrap_or_default();
        let prefix = Prefix::new(prefix).map_err(StartError::Prefix)?;
        let environment = if self.environment { Environment::Read } else { Environment::Ignored };
        let table = Arc::new(OnceLock::new());
        #[cfg(feature = "files")]
        let mut files = super::files::known(self.files)?;
        #[cfg(feature = "files")]
        let given = if files.is_empty() {
            Vec::new()
        } else {
            let table = table.get_or_init(|| table_of::<T>(environment));
            super::files::first_contents::<T>(&mut files, &prefix, table).await
        };
        #[cfg(not(feature = "files"))]
        let given = Vec::new();
        let (started, outcome) = oneshot::channel();
        let state = Arc::new(Mutex::new(WatchState::Loading));
        let beginning = Beginning {
            table: Arc::clone(&table),
            environment,
            prefix: prefix.clone(),
            store: Arc::clone(self.bucket.hub.store()),
            started,
            given,
            state: Arc::clone(&state),
        };
        let attachment = self.bucket.hub.attach(prefix, Box::new(LiveObserver::new(beginning)));
        // While the server is at it: for 10 000 fields this takes a tenth of what the load takes.
        table.get_or_init(|| table_of::<T>(environment));
        let late = || StartError::Timeout {
            bucket: self.bucket.name().to_owned(),
            state: lock(&state).clone(),
            after: self.deadline,
        };
        let shared = timeout(self.deadline, outcome).await.ok().and_then(Result::ok).ok_or_else(late)??;
        shared.attach(attachment);
        #[cfg(feature = "files")]
        if !files.is_empty() {
            super::files::follow(&shared, files, self.watched_by);
        }
        Ok(Live::from_shared(shared))
    }
}

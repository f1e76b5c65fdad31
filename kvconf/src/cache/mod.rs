//! The last good state on disk, to start from when the server is away.
//!
//! ```text
//! handle ──▶ keeper ──▶ store ──▶ folder        format: bytes of a file
//!            when        what      disk          shelf: which generation
//! people ──▶ inspect ─────────────▶ folder       reads, and takes part in nothing
//! ```

mod cipher;
mod folder;
mod format;
mod inspect;
mod keeper;
mod shelf;
mod store;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use derive_more::{Display, Error};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, timeout};

use crate::Revision;
use crate::seal::SealError;
use cipher::Cipher;
pub use format::Damage;
pub(crate) use format::{Owner, Saved};
pub use inspect::{CacheContent, CacheFile};
use keeper::{Effect, Keeper, Outcome};
use shelf::Trust;
use store::SaveResult;
pub(crate) use store::{CacheStore, Loaded};

/// How long a file system may take to answer while a start waits for it. A local one takes milliseconds; one on another
/// machine that is gone can keep its callers for ever.
const ANSWER: Duration = Duration::from_secs(3);

/// How many trusted generations are kept unless told otherwise.
const GENERATIONS: usize = 3;

/// How long a state must have been served before a start from it is preferred, unless told otherwise.
const TRUST_AFTER: Duration = Duration::from_secs(60);

/// A folder in which a handle keeps its last good state, to start from it when the server is away.
///
/// Given to [`LiveBuilder::cache`](crate::LiveBuilder::cache). One folder serves any number of buckets, structs and
/// prefixes. [`guide::outages`](crate::guide::outages) tells what a start from it means.
///
/// ```
/// use std::time::Duration;
///
/// use kvconf::{Bucket, Cache, KvConfig};
///
/// #[derive(KvConfig, Debug, Clone)]
/// #[kv(prefix = "checkout")]
/// struct Checkout {
///     #[kv(default = 50)]
///     max_items: u32,
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("kvconf-doc-{}", std::process::id()));
/// let cache = Cache::at(&folder).generations(5).trust_after(Duration::from_secs(120));
/// let live = Bucket::memory().live::<Checkout>().cache(cache).start().await?;
/// assert!(!live.load().is_cached());
/// # drop(live); let _ = std::fs::remove_dir_all(&folder);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a cache does nothing before it is given to a handle"]
pub struct Cache {
    root: PathBuf,
    generations: usize,
    trust_after: Duration,
    cipher: Cipher,
}

impl Cache {
    /// A cache below this folder, which is made when it is not there: for this user alone.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            root: folder.into(),
            generations: GENERATIONS,
            trust_after: TRUST_AFTER,
            cipher: Cipher::default(),
        }
    }

    /// How many trusted generations to keep; 3 by default, at least 1. One that is not trusted yet comes on top.
    pub const fn generations(mut self, generations: usize) -> Self {
        self.generations = generations;
        self
    }

    /// How long a process must have lived with a state before the state is trusted; 60 s by default.
    ///
    /// What makes the program crash at once is so never what the next start begins with.
    pub const fn trust_after(mut self, trust_after: Duration) -> Self {
        self.trust_after = trust_after;
        self
    }

    /// Encrypts the files with the keyring's primary key. Without one, secrets that are not sealed, and keys that the
    /// struct does not know, are left out; a start that misses one of them is refused.
    #[cfg(feature = "seal")]
    pub fn keyring(mut self, keyring: crate::seal::Keyring) -> Self {
        self.cipher.ring = Some(keyring);
        self
    }

    /// Whether what is written may hold secrets in clear.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.cipher.id().is_some()
    }
}

/// A cache file that was not used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[display("{file}: {damage}")]
#[non_exhaustive]
pub struct Skipped {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Why the cache cannot be kept. The handle serves all the same.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The system refused: no room, no permission, a file system that is read-only.
    #[display("cannot {doing} {}: {kind}", folder.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The handle's folder.
        folder: PathBuf,
        /// The system's answer.
        #[error(not(source))]
        kind: std::io::ErrorKind,
    },
    /// The state could not be encrypted.
    #[display("cannot encrypt the state")]
    Seal(#[error(source)] SealError),
    /// The file system did not answer when the handle started; the cache is left alone until the next start.
    #[display("the file system of {} does not answer", folder.display())]
    NoAnswer {
        /// The handle's folder.
        folder: PathBuf,
    },
    /// The runtime is shutting down.
    #[display("the runtime is shutting down")]
    Shutdown,
}

/// The newest state that stands in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedState {
    /// The number of its generation.
    pub generation: u64,
    /// The revision whose state it is.
    pub revision: Revision,
    /// Whether a start would prefer it: it was served for long enough.
    pub trusted: bool,
}

/// How a handle's cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheHealth {
    /// The handle's folder.
    pub folder: PathBuf,
    /// What this process saved last, or found saved.
    pub saved: Option<SavedState>,
    /// What keeps it from being kept, and since when. It is tried again, after a second and then less and less often, at least
    /// each half minute; until then this stays.
    pub fault: Option<(CacheError, SystemTime)>,
    /// Whether another process writes here. This one can start from it, and does not change it.
    pub elsewhere: bool,
    /// Files that were passed over at the start.
    pub skipped: Vec<Skipped>,
}

/// A cache at work for one handle.
#[derive(Debug)]
pub(crate) struct Kept {
    /// `None` while a call runs, and for good when that call panicked, or was not answered.
    store: Option<CacheStore>,
    keeper: Keeper,
    pub(crate) health: CacheHealth,
}

async fn blocking<R: Send + 'static>(
    mut store: CacheStore,
    run: impl FnOnce(&mut CacheStore) -> R + Send + 'static,
) -> Result<(CacheStore, R), JoinError> {
    spawn_blocking(move || {
        let result = run(&mut store);
        (store, result)
    })
    .await
}

impl Cache {
    /// Opens the folder of one handle.
    pub(crate) async fn open(&self, owner: Owner) -> Option<Kept> {
        let Self { root, generations, cipher, trust_after } = self.clone();
        let folder = CacheStore::path_of(&root, &owner);
        let opening = spawn_blocking(move || CacheStore::open(&root, owner, cipher, generations));
        let (store, claimed) = match timeout(ANSWER, opening).await {
            Ok(opened) => opened.ok().map(|(store, claimed)| (Some(store), claimed))?,
            Err(_) => (None, Err(CacheError::NoAnswer { folder: folder.clone() })),
        };
        let keeper = Keeper::new(Instant::now(), trust_after, None);
        let elsewhere = claimed == Ok(false);
        let health = CacheHealth { folder, saved: None, elsewhere, fault: None, skipped: Vec::new() };
        let mut kept = Kept { store, keeper, health };
        kept.note(claimed.map(|_| ()));
        Some(kept)
    }

    pub(crate) const fn trust(&self) -> Duration {
        self.trust_after
    }
}

impl Kept {
    async fn with<R: Send + 'static>(
        &mut self,
        run: impl FnOnce(&mut CacheStore) -> R + Send + 'static,
    ) -> Result<R, CacheError> {
        let store = self.store.take().ok_or_else(|| self.lost())?;
        let (store, result) = blocking(store, run).await.map_err(|_| CacheError::Shutdown)?;
        self.store = Some(store);
        Ok(result)
    }

    /// The same for what a start waits for.
    async fn in_time<R: Send + 'static>(
        &mut self,
        run: impl FnOnce(&mut CacheStore) -> R + Send + 'static,
    ) -> Result<R, CacheError> {
        let answer = timeout(ANSWER, self.with(run)).await;
        answer.unwrap_or_else(|_| {
            let error = CacheError::NoAnswer { folder: self.health.folder.clone() };
            self.note(Err(error.clone()));
            Err(error)
        })
    }

    /// Why there is nobody to be asked.
    fn lost(&self) -> CacheError {
        match &self.health.fault {
            Some((error @ CacheError::NoAnswer { .. }, _)) => error.clone(),
            _ => CacheError::Shutdown,
        }
    }

    /// The next generation that can be read. What cannot is noted.
    pub(crate) async fn next(&mut self) -> Option<Loaded> {
        loop {
            match self.in_time(CacheStore::next).await.ok()?? {
                Ok(loaded) => return Some(loaded),
                Err(skipped) => {
                    tracing::warn!(folder = %self.health.folder.display(), %skipped, "a cache file is not used");
                    self.health.skipped.push(skipped);
                }
            }
        }
    }

    /// Writes down, before it is served, that this generation is started from.
    pub(crate) async fn boot(&mut self, loaded: &Loaded, trust_after: Duration) {
        let number = loaded.generation.number;
        let noted = self.in_time(move |store| store.begin_boot(number)).await;
        self.note(noted.and_then(|noted| noted));
        self.keeper = Keeper::new(Instant::now(), trust_after, Some(number));
        self.health.saved = Some(SavedState {
            generation: number,
            revision: loaded.saved.revision,
            trusted: loaded.generation.trust == Trust::Trusted,
        });
    }

    /// The generation that was started from is served.
    pub(crate) const fn serves(&mut self) {
        if let Some(store) = &mut self.store {
            store.serves();
        }
    }

    /// The bucket's state came in the last moment: nothing is served from here.
    pub(crate) async fn is_not_needed(&mut self, trust_after: Duration) {
        let effect = self.keeper.ended();
        self.keeper = Keeper::new(Instant::now(), trust_after, None);
        self.perform_on_boot(effect).await;
    }

    fn note(&mut self, result: Result<(), CacheError>) {
        match result {
            // One thing that works does not mend another one that is still to be tried again.
            Ok(()) if self.keeper.is_behind() => {}
            Ok(()) => self.health.fault = None,
            Err(error) => {
                if self.health.fault.as_ref().is_none_or(|(known, _)| *known != error) {
                    tracing::warn!(folder = %self.health.folder.display(), %error, "the cache is not kept");
                    self.health.fault = Some((error, SystemTime::now()));
                }
            }
        }
    }

    /// When [`Kept::due`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.keeper.deadline()
    }

    /// The bucket's state is served, and is another one than before.
    pub(crate) async fn changed(&mut self) {
        let effect = self.keeper.changed(Instant::now());
        self.perform_on_boot(effect).await;
    }

    /// The handle ends.
    pub(crate) async fn ended(mut self) {
        let effect = self.keeper.ended();
        self.perform_on_boot(effect).await;
    }

    /// The same where nobody can wait: the runtime ends with the handle. Blocks, for as long as a small file takes.
    pub(crate) fn ended_with_the_runtime(mut self) {
        let Some(store) = &mut self.store else { return };
        let said = match self.keeper.ended() {
            Some(Effect::Withdraw(number)) => store.withdraw(number),
            Some(Effect::Succeeded(number)) => store.succeeded(number),
            _ => return,
        };
        self.note(said);
    }

    async fn perform_on_boot(&mut self, effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        let result = match effect {
            Effect::Withdraw(number) => self.with(move |store| store.withdraw(number)).await,
            Effect::Succeeded(number) => self.with(move |store| store.succeeded(number)).await,
            Effect::Save | Effect::Promote(_) => return,
        };
        let result = result.and_then(|done| done);
        self.keeper.said(Instant::now(), effect, result.is_ok());
        self.note(result);
    }

    /// Does what is due. `state` gives what is served; `None` when the handle is gone.
    pub(crate) async fn due(&mut self, state: &(dyn Fn() -> Option<Saved> + Send + Sync)) {
        for effect in self.keeper.due(Instant::now()) {
            match effect {
                Effect::Save => {
                    if let Some(saved) = state() {
                        self.save(saved).await;
                    }
                }
                Effect::Promote(number) => {
                    let promoted = self.with(move |store| store.promote(number)).await;
                    let promoted = promoted.and_then(|done| done);
                    if let (Ok(()), Some(saved)) = (&promoted, &mut self.health.saved) {
                        saved.trusted |= saved.generation == number;
                        tracing::debug!(folder = %self.health.folder.display(), number, "cached state is trusted");
                    }
                    if promoted.is_err() {
                        // Or nothing would be trusted before the next change, which may be months away.
                        self.keeper.saved(Instant::now(), Outcome::Failed);
                    }
                    self.note(promoted);
                }
                Effect::Succeeded(_) | Effect::Withdraw(_) => self.perform_on_boot(Some(effect)).await,
            }
        }
    }

    async fn save(&mut self, saved: Saved) {
        let revision = saved.revision;
        let result = self.with(move |store| store.save(&saved)).await.and_then(|done| done);
        let outcome = result.as_ref().map_or(Outcome::Failed, SaveResult::outcome);
        self.keeper.saved(Instant::now(), outcome);
        if let Ok(result) = &result {
            self.health.elsewhere = matches!(result, SaveResult::Elsewhere);
        }
        if let Ok(SaveResult::Saved(generation)) = &result {
            let trusted = generation.trust == Trust::Trusted;
            self.health.saved = Some(SavedState { generation: generation.number, revision, trusted });
            tracing::debug!(
                folder = %self.health.folder.display(),
                number = generation.number,
                revision = revision.get(),
                "state saved"
            );
        }
        self.note(result.map(|_| ()));
    }
}

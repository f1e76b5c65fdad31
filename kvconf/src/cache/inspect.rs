//! What stands in a cache, for people and tools: when the server is away, it may be the only copy of the settings at hand.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::spawn_blocking;

use super::cipher::Cipher;
use super::folder::Folder;
use super::format::{self, Damage, Seen};
use super::shelf::{Boots, Generation, Trust, boot_order};
use super::{Cache, CacheError};
use crate::{Entry, Key, Revision};

/// How deep handles' folders lie below a cache's: one for the bucket, one for the handle.
const DEPTH: usize = 2;

/// One file of a cache. From [`Cache::inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheFile {
    /// Where it lies; its folder is that of one handle.
    pub path: PathBuf,
    /// Its number: a newer state has a larger one.
    pub generation: u64,
    /// Whether a process has served it for long enough.
    pub trusted: bool,
    /// How many starts from it did not come to a good end.
    pub failed_starts: u32,
    /// What is in it, or why it would not be used.
    pub content: Result<CacheContent, Damage>,
}

/// A state in a cache file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheContent {
    /// The bucket's name.
    pub bucket: String,
    /// The prefix of the handle; empty for the whole bucket.
    pub prefix: String,
    /// The name of the struct.
    pub struct_name: String,
    /// When the bucket was created, where the process was allowed to ask.
    pub created: Option<SystemTime>,
    /// The revision whose state it is.
    pub revision: Revision,
    /// When it was written.
    pub saved_at: SystemTime,
    /// The last entry of each key, by key, markers of removals included: in the clear, whoever may read the file may read
    /// them. An error where they are encrypted with a key that was not given to `Cache::keyring`.
    pub entries: Result<Vec<Arc<Entry>>, Damage>,
    /// Keys that have a value which was left out: secrets, and what the struct did not know.
    pub omitted: Vec<Key>,
    /// The id of the key that the entries are encrypted with.
    pub sealed_by: Option<String>,
}

impl Cache {
    /// All files below the folder, of whatever bucket, prefix and struct; or those in it, where it is the folder of one
    /// handle. By folder, and within one in the order in which a start would try them.
    ///
    /// It only reads: no lock is taken, and a process that writes there meanwhile is not disturbed. A file that such a
    /// process removes in between shows as damaged.
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
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("kvconf-doc-inspect-{}", std::process::id()));
    /// let bucket = Bucket::memory();
    /// bucket.put("checkout.max_items", "60").await?;
    /// let live = bucket.live::<Checkout>().cache(Cache::at(&folder)).start().await?;
    /// # while live.health().cache.is_none_or(|cache| cache.saved.is_none()) {
    /// #     tokio::time::sleep(Duration::from_millis(100)).await;
    /// # }
    /// # drop(live);
    /// let files = Cache::at(&folder).inspect().await?; // a while later, perhaps by another program
    /// let content = files[0].content.clone()?;
    /// assert_eq!((content.struct_name.as_str(), content.revision.get()), ("Checkout", 1));
    /// assert_eq!(&content.entries?[0].value()[..], b"60");
    /// # let _ = std::fs::remove_dir_all(&folder);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`CacheError::Io`] when a folder cannot be listed, also where there is none.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn inspect(&self) -> Result<Vec<CacheFile>, CacheError> {
        let (root, cipher) = (self.root.clone(), self.cipher.clone());
        spawn_blocking(move || inspect(&root, &cipher)).await.map_err(|_| CacheError::Shutdown)?
    }
}

fn inspect(root: &Path, cipher: &Cipher) -> Result<Vec<CacheFile>, CacheError> {
    let fails = |folder: &Path| {
        let folder = folder.to_owned();
        move |error: io::Error| CacheError::Io { doing: "list", folder, kind: error.kind() }
    };
    let mut files = Vec::new();
    let mut level = vec![root.to_owned()];
    for depth in 0..=DEPTH {
        level.sort();
        for path in std::mem::take(&mut level) {
            // Told before `list`, to which a folder that is not there is one without files.
            let below = folders(&path).map_err(fails(&path))?;
            let folder = Folder::at(path);
            let listed = folder.list().map_err(fails(folder.path()))?;
            let boots = folder.boots();
            let order = boot_order(&listed, &boots);
            files.extend(order.into_iter().map(|generation| file(&folder, generation, &boots, cipher)));
            if depth < DEPTH {
                level.extend(below);
            }
        }
    }
    Ok(files)
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn file(folder: &Folder, generation: Generation, boots: &Boots, cipher: &Cipher) -> CacheFile {
    let seen = folder.read(generation).and_then(|bytes| format::look(&bytes, cipher));
    CacheFile {
        path: folder.path().join(generation.file_name()),
        generation: generation.number,
        trusted: generation.trust == Trust::Trusted,
        failed_starts: boots.failures(generation.number),
        content: seen.map(content),
    }
}

fn content(seen: Seen) -> CacheContent {
    let Seen { saved, sealed_by, damage } = seen;
    CacheContent {
        bucket: saved.owner.bucket,
        prefix: saved.owner.prefix,
        struct_name: saved.owner.name,
        created: saved.created,
        revision: saved.revision,
        saved_at: saved.saved_at,
        entries: damage.map_or(Ok(saved.entries), Err),
        omitted: saved.omitted,
        sealed_by,
    }
}

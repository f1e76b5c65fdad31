//! A cache's folder on disk. Every call blocks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::format::{Damage, Owner};
use super::shelf::{Boots, Generation, Trust};

/// The most that is read of a file: a bucket of a million keys is far below.
const MAX_BYTES: u64 = 1 << 30;

/// Where starts are written down.
const BOOTS: &str = "boots";
/// Held by the one process that writes.
const LOCK: &str = "lock";
/// What is being written has this name, whatever it is to become.
const TEMPORARY: &str = "writing.tmp";

/// The longest readable part of a folder's name.
const MAX_NAME: usize = 100;

/// One handle's folder. The process that holds its lock writes; the others only read.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The system frees it when the process ends, however that happens.
    lock: Option<File>,
}

/// `checkout.Checkout.1f2e3d4c`, below a folder for the bucket.
fn name_of(owner: &Owner) -> PathBuf {
    let readable: String = format!("{}.{}", owner.prefix, owner.name)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .take(MAX_NAME)
        .collect();
    // Separators that no part can have: two owners never give the same text.
    let whole = format!("{}\n{}\n{}", owner.bucket, owner.prefix, owner.name);
    let hash: String = Sha256::digest(whole).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let readable = readable.trim_start_matches('.');
    Path::new(&owner.bucket).join(format!("{readable}.{hash}"))
}

impl Folder {
    pub(super) fn new(root: &Path, owner: &Owner) -> Self {
        Self { path: root.join(name_of(owner)), lock: None }
    }

    /// The folder at this path, whosever it is, to look at.
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process writes, trying to become the one that does. Makes the folder.
    pub(super) fn claim(&mut self) -> io::Result<bool> {
        if self.lock.as_ref().is_some_and(|lock| is_at(lock, &self.path.join(LOCK))) {
            return Ok(true);
        }
        // Somebody has cleared the folder away: what is locked there is no longer what others find.
        self.lock = None;
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path)?;
        let file = private(OpenOptions::new().create(true).truncate(false)).open(self.path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }

    /// All generations; none where there is no folder.
    pub(super) fn list(&self) -> io::Result<Vec<Generation>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let generation = |name: io::Result<std::ffi::OsString>| match name {
            Ok(name) => Generation::of_file_name(name.to_str()?).map(Ok),
            Err(error) => Some(Err(error)),
        };
        names.filter_map(generation).collect()
    }

    pub(super) fn read(&self, generation: Generation) -> Result<Vec<u8>, Damage> {
        let unreadable = |error: io::Error| Damage::Unreadable(error.kind());
        // To open a pipe waits for somebody who writes into it.
        let path = self.path.join(generation.file_name());
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(Damage::Unreadable(ErrorKind::InvalidInput));
        }
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // One byte more than is taken, to know of it.
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES { Err(Damage::TooLarge { max: MAX_BYTES }) } else { Ok(bytes) }
    }

    /// What cannot be read counts as nothing.
    pub(super) fn boots(&self) -> Boots {
        let bytes = fs::read(self.path.join(BOOTS)).unwrap_or_default();
        Boots::of_text(&String::from_utf8_lossy(&bytes))
    }

    pub(super) fn write_boots(&self, boots: &Boots) -> io::Result<()> {
        self.write_file(BOOTS, boots.to_text().as_bytes())
    }

    pub(super) fn write(&self, generation: Generation, bytes: &[u8]) -> io::Result<()> {
        self.write_file(&generation.file_name(), bytes)
    }

    /// Whoever looks at the name sees the old file or the new one, whole, also after a power failure.
    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path.join(TEMPORARY);
        let mut file = private(OpenOptions::new().create(true).truncate(true)).open(&temporary)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let moved = written.and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if moved.is_err() {
            // A half-written file on a full disk is in the way of everybody.
            let _ = fs::remove_file(&temporary);
        }
        moved?;
        self.sync()
    }

    pub(super) fn promote(&self, number: u64) -> io::Result<()> {
        let name = |trust| self.path.join(Generation::new(number, trust).file_name());
        fs::rename(name(Trust::Candidate), name(Trust::Trusted))?;
        self.sync()
    }

    pub(super) fn remove(&self, generation: Generation) -> io::Result<()> {
        fs::remove_file(self.path.join(generation.file_name()))
    }

    /// Makes names that were given last.
    fn sync(&self) -> io::Result<()> {
        // Elsewhere a folder cannot be opened as a file, and a rename is durable by itself.
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

/// Whether an open file is the one that has this name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let id = |metadata: io::Result<fs::Metadata>| metadata.map(|it| (it.dev(), it.ino())).ok();
    id(file.metadata()).is_some_and(|ours| id(fs::metadata(path)) == Some(ours))
}

/// An open file cannot be removed.
#[cfg(not(unix))]
const fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// For this process's user alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.write(true)
}

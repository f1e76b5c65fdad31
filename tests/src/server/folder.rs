//! A folder of one's own, removed when dropped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where files are kept in memory on Linux.
const MEMORY: &str = "/dev/shm";

/// How much must be free there, in bytes: several times what the tests ever keep at a time.
const ROOM: u64 = 4 << 30;

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        Self::within(&in_memory().unwrap_or_else(std::env::temp_dir))
    }

    pub(super) fn on_disk() -> Self {
        Self::within(&std::env::temp_dir())
    }

    fn within(parent: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("kvconf-tests-{}-{count}", std::process::id()));
        // A process of the same id that crashed may have left one.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// A folder whose files are kept in memory, unless `TMPDIR` says where files go: hundreds of servers make and remove
/// thousands of small files, for which a disk takes a quarter of their time.
fn in_memory() -> Option<PathBuf> {
    let free =
        rustix::fs::statvfs(MEMORY).ok().map(|memory| memory.f_bavail.saturating_mul(memory.f_frsize))?;
    let usable = free >= ROOM && rustix::fs::access(MEMORY, rustix::fs::Access::WRITE_OK).is_ok();
    (usable && std::env::var_os("TMPDIR").is_none()).then(|| MEMORY.into())
}

/// Copies a folder with all that is in it over another one.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

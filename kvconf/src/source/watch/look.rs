//! One look at a file.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::source::{MAX_BYTES, Reading, Unreadable};

/// What stands in the file now. Blocks.
pub(super) fn look(path: &Path) -> Reading {
    let fault = |error: std::io::Error| Unreadable::from(&error);
    // Before it is opened: opening a pipe waits for somebody who writes.
    let kind = fs::metadata(path).map_err(fault)?;
    if kind.is_dir() {
        return Err(Unreadable::Folder);
    }
    if !kind.is_file() {
        return Err(Unreadable::Special);
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(fault)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > MAX_BYTES { Err(Unreadable::TooLarge) } else { Ok(bytes) }
}

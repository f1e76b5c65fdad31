//! The public conformance suites for feature flags, read from the folder that `KVCONF_CONFORMANCE` names.
//!
//! `.ci/run` names it always. Without the variable nothing of this can run, and each test says so on its way; with it, a file
//! that is missing fails, and so does a suite with fewer cases than it is known to have.

mod documents;
mod json_logic;
mod testbed;

use std::path::PathBuf;

/// The folder of the suites, or `None` with a word about it where nobody named one.
fn suites() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("KVCONF_CONFORMANCE") else {
        eprintln!("NOT RUN: KVCONF_CONFORMANCE does not name the folder of the conformance suites");
        return None;
    };
    // Cargo runs tests in the folder of their package; the variable is meant from that of the workspace.
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    assert!(folder.is_dir(), "KVCONF_CONFORMANCE names {}, which is no folder", folder.display());
    Some(folder)
}

/// The text of a file of the suites.
fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

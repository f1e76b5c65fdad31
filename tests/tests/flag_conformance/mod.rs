//! The public conformance suites for feature flags, read from the folder that `KVCONF_CONFORMANCE` names.
//!
//! `.ci/run` names it always. Without the variable the tests are shown as ignored (`build.rs` looks for it); with it, a file
//! that is missing fails, and so does a suite with fewer cases than it is known to have.

mod documents;
mod json_logic;
mod testbed;

use std::path::PathBuf;

/// The folder of the suites.
fn suites() -> PathBuf {
    let folder =
        std::env::var_os("KVCONF_CONFORMANCE").expect("KVCONF_CONFORMANCE names the folder of the suites");
    // Cargo runs tests in the folder of their package; the variable is meant from that of the workspace.
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    assert!(folder.is_dir(), "KVCONF_CONFORMANCE names {}, which is no folder", folder.display());
    folder
}

/// The text of a file of the suites.
fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

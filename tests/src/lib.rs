//! What the tests of the workspace share: real servers to test against.

use std::path::{Path, PathBuf};

mod backend;
pub mod foreign;
pub mod instances;
pub mod proxy;
pub mod python;
pub mod replica;
pub mod server;
mod wait;

/// How many random cases a test tries: so many, times `KVCONF_CASES`, for a machine that has more time.
#[must_use]
pub fn cases(usual: u32) -> u32 {
    let times = std::env::var("KVCONF_CASES").ok();
    times.map_or(usual, |times| usual * times.parse::<u32>().expect("KVCONF_CASES is a number"))
}

pub use backend::Backend;
pub use wait::{wait_for, wait_until};

/// The folder where the workspace is built; what tests install once lies there.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

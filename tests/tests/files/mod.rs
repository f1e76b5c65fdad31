//! Settings from files, the environment and overrides, on the memory bucket. Files are real ones, in folders of their own.

mod bad;
mod folder;
mod overrides;
mod replaced;
mod sources;
#[cfg(unix)]
mod unusual;
mod variables;

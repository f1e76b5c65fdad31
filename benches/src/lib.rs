//! How fast kvconf is, as ratios to what it stands on, measured within one run.
//!
//! ```sh
//! cargo run --release -p kvconf-benches --bin table
//! ```

pub mod allocations;
pub mod arrival;
pub mod burst;
pub mod change;
pub mod command;
pub mod figures;
pub mod history;
pub mod live_server;
pub mod reads;
pub mod rollback;
pub mod settings;
pub mod start;
pub mod tree;
pub mod under_changes;
pub mod writes;

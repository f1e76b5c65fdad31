//! What the tests of the workspace share: real servers to test against.

pub mod foreign;
pub mod server;
mod wait;

pub use wait::{wait_for, wait_until};

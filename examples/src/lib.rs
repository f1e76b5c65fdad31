//! What the larger examples consist of, so that tests can run it too.

pub mod service;

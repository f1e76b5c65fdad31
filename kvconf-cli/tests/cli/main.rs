//! The command as people and programs use it, against real servers. One binary, so that it is linked once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails")]

mod asking;
mod buckets;
mod changing;
mod command;
mod connecting;
mod dev;
mod doctor;
mod documents;
mod editing;
mod flags;
mod fleet;
mod looking;
mod moving;
mod past;
mod schemas;
mod terminal;
mod tour;

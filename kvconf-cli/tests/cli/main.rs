//! The command as people and programs use it, against real servers. One binary, so that it is linked once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails")]

mod asking;
mod buckets;
mod caches;
mod changing;
mod clock;
mod command;
mod completing;
mod connecting;
mod dev;
mod doctor;
mod documents;
mod editing;
mod explaining;
mod flags;
mod fleet;
mod identity;
mod interrupting;
mod layers;
mod logins;
mod looking;
mod looking_back;
mod many;
mod moving;
mod past;
mod schemas;
mod taking_back;
mod terminal;
mod tour;
mod waiting;

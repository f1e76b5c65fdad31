//! The tests that can run side by side, a room each: `cargo test -p kvconf-tests --test together history::`.
//!
//! Most of them wait for servers most of the time. In one program many wait at once, and it is linked once.

mod cache;
mod deadline;
mod figures;
mod files;
mod flag_conformance;
mod flag_sets;
mod flags;
mod fleet;
mod health;
mod history;
mod joining;
mod layers;
mod live;
mod live_nats;
mod nats_open;
mod nats_store;
mod nats_watch;
mod openfeature;
mod other_clients;
mod permissions;
mod rollback;
mod schemas;
mod sealed;
mod semantics;
mod server;
mod service;
mod updates;

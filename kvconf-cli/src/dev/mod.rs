//! A nats-server of one's own, to try things with: found, started, and gone at the end with all that it held.
//!
//! `binary` finds it, `server` runs it.

mod binary;
mod server;

pub(crate) use binary::{Found, NoBinary, find};
pub(crate) use server::{DevError, DevServer, Place};

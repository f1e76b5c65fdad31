//! The `kvconf` command: what an operator of a kvconf bucket holds in the hand.
//!
//! `arguments` has the table of verbs, `verb/` a file for each, `connect/` finds the server as NATS users expect it,
//! `output/` decides how everything looks. A verb takes a [`Session`](session::Session) and gives a
//! [`Failure`](failure::Failure) or nothing; it decides and asks the library, it does not format.

mod arguments;
mod change;
mod complete;
mod connect;
mod dev;
mod doctor;
mod document;
mod exit;
mod failure;
mod fleet;
mod interrupt;
mod output;
mod past;
mod record;
mod schemas;
mod secrecy;
mod session;
mod stream;
mod suggest;
mod take_back;
mod targets;
mod verb;
mod when;

use std::process::ExitCode;

use exit::Exit;

fn main() -> ExitCode {
    if complete::answer() {
        return Exit::Ok.into();
    }
    let invocation = match arguments::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(told) => return told,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return session::without_runtime(&error),
    };
    let code = runtime.block_on(session::run(invocation));
    // A thread may still read the terminal: nobody waits for it.
    runtime.shutdown_background();
    code
}

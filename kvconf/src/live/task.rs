//! Tasks of handles.

use futures_util::future::BoxFuture;

/// Starts one. Must be called inside a tokio runtime.
///
/// The future comes boxed, so that what a runtime does with it is compiled once. Unboxed it is compiled again for each task
/// of each struct: a fifth of all functions in a program with 45 small structs.
pub(super) fn spawn(task: BoxFuture<'static, ()>) {
    tokio::spawn(task);
}

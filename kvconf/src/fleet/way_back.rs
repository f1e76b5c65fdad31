//! How a change goes back that too few have taken.

use std::sync::Arc;

use super::Fleet;
use super::error::FleetWaitError;
use super::wait::FleetStatus;
use crate::change::{Applied, Provisional, RollbackError, SettleError};
use crate::{Bucket, Filter, Key, Revision};

/// What takes it back.
#[derive(Debug, Clone)]
pub(super) enum Back {
    /// A revert of the change with this id.
    Revert(Arc<str>),
    /// The end of a change with a deadline, before its time.
    TakeBack(Provisional),
}

/// How a change goes back, if that is wanted.
#[derive(Debug, Clone)]
pub(super) struct WayBack {
    pub(super) by: Back,
    pub(super) author: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) wanted: bool,
}

impl WayBack {
    pub(super) const fn new(by: Back) -> Self {
        Self { by, author: None, reason: None, wanted: false }
    }

    /// Goes it, and says how that ended.
    pub(super) async fn go(
        self,
        fleet: &Fleet,
        written: &[(Key, Revision)],
        status: Box<FleetStatus>,
    ) -> FleetWaitError {
        let Self { by, author, reason, .. } = self;
        let reason = reason.unwrap_or_else(|| status.progress().to_string());
        match by {
            Back::Revert(change) => match revert(fleet, written, &change, (author, reason)).await {
                Ok(applied) => FleetWaitError::TakenBack { status, applied },
                Err(error) => FleetWaitError::NotTakenBack { status, error: Box::new(error) },
            },
            Back::TakeBack(change) => match take_back(&change, (author, reason)).await {
                Ok(applied) => FleetWaitError::TakenBack { status, applied },
                Err(error) => FleetWaitError::NotSettled { status, error: Box::new(error) },
            },
        }
    }
}

async fn revert(
    fleet: &Fleet,
    written: &[(Key, Revision)],
    change: &str,
    (author, reason): (Option<String>, String),
) -> Result<Applied, RollbackError> {
    let filters: Vec<Filter> = written.iter().map(|(key, _)| Filter::from(key)).collect();
    let revert = Bucket::from_store(Arc::clone(&fleet.store)).revert(filters, change).reason(reason);
    match author {
        Some(author) => revert.author(author).await,
        None => revert.await,
    }
}

async fn take_back(
    change: &Provisional,
    (author, reason): (Option<String>, String),
) -> Result<Applied, SettleError> {
    let settle = change.take_back().reason(reason);
    match author {
        Some(author) => settle.author(author).await,
        None => settle.await,
    }
}

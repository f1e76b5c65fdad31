//! Instances to test with.

use std::time::{Duration, SystemTime};

use super::wire::{Said, Told, VERSION};
use super::{Handle, Member};
use crate::Revision;

pub(crate) fn handle(prefix: &str) -> Handle {
    Handle {
        structure: "App".to_owned(),
        prefixes: vec![prefix.to_owned()],
        schema: None,
        applied: Revision::new(12),
        seen: Revision::new(12),
        current: true,
        state: "live".to_owned(),
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        basis: "bucket".to_owned(),
        rejected: Vec::new(),
        problems: Vec::new(),
        more_problems: 0,
    }
}

pub(crate) fn member(id: &str, handles: Vec<Handle>) -> Member {
    Member {
        id: id.to_owned(),
        name: "app".to_owned(),
        version: "1.4.2".to_owned(),
        host: "node-3".to_owned(),
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        kvconf: "0.1.0".to_owned(),
        handles,
        more_handles: 0,
    }
}

pub(crate) fn told(id: &str, said: Said) -> Told {
    Told {
        v: VERSION,
        id: id.to_owned(),
        name: "app".to_owned(),
        version: "1.4.2".to_owned(),
        host: "node-3".to_owned(),
        said,
    }
}

//! Long subjects, one page each.
//!
//! The pages are files in `docs/`; their examples are compiled and run as tests.

#[doc = include_str!("../docs/promises.md")]
pub mod promises {}

#[doc = include_str!("../docs/values.md")]
pub mod values {}

#[cfg(feature = "files")]
#[doc = include_str!("../docs/files.md")]
pub mod files {}

#[doc = include_str!("../docs/schemas.md")]
pub mod schemas {}

#[doc = include_str!("../docs/layers.md")]
pub mod layers {}

#[doc = include_str!("../docs/changes.md")]
pub mod changes {}

#[doc = include_str!("../docs/deadline.md")]
pub mod deadline {}

#[doc = include_str!("../docs/history.md")]
pub mod history {}

#[doc = include_str!("../docs/take-back.md")]
pub mod take_back {}

#[doc = include_str!("../docs/flags.md")]
pub mod flags {}

#[doc = include_str!("../docs/flag-sets.md")]
pub mod flag_sets {}

#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[cfg(feature = "fleet")]
#[doc = include_str!("../docs/fleet.md")]
pub mod fleet {}

#[cfg(all(feature = "nats", feature = "fleet"))]
#[doc = include_str!("../docs/permissions.md")]
pub mod permissions {}

#[doc = include_str!("../docs/outages.md")]
pub mod outages {}

#[doc = include_str!("../docs/secrets.md")]
pub mod secrets {}

#[doc = include_str!("../docs/faults.md")]
pub mod faults {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/errors.md")]
pub mod errors {}

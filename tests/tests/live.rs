//! What a user of `Live` sees, on the memory bucket: time is paused, faults are made on demand.

#[path = "live/changes.rs"]
mod changes;
#[path = "live/faults.rs"]
mod faults;
#[path = "live/outages.rs"]
mod outages;
#[path = "live/reading.rs"]
mod reading;
#[path = "live/settings.rs"]
mod settings;
#[path = "live/values.rs"]
mod values;
#[path = "live/writing.rs"]
mod writing;

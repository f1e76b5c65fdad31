//! What a user of `Live` sees, on the memory bucket: time is paused, faults are made on demand.

mod changes;
mod faults;
mod large;
mod outages;
mod reading;
mod settings;
mod values;
mod versions;
mod writing;

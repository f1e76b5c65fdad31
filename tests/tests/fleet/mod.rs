//! The fleet on real servers: instances that are real and instances that are made up.

mod instances;
mod service;
mod simulated;

//! The fleet on real servers: instances that are real and instances that are made up.

mod instances;
mod made_up;
mod service;
mod simulated;

pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod field;
pub(crate) mod log;
pub(crate) mod past;

//! What a bucket still knows of earlier states. Pure: entries in, answers out.

pub(crate) mod retained;
pub(crate) mod whole;

//! Which entries of folders a path depends on.

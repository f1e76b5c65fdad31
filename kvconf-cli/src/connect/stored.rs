//! The contexts that the `nats` command stores.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A stored context, as far as it matters here. Empty texts are the same as none.
///
/// Left out is what has no say in a connection: `description`, `color_scheme`, `jetstream_event_prefix`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    pub(super) url: String,
    pub(super) token: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) creds: String,
    pub(super) nkey: String,
    pub(super) user_jwt: String,
    pub(super) user_seed: String,
    pub(super) nsc: String,
    pub(super) cert: String,
    pub(super) key: String,
    pub(super) ca: String,
    pub(super) tls_first: bool,
    pub(super) jetstream_domain: String,
    pub(super) jetstream_api_prefix: String,
    pub(super) inbox_prefix: String,
    pub(super) socks_proxy: String,
    pub(super) windows_cert_store: String,
}

/// The folder of the `nats` command's own files, from the environment.
pub(super) fn folder(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let parent = variable("XDG_CONFIG_HOME").and_then(absolute).or_else(|| {
        Some(PathBuf::from(variable("HOME").or_else(|| variable("USERPROFILE"))?).join(".config"))
    })?;
    Some(parent.join("nats"))
}

/// The file of a context.
pub(super) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join("context").join(format!("{name}.json"))
}

/// The file with the name of the context that is selected.
pub(super) fn selected(folder: &Path) -> PathBuf {
    folder.join("context.txt")
}

/// A path as people write it: `~` is the home folder.
pub(super) fn expand(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), variable("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

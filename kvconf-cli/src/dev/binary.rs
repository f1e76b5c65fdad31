//! Finding a nats-server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use derive_more::{Display, Error};

/// Names a binary that is taken as it is.
const VARIABLE: &str = "KVCONF_NATS_SERVER";

/// What the program is called, here.
const NAME: &str = if cfg!(windows) { "nats-server.exe" } else { "nats-server" };

/// A binary that answers as a nats-server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Such as `2.15.1`.
    pub(crate) version: String,
}

/// Why there is no server to start.
#[derive(Debug, PartialEq, Eq, Display, Error)]
pub(crate) enum NoBinary {
    #[display("there is no nats-server on the PATH, and {VARIABLE} names none")]
    Nowhere,
    #[display("{VARIABLE} names {}, which does not answer `--version` as a nats-server does", path.display())]
    Other { path: PathBuf },
    #[display("{} is nats-server {version}, and kvconf needs 2.11 or later", path.display())]
    TooOld { path: PathBuf, version: String },
}

/// Where to look, and whom to ask for a version.
pub(crate) struct Surroundings<'a> {
    pub(crate) variable: Option<OsString>,
    pub(crate) path: Option<OsString>,
    /// What a binary prints for `--version`; `None` where it cannot be run.
    pub(crate) version_of: &'a dyn Fn(&Path) -> Option<String>,
}

/// The server to start: the one that is named, else the first on the `PATH`.
pub(crate) fn find() -> Result<Found, NoBinary> {
    choose(&Surroundings {
        variable: std::env::var_os(VARIABLE).filter(|value| !value.is_empty()),
        path: std::env::var_os("PATH"),
        version_of: &|path| {
            let output = std::process::Command::new(path).arg("--version").output().ok()?;
            String::from_utf8(output.stdout).ok()
        },
    })
}

fn choose(around: &Surroundings<'_>) -> Result<Found, NoBinary> {
    let asked = |path: PathBuf| {
        let version = (around.version_of)(&path).and_then(|text| version(&text))?;
        Some(Found { path, version })
    };
    let found = match &around.variable {
        Some(path) => {
            let path = PathBuf::from(path);
            asked(path.clone()).ok_or(NoBinary::Other { path })?
        }
        None => {
            let folders = around.path.iter().flat_map(std::env::split_paths);
            folders.map(|folder| folder.join(NAME)).find_map(asked).ok_or(NoBinary::Nowhere)?
        }
    };
    if numbers(&found.version) < Some((2, 11)) {
        return Err(NoBinary::TooOld { path: found.path, version: found.version });
    }
    Ok(found)
}

/// The version in `nats-server: v2.15.1`.
fn version(text: &str) -> Option<String> {
    let (_, version) = text.trim().strip_prefix("nats-server")?.rsplit_once('v')?;
    numbers(version)?;
    Some(version.to_owned())
}

/// Major and minor.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variable: Option<&str>, answers: &[(&str, &str)]) -> Result<String, String> {
        let version_of = |path: &Path| {
            let found = answers.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, answer)| (*answer).to_owned())
        };
        let path = std::env::join_paths(["/one", "/two"]).unwrap();
        let around =
            Surroundings { variable: variable.map(Into::into), path: Some(path), version_of: &version_of };
        let found = choose(&around);
        found
            .map(|found| format!("{} {}", found.path.display(), found.version))
            .map_err(|error| error.to_string())
    }

    #[cfg(unix)]
    #[test]
    fn the_one_that_is_named_wins_over_the_path() {
        let answers = [
            ("/mine", "nats-server: v2.14.6\n"),
            ("/one/nats-server", "something else"),
            ("/two/nats-server", "nats-server: v2.15.1\n"),
        ];
        assert_eq!(chosen(Some("/mine"), &answers), Ok("/mine 2.14.6".to_owned()));
        assert_eq!(chosen(None, &answers), Ok("/two/nats-server 2.15.1".to_owned()));
        assert_eq!(
            chosen(Some("/one/nats-server"), &answers),
            Err("KVCONF_NATS_SERVER names /one/nats-server, which does not answer `--version` as a nats-server does".to_owned())
        );
        assert_eq!(
            chosen(None, &[]),
            Err("there is no nats-server on the PATH, and KVCONF_NATS_SERVER names none".to_owned())
        );
        assert_eq!(
            chosen(None, &[("/one/nats-server", "nats-server: v2.10.29")]),
            Err("/one/nats-server is nats-server 2.10.29, and kvconf needs 2.11 or later".to_owned())
        );
    }
}

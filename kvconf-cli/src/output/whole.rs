//! A file that is written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file on the way. What stood there before stays until [`Whole::finish`]; dropped before that, it leaves nothing behind.
pub(crate) enum Whole {
    /// Something else than a file, such as a pipe or a terminal: it has no before.
    Direct(BufWriter<File>),
    Beside {
        file: BufWriter<NamedTempFile>,
        path: PathBuf,
    },
}

/// A file that cannot be written.
#[derive(Debug, derive_more::Display, derive_more::Error)]
#[display("{path} cannot be written")]
pub(crate) struct Unwritten {
    pub(crate) path: String,
    #[error(source)]
    pub(crate) cause: io::Error,
}

const CAPACITY: usize = 64 * 1024;

impl Whole {
    /// Begins one.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let before = match fs::metadata(path) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if before.as_ref().is_some_and(|before| !before.is_file()) {
            return Ok(Self::Direct(BufWriter::with_capacity(CAPACITY, File::create(path)?)));
        }
        // What a link leads to is replaced, and not the link.
        let path = if before.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Else the reason would name a file that nobody has asked for.
        fs::metadata(folder)?;
        let file = named(before.map(|before| before.permissions())).tempfile_in(folder)?;
        Ok(Self::Beside { file: BufWriter::with_capacity(CAPACITY, file), path })
    }

    /// Puts it where it belongs.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Direct(mut file) => file.flush(),
            Self::Beside { file, path } => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.persist(path).map(|_| ()).map_err(|error| error.error)
            }
        }
    }
}

/// With the permissions of the one before, else with those of any new file.
fn named(before: Option<fs::Permissions>) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kvconf-");
    #[cfg(unix)]
    let before = before.or_else(|| Some(std::os::unix::fs::PermissionsExt::from_mode(0o666)));
    if let Some(permissions) = before {
        builder.permissions(permissions);
    }
    builder
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Direct(file) => file.write(bytes),
            Self::Beside { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Direct(file) => file.flush(),
            Self::Beside { file, .. } => file.flush(),
        }
    }
}

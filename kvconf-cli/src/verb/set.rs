//! `kvconf set`: values of keys.

use std::io::Read as _;

use bytes::Bytes;
use clap::Args;
use kvconf::{Bucket, Key};

use crate::change::{InLayer, WriteArgs, make};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;
use crate::suggest::near;

const EXAMPLE: &str = "\
Examples:
    kvconf set checkout.max_items=80 -m sale
    kvconf set checkout.max_items=80 checkout.region=eu     one change set, all or nothing
    kvconf set --layer host.web-1 checkout.max_items=90     the key host.web-1.checkout.max_items
    kvconf set checkout.logo=@logo.png                      the bytes of a file
    pass show pay | kvconf set checkout.api_key=- --yes     standard input, so that no shell keeps it";

/// Set keys, all of them in one change set
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Set {
    /// KEY=VALUE; the value `-` is standard input, `@FILE` a file
    #[arg(required = true, value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    /// Take values as they stand, also `-` and those that begin with `@`
    #[arg(long)]
    literal: bool,
    #[command(flatten)]
    layer: InLayer,
    #[command(flatten)]
    write: WriteArgs,
}

impl Set {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let mut wishes = Vec::with_capacity(self.pairs.len());
        let mut has_read_input = false;
        for pair in &self.pairs {
            let (key, value) = split(pair)?;
            let key = self.layer.key(&key)?;
            if wishes.iter().any(|(known, _)| *known == key) {
                return Err(Failure::new(Exit::Usage, format!("{key} is given twice")));
            }
            let value = match value {
                "-" if !self.literal => {
                    if std::mem::replace(&mut has_read_input, true) {
                        return Err(Failure::new(Exit::Usage, "standard input can be the value of one key only"));
                    }
                    from_input(session, &key)?
                }
                _ => match value.strip_prefix('@').filter(|_| !self.literal) {
                    Some(path) => from_file(path)?,
                    None => Bytes::copy_from_slice(value.as_bytes()),
                },
            };
            wishes.push((key, value));
        }
        let bucket = session.bucket().await?;
        say_what_is_new(session, &bucket, &wishes).await?;
        let edit = |bucket: &Bucket| {
            wishes.iter().fold(bucket.edit(), |edit, (key, value)| edit.set(key.clone(), value.clone()))
        };
        make(session, &bucket, &self.write, edit).await?;
        Ok(())
    }
}

fn split(pair: &str) -> Outcome<(Key, &str)> {
    let Some((key, value)) = pair.split_once('=') else {
        let failure = Failure::new(Exit::Usage, format!("{pair:?} has no value"));
        return Err(failure.hint(format!("kvconf set {pair}=VALUE, or kvconf get {pair}")));
    };
    Ok((Key::new(key)?, value))
}

fn from_input(session: &mut Session, key: &Key) -> Outcome<Bytes> {
    if !session.has_input() {
        return Err(Failure::new(Exit::Usage, format!("the value of {key} is to come from standard input, which is a terminal"))
            .hint(format!("kvconf set {key}=- < FILE")));
    }
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value)?;
    if value.ends_with(b"\n") && !value.trim_ascii().contains(&b'\n') {
        session.out.note(format!("the value of {key} ends with a line break; printf has none"))?;
    }
    Ok(value.into())
}

fn from_file(path: &str) -> Outcome<Bytes> {
    let value = std::fs::read(path).map_err(|error| {
        Failure::new(Exit::NotFound, FileError { path: path.to_owned(), cause: error })
            .hint("--literal takes a value that begins with @ as it stands")
    })?;
    Ok(value.into())
}

/// A slip in a name makes a new key, which nobody reads: that is said before it is written.
async fn say_what_is_new(session: &mut Session, bucket: &Bucket, wishes: &[(Key, Bytes)]) -> Outcome {
    const MOST: usize = 5;
    let schemas = session.out.secrecy().schemas;
    let is_setting = |key: &Key| schemas.is_some_and(|schemas| crate::schemas::know(schemas, key.as_str()));
    for (key, _) in wishes.iter().filter(|(key, _)| !is_setting(key)).take(MOST) {
        if bucket.entry(key.clone()).await?.is_none_or(|entry| entry.put_value().is_none())
            && let Some(near) = near(bucket, key).await
        {
            session.out.note(format!("{key} is new; did you mean {near}?"))?;
        }
    }
    Ok(())
}

/// A file that cannot be read.
#[derive(Debug, derive_more::Display, derive_more::Error)]
#[display("{path} cannot be read")]
pub(crate) struct FileError {
    pub(crate) path: String,
    #[error(source)]
    pub(crate) cause: std::io::Error,
}

//! `kvconf get`: values of keys.

use clap::Args;
use kvconf::{Bucket, Entry, Key, ReadError, Revision};

use crate::change::InLayer;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Record, Shown, shown, tame_lines};
use crate::session::Session;
use crate::suggest::near;

const EXAMPLE: &str = "\
Examples:
    kvconf get checkout.max_items
    kvconf get checkout.max_items --at 4102      as it was right after that revision
    kvconf get checkout.api_key --reveal > key   one key, piped: its bytes and nothing else";

/// Print the values of keys
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Get {
    /// The keys
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<Key>,
    /// As it was right after this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<u64>,
    #[command(flatten)]
    layer: InLayer,
}

impl Get {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let is_alone = self.keys.len() == 1;
        for key in &self.keys {
            let key = &self.layer.key(key)?;
            let entry = find(&bucket, key, self.at).await?;
            let Some(entry) = entry.filter(|entry| entry.put_value().is_some()) else {
                return Err(not_found(&bucket, key, self.at).await);
            };
            show(session, &entry, is_alone)?;
        }
        Ok(())
    }
}

async fn find(bucket: &Bucket, key: &Key, at: Option<u64>) -> Result<Option<Entry>, ReadError> {
    match at {
        None => bucket.entry(key.clone()).await,
        Some(revision) => {
            let reading = bucket.read_at(key.clone(), Revision::new(revision)).await?;
            Ok(reading.entries().first().cloned())
        }
    }
}

fn show(session: &mut Session, entry: &Entry, is_alone: bool) -> Outcome {
    let out = &mut session.out;
    let secrecy = out.secrecy();
    let wants_bytes = is_alone && out.is_json() && !out.is_json_asked();
    if out.is_json() && !wants_bytes {
        return out.json(&Record::new(entry, secrecy));
    }
    let text = match shown(secrecy, entry.key(), entry.value()) {
        // Whoever pipes a value somewhere must not get another one in its place.
        Shown::Masked => {
            let failure = Failure::new(Exit::Refused, format!("{} is a secret", entry.key()));
            return Err(failure.hint(format!("kvconf get {} --reveal", entry.key())));
        }
        _ if wants_bytes => return out.bytes(entry.value()),
        Shown::Binary(_) if !out.is_terminal() => return out.bytes(entry.value()),
        Shown::Binary(bytes) => format!("<{} bytes, not UTF-8; piped, they come as they are>", bytes.len()),
        Shown::Text(text) => tame_lines(text),
    };
    if is_alone { out.line(text) } else { out.line(format!("{}: {text}", entry.key())) }
}

/// Says that a key is not there, and which one may be meant.
async fn not_found(bucket: &Bucket, key: &Key, at: Option<u64>) -> Failure {
    let when = at.map(|revision| format!(" at revision {revision}")).unwrap_or_default();
    let failure = Failure::new(Exit::NotFound, format!("{key} has no value{when}"));
    failure.hint(match near(bucket, key).await {
        Some(near) => format!("did you mean {near}?"),
        None => "kvconf ls".to_owned(),
    })
}

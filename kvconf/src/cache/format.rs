//! What a cache file holds, and its bytes. Pure: no disk, no clock.
//!
//! ```text
//! kvconf-cache 1 <SHA-256 of all that follows, in hex>
//! {"bucket":"prod","prefix":"checkout","struct":"Checkout","revision":4181,…}
//! {"key":"checkout.max_items","revision":4181,"created":…,"value":"60",…}
//! ```
//!
//! One line for each entry, so that people can read it. With a key all lines of entries are encrypted together, bound to
//! the header above them, which stays readable.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use derive_more::{Display, Error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cipher::Cipher;
use crate::seal::SealError;
use crate::{Entry, Headers, Key, MarkerReason, Operation, Revision};

/// What every file begins with. Stored form: public and unchanging.
const MAGIC: &str = "kvconf-cache ";
/// The version that this program writes and reads.
const VERSION: &str = "1";

/// Why a cache file is not used.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum Damage {
    /// It does not begin as a cache file does.
    #[display("no cache file")]
    Magic,
    /// It was written by another version of the format.
    #[display("written in a version of the format that is not known here")]
    Version,
    /// Its bytes are not those that were written.
    #[display("the checksum does not fit")]
    Checksum,
    /// Its checksum fits, and it says what no writer of this version says.
    #[display("not understood: {what}")]
    Content {
        /// What is odd.
        what: &'static str,
    },
    /// It is of another bucket, prefix or struct: somebody has copied it here.
    #[display("of another bucket, prefix or struct")]
    Foreign,
    /// It is encrypted, and does not open.
    #[display("{_0}")]
    Sealed(#[error(not(source))] SealError),
    /// It is larger than any cache file is.
    #[display("larger than {max} bytes")]
    TooLarge {
        /// The most that is read.
        max: u64,
    },
    /// The system could not read it.
    #[display("cannot be read: {_0}")]
    Unreadable(#[error(not(source))] std::io::ErrorKind),
}

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    #[serde(rename = "struct")]
    pub(crate) name: String,
}

/// A state that was served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) owner: Owner,
    /// When the bucket was created, where the client may ask: another time means another bucket.
    pub(crate) created: Option<SystemTime>,
    /// The revision whose state it is.
    pub(crate) revision: Revision,
    /// The newest revision of any of its keys, those left out included.
    pub(crate) tail: Revision,
    pub(crate) saved_at: SystemTime,
    /// By key.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// Keys that have a value which is not in here.
    pub(crate) omitted: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(flatten)]
    owner: Owner,
    created: Option<i64>,
    revision: u64,
    tail: u64,
    saved: i64,
    entries: usize,
    omitted: Vec<String>,
    /// The id of the key that the entries are encrypted with.
    sealed: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    revision: u64,
    created: i64,
    operation: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marker: Option<Reason>,
    /// Where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

/// [`Operation`], as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Put,
    Delete,
    Purge,
    Unknown,
}

/// [`MarkerReason`], as it is written.
#[derive(Serialize, Deserialize)]
enum Reason {
    MaxAge,
    Purge,
    Remove,
}

/// Nanoseconds since 1970, as far as they fit (until 2262).
fn nanos(time: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

fn time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time = if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

fn line(entry: &Entry) -> Line {
    let (value, base64) = match str::from_utf8(entry.value()) {
        Ok("") => (None, None),
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(entry.value()))),
    };
    Line {
        key: entry.key().to_string(),
        revision: entry.revision().get(),
        created: nanos(entry.created()),
        operation: match entry.operation() {
            Operation::Put => Word::Put,
            Operation::Delete => Word::Delete,
            Operation::Purge => Word::Purge,
            Operation::Unknown => Word::Unknown,
        },
        marker: entry.marker_reason().map(|reason| match reason {
            MarkerReason::MaxAge => Reason::MaxAge,
            MarkerReason::Purge => Reason::Purge,
            MarkerReason::Remove => Reason::Remove,
        }),
        value,
        base64,
        headers: entry.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

fn entry(line: Line) -> Option<Entry> {
    let value = match (line.value, line.base64) {
        (Some(text), None) => text.into(),
        (None, Some(encoded)) => STANDARD.decode(encoded).ok()?.into(),
        (None, None) => Bytes::new(),
        (Some(_), Some(_)) => return None,
    };
    Some(Entry {
        key: Key::new(line.key).ok()?,
        revision: Revision::new(line.revision),
        value,
        operation: match line.operation {
            Word::Put => Operation::Put,
            Word::Delete => Operation::Delete,
            Word::Purge => Operation::Purge,
            Word::Unknown => Operation::Unknown,
        },
        marker: line.marker.map(|reason| match reason {
            Reason::MaxAge => MarkerReason::MaxAge,
            Reason::Purge => MarkerReason::Purge,
            Reason::Remove => MarkerReason::Remove,
        }),
        created: time(line.created),
        headers: line.headers.into_iter().collect::<Headers>(),
    })
}

/// A line of JSON. What is written here has no maps with odd keys and no floats: it cannot fail.
fn json(value: &impl Serialize, to: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *to, value).is_ok() {
        to.push(b'\n');
    }
}

fn lines(saved: &Saved) -> Vec<u8> {
    let mut lines = Vec::new();
    for entry in &saved.entries {
        json(&line(entry), &mut lines);
    }
    lines
}

/// What two files have in common that are worth the same: all but when they were written. `sealed` is the id of the key
/// that the file is encrypted with: one whose key is about to be taken away is worth nothing.
pub(crate) fn content(saved: &Saved, sealed: Option<&str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    let omitted: Vec<&str> = saved.omitted.iter().map(Key::as_str).collect();
    let mut head = Vec::new();
    json(&(saved.created.map(nanos), saved.tail.get(), omitted, sealed), &mut head);
    digest.update(head);
    digest.update(lines(saved));
    digest.finalize().into()
}

/// The bytes of a file.
///
/// # Errors
/// [`SealError::Failed`] when the system gives no random bytes to encrypt with.
pub(crate) fn encode(saved: &Saved, cipher: &Cipher) -> Result<Vec<u8>, SealError> {
    let header = Header {
        owner: saved.owner.clone(),
        created: saved.created.map(nanos),
        revision: saved.revision.get(),
        tail: saved.tail.get(),
        saved: nanos(saved.saved_at),
        entries: saved.entries.len(),
        omitted: saved.omitted.iter().map(Key::to_string).collect(),
        sealed: cipher.id().map(str::to_owned),
    };
    let mut body = Vec::new();
    json(&header, &mut body);
    let lines = lines(saved);
    match cipher.encrypt(&lines, &body)? {
        None => body.extend(lines),
        Some(encrypted) => {
            body.extend(STANDARD.encode(encrypted).bytes());
            body.push(b'\n');
        }
    }
    Ok(with_checksum(&body))
}

pub(super) fn with_checksum(body: &[u8]) -> Vec<u8> {
    let mut file = format!("{MAGIC}{VERSION} {}\n", hex(&Sha256::digest(body))).into_bytes();
    file.extend(body);
    file
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(at + 1)?;
    Some((line, rest))
}

/// Reads a file's bytes: exactly what was written, and the id of the key that it is encrypted with; or why not.
pub(crate) fn decode(file: &[u8], owner: &Owner, cipher: &Cipher) -> Result<(Saved, Option<String>), Damage> {
    let Opened { header, head, rest } = open(file)?;
    if header.owner != *owner {
        return Err(Damage::Foreign);
    }
    let entries = entries(&header, head, rest, cipher)?;
    let sealed_by = header.sealed.clone();
    Ok((header.with(entries)?, sealed_by))
}

/// Reads a file's bytes, whosever they are. What is encrypted with a key that is not there has a header all the same.
pub(super) fn look(file: &[u8], cipher: &Cipher) -> Result<Seen, Damage> {
    let Opened { header, head, rest } = open(file)?;
    let (sealed_by, found) = (header.sealed.clone(), entries(&header, head, rest, cipher));
    let damage = match &found {
        Ok(_) => None,
        Err(damage @ Damage::Sealed(_)) => Some(damage.clone()),
        Err(damage) => return Err(damage.clone()),
    };
    Ok(Seen { saved: header.with(found.unwrap_or_default())?, sealed_by, damage })
}

/// What a file says to somebody who does not serve from it.
pub(super) struct Seen {
    /// Without entries where they do not open.
    pub(super) saved: Saved,
    pub(super) sealed_by: Option<String>,
    /// Why the entries do not open.
    pub(super) damage: Option<Damage>,
}

/// A file whose checksum fits and whose header is understood.
struct Opened<'a> {
    header: Header,
    head: &'a [u8],
    rest: &'a [u8],
}

const fn odd(what: &'static str) -> Damage {
    Damage::Content { what }
}

fn open(file: &[u8]) -> Result<Opened<'_>, Damage> {
    let body = checked(file)?;
    let (head, rest) = split_line(body).ok_or(odd("no header"))?;
    let header: Header = serde_json::from_slice(head).map_err(|_| odd("the header"))?;
    Ok(Opened { header, head, rest })
}

fn entries(header: &Header, head: &[u8], rest: &[u8], cipher: &Cipher) -> Result<Vec<Arc<Entry>>, Damage> {
    let clear;
    let lines: &[u8] = match &header.sealed {
        None => rest,
        Some(id) => {
            let encrypted = STANDARD.decode(rest.trim_ascii_end()).map_err(|_| odd("the encrypted part"))?;
            clear = cipher.decrypt(id, &encrypted, head).map_err(Damage::Sealed)?;
            &clear
        }
    };
    let mut entries = Vec::with_capacity(header.entries.min(1 << 20));
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line).map_err(|_| odd("an entry"))?;
        entries.push(Arc::new(entry(line).ok_or(odd("an entry"))?));
    }
    if entries.len() == header.entries { Ok(entries) } else { Err(odd("the number of entries")) }
}

impl Header {
    fn with(self, entries: Vec<Arc<Entry>>) -> Result<Saved, Damage> {
        let omitted: Result<Vec<Key>, _> = self.omitted.into_iter().map(Key::new).collect();
        Ok(Saved {
            owner: self.owner,
            created: self.created.map(time),
            revision: Revision::new(self.revision),
            tail: Revision::new(self.tail),
            saved_at: time(self.saved),
            entries,
            omitted: omitted.map_err(|_| odd("a key"))?,
        })
    }
}

/// What stands behind the first line, when its checksum fits.
fn checked(file: &[u8]) -> Result<&[u8], Damage> {
    let rest = file.strip_prefix(MAGIC.as_bytes()).ok_or(Damage::Magic)?;
    let (line, body) = split_line(rest).ok_or(Damage::Checksum)?;
    let line = str::from_utf8(line.trim_ascii_end()).map_err(|_| Damage::Checksum)?;
    let (version, checksum) = line.split_once(' ').ok_or(Damage::Checksum)?;
    if version != VERSION {
        return Err(Damage::Version);
    }
    if hex(&Sha256::digest(body)) == checksum { Ok(body) } else { Err(Damage::Checksum) }
}
